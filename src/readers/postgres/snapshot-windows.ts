import type { TableId } from '../../model/table.ts';
import type {
  ChunkLimit,
  ChunkRange,
  PlanOptions,
  TablePlan,
  WindowChunk,
  WindowReader,
} from '../../snapshot/snapshot-source.ts';
import { tableName } from '../../model/table.ts';
import { changesTooFast } from '../changed-table.ts';
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
import { SessionPool } from '../session-pool.ts';
import { CopyRows } from './snapshot-rows.ts';
import { QUIET, snapshotOrigin } from './snapshot-view.ts';
import { Visibility } from './snapshot-visibility.ts';
import type { PostgresSource } from './source-info.ts';
import type { PgConnection } from './wire/connection.ts';

const MAX_ATTEMPTS = 10;
const WAL_WRITER_ROUNDS = 3;
const BEGIN = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; ${QUIET}`;
/** With so few bytes a row its overhead outweighs it. */
const MIN_ROW_BYTES = 64;

/**
 * They are in the log, and locked out of sight until the standby has confirmed. A role without pg_read_all_stats sees
 * who has a transaction, and of others not even what they are: then it may be any. COMMIT PREPARED has no number of its own.
 */
const AWAITING_STANDBY = `WITH busy AS (
    SELECT backend_xid, backend_type IS NULL OR wait_event IS NOT DISTINCT FROM 'SyncRep' AS waits
    FROM pg_catalog.pg_stat_activity)
  SELECT x.xid FROM (
    SELECT backend_xid::text AS xid FROM busy WHERE waits AND backend_xid IS NOT NULL
    UNION ALL
    SELECT transaction::text FROM pg_catalog.pg_prepared_xacts
    WHERE EXISTS (SELECT FROM busy WHERE waits AND backend_xid IS NULL)) x
  WHERE pg_catalog.current_setting('synchronous_standby_names') <> '' AND NOT pg_catalog.pg_is_in_recovery()`;

export interface WindowsOptions {
  readonly parallelism: number;
  readonly connect: (signal: AbortSignal) => Promise<PgConnection>;
  /** After this long a locked table is `snapshot.table-locked`. */
  readonly lockTimeoutMs: number;
  readonly planner: Planner;
}

/** Chunks, each in a short transaction of its own. */
export class PgWindows implements WindowReader<PostgresPosition, PostgresSource> {
  readonly #planner: Planner;
  readonly #pool: SessionPool<PgConnection>;
  /** Bytes of a row, as measured in the table's last chunk. */
  readonly #rowBytes = new Map<string, number>();

  constructor(options: WindowsOptions) {
    this.#planner = options.planner;
    const { parallelism, connect, lockTimeoutMs } = options;
    this.#pool = new SessionPool(parallelism, async (signal) => {
      const session = await connect(signal);
      try {
        await session.command(`SET lock_timeout = ${lockTimeoutMs}`, signal);
        return session;
      } catch (error) {
        await session.close();
        throw error;
      }
    });
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

  async unseen(signal: AbortSignal): Promise<readonly string[]> {
    const rows = await mapping('Asking for transactions that wait for a standby', () =>
      this.#pool.use(signal, (session) => session.query(AWAITING_STANDBY, signal)),
    );
    return rows.map((row) => row[0] ?? '');
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
        // A session that breaks over it is seen as broken when it is given back.
        if (session.open) await session.command('ROLLBACK', signal).catch(() => undefined);
        // Altered between the plan and the read: look again.
        if (!isState(error, CHANGED_STATES)) throw tableError(error, plan.id);
        current = await this.#describeAgain(session, current, signal).catch((again: unknown) => {
          throw tableError(again, plan.id);
        });
      } finally {
        this.#pool.release(session);
      }
    }
    throw changesTooFast(plan.id);
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
        pg_catalog.floor(1000000 * extract(epoch FROM pg_catalog.clock_timestamp()))::bigint,
        ${logEnd('insert')}, pg_catalog.current_setting('wal_block_size')`,
      signal,
    );
    const [snapshot, fingerprint, takenUs, insertLsn, blockSize] = opening!;
    if (fingerprint !== plan.fingerprint) {
      const again = await this.#describeAgain(session, plan, signal);
      await session.command('ROLLBACK', signal);
      return { chunk: null, plan: again };
    }
    const visibility = new Visibility(snapshot!);
    // The snapshot was taken before the position was: all that it sees had committed by then. The read itself
    // may write log that nobody flushes (pruning, hint bits), so a later position would wait for that.
    const high: PostgresPosition = { lsn: endOfRecords(serverLsn(insertLsn), Number(blockSize)), mid: null };
    const at = snapshotOrigin(visibility, high, Number(takenUs));
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
      // Rows far larger than expected: leaving early costs the session, and memory is worth more. That the
      // table was not rewritten is not checked then; what was read of it was read under its lock.
      if (rows.bytes > 2 * limit.maxBytes) {
        full = true;
        break;
      }
    }
    const more = full || rows.count >= wanted;
    const lastKey = more ? JSON.stringify(rows.lastTexts(plan.key)) : null;
    const { rows: found, bytes } = rows.take(lastKey);
    if (found.length > 0) this.#rowBytes.set(tableName(plan.id), bytes / found.length);
    if (!full) {
      const [closing] = await session.query(`SELECT ${rewrittenSince(table)}; COMMIT`, signal);
      if (closing?.[0] === 't') return { chunk: null, plan };
    }
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

  /**
   * Transactions are flushed before others see them, but for those with `synchronous_commit = off`: these the
   * WAL writer flushes within a few of its rounds, and only these. Were it late, rows would show a change before
   * the stream does; what it delivers then comes after them and wins.
   */
  async settled(ageMs: number, signal: AbortSignal): Promise<PostgresPosition | null> {
    return mapping('Asking for the log’s end', () =>
      this.#pool.use(signal, async (session) => {
        const [row] = await session.query(
          `SELECT ${logEnd('flush')},
            1000 * extract(epoch FROM pg_catalog.current_setting('wal_writer_delay')::interval)`,
          signal,
        );
        return ageMs < WAL_WRITER_ROUNDS * Number(row?.[1]) ? null : { lsn: serverLsn(row?.[0]), mid: null };
      }),
    );
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

/** On a standby what has been replayed is what its readers see and its stream shows. */
function logEnd(which: 'insert' | 'flush'): string {
  return `CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
    ELSE pg_catalog.pg_current_wal_${which}_lsn() END`;
}

/**
 * The end of the last record before the insert position: where that stands behind a page's header (24 bytes,
 * 40 on a segment's first page), nothing but the header lies in between, and the stream of an idle server never
 * gets past the page's start.
 */
export function endOfRecords(insertLsn: number, blockSize: number): number {
  const offset = insertLsn % blockSize;
  return offset === 24 || offset === 40 ? insertLsn - offset : insertLsn;
}
