import { join } from 'node:path';
import { type TableId, tableName, tableOfName } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import { steadyNow } from '../../observability/steady-clock.ts';
import { POLL_POSITIONS, type PollPosition } from '../../readers/polling/position.ts';
import { createPollingReader, type MakeDialect } from '../../readers/polling/reader.ts';
import type { PolledTableSettings, PollReaderOptions } from '../../readers/polling/settings.ts';
import { pollSourceBlock } from '../../readers/polling/source-block.ts';
import type { PollSource } from '../../readers/polling/source-info.ts';
import { openPolledBefore, type PolledBeforeOptions } from '../../readers/polling/polled-before.ts';
import type { DeliveredBefore, DeliveredKeys } from '../../readers/delivered-before.ts';
import { LoggedKeys, type LoggedKeysOptions } from '../../readers/polling/logged-keys.ts';
import { LOGGED_KEY } from '../../state/checkpoint.ts';
import { compileTablePatterns } from '../../readers/table-patterns.ts';
import type { Settings } from '../../settings/settings.ts';
import { connectOptions } from './connect-options.ts';
import type { Source } from './source-parts.ts';

/** Whatever the database, polled. The driver of others is not loaded. */
export async function pollingSource(
  settings: Settings,
  logIsReadable: PollReaderOptions['logIsReadable'],
  log: Log,
): Promise<Source<PollPosition, PollSource>> {
  const dialect = await dialectOf(settings);
  const { database } = settings.source;
  return {
    positions: POLL_POSITIONS,
    openReader: () => createPollingReader(readerOptions(settings, logIsReadable), dialect, log),
    block: pollSourceBlock(settings.name, database === '' ? null : database),
    originAt: ({ batch }) => ({ connector: 'polling', readUs: Date.now() * 1000, batch }),
  };
}

/** What polling has delivered of tables that are read from the log now, or the other way round. */
export async function openBefore(
  settings: Settings,
  { of, record, tables }: Pick<PolledBeforeOptions, 'of' | 'record' | 'tables'>,
  signal: AbortSignal,
): Promise<DeliveredBefore> {
  // Versions are the log's to count.
  const dialect = (await dialectOf(settings))((schema) => schema);
  const { settingsOf, statePath: polled, stateLimitBytes } = readerOptions(settings, null);
  const logged = of === LOGGED_KEY;
  const files = { statePath: logged ? loggedPath(settings) : polled, polledNow: logged ? polled : null };
  return openPolledBefore({ ...files, settingsOf, stateLimitBytes, dialect, tables, of, record }, signal);
}

/** What the log delivers, kept for polling that takes over from it. */
export function openLoggedKeys<P>(
  settings: Settings,
  found: Pick<LoggedKeysOptions<P>, 'codec' | 'state' | 'tables'>,
): DeliveredKeys<P> {
  const file = { path: loggedPath(settings), limitBytes: settings.source.poll.rememberLimitBytes };
  return new LoggedKeys({ ...found, file, snapshots: settings.snapshot.mode !== 'no_data' });
}

function loggedPath({ name, stateDir }: Settings): string {
  return join(stateDir, `${name}.logged.sqlite`);
}

async function dialectOf(settings: Settings): Promise<MakeDialect> {
  const { source } = settings;
  const { connector, poll, tables } = source;
  const settingsOf = tableSettings(source);
  const names = {
    patterns: compileTablePatterns(tables),
    named: new Set([...tables, ...poll.tables.keys()]),
    optionsOf: settingsOf,
    queries: [...poll.tables]
      .filter(([, { query }]) => query !== null)
      .flatMap(([name]) => tableOfName(name) ?? []),
  };
  const { timeZone } = poll;
  switch (connector) {
    case 'postgresql': {
      const { createPgPolling } = await import('../../readers/postgres/polling.ts');
      const connect = { ...connectOptions(source), database: source.database };
      return (number) => createPgPolling({ connect, names, timeZone, number });
    }
    case 'mysql':
    case 'mariadb': {
      const { createMysqlPolling } = await import('../../readers/mysql/polling.ts');
      const { zeroDates, unsignedOverflow } = source.mysql;
      const options = {
        ...names,
        connect: { ...connectOptions(source), database: source.database === '' ? null : source.database },
        types: { zeroDates, unsignedOverflow },
        timeZone,
      };
      return (number) => createMysqlPolling({ ...options, number });
    }
    case 'oracle': {
      const { createOraclePolling } = await import('../../readers/oracle/polling.ts');
      const { connectOracle, oraclePlace } = await import('./oracle.ts');
      const options = {
        connect: connectOracle(settings),
        names: { ...names, place: oraclePlace(source) },
        pdb: source.oracle.pdb,
        user: source.user,
        timeZone,
      };
      return (number) => createOraclePolling({ ...options, number });
    }
  }
}

function readerOptions(
  settings: Settings,
  logIsReadable: PollReaderOptions['logIsReadable'],
): PollReaderOptions {
  const { name, source, snapshot, stateDir } = settings;
  const { poll, onGap } = source;
  return {
    settingsOf: tableSettings(source),
    overlapMs: poll.overlapMs,
    batchRows: poll.batchRows,
    statePath: join(stateDir, `${name}.polling.sqlite`),
    stateLimitBytes: poll.rememberLimitBytes,
    onGap,
    logIsReadable,
    snapshots: snapshot.mode !== 'no_data',
    clocks: { wall: Date.now, steady: steadyNow },
  };
}

/** Tables without an entry are read whole. */
function tableSettings({ poll }: Settings['source']): (id: TableId) => PolledTableSettings {
  const whole: PolledTableSettings = {
    mode: 'bulk',
    timestamp: [],
    incrementing: null,
    query: null,
    key: null,
    everyMs: poll.everyMs,
    sweepMs: null,
    remember: 'overlap',
  };
  return (id) => poll.tables.get(tableName(id)) ?? whole;
}
