/**
 * Statements that clients have made while the pipeline runs. They are part of its durable state, so they begin, and
 * end, exactly where the records of their queries do.
 */
import { ENRICH_HELD_KEY, ENRICH_MADE_PREFIX, ENRICH_NEXT_KEY } from '../../state/checkpoint.ts';

export interface MadeStatement {
  /** Grows with each statement, and is never used again: what a statement keeps belongs to it alone. */
  readonly number: number;
  /** As it is printed. */
  readonly sql: string;
  /** Its stream or table is still there, and its query is not. */
  readonly terminated: boolean;
  /** Whether it began with what came to its topic after it, and not with what was there. */
  readonly fromLatest: boolean;
}

/** What the durable state says of statements beside those of the settings. */
export interface MadeStatements {
  /** In the order in which they were made. */
  readonly all: readonly MadeStatement[];
  /** Of the next one. */
  readonly next: number;
  /** Hashes of statements whose queries wait, the settings' among them. */
  readonly held: ReadonlySet<string>;
}

export function madeStatements(state: ReadonlyMap<string, string>): MadeStatements {
  const all: MadeStatement[] = [];
  for (const [key, text] of state) {
    if (!key.startsWith(ENRICH_MADE_PREFIX)) continue;
    const { sql, terminated, fromLatest } = JSON.parse(text) as Omit<MadeStatement, 'number'>;
    all.push({ number: Number(key.slice(ENRICH_MADE_PREFIX.length)), sql, terminated, fromLatest });
  }
  const held = state.get(ENRICH_HELD_KEY);
  return {
    all: all.toSorted((a, b) => a.number - b.number),
    next: Number(state.get(ENRICH_NEXT_KEY) ?? 0),
    held: new Set(held === undefined ? [] : (JSON.parse(held) as readonly string[])),
  };
}

/** What has to be written so that the state says `after` where it said `before`. */
export function madeEdits(before: MadeStatements, after: MadeStatements): ReadonlyMap<string, string | null> {
  const edits = new Map<string, string | null>();
  const numbers = new Set(after.all.map(({ number }) => number));
  for (const { number } of before.all)
    if (!numbers.has(number)) edits.set(`${ENRICH_MADE_PREFIX}${number}`, null);
  for (const { number, ...rest } of after.all) {
    const value = JSON.stringify({ v: 1, ...rest });
    const was = before.all.find((each) => each.number === number);
    if (was === undefined || was.terminated !== rest.terminated)
      edits.set(`${ENRICH_MADE_PREFIX}${number}`, value);
  }
  if (after.next !== before.next) edits.set(ENRICH_NEXT_KEY, String(after.next));
  if (![...before.held].every((hash) => after.held.has(hash)) || before.held.size !== after.held.size)
    edits.set(ENRICH_HELD_KEY, after.held.size === 0 ? null : JSON.stringify([...after.held]));
  return edits;
}
