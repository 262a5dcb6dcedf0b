import type { SettingsDocument } from './document.ts';
import { durationInMs, sizeInBytes } from './leaves.ts';
import type { FileShape } from './schema.ts';
import type { PolledTable, PollSettings } from './settings.ts';

type PollShape = NonNullable<FileShape['source']['poll']>;
type TableShape = PollShape['tables'][string];

const DEFAULTS: PollSettings = {
  configured: false,
  preferLog: false,
  everyMs: 5_000,
  overlapMs: 60_000,
  batchRows: 1_000,
  timeZone: null,
  rememberLimitBytes: 1_000_000_000,
  tables: new Map(),
};

/** What the settings say of polling; the defaults where they say nothing. */
export function resolvePoll({ source }: Pick<FileShape, 'source'>, document: SettingsDocument): PollSettings {
  const { poll } = source;
  if (poll === undefined) return DEFAULTS;
  const everyMs = durationInMs(poll.every);
  return {
    configured: true,
    preferLog: source.mode === 'auto',
    everyMs,
    overlapMs: durationInMs(poll.overlap),
    batchRows: poll.batch_rows,
    timeZone: timeZoneOf(poll, document),
    rememberLimitBytes: sizeInBytes(poll.remember_limit),
    tables: new Map(
      Object.entries(poll.tables).map(([name, table]) => [
        name,
        resolveTable(name, table, { everyMs, document }),
      ]),
    ),
  };
}

function resolveTable(
  name: string,
  table: TableShape,
  { everyMs, document }: { readonly everyMs: number; readonly document: SettingsDocument },
): PolledTable {
  const timestamp = namesOf(table.timestamp) ?? [];
  const incrementing = table.incrementing ?? null;
  const mode =
    table.mode ??
    (timestamp.length > 0
      ? incrementing === null
        ? 'timestamp'
        : 'timestamp+incrementing'
      : incrementing === null
        ? 'bulk'
        : 'incrementing');
  const wants = {
    bulk: [false, false],
    incrementing: [false, true],
    timestamp: [true, false],
    'timestamp+incrementing': [true, true],
  }[mode];
  const key = namesOf(table.key);
  const place = `source.poll.tables.${name}`;
  const path = ['source', 'poll', 'tables', name];
  const complain = (message: string): void =>
    document.problem('settings.invalid', path, `${place} ${message}`);
  if (wants[0] !== timestamp.length > 0) {
    complain(
      wants[0] ? `is polled by ${mode} and names no timestamp` : `is polled by ${mode} and names a timestamp`,
    );
  } else if (wants[1] !== (incrementing !== null)) {
    complain(
      wants[1]
        ? `is polled by ${mode} and names no incrementing column`
        : `is polled by ${mode} and names an incrementing column`,
    );
  }
  const remember = table.remember ?? (table.delete_sweep === undefined ? 'overlap' : 'keys');
  if (table.delete_sweep !== undefined && remember === 'overlap') {
    complain('has a delete_sweep, which needs remember: keys or rows');
  }
  return {
    mode,
    timestamp,
    incrementing,
    query: table.query?.replace(/;\s*$/, '') ?? null,
    key,
    everyMs: table.every === undefined ? everyMs : durationInMs(table.every),
    sweepMs: table.delete_sweep === undefined ? null : durationInMs(table.delete_sweep),
    remember,
  };
}

function namesOf(names: string | readonly string[] | undefined): readonly string[] | null {
  if (names === undefined) return null;
  return typeof names === 'string' ? [names] : names;
}

function timeZoneOf({ time_zone: zone }: PollShape, document: SettingsDocument): string | null {
  if (zone === undefined) return null;
  if (!isTimeZone(zone)) {
    document.problem(
      'settings.invalid',
      ['source', 'poll', 'time_zone'],
      'source.poll.time_zone has to be the name of a time zone such as Europe/Berlin or UTC',
    );
  }
  return zone;
}

function isTimeZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
