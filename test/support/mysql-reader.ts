/** A MySQL or MariaDB reader as a test uses it: act, read until something is seen, stop, assert. */
import type { Change, RowChange } from '../../src/model/change.ts';
import { valuesOf } from '../../src/model/raw-row.ts';
import { ABSENT, type Row, UNCHANGED } from '../../src/model/value.ts';
import { SILENT } from '../../src/observability/log.ts';
import type { MysqlPosition } from '../../src/readers/mysql/position.ts';
import { createMysqlReader } from '../../src/readers/mysql/reader.ts';
import type { MysqlReaderOptions } from '../../src/readers/mysql/settings.ts';
import type { MysqlSource } from '../../src/readers/mysql/source-info.ts';
import type { MysqlConnectOptions } from '../../src/readers/mysql/wire/connect-options.ts';
import type { Opened, OpenRequest, Reader } from '../../src/readers/reader.ts';

export type MysqlReader = Reader<MysqlPosition, MysqlSource>;
export type MysqlChange = Change<MysqlSource>;

const never = new AbortController().signal;
/** Other tests read other tables of the same server at the same time. */
let serverIds = 3_000_000_000 + (process.pid % 100_000) * 1_000;

export function connectOptions(url: string): MysqlConnectOptions {
  const { hostname, port, username, password } = new URL(url);
  return {
    hosts: [{ host: hostname, port: Number(port) }],
    database: null,
    user: decodeURIComponent(username),
    password: password === '' ? null : decodeURIComponent(password),
    tls: { mode: 'disable', ca: null, cert: null, key: null },
    connectTimeoutMs: 10_000,
  };
}

export function readerOptions(
  { url, name }: { readonly url: string; readonly name: string },
  overrides: Partial<MysqlReaderOptions> = {},
): MysqlReaderOptions {
  return {
    name,
    connector: url.startsWith('mariadb:') ? 'mariadb' : 'mysql',
    connect: connectOptions(url),
    tables: [`${name}.*`],
    serverId: serverIds++,
    onGap: 'resnapshot',
    transactionMetadata: false,
    includeQuery: false,
    types: { zeroDates: 'null', unsignedOverflow: 'quarantine' },
    snapshotParallelism: 0,
    ...overrides,
  };
}

export function makeReader(
  database: { readonly url: string; readonly name: string },
  overrides: Partial<MysqlReaderOptions> = {},
): MysqlReader {
  return createMysqlReader(readerOptions(database, overrides), SILENT);
}

/** Opens as a new pipeline, or with what was stored. */
export function openReader(
  reader: MysqlReader,
  request: Partial<OpenRequest<MysqlPosition>> = {},
): Promise<Opened<MysqlPosition>> {
  return reader.open(
    { stored: null, intent: null, recordIntent: () => Promise.resolve(), ...request },
    never,
  );
}

export interface ReadResult {
  readonly changes: readonly MysqlChange[];
  /** Of the last batch that has one. */
  readonly position: MysqlPosition;
  /** What the batches made durable, with what was there before. */
  readonly state: ReadonlyMap<string, string>;
  readonly batches: readonly {
    readonly changes: readonly MysqlChange[];
    readonly resume: MysqlPosition | null;
  }[];
}

/** Reads until the log's end at the time of the call has come through, or `done` says so at a batch's end. */
export async function readToEnd(
  reader: MysqlReader,
  from: MysqlPosition,
  options: {
    readonly state?: ReadonlyMap<string, string>;
    readonly done?: (position: MysqlPosition, changes: readonly MysqlChange[]) => boolean;
  } = {},
): Promise<ReadResult> {
  const target = (await reader.head(never)).position;
  const done =
    options.done ?? ((position: MysqlPosition) => (reader.codec.compare(position, target) ?? -1) >= 0);
  const stop = new AbortController();
  const changes: MysqlChange[] = [];
  const batches: { changes: readonly MysqlChange[]; resume: MysqlPosition | null }[] = [];
  const state = new Map(options.state ?? []);
  let position = from;
  for await (const batch of reader.read(from, stop.signal)) {
    const { resume } = batch;
    const own = batch.changes.map(ownValues);
    // As the daemon does once it has encoded them: what the rows lay in is written again.
    batch.release?.();
    changes.push(...own);
    batches.push({ changes: own, resume });
    for (const [key, text] of batch.state ?? []) {
      if (text === null) state.delete(key);
      else state.set(key, text);
    }
    if (batch.resume !== null) position = batch.resume;
    if (batch.resume !== null && done(position, changes)) stop.abort();
  }
  return { changes, position, state, batches };
}

/** With values that lie in no memory of the reader's. */
function ownValues(change: MysqlChange): MysqlChange {
  if (change.kind !== 'row') return change;
  return { ...change, before: ownRow(valuesOf(change.before)), after: ownRow(valuesOf(change.after)) };
}

function ownRow(row: Row | null): Row | null {
  return row?.map((value) => (value instanceof Uint8Array ? ownBytes(value) : value)) ?? null;
}

function ownBytes(bytes: Uint8Array): Uint8Array {
  return Buffer.isBuffer(bytes) ? Buffer.from(bytes) : bytes.slice();
}

/** What `act` does to the database, as the log has it. */
export async function changesOf(
  database: { readonly url: string; readonly name: string },
  act: () => Promise<unknown>,
  overrides: Partial<MysqlReaderOptions> = {},
): Promise<ReadResult> {
  await using reader = makeReader(database, overrides);
  const { continuity } = await openReader(reader);
  if (continuity.kind !== 'fresh') throw new Error(`The log is ${continuity.kind}`);
  await act();
  return await readToEnd(reader, continuity.start);
}

export type MysqlRow = Omit<RowChange<MysqlSource>, 'before' | 'after'> & {
  readonly before: Row | null;
  readonly after: Row | null;
};

/** The row changes, with their values. */
export function rowsOf(changes: readonly MysqlChange[]): readonly MysqlRow[] {
  return changes
    .filter((change) => change.kind === 'row')
    .map((change) => ({ ...change, before: valuesOf(change.before), after: valuesOf(change.after) }));
}

/** `op before → after`, with columns by name: for assertions. */
export function plainRows(changes: readonly MysqlChange[]): readonly unknown[] {
  return rowsOf(changes).map(({ op, table, before, after, unreadable }) => {
    const named = (row: Row | null): unknown =>
      row === null
        ? null
        : Object.fromEntries(
            row.map((value, i) => [
              table.columns[i]!.name,
              value === ABSENT ? 'ABSENT' : value === UNCHANGED ? 'UNCHANGED' : value,
            ]),
          );
    return {
      op,
      before: named(before),
      after: named(after),
      ...(unreadable === undefined ? {} : { unreadable: unreadable.message }),
    };
  });
}
