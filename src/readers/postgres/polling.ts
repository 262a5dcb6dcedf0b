import type { SourceInfo } from '../../model/change.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import type { SnapshotSource } from '../../snapshot/snapshot-source.ts';
import {
  keyOf,
  type PollBlock,
  type PollDialect,
  type PollKeyPage,
  type PollKeys,
  type PollMark,
  PollTableChanged,
  type PollScan,
  type PolledTable,
} from '../poll-dialect.ts';
import type { CapturedTable, Finding } from '../reader.ts';
import { SessionPool } from '../session-pool.ts';
import { mapping } from './errors.ts';
import { takeMark } from './polling-mark.ts';
import { pollPreflight } from './polling-preflight.ts';
import { greatestSelect, keysSelect, pageEnd, type PgPolledTable, scanSelect } from './polling-sql.ts';
import {
  capturedOf,
  describePolled,
  fingerprints,
  listPolled,
  type PgPolledNames,
  polledTable,
} from './polling-tables.ts';
import { CHANGED_STATES, isState, tableError } from './snapshot-errors.ts';
import { Planner } from './snapshot-plan.ts';
import { CopyRows } from './snapshot-rows.ts';
import { pollSnapshots } from './polling-snapshots.ts';
import { loadTypeRegistry, type Query } from './types/type-registry.ts';
import { connectPg, type PgConnection } from './wire/connection.ts';
import { describeHosts, type PgConnectOptions } from './wire/connect-options.ts';

const BEGIN = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL max_parallel_workers_per_gather = 0;
  SET LOCAL jit = off`;
/** Rows without an order are handed over so many at a time. */
const BLOCK_ROWS = 1_000;
const BLOCK_BYTES = 256 * 1024;

export interface PgPollOptions {
  readonly connect: PgConnectOptions;
  readonly names: Omit<PgPolledNames, 'place'>;
  /** Of columns without one; null: not known. */
  readonly timeZone: string | null;
  /** Gives a schema its version number. */
  readonly number: (schema: TableSchema) => TableSchema;
}

/** Tables of PostgreSQL, polled. */
export function createPgPolling(options: PgPollOptions): PollDialect {
  return new PgPolling(options);
}

class PgPolling implements PollDialect {
  readonly #options: PgPollOptions;
  readonly #known = new Map<string, PgPolledTable>();
  /** One connection: statements come one after the other. */
  readonly #pool: SessionPool<PgConnection>;

  constructor(options: PgPollOptions) {
    this.#options = options;
    this.#pool = new SessionPool(1, (signal) => connectPg(options.connect, {}, signal));
  }

  preflight(signal: AbortSignal): Promise<readonly Finding[]> {
    // Versions are counted from what the checkpoint says, which is not known yet.
    const tables = new PgPolling({ ...this.#options, number: (schema) => schema });
    return pollPreflight(this.#options, { names: this.#names(), tables }, signal);
  }

  tables(signal: AbortSignal, onUnmatched?: (message: string) => void): Promise<readonly CapturedTable[]> {
    return this.#asking('Listing the tables', signal, async (query) =>
      (await listPolled(query, this.#names(), onUnmatched)).map(capturedOf),
    );
  }

  /** A server that was restored, or a standby that was promoted, may have forgotten what was delivered. */
  identity(signal: AbortSignal): Promise<string> {
    return this.#asking('Identifying the server', signal, async (query) => {
      const [row] = await query(`SELECT s.system_identifier, CASE WHEN pg_catalog.pg_is_in_recovery()
          THEN (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())
          ELSE ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))::bit(32)::int END,
          pg_catalog.current_database()
        FROM pg_catalog.pg_control_system() s`);
      return JSON.stringify({
        connector: 'polling',
        system: row?.[0] ?? '',
        timeline: Number(row?.[1]),
        database: row?.[2] ?? '',
      });
    });
  }

  mark(signal: AbortSignal): Promise<PollMark> {
    return this.#asking('Asking for running transactions', signal, takeMark);
  }

  describe(ids: readonly TableId[], signal: AbortSignal): Promise<readonly PgPolledTable[]> {
    return this.#asking('Reading the catalogue', signal, async (query, session) => {
      const oids = ids.flatMap((id) => this.#known.get(tableName(id))?.table.oid ?? []);
      const now = await fingerprints(query, oids);
      const stale = ids.filter((id) => {
        const known = this.#known.get(tableName(id));
        return known === undefined || known.fingerprint !== (now.get(known.table.oid) ?? '');
      });
      if (stale.length > 0) await this.#describeAnew(stale, session, signal);
      return ids.flatMap((id) => this.#known.get(tableName(id)) ?? []);
    });
  }

  forget(): void {
    this.#known.clear();
  }

  async #describeAnew(ids: readonly TableId[], session: PgConnection, signal: AbortSignal): Promise<void> {
    const { names, number } = this.#options;
    const query: Query = (sql) => session.query(sql, signal);
    const registry = await loadTypeRegistry(query);
    const described = await describePolled(session, registry, { ids, names }, signal);
    // After the columns: what is altered in between is found when rows are read.
    const prints = await fingerprints(
      query,
      described.map(({ oid }) => oid),
    );
    for (const id of ids) this.#known.delete(tableName(id));
    for (const table of described) {
      const options = names.optionsOf(table.schema.id);
      const fingerprint = prints.get(table.oid) ?? '';
      this.#known.set(tableName(table.schema.id), polledTable(table, options, { fingerprint, number }));
    }
  }

  async *read(table: PolledTable, scan: PollScan, signal: AbortSignal): AsyncGenerator<PollBlock> {
    const polled = this.#own(table);
    try {
      if (polled.order.length === 0) yield* this.#whole(polled, scan, signal);
      else if (scan.kind === 'cursor') yield* this.#fromCursor(polled, scan, signal);
      else yield* this.#pages(polled, scan, signal);
    } catch (error) {
      if (isState(error, CHANGED_STATES)) throw new PollTableChanged();
      throw error instanceof PollTableChanged ? error : tableError(error, polled.schema.id);
    }
  }

  /** Rows behind the cursor, so many at a time. */
  async *#fromCursor(polled: PgPolledTable, scan: PollScan, signal: AbortSignal): AsyncGenerator<PollBlock> {
    for (let after = scan.after; ;) {
      const rows = await this.#rows(
        polled,
        scanSelect(polled, { ...scan, after }, this.#options, null),
        signal,
      );
      const { count } = rows;
      if (count === 0) return;
      const place = rows.lastTexts(polled.order);
      after = polled.timestamp.length === 0 ? place : [rows.lastFirstText(polled.timestamp), ...place];
      yield { ...takenOf(rows), after };
      if (count < scan.limit) return;
    }
  }

  /** All rows in the order of their key. A page is of so many rows, however few of them are new. */
  async *#pages(polled: PgPolledTable, scan: PollScan, signal: AbortSignal): AsyncGenerator<PollBlock> {
    for (let after = scan.after; ;) {
      const page = { ...scan, after };
      const [end] = await this.#pool.use(signal, (session) =>
        session.query(pageEnd(polled, page, this.#options), signal),
      );
      const upTo = end === undefined ? null : end.map((text) => text ?? '');
      const rows = await this.#rows(polled, scanSelect(polled, page, this.#options, upTo), signal);
      after = upTo ?? (rows.count === 0 ? after : rows.lastTexts(polled.order));
      yield { ...takenOf(rows), after };
      if (upTo === null) return;
    }
  }

  /** In one statement, where rows have no order. */
  async *#whole(polled: PgPolledTable, scan: PollScan, signal: AbortSignal): AsyncGenerator<PollBlock> {
    const session = await this.#pool.acquire(signal);
    try {
      await this.#begin(session, polled, signal);
      const rows = this.#copyRows(polled);
      const text = `COPY (${scanSelect(polled, scan, this.#options, null)}) TO STDOUT`;
      for await (const chunk of session.copyOut(text, signal)) {
        const count = chunk.frames.length >> 1;
        for (let frame = 0; frame < count;) {
          frame = rows.push(chunk, frame, BLOCK_ROWS);
          if (rows.count >= BLOCK_ROWS || rows.bytes >= BLOCK_BYTES) yield { ...takenOf(rows), after: null };
        }
        chunk.memory?.drop();
      }
      if (rows.count > 0) yield { ...takenOf(rows), after: null };
    } finally {
      await this.#giveBack(session, signal);
    }
  }

  async #rows(polled: PgPolledTable, select: string, signal: AbortSignal): Promise<CopyRows<SourceInfo>> {
    const session = await this.#pool.acquire(signal);
    try {
      await this.#begin(session, polled, signal);
      const rows = this.#copyRows(polled);
      for await (const chunk of session.copyOut(`COPY (${select}) TO STDOUT`, signal)) {
        rows.push(chunk, 0, Infinity);
        chunk.memory?.drop();
      }
      return rows;
    } finally {
      await this.#giveBack(session, signal);
    }
  }

  /** Its transaction has only read. A session that broke is replaced. */
  async #giveBack(session: PgConnection, signal: AbortSignal): Promise<void> {
    if (session.open) await session.command('ROLLBACK', signal).catch(() => undefined);
    this.#pool.release(session);
  }

  /** The table is as it was described for as long as the transaction lasts. */
  async #begin(
    session: PgConnection,
    { table, fingerprint }: PgPolledTable,
    signal: AbortSignal,
  ): Promise<void> {
    await session.command(BEGIN, signal);
    const now = await fingerprints((sql) => session.query(sql, signal), [table.oid]);
    if ((now.get(table.oid) ?? '') !== fingerprint) throw new PollTableChanged();
  }

  #copyRows({ schema, table, wide }: PgPolledTable): CopyRows<SourceInfo> {
    return new CopyRows({ schema, decoders: table.decoders, wide, at: { connector: 'polling' } });
  }

  async keys(table: PolledTable, page: PollKeyPage, signal: AbortSignal): Promise<PollKeys> {
    const polled = this.#own(table);
    const key = keyOf(polled);
    return this.#asking('Comparing keys', signal, async (query) => {
      const rows = await query(keysSelect(polled, key, page));
      const keys = rows.map((row) =>
        row.map((text, i) => (text === null ? null : polled.table.decoders[key[i]!]!(text))),
      );
      const last = rows.length < page.limit ? undefined : rows.at(-1);
      return { keys, after: last?.map((text) => text ?? '') ?? null };
    });
  }

  async greatest(table: PolledTable, signal: AbortSignal): Promise<string | null> {
    return this.#asking(
      'Reading the greatest value',
      signal,
      async (query) => (await query(greatestSelect(this.#own(table))))[0]?.[0] ?? null,
    );
  }

  snapshots(): SnapshotSource<unknown> {
    const { connect, names, number } = this.#options;
    const planner = new Planner(async (_, registry, ids) => {
      // In a session of its own: the snapshot's only answers with rows.
      await using session = await connectPg(connect, {}, new AbortController().signal);
      return await describePolled(session, registry, { ids, names });
    }, number);
    return pollSnapshots((signal) => connectPg(connect, {}, signal), planner);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]();
  }

  #own({ schema: { id } }: PolledTable): PgPolledTable {
    const known = this.#known.get(tableName(id));
    if (known === undefined) throw new PollTableChanged();
    return known;
  }

  #names(): PgPolledNames {
    const { names, connect } = this.#options;
    return { ...names, place: `database ${connect.database} on ${describeHosts(connect)}` };
  }

  #asking<T>(
    what: string,
    signal: AbortSignal,
    body: (query: Query, session: PgConnection) => Promise<T>,
  ): Promise<T> {
    return mapping(what, () =>
      this.#pool.use(signal, (session) => body((sql) => session.query(sql, signal), session)),
    );
  }
}

function takenOf(rows: CopyRows<SourceInfo>): Omit<PollBlock, 'after'> {
  const { rows: taken, bytes, release } = rows.take(null);
  return { rows: taken, bytes, release };
}
