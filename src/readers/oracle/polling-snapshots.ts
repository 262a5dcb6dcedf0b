import type { SourceInfo } from '../../model/change.ts';
import type { TableId } from '../../model/table.ts';
import type {
  ChunkLimit,
  ChunkRange,
  PlanOptions,
  RowBlock,
  SnapshotSource,
  SnapshotView,
  TablePlan,
  WindowChunk,
  WindowReader,
} from '../../snapshot/snapshot-source.ts';
import { PollTableChanged } from '../poll-dialect.ts';
import { changesTooFast, chunkKeyChanged } from '../changed-table.ts';
import { mapping } from './errors.ts';
import { encodePlace, type OraclePolledTable, rangeSelect } from './polling-sql.ts';
import { OracleError, type OracleSession } from './session/oracle-session.ts';
import { tableError } from './snapshot-plan.ts';
import { acquireSession, oraclePool, type OraclePool, useSession } from './snapshot-pool.ts';
import { rowsAtOnce, SnapshotRows } from './snapshot-rows.ts';

const MAX_ATTEMPTS = 10;
const BLOCK_ROWS = 250;
const BLOCK_BYTES = 64 * 1024;
const AT: SourceInfo = { connector: 'polling' };

export interface PollSnapshotOptions {
  readonly connect: (signal: AbortSignal) => Promise<OracleSession>;
  /** The table now; null where it is gone. */
  readonly describe: (session: OracleSession, id: TableId) => Promise<OraclePolledTable | null>;
  /** Throws PollTableChanged where it is not as it was described. */
  readonly assertUnchanged: (session: OracleSession, table: OraclePolledTable) => Promise<void>;
}

interface PolledPlan extends TablePlan {
  readonly polled: OraclePolledTable;
  readonly where: string | null;
}

/**
 * Snapshots that need neither LogMiner nor FLASHBACK: a read-only transaction sees the database as of the SCN of its
 * first statement. By key, since views and index-organized tables have no ROWIDs to go by.
 */
export function pollSnapshots(options: PollSnapshotOptions): SnapshotSource<unknown> {
  const open = (signal: AbortSignal): Promise<SnapshotView<unknown>> =>
    mapping('Opening the snapshot', async () => {
      const session = await options.connect(signal);
      try {
        await session.execute('SET TRANSACTION READ ONLY');
        // Its SCN is the first statement's.
        await session.query('SELECT 1 FROM DUAL');
      } catch (error) {
        await session[Symbol.asyncDispose]();
        throw error;
      }
      return new PolledView(session, options);
    });
  return {
    openView: (_, signal) => open(signal),
    openOwnView: (_, signal) => open(signal),
    openWindows: () => Promise.resolve(new PolledWindows(options)),
  };
}

/** One transaction on one session. */
class PolledView implements SnapshotView<unknown> {
  readonly position = null;
  readonly #options: PollSnapshotOptions;
  readonly #pool: OraclePool;

  constructor(session: OracleSession, options: PollSnapshotOptions) {
    this.#options = options;
    let given = false;
    this.#pool = oraclePool(1, () => {
      if (given) throw new OracleError('NJS-500: the session of the snapshot is lost');
      given = true;
      return Promise.resolve(session);
    });
  }

  sees(): boolean {
    return true;
  }

  async plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan> {
    return plan(this.#pool, this.#options, { id, options }, signal);
  }

  async *rows(plan: TablePlan, range: ChunkRange, signal: AbortSignal): AsyncGenerator<RowBlock> {
    const { polled, where } = plan as PolledPlan; // made by this view's `plan`
    const pooled = await acquireSession(this.#pool, signal);
    let finished = false;
    try {
      const { sql, binds } = rangeSelect(polled, range, { where, limit: null });
      const atOnce = rowsAtOnce(polled.model);
      const cursor = await pooled.session.open(sql, binds, atOnce);
      try {
        const rows = new SnapshotRows(polled.model, AT);
        for (;;) {
          const fetched = await cursor.next(atOnce);
          for (const row of fetched) {
            rows.push(row);
            if (rows.rows.length >= BLOCK_ROWS || rows.bytes >= BLOCK_BYTES) yield block(rows);
          }
          if (fetched.length === 0) break;
          signal.throwIfAborted();
        }
        if (rows.rows.length > 0) yield block(rows);
      } finally {
        await cursor.close();
      }
      finished = true;
    } catch (error) {
      throw tableError(error, { id: plan.id, where });
    } finally {
      if (!finished) await pooled.close();
      this.#pool.release(pooled);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Opened with a session of its own, which nobody may have used yet.
    const pooled = await this.#pool.acquire(new AbortController().signal).catch(() => null);
    if (pooled !== null) this.#pool.release(pooled);
    await this.#pool[Symbol.asyncDispose]();
  }
}

/** Chunks, each read by a statement of its own. */
class PolledWindows implements WindowReader<unknown> {
  readonly #options: PollSnapshotOptions;
  readonly #pool: OraclePool;

  constructor(options: PollSnapshotOptions) {
    this.#options = options;
    this.#pool = oraclePool(1, options.connect);
  }

  async keyed(ids: readonly TableId[], signal: AbortSignal): Promise<readonly boolean[]> {
    return mapping('Reading the catalogue', () =>
      useSession(this.#pool, signal, async (session) => {
        const keyed: boolean[] = [];
        for (const id of ids) {
          const polled = await this.#options.describe(session, id);
          keyed.push(polled === null || polled.chunkKey.length > 0);
        }
        return keyed;
      }),
    );
  }

  plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan> {
    return plan(this.#pool, this.#options, { id, options }, signal);
  }

  async chunk(
    plan: TablePlan,
    range: ChunkRange,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): Promise<WindowChunk<unknown>> {
    let current = plan as PolledPlan; // made by this reader's `plan`
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      try {
        return await useSession(this.#pool, signal, (session) =>
          this.#read(session, current, { range, limit }),
        );
      } catch (error) {
        if (!(error instanceof PollTableChanged) && !isChanged(error)) throw tableError(error, current);
      }
      current = await this.#planAgain(current, signal);
    }
    throw changesTooFast(plan.id);
  }

  async #planAgain(current: PolledPlan, signal: AbortSignal): Promise<PolledPlan> {
    const again = await plan(
      this.#pool,
      this.#options,
      { id: current.id, options: { chunkRows: 1, where: current.where, chunks: current.chunks } },
      signal,
    );
    const names = ({ polled }: PolledPlan): string =>
      polled.chunkKey.map((index) => polled.schema.columns[index]!.name).join('\0');
    if (names(again) === names(current)) return again;
    throw chunkKeyChanged(current.id);
  }

  async #read(
    session: OracleSession,
    plan: PolledPlan,
    { range, limit }: { readonly range: ChunkRange; readonly limit: ChunkLimit },
  ): Promise<WindowChunk<unknown>> {
    const { polled, where } = plan;
    const rows = new SnapshotRows(polled.model, AT);
    const { sql, binds } = rangeSelect(polled, range, { where, limit: limit.maxRows });
    const atOnce = rowsAtOnce(polled.model);
    const cursor = await session.open(sql, binds, atOnce);
    let ended = false;
    try {
      while (!ended && rows.bytes < limit.maxBytes) {
        const fetched = await cursor.next(atOnce);
        for (const row of fetched) rows.push(row);
        ended = fetched.length === 0;
      }
    } finally {
      await cursor.close();
    }
    await this.#options.assertUnchanged(session, polled);
    const more = !ended || rows.rows.length >= limit.maxRows;
    const { lastKey, ...read } = block(rows);
    return { ...read, lastKey: more ? lastKey : null, high: null, sees: () => true, plan };
  }

  /** Never needed: what is read behind a batch is in the next one at the latest. */
  settled(): Promise<null> {
    return Promise.resolve(null);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]();
  }
}

async function plan(
  pool: OraclePool,
  { describe }: PollSnapshotOptions,
  { id, options: { where, chunks } }: { readonly id: TableId; readonly options: PlanOptions },
  signal: AbortSignal,
): Promise<PolledPlan> {
  try {
    return await useSession(pool, signal, async (session) => {
      const polled = await describe(session, id);
      if (polled === null) throw new OracleError('ORA-00942');
      // Asked of the server before anything is read, as the others do.
      if (where !== null) {
        await session.query(`SELECT 1 FROM ${polled.from} T WHERE ROWNUM < 1 AND (${where}\n)`);
      }
      const { schema, chunkKey } = polled;
      return {
        id,
        schema,
        by: chunkKey.length === 0 ? 'block' : 'key',
        key: chunkKey,
        // Read one after the other, on one connection.
        chunks: chunks ?? [{ from: null, to: null }],
        estimatedRows: null,
        polled,
        where,
      };
    });
  } catch (error) {
    throw tableError(error, { id, where });
  }
}

function block(rows: SnapshotRows<SourceInfo>): RowBlock & { readonly lastKey: string | null } {
  const place = rows.place.map((cell) => String(cell ?? ''));
  return { lastKey: place.length === 0 ? null : encodePlace(place), ...rows.take() };
}

/** ORA-00904, 01466, 08103: altered, or truncated, since it was described. */
export function isChanged(error: unknown): error is OracleError {
  return error instanceof OracleError && error.has(904, 1466, 8103);
}
