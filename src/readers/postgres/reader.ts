import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Batch } from '../../model/batch.ts';
import type { TableId } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import type { SnapshotSource } from '../../snapshot/snapshot-source.ts';
import type {
  CapturedTable,
  Continuity,
  Finding,
  Head,
  Opened,
  OpenRequest,
  Reader,
  StoredPosition,
} from '../reader.ts';
import { capturedTables, describeCaptured, listTables, type SourceTable } from './captured-tables.ts';
import { describeTables, type PgTable } from './catalogue.ts';
import { mapPgError, mapping } from './errors.ts';
import { decodeIdentity, encodeIdentity, type LogIdentity } from './log-identity.ts';
import { formatLsn, POSTGRES_POSITIONS, type PostgresPosition, serverLsn } from './position.ts';
import { preflight } from './preflight.ts';
import {
  alignPublications,
  inspectPublication,
  planPublications,
  type PublicationState,
} from './publication.ts';
import { Relations } from './relations.ts';
import { SchemaVersions } from './schema-versions.ts';
import { type PostgresReaderOptions, publicationNames } from './settings.ts';
import {
  awaitInactive,
  createSlot,
  dropSlot,
  identifySystem,
  readSlot,
  type SlotCreation,
  type SlotInfo,
  timelineEnd,
} from './slot.ts';
import { createPgSnapshotSource } from './snapshot-source.ts';
import type { PostgresSource } from './source-info.ts';
import { ReplicationStream } from './stream.ts';
import { compileTablePatterns, type TablePatterns } from './table-patterns.ts';
import { createToastReader } from './toast.ts';
import { loadTypeRegistry, type TypeRegistry } from './types/type-registry.ts';
import { connectPg, type PgConnection, type TextRows } from './wire/connection.ts';
import { describeHosts } from './wire/connect-options.ts';
import { PgError } from './wire/pg-error.ts';
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
  readonly #resources = new AsyncDisposableStack();
  #sql: Promise<PgConnection> | null = null;
  #tables: readonly SourceTable[] = [];
  #described: readonly PgTable[] = [];
  #registry: TypeRegistry | null = null;
  #versions = new SchemaVersions(new Map());
  #creation: SlotCreation | null = null;
  #stream: ReplicationStream | null = null;
  #confirmed: PostgresPosition | null = null;
  #standby = false;
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

  async tables(signal: AbortSignal): Promise<readonly CapturedTable[]> {
    return mapping('Listing the tables', async () => {
      const all = await listTables(await this.#queries(signal));
      const { connect } = this.#options;
      this.#tables = capturedTables(all, this.#patterns, `database ${connect.database}`);
      return this.#tables.map(describeCaptured);
    });
  }

  async open(request: OpenRequest<PostgresPosition>, signal: AbortSignal): Promise<Opened<PostgresPosition>> {
    if (this.#tables.length === 0) await this.tables(signal);
    this.#versions = new SchemaVersions(request.state ?? new Map());
    return mapping(`Opening the log of ${this.#place()}`, async () => {
      const query = await this.#queries(signal);
      const sql = await this.#session(signal);
      const replication = await connectPg(this.#options.connect, { replication: 'database' }, signal);
      let keep = false;
      try {
        const system = await identifySystem(replication, signal);
        const [recovery] = await query('SELECT pg_catalog.pg_is_in_recovery()');
        this.#standby = recovery?.[0] === 't';
        const identity: LogIdentity = {
          system: system.systemId,
          timeline: system.timeline,
          database: this.#options.connect.database,
          slot: this.#options.slot,
        };
        const plans = planPublications(publicationNames(this.#options), this.#tables);
        const publications = await Promise.all(
          plans.map((plan) => inspectPublication(query, plan, sql.serverVersion)),
        );
        const slot = await this.#idleSlot(query, sql.serverVersion, signal);
        const gap = await this.#findGap(
          request.stored,
          { slot, identity, publications, replication },
          signal,
        );
        if (request.stored === null) this.#refuseForeignSlot(slot, request.intent, identity);
        let continuity: Continuity<PostgresPosition> = { kind: 'continuous' };
        const fresh = request.stored === null;
        if (fresh || gap !== null) {
          if (gap !== null) this.#failOnGap(gap);
          await request.recordIntent(encodeIdentity(identity));
          const start = await this.#beginLog({ query, publications, slot, replication }, gap, signal);
          keep = this.#creation !== null;
          continuity = gap === null ? { kind: 'fresh', start } : { kind: 'gap', reason: gap.reason, start };
        } else {
          await alignPublications((text) => sql.command(text), publications);
        }
        await this.#describe(signal);
        return { continuity, identity: encodeIdentity(identity) };
      } finally {
        if (!keep) await replication.close();
      }
    });
  }

  async head(signal: AbortSignal): Promise<Head<PostgresPosition>> {
    return mapping('Asking for the log’s end', async () => {
      const query = await this.#queries(signal);
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
    await this.#resources.disposeAsync();
  }

  async #startStream(from: PostgresPosition, signal: AbortSignal): Promise<ReplicationStream> {
    const { slot, messages, transactionMetadata } = this.#options;
    await this.#creation?.release();
    this.#creation = null;
    const query = await this.#queries(signal);
    const sql = await this.#session(signal);
    if (this.#registry === null) await this.#describe(signal);
    const [timeout] = await query(
      `SELECT pg_catalog.extract('epoch', pg_catalog.current_setting('wal_sender_timeout')::pg_catalog.interval) * 1000`,
    );
    const relations = new Relations({
      isCaptured: (id) => this.#patterns.matches(id),
      tables: this.#described,
      registry: this.#registry!,
      versions: this.#versions,
      describe: async (id, registry) => (await this.#describeOne(query, registry, id)) ?? null,
      reloadRegistry: () => loadTypeRegistry(query),
    });
    const connection = this.#resources.use(
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

  /** Publications first: servers up to 17 cannot decode what is older than a publication they are asked for. */
  async #beginLog(
    parts: {
      readonly query: (sql: string) => Promise<TextRows>;
      readonly publications: readonly PublicationState[];
      readonly slot: SlotInfo | null;
      readonly replication: PgConnection;
    },
    gap: Gap | null,
    signal: AbortSignal,
  ): Promise<PostgresPosition> {
    const { query, publications, slot, replication } = parts;
    const sql = await this.#session(signal);
    await alignPublications((text) => sql.command(text), publications);
    if (slot !== null) {
      if (gap?.slotUsable === true && this.#options.onGap === 'skip_with_marker') {
        return { lsn: slot.confirmedLsn ?? 0, mid: null };
      }
      await dropSlot(query, this.#options.slot);
    }
    this.#creation = await createSlot(
      replication,
      { name: this.#options.slot, standby: this.#standby, log: this.#log },
      signal,
    );
    return { lsn: this.#creation.consistentPoint, mid: null };
  }

  async #idleSlot(
    query: (sql: string) => Promise<TextRows>,
    serverVersion: number,
    signal: AbortSignal,
  ): Promise<SlotInfo | null> {
    const { slot: name, connect } = this.#options;
    const slot = await awaitInactive(query, () => readSlot(query, name, serverVersion), name, signal);
    if (slot !== null && (slot.plugin !== 'pgoutput' || slot.database !== connect.database)) {
      throw new HeadwaterError(
        'source.slot-unusable',
        slot.database === connect.database || slot.database === null
          ? `The replication slot ${name} uses the plugin ${slot.plugin ?? 'none'}, not pgoutput.`
          : `The replication slot ${name} belongs to database ${slot.database}, not ${connect.database}.`,
        { details: { slot: name } },
      );
    }
    return slot;
  }

  #refuseForeignSlot(slot: SlotInfo | null, intent: string | null, identity: LogIdentity): void {
    if (slot === null) return;
    const intended = decodeIdentity(intent);
    const ours = intended !== null && intended.system === identity.system && intended.slot === identity.slot;
    if (ours) return;
    const name = this.#options.slot;
    throw new HeadwaterError(
      'source.slot-foreign',
      `A replication slot ${name} exists in ${this.#place()}, and this pipeline has no checkpoint that belongs to it.`,
      {
        fix: `If nobody needs it: SELECT pg_drop_replication_slot(${quoteLiteral(name)}); otherwise set source.postgres.slot to another name.`,
        details: { slot: name },
      },
    );
  }

  /** Why the stored position cannot be resumed; null where it can, or where there is none. */
  async #findGap(
    stored: StoredPosition<PostgresPosition> | null,
    now: {
      readonly slot: SlotInfo | null;
      readonly identity: LogIdentity;
      readonly publications: readonly PublicationState[];
      readonly replication: PgConnection;
    },
    signal: AbortSignal,
  ): Promise<Gap | null> {
    if (stored === null) return null;
    const { slot, identity, publications, replication } = now;
    const then = decodeIdentity(stored.identity);
    const lost = (reason: string, slotUsable = false): Gap => ({ reason, slotUsable });
    if (then !== null && then.system !== identity.system) {
      if (slot !== null) this.#refuseForeignSlot(slot, null, identity);
      return lost(`this is another database system (${identity.system}, was ${then.system})`);
    }
    if (slot === null) {
      const known = then !== null && then.slot !== identity.slot ? `; the former slot was ${then.slot}` : '';
      return lost(`the replication slot ${identity.slot} is gone${known}`);
    }
    if (slot.invalidation !== null) {
      return lost(`the server has invalidated the replication slot ${identity.slot} (${slot.invalidation})`);
    }
    const { lsn } = stored.position;
    if (slot.confirmedLsn !== null && slot.confirmedLsn > lsn) {
      return lost(
        `the replication slot ${identity.slot} stands at ${formatLsn(slot.confirmedLsn)}, past the checkpoint ${formatLsn(lsn)}: it was made anew, or somebody else has read from it`,
        true,
      );
    }
    if (then !== null && then.timeline !== identity.timeline) {
      const end = await timelineEnd(replication, then.timeline, identity.timeline, signal);
      if (end === null || end < lsn) {
        return lost(
          end === null
            ? `timeline ${identity.timeline} does not come from ${then.timeline}, where the checkpoint was made`
            : `the server left timeline ${then.timeline} at ${formatLsn(end)}, before the checkpoint ${formatLsn(lsn)}`,
        );
      }
      this.#log.info(
        { from: then.timeline, to: identity.timeline, switchedAt: formatLsn(end) },
        'the server is on a new timeline; the log is continuous',
      );
    }
    const missing = publications.find(({ exists }) => !exists);
    if (missing !== undefined) {
      return lost(`the publication ${missing.plan.name} was dropped, and with it what was published since`);
    }
    return null;
  }

  #failOnGap(gap: Gap): void {
    if (this.#options.onGap !== 'fail') return;
    throw new HeadwaterError(
      'source.position-lost',
      `The log no longer reaches back to the checkpoint of ${this.#options.name}: ${gap.reason}.`,
    );
  }

  async #describe(signal: AbortSignal): Promise<void> {
    const query = await this.#queries(signal);
    const { serverVersion } = await this.#session(signal);
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

  /** The one ordinary session; opened when first needed. */
  #session(signal: AbortSignal): Promise<PgConnection> {
    this.#sql ??= connectPg(this.#options.connect, {}, signal).then((connection) =>
      this.#resources.use(connection),
    );
    return this.#sql;
  }

  async #queries(signal: AbortSignal): Promise<(sql: string) => Promise<TextRows>> {
    const session = await this.#session(signal);
    return (sql) => session.query(sql, signal);
  }

  #place(): string {
    const { connect } = this.#options;
    return `${connect.database} on ${describeHosts(connect)}`;
  }
}

interface Gap {
  readonly reason: string;
  /** The slot can still be read from where it stands. */
  readonly slotUsable: boolean;
}

function mapStreamError(error: unknown, place: string): unknown {
  if (error instanceof PgError && error.sqlstate === '42704') {
    return new HeadwaterError(
      'source.position-lost',
      `Reading the log of ${place} failed: ${error.message}: what was logged before it existed cannot be read.`,
      { cause: error },
    );
  }
  return mapPgError(error, `Reading the log of ${place}`);
}
