/** A PostgreSQL reader as a test uses it: act, read until something is seen, stop, assert. */
import { SILENT } from '../../src/observability/log.ts';
import type { Change } from '../../src/model/change.ts';
import { createPostgresReader } from '../../src/readers/postgres/reader.ts';
import type { PostgresPosition } from '../../src/readers/postgres/position.ts';
import type { PostgresReaderOptions } from '../../src/readers/postgres/settings.ts';
import type { PostgresSource } from '../../src/readers/postgres/source-info.ts';
import type { PgConnectOptions } from '../../src/readers/postgres/wire/connect-options.ts';
import type { Opened, Reader } from '../../src/readers/reader.ts';
import type { TestDatabase } from './servers.ts';

export type PostgresReader = Reader<PostgresPosition, PostgresSource>;
export type PostgresChange = Change<PostgresSource>;

export function connectOptions(url: string): PgConnectOptions {
  const { hostname, port, username, password, pathname } = new URL(url);
  return {
    hosts: [{ host: hostname, port: Number(port) }],
    database: pathname.slice(1),
    user: decodeURIComponent(username),
    password: password === '' ? null : decodeURIComponent(password),
    tls: { mode: 'disable', ca: null, cert: null, key: null },
    connectTimeoutMs: 10_000,
  };
}

export function readerOptions(
  database: Pick<TestDatabase, 'url' | 'name'>,
  overrides: Partial<PostgresReaderOptions> = {},
): PostgresReaderOptions {
  return {
    name: database.name,
    connect: connectOptions(database.url),
    tables: ['public.*'],
    slot: database.name,
    publication: database.name,
    failover: true,
    onGap: 'resnapshot',
    walBudgetBytes: null,
    transactionMetadata: false,
    messages: true,
    ...overrides,
  };
}

export function makeReader(
  database: Pick<TestDatabase, 'url' | 'name'>,
  overrides: Partial<PostgresReaderOptions> = {},
): PostgresReader {
  return createPostgresReader(readerOptions(database, overrides), SILENT);
}

const never = new AbortController().signal;

/** Opens as a new pipeline, or with what was stored. */
export function openReader(
  reader: PostgresReader,
  stored: { readonly position: PostgresPosition; readonly identity: string | null } | null = null,
  intent: string | null = null,
): Promise<Opened<PostgresPosition>> {
  return reader.open({ stored, intent, recordIntent: () => Promise.resolve() }, never);
}

export interface ReadResult {
  readonly changes: readonly PostgresChange[];
  /** Of the last batch. */
  readonly position: PostgresPosition;
  readonly batches: readonly {
    readonly changes: readonly PostgresChange[];
    readonly resume: PostgresPosition;
  }[];
}

/** Reads until the log's end at the time of the call has come through; confirms everything. */
export async function readToEnd(reader: PostgresReader, from: PostgresPosition): Promise<ReadResult> {
  const target = (await reader.head(never)).position;
  return readUntil(reader, from, (position) => position.mid === null && position.lsn >= target.lsn);
}

/** Reads until `done` says so at a batch's end. */
export async function readUntil(
  reader: PostgresReader,
  from: PostgresPosition,
  done: (position: PostgresPosition, changes: readonly PostgresChange[]) => boolean,
): Promise<ReadResult> {
  const stop = new AbortController();
  const changes: PostgresChange[] = [];
  const batches: { changes: readonly PostgresChange[]; resume: PostgresPosition }[] = [];
  let position = from;
  const nudging = setInterval(() => reader.nudge(), 50);
  try {
    for await (const batch of reader.read(from, stop.signal)) {
      changes.push(...batch.changes);
      position = batch.resume ?? position;
      batches.push({ changes: batch.changes, resume: position });
      reader.confirm(position);
      if (done(position, changes)) stop.abort();
    }
  } finally {
    clearInterval(nudging);
  }
  return { changes, position, batches };
}
