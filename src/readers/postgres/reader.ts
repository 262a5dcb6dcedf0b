import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Batch } from '../../model/batch.ts';
import type { TableId, TableSchema } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import type { SnapshotSource } from '../../snapshot/snapshot-source.ts';
import type { CapturedTable, Finding, Head, Opened, OpenRequest, Reader, StoredLog } from '../reader.ts';
import { capturedTables, describeCaptured, listTables, type SourceTable } from './captured-tables.ts';
import { describeTables, type PgTable } from './catalogue.ts';
import { mapPgError, mapping } from './errors.ts';
import { examineLog, openLog, type OpenLogParts } from './open-log.ts';
import { findOutdatedPublications, publishesUnidentified } from './outdated-publications.ts';
import { POSTGRES_POSITIONS, type PostgresPosition, serverLsn } from './position.ts';
import { preflight } from './preflight.ts';
import { Relations } from './relations.ts';
import { SchemaVersions } from '../schema-versions.ts';
import { type PostgresReaderOptions, publicationNames } from './settings.ts';
import type { SlotCreation } from './slot.ts';
import { createPgSnapshotSource } from './snapshot-source.ts';
import type { PostgresSource } from './source-info.ts';
import { ReplicationStream } from './stream.ts';
import { ReaderSessions } from '../reader-sessions.ts';
import { answerUnmatched, compileTablePatterns, type TablePatterns } from '../table-patterns.ts';
import { createToastReader } from './toast.ts';
import { loadTypeRegistry, type TypeRegistry } from './types/type-registry.ts';
import { connectPg, type PgConnection } from './wire/connection.ts';
import type { TextRows } from './wire/messages.ts';
import { untilVisible } from './until-visible.ts';
import { describeHosts } from './wire/connect-options.ts';
import { PgConnectionError, PgError } from './wire/pg-error.ts';
import { quoteLiteral } from './wire/quoting.ts';

/** PostgreSQL's log through pgoutput. Connects when first asked for something. */
export function createPostgresReader(
  options: PostgresReaderOptions,
  log: Log,
): Reader<PostgresPosition, PostgresSource> {
  return new PostgresReader(options, log);
}

class PostgresReader implements Reader<PostgresPosition, PostgresSource> {
  readonly codec = POSTGRES_POSITIONS;
  readonly #options: PostgresReaderOptions;
  readonly #log: Log;
  readonly #patterns: TablePatterns;
  readonly #sessions = new ReaderSessions<PgConnection, TextRows>(
    (signal) => connectPg(this.#options.connect, {}, signal),
    () => new PgConnectionError('lost', 'The reader was closed'),
  );
  #tables: readonly SourceTable[] = [];
  #described: readonly PgTable[] = [];
  #registry: TypeRegistry | null = null;
  #versions = new SchemaVersions(new Map());
  #creation: SlotCreation | null = null;
  #stream: ReplicationStream | null = null;
  #confirmed: PostgresPosition | null = null;
  /** What `checkTables` has said already. */
  #toldTables: string | null = null;
  /** Snapshot and stream have them alike: 18 can publish them, older servers cannot. */
  #generatedColumns: 'stored' | 'none' = 'none';

  constructor(options: PostgresReaderOptions, log: Log) {
    this.#options = options;
    this.#log = log;
    this.#patterns = compileTablePatterns(options.tables);
  }

  preflight(signal: AbortSignal): Promise<readonly Finding[]> {
    return preflight(this.#options, this.#patterns, signal);
  }

  async tables(
    signal: AbortSignal,
    onUnmatched?: (message: string) => void,
  ): Promise<readonly CapturedTable[]> {
    return mapping('Listing the tables', async () => {
      const all = await listTables(await this.#sessions.queries(signal));
      const place = `database ${this.#options.connect.database}`;
      const { tables, unmatched } = capturedTables(all, this.#patterns, place);
      answerUnmatched(unmatched, tables.length, onUnmatched);
      this.#tables = tables;
      return this.#tables.map(describeCaptured);
    });
  }

  async open(request: OpenRequest<PostgresPosition>, signal: AbortSignal): Promise<Opened<PostgresPosition>> {
    if (this.#tables.length === 0) await this.tables(signal);
    this.#versions = new SchemaVersions(request.state ?? new Map());
    return mapping(`Opening the log of ${this.#place()}`, async () => {
      const { opened, creation } = await openLog(await this.#logParts(signal), request, signal);
      this.#creation = creation;
      await this.#describe(signal);
      return opened;
    });
  }

  async describe(signal: AbortSignal): Promise<readonly TableSchema[]> {
    return mapping('Describing the tables', async () => {
      await this.#describe(signal);
      return this.#described.map(({ schema }) => schema);
    });
  }

  async examine(stored: StoredLog<PostgresPosition>, signal: AbortSignal): Promise<string | null> {
    return mapping(`Looking at the log of ${this.#place()}`, async () =>
      examineLog(await this.#logParts(signal), stored, signal),
    );
  }

  async head(signal: AbortSignal): Promise<Head<PostgresPosition>> {
    return mapping('Asking for the log’s end', async () => {
      const query = await this.#sessions.queries(signal);
      // Flushed, not inserted: the stream never shows more, and an insert position may lie behind a page header.
      const [row] = await query(
        `SELECT x.lsn, pg_catalog.pg_wal_lsn_diff(x.lsn, s.restart_lsn)
        FROM (SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
          ELSE pg_catalog.pg_current_wal_flush_lsn() END AS lsn) x
        LEFT JOIN pg_catalog.pg_replication_slots s ON s.slot_name = ${quoteLiteral(this.#options.slot)}`,
      );
      return {
        position: { lsn: serverLsn(row?.[0]), mid: null },
        retainedBytes: row?.[1] == null ? null : Number(row[1]),
      };
    });
  }

  async checkTables(signal: AbortSignal): Promise<void> {
    await mapping('Looking for changed tables', async () => {
      const { serverVersion } = await this.#sessions.ordinary(signal);
      const outdated = await findOutdatedPublications(await this.#sessions.queries(signal), {
        names: publicationNames(this.#options),
        patterns: this.#patterns,
        serverVersion,
      });
      if (outdated === null) return;
      if (outdated.dropped !== null) throw publicationDropped(outdated.dropped);
      if (outdated.message === this.#toldTables) return;
      if (outdated.mendable) {
        throw new HeadwaterError('source.tables-changed', outdated.message, { fix: outdated.advice });
      }
      this.#toldTables = outdated.message;
      this.#log.warn({ advice: outdated.advice }, outdated.message);
    });
  }

  async harms(signal: AbortSignal): Promise<boolean> {
    return mapping('Looking for tables without a replica identity', async () =>
      publishesUnidentified(await this.#sessions.queries(signal), publicationNames(this.#options)[0]),
    );
  }

  async *read(
    from: PostgresPosition,
    signal: AbortSignal,
  ): AsyncIterable<Batch<PostgresPosition, PostgresSource>> {
    try {
      const stream = await this.#startStream(from, signal);
      yield* stream.batches(signal);
    } catch (error) {
      throw mapStreamError(error, this.#place());
    }
  }

  confirm(position: PostgresPosition): void {
    this.#confirmed = position;
    this.#stream?.confirm(position);
  }

  nudge(): void {
    this.#stream?.nudge();
  }

  snapshotSource(): SnapshotSource<PostgresPosition, PostgresSource> {
    const creation = this.#creation;
    return createPgSnapshotSource({
      connect: (signal) => connectPg(this.#options.connect, {}, signal),
      connectReplication: (signal) => connectPg(this.#options.connect, { replication: 'database' }, signal),
      exported:
        creation === null
          ? null
          : {
              snapshotName: creation.snapshotName,
              position: { lsn: creation.consistentPoint, mid: null },
            },
      temporarySlot: `${this.#options.slot.slice(0, 48)}_snapshot`,
      generatedColumns: this.#generatedColumns,
      number: (schema) => this.#versions.number(schema),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stream?.stop();
    this.#stream = null;
    await this.#creation?.release();
    await this.#sessions[Symbol.asyncDispose]();
  }

  async #startStream(from: PostgresPosition, signal: AbortSignal): Promise<ReplicationStream> {
    const { slot, messages, transactionMetadata } = this.#options;
    await this.#creation?.release();
    this.#creation = null;
    const query = await this.#sessions.queries(signal);
    const sql = await this.#sessions.ordinary(signal);
    if (this.#registry === null) await this.#describe(signal);
    const [timeout] = await query(
      `SELECT pg_catalog.extract('epoch', pg_catalog.current_setting('wal_sender_timeout')::pg_catalog.interval) * 1000`,
    );
    const relations = new Relations({
      isCaptured: (id) => this.#patterns.matches(id),
      tables: this.#described,
      registry: this.#registry!,
      versions: this.#versions,
      describe: async (id, registry, xid) => {
        if (xid !== null) await untilVisible(query, xid);
        return (await this.#describeOne(query, registry, id)) ?? null;
      },
      reloadRegistry: () => loadTypeRegistry(query),
    });
    const connection = await this.#sessions.keep(
      await connectPg(this.#options.connect, { replication: 'database' }, signal),
    );
    const stream = await ReplicationStream.start(
      connection,
      {
        slot,
        publications: publicationNames(this.#options),
        from,
        messages,
        transactionMarkers: transactionMetadata,
        serverTimeoutMs: Number(timeout?.[0] ?? 60_000),
        relations,
        versions: this.#versions,
        toast: createToastReader({
          query: (text) => sql.query(text),
          decodersOf: (schema) => relations.decodersOf(schema),
        }),
        log: this.#log,
      },
      signal,
    );
    if (this.#confirmed !== null) stream.confirm(this.#confirmed);
    this.#stream = stream;
    return stream;
  }

  async #logParts(signal: AbortSignal): Promise<OpenLogParts> {
    return {
      options: this.#options,
      tables: this.#tables,
      sql: await this.#sessions.ordinary(signal),
      connectReplication: () => connectPg(this.#options.connect, { replication: 'database' }, signal),
      log: this.#log,
    };
  }

  async #describe(signal: AbortSignal): Promise<void> {
    const query = await this.#sessions.queries(signal);
    const { serverVersion } = await this.#sessions.ordinary(signal);
    this.#generatedColumns = serverVersion >= 180_000 ? 'stored' : 'none';
    this.#registry = await loadTypeRegistry(query);
    const oids = this.#tables.map(({ oid }) => oid);
    this.#described = await describeTables(query, this.#registry, { oids }, this.#describeOptions());
  }

  async #describeOne(
    query: (sql: string) => Promise<TextRows>,
    registry: TypeRegistry,
    id: TableId,
  ): Promise<PgTable | undefined> {
    return (await describeTables(query, registry, { ids: [id] }, this.#describeOptions()))[0];
  }

  #describeOptions(): { readonly generatedColumns: 'stored' | 'none' } {
    return { generatedColumns: this.#generatedColumns };
  }

  #place(): string {
    const { connect } = this.#options;
    return `${connect.database} on ${describeHosts(connect)}`;
  }
}

function publicationDropped(name: string): HeadwaterError {
  return new HeadwaterError(
    'source.position-lost',
    `The publication ${name} was dropped, and with it what was published since.`,
  );
}

function mapStreamError(error: unknown, place: string): unknown {
  if (!(error instanceof PgError)) return mapPgError(error, `Reading the log of ${place}`);
  switch (error.sqlstate) {
    case '42704': // undefined_object: a publication, in the catalogue as it was at that position
      return new HeadwaterError(
        'source.position-lost',
        `Reading the log of ${place} failed: ${error.message}: what was logged before it existed cannot be read.`,
        { cause: error },
      );
    case '55000': // object_not_in_prerequisite_state: the slot was invalidated; the next start finds out how
      return new HeadwaterError(
        'source.connection-lost',
        `The log of ${place} broke off: ${error.message}.`,
        {
          cause: error,
        },
      );
    default:
      return mapPgError(error, `Reading the log of ${place}`);
  }
}
