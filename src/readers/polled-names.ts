import { HeadwaterError } from '../errors/headwater-error.ts';
import { type TableId, tableName } from '../model/table.ts';
import type { PollTableOptions } from './poll-dialect.ts';
import { answerUnmatched, type TablePatterns } from './table-patterns.ts';

/** What the settings ask to poll. */
export interface PolledNames {
  readonly patterns: TablePatterns;
  /** `source.tables` and the names in `source.poll.tables`: views are polled only where they are named. */
  readonly named: ReadonlySet<string>;
  readonly optionsOf: (id: TableId) => PollTableOptions;
  /** Queries of the settings. */
  readonly queries: readonly TableId[];
}

/** What there is at the source. */
export interface Pollable<T extends { readonly id: TableId }> {
  readonly all: readonly T[];
  readonly isView: (each: T) => boolean;
  readonly ofQuery: (id: TableId) => T;
}

export interface WhenUnmatched {
  /** Such as `in database shop`. */
  readonly where: string;
  /** What to do about it; `visible` names some of what is seen at the source. */
  readonly advice: (visible: string) => {
    readonly fix: string;
    readonly details?: Readonly<Record<string, string>>;
  };
  readonly onUnmatched: ((message: string) => void) | undefined;
}

/** Tables, the views that are named, and queries. Throws `settings.no-table-matches`, as `Reader.tables` does. */
export function choosePolled<T extends { readonly id: TableId }>(
  { all, isView, ofQuery }: Pollable<T>,
  { patterns, named, queries }: Pick<PolledNames, 'patterns' | 'named' | 'queries'>,
  { where, advice, onUnmatched }: WhenUnmatched,
): readonly T[] {
  const asked = new Set(queries.map(tableName));
  const chosen = [
    ...all.filter((each) => {
      const name = tableName(each.id);
      return patterns.matches(each.id) && !asked.has(name) && (!isView(each) || named.has(name));
    }),
    ...queries.map(ofQuery),
  ];
  const unmatched = patterns.unmatched([...all.map(({ id }) => id), ...queries]);
  if (unmatched.length === 0 && chosen.length > 0) return chosen;
  const visible = all
    .slice(0, 20)
    .map(({ id }) => tableName(id))
    .join(', ');
  const which = unmatched.length > 0 ? `: ${unmatched.join(', ')}` : '';
  const message = `source.tables${which} matches no table ${where}.`;
  const error = new HeadwaterError('settings.no-table-matches', message, advice(visible));
  answerUnmatched(error, chosen.length, onUnmatched);
  return chosen;
}
