import type { TableId } from '../../model/table.ts';
import type {
  ChunkLimit,
  ChunkRange,
  PlanOptions,
  TablePlan,
  WindowChunk,
  WindowReader,
} from '../../snapshot/snapshot-source.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { tableName } from '../../model/table.ts';
import { mapping } from './errors.ts';
import { type PostgresPosition, serverLsn } from './position.ts';
import { CHANGED_STATES, isState, tableError } from './snapshot-errors.ts';
import {
  chunkKey,
  chunkSelect,
  fingerprintOf,
  type PgPlan,
  type Planner,
  rewrittenSince,
} from './snapshot-plan.ts';
import { SessionPool } from './snapshot-pool.ts';
import { CopyRows } from './snapshot-rows.ts';
import { QUIET, snapshotOrigin } from './snapshot-view.ts';
import { Visibility } from './snapshot-visibility.ts';
import type { PostgresSource } from './source-info.ts';
import type { PgConnection } from './wire/connection.ts';

const MAX_ATTEMPTS = 10;
const BEGIN = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${QUIET}`;
/** With so few bytes a row its overhead outweighs it. */
const MIN_ROW_BYTES = 64;

export interface WindowsOptions {
  readonly parallelism: number;
  readonly connect: (signal: AbortSignal) => Promise<PgConnection>;
  readonly planner: Planner;
}

/** Chunks, each in a short transaction of its own. */
export class PgWindows implements WindowReader<PostgresPosition, PostgresSource> {
  readonly #planner: Planner;
  readonly #pool: SessionPool;
  /** Bytes of a row, as measured in the table's last chunk. */
  readonly #rowBytes = new Map<string, number>();

  constructor(options: WindowsOptions) {
    this.#planner = options.planner;
    this.#pool = new SessionPool(options.parallelism, options.connect);
  }

  async keyed(ids: readonly TableId[], signal: AbortSignal): Promise<readonly boolean[]> {
    const tables = await mapping('Reading the catalogue', () =>
      this.#pool.use(signal, (session) =>
        this.#planner.describe((sql) => session.query(sql, signal), ids, true),
      ),
    );
    const keyed = new Map(tables.map((table) => [tableName(table.schema.id), chunkKey(table).length > 0]));
    return ids.map((id) => keyed.get(tableName(id)) ?? true);
  }

  async plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan> {
    try {
      return await this.#pool.use(signal, (session) =>
        this.#planner.plan((sql) => session.query(sql, signal), id, { ...options, by: 'key' }),
      );
    } catch (error) {
      throw tableError(error, id);
    }
  }

  async chunk(
    plan: TablePlan,
    range: ChunkRange,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): Promise<WindowChunk<PostgresPosition, PostgresSource>> {
    let current = plan as PgPlan;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const session = await mapping('Opening a session for the snapshot', () => this.#pool.acquire(signal));
      try {
        const read = await this.#read(session, current, { range, limit }, signal);
        if (read.chunk !== null) return read.chunk;
        current = read.plan;
      } catch (error) {
        if (session.open) await session.command('ROLLBACK', signal);
        // Altered between the plan and the read: look again.
        if (!isState(error, CHANGED_STATES)) throw tableError(error, plan.id);
        current = await this.#describeAgain(session, current, signal);
      } finally {
        this.#pool.release(session);
      }
    }
    throw new HeadwaterError(
      'snapshot.table-unsettled',
      `The table ${tableName(plan.id)} is altered, truncated or rewritten faster than a chunk of it can be read.`,
    );
  }

  /** One attempt. Without a chunk where the table was not as planned. */
  async #read(
    session: PgConnection,
    plan: PgPlan,
    { range, limit }: { readonly range: ChunkRange; readonly limit: ChunkLimit },
    signal: AbortSignal,
  ): Promise<{ chunk: WindowChunk<PostgresPosition, PostgresSource> | null; plan: PgPlan }> {
    const { table } = plan;
    const [opening] = await session.query(
      `${BEGIN}; SELECT pg_catalog.pg_current_snapshot()::text, ${fingerprintOf(table.oid)},
        pg_catalog.floor(1000000 * extract(epoch FROM pg_catalog.clock_timestamp()))::bigint`,
      signal,
    );
    const [snapshot, fingerprint, takenUs] = opening!;
    if (fingerprint !== plan.fingerprint) {
      const again = await this.#describeAgain(session, plan, signal);
      await session.command('ROLLBACK', signal);
      return { chunk: null, plan: again };
    }
    const visibility = new Visibility(snapshot!);
    // Shared by all rows; its position is known only when they have been read.
    const at = { ...snapshotOrigin(visibility, { lsn: 0, mid: null }, Number(takenUs)) };
    const wanted = this.#rowsWithin(plan, limit);
    const rows = new CopyRows({
      schema: plan.schema,
      decoders: table.decoders,
      wide: plan.wide,
      at,
    });
    let full = false;
    const copy = session.copyOut(`COPY (${chunkSelect(plan, range, wanted)}) TO STDOUT`, signal);
    for await (const part of copy) {
      rows.push(part, 0, Infinity);
      // Rows far larger than expected: leaving early costs the session, and memory is worth more.
      if (rows.bytes > 2 * limit.maxBytes) {
        full = true;
        break;
      }
    }
    const more = full || rows.rows.length >= wanted;
    const lastKey = more ? JSON.stringify(rows.lastTexts(plan.key)) : null;
    const { rows: found, bytes } = rows.take();
    if (found.length > 0) this.#rowBytes.set(tableName(plan.id), bytes / found.length);
    const closing = full
      ? await this.#closeElsewhere(signal)
      : await session.query(`SELECT ${HIGH}, ${rewrittenSince(table)}; COMMIT`, signal);
    const [insertLsn, blockSize, changed] = closing[0]!;
    if (changed === 't') return { chunk: null, plan };
    const high: PostgresPosition = { lsn: endOfRecords(serverLsn(insertLsn), Number(blockSize)), mid: null };
    at.lsn = high.lsn;
    return {
      plan,
      chunk: {
        rows: found,
        bytes,
        lastKey,
        high,
        sees: (tx) => visibility.sees(tx),
        plan,
      },
    };
  }

  async #closeElsewhere(signal: AbortSignal): Promise<readonly (readonly (string | null)[])[]> {
    // A table rewritten since is not noticed here; what was read of it was read under its lock.
    const session = await this.#pool.acquire(signal);
    try {
      return await session.query(`SELECT ${HIGH}, false`, signal);
    } finally {
      this.#pool.release(session);
    }
  }

  #rowsWithin(plan: PgPlan, limit: ChunkLimit): number {
    const known = this.#rowBytes.get(tableName(plan.id)) ?? plan.rowBytes ?? MIN_ROW_BYTES;
    const fit = Math.floor(limit.maxBytes / Math.max(MIN_ROW_BYTES, known));
    return Math.max(1, Math.min(limit.maxRows, fit));
  }

  #describeAgain(session: PgConnection, plan: PgPlan, signal: AbortSignal): Promise<PgPlan> {
    return this.#planner.replan((sql) => session.query(sql, signal), plan);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]();
  }
}

const HIGH = `pg_catalog.pg_current_wal_insert_lsn(), pg_catalog.current_setting('wal_block_size')`;

/**
 * The end of the last record before the insert position: where that stands behind a page's header (24 bytes,
 * 40 on a segment's first page), nothing but the header lies in between, and the stream of an idle server never
 * gets past the page's start.
 */
export function endOfRecords(insertLsn: number, blockSize: number): number {
  const offset = insertLsn % blockSize;
  return offset === 24 || offset === 40 ? insertLsn - offset : insertLsn;
}
