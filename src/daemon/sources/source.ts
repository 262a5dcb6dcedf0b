import type { SourceInfo } from '../../model/change.ts';
import type { JsonValue, PositionCodec } from '../../model/position.ts';
import { type Log, SILENT } from '../../observability/log.ts';
import type { Reader } from '../../readers/reader.ts';
import { isPollPosition } from '../../readers/polling/position.ts';
import type { DeliveredBefore, DeliveredKeys } from '../../readers/delivered-before.ts';
import { type TableId, tableName } from '../../model/table.ts';
import { LOGGED_KEY, POLLED_KEY } from '../../state/checkpoint.ts';
import type { Settings } from '../../settings/settings.ts';
import type { Source } from './source-parts.ts';

/** For conditions of our own. */
export interface SqlQuoting {
  readonly ident: (name: string) => string;
  readonly literal: (text: string) => string;
}

export async function sqlQuoting({ source }: Settings): Promise<SqlQuoting> {
  switch (source.connector) {
    case 'postgresql': {
      const { quoteIdent, quoteLiteral } = await import('../../readers/postgres/wire/quoting.ts');
      return { ident: quoteIdent, literal: quoteLiteral };
    }
    case 'mysql':
    case 'mariadb': {
      const { quoteIdent, quoteLiteral } = await import('../../readers/mysql/wire/quoting.ts');
      return { ident: quoteIdent, literal: quoteLiteral };
    }
    case 'oracle': {
      const { quoteIdent, quoteLiteral } = await import('../../readers/oracle/quoting.ts');
      return { ident: quoteIdent, literal: quoteLiteral };
    }
  }
}

/**
 * The one place that knows which source a settings file asks for, and the list to extend for another one. `use` is
 * given a source whose position and source block fit together, whatever they are. A source's code, its driver
 * above all, is loaded only where a file asks for it.
 */
export async function withSource<T>(
  settings: Settings,
  log: Log,
  use: <P, S extends SourceInfo>(source: Source<P, S>) => T,
): Promise<T> {
  const { connector, mode } = settings.source;
  if (mode === 'poll') {
    const { pollingSource } = await import('./polling.ts');
    const { preferLog } = settings.source.poll;
    const readable = preferLog ? (signal: AbortSignal) => logIsReadable(settings, signal) : null;
    return use(await pollingSource(settings, readable, log));
  }
  switch (connector) {
    case 'postgresql': {
      const { postgresSource } = await import('./postgres.ts');
      return use(postgresSource(settings, log));
    }
    case 'mysql':
    case 'mariadb': {
      const { mysqlSource } = await import('./mysql.ts');
      return use(mysqlSource(settings, connector, log));
    }
    case 'oracle': {
      const { connectOracle, oracleSource } = await import('./oracle.ts');
      return use(oracleSource(settings, connectOracle(settings), log));
    }
  }
}

/** What was found in the other way of finding changes; null where nothing was, or all has been told. */
export async function deliveredBefore(
  settings: Settings,
  { state, tables }: { readonly state: ReadonlyMap<string, string>; readonly tables: readonly TableId[] },
  signal: AbortSignal,
): Promise<DeliveredBefore | null> {
  const of = settings.source.mode === 'poll' ? LOGGED_KEY : POLLED_KEY;
  const record = state.get(of);
  if (record === undefined) return null;
  const { openBefore } = await import('./polling.ts');
  return openBefore(settings, { of, record, tables }, signal);
}

/** Where polling may take over from the log, and is to know what had been delivered; null elsewhere. */
export async function deliveredKeys<P>(
  settings: Settings,
  found: {
    readonly codec: PositionCodec<P>;
    readonly state: ReadonlyMap<string, string>;
    readonly tables: readonly TableId[];
  },
): Promise<DeliveredKeys<P> | null> {
  const { mode, poll } = settings.source;
  if (mode === 'poll' || !poll.preferLog) return null;
  const remembered = found.tables.filter(
    (id) => (poll.tables.get(tableName(id))?.remember ?? 'overlap') !== 'overlap',
  );
  if (remembered.length === 0) return null;
  const { openLoggedKeys } = await import('./polling.ts');
  return openLoggedKeys(settings, { ...found, tables: remembered });
}

/** For what needs no source block. */
export function openReader(settings: Settings, log: Log): Promise<Reader<unknown>> {
  return withSource<Reader<unknown>>(settings, log, (source) => source.openReader());
}

/** The position as its source would write it; throws `state.position-invalid` on anything else. */
export function normalisePosition(settings: Settings, position: JsonValue): Promise<JsonValue> {
  return withSource(asWritten(settings, position), SILENT, ({ positions }) =>
    positions.encode(positions.decode(position)),
  );
}

/** With `mode: auto` a position of polling means polling. */
export function asWritten(settings: Settings, position: JsonValue): Settings {
  return settings.source.mode === 'auto' && isPollPosition(position) ? withMode(settings, 'poll') : settings;
}

const INSTEAD = { log: new WeakMap<Settings, Settings>(), poll: new WeakMap<Settings, Settings>() };

/** The same object each time: what is kept over all attempts of a pipeline goes by its settings. */
export function withMode(settings: Settings, mode: 'log' | 'poll'): Settings {
  const known = INSTEAD[mode].get(settings);
  if (known !== undefined) return known;
  const made = { ...settings, source: { ...settings.source, mode } };
  INSTEAD[mode].set(settings, made);
  return made;
}

/** Whether nothing keeps the log from being read; where that cannot be found out, something may. */
async function logIsReadable(settings: Settings, signal: AbortSignal): Promise<boolean> {
  try {
    await using reader = await openReader(withMode(settings, 'log'), SILENT);
    return (await reader.preflight(signal)).every(({ level }) => level !== 'error');
  } catch {
    return false;
  }
}

/** Log kept for us above which an alarm is due; null: no alarm, or a source that keeps none for us. */
export function retainedBudgetBytes({ source }: Settings): number | null {
  return source.connector === 'postgresql' ? source.postgres.walBudgetBytes : null;
}
