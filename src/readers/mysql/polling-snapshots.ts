import { tableName, type TableId } from '../../model/table.ts';
import type {
  ChunkLimit,
  ChunkRange,
  PlanOptions,
  SnapshotSource,
  SnapshotView,
  TablePlan,
  WindowChunk,
  WindowReader,
} from '../../snapshot/snapshot-source.ts';
import { SessionPool } from '../session-pool.ts';
import type { PollTableOptions } from '../poll-dialect.ts';
import { changesTooFast } from '../changed-table.ts';
import type { MysqlTable } from './catalogue.ts';
import { mapping } from './errors.ts';
import { boundOf } from './key-bounds.ts';
import { isChanged, tableError } from './snapshot-errors.ts';
import { begin, serverTimeUs } from './snapshot-lock.ts';
import { describePolled } from './polling-queries.ts';
import { chunkKey, type MysqlPlan, type Planner, rowSelect } from './snapshot-plan.ts';
import { TextRowReader } from './snapshot-rows.ts';
import { MysqlView, snapshotOrigin } from './snapshot-view.ts';
import type { RowSession } from './wire/row-session.ts';

const MAX_ATTEMPTS = 10;
/** Positions in the log mean nothing here. */
const NOWHERE = { gtids: null, file: '', pos: 0, mid: null, prepared: null } as const;

export interface PollSnapshotOptions {
  readonly connect: (signal: AbortSignal) => Promise<RowSession>;
  readonly planner: Planner;
  readonly optionsOf: (id: TableId) => PollTableOptions;
}

/** Snapshots that need neither the log nor a lock. */
export function pollSnapshots({ connect, planner, optionsOf }: PollSnapshotOptions): SnapshotSource<unknown> {
  const open = (own: boolean, signal: AbortSignal): Promise<SnapshotView<unknown>> =>
    mapping('Opening the snapshot', async () => {
      const session = await connect(signal);
      try {
        await begin(session, signal);
        await session.query('SAVEPOINT unread', signal);
        const taken = {
          position: NOWHERE,
          takenUs: await serverTimeUs(session, signal),
          sessions: [session],
          [Symbol.asyncDispose]: () => session.close(),
        };
        return new MysqlView({ connector: 'mysql', taken, planner, own });
      } catch (error) {
        await session.close();
        throw error;
      }
    });
  return {
    openView: (_, signal) => open(false, signal),
    openOwnView: (_, signal) => open(true, signal),
    openWindows: () => Promise.resolve(new PollWindows({ connect, planner, optionsOf })),
  };
}

/** Chunks, each in a transaction of its own. */
class PollWindows implements WindowReader<unknown> {
  readonly #planner: Planner;
  readonly #optionsOf: PollSnapshotOptions['optionsOf'];
  readonly #pool: SessionPool<RowSession>;

  constructor({ connect, planner, optionsOf }: PollSnapshotOptions) {
    this.#planner = planner;
    this.#optionsOf = optionsOf;
    this.#pool = new SessionPool(1, connect);
  }

  async keyed(ids: readonly TableId[], signal: AbortSignal): Promise<readonly boolean[]> {
    const tables = await mapping('Reading the catalogue', () =>
      this.#pool.use(signal, (session) => describePolled(session, ids, this.#optionsOf, signal)),
    );
    const keyed = new Map(tables.map((table) => [tableName(table.id), chunkKey(table).length > 0]));
    return ids.map((id) => keyed.get(tableName(id)) ?? true);
  }

  async plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan> {
    try {
      return await this.#pool.use(signal, (session) => this.#planner.plan(session, id, options, signal));
    } catch (error) {
      throw tableError(error, id);
    }
  }

  async chunk(
    plan: TablePlan,
    range: ChunkRange,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): Promise<WindowChunk<unknown>> {
    let current = plan as MysqlPlan;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const session = await mapping('Opening a session for the snapshot', () => this.#pool.acquire(signal));
      try {
        const chunk = await read(session, current, { range, limit, optionsOf: this.#optionsOf }, signal);
        if (chunk !== null) return chunk;
      } catch (error) {
        if (!isChanged(error)) throw tableError(error, plan.id);
      } finally {
        this.#pool.release(session);
      }
      current = await this.#pool.use(signal, (again) => this.#planner.replan(again, current, signal));
    }
    throw changesTooFast(plan.id);
  }

  settled(): Promise<null> {
    return Promise.resolve(null);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]();
  }
}

/** Null where the table is not as planned. */
async function read(
  session: RowSession,
  plan: MysqlPlan,
  {
    range,
    limit,
    optionsOf,
  }: Pick<PollSnapshotOptions, 'optionsOf'> & { readonly range: ChunkRange; readonly limit: ChunkLimit },
  signal: AbortSignal,
): Promise<WindowChunk<unknown> | null> {
  await begin(session, signal);
  try {
    const at = snapshotOrigin('mysql', NOWHERE, await serverTimeUs(session, signal));
    const rows = new TextRowReader({ schema: plan.schema, rows: plan.rows, at });
    const wanted = Math.max(
      1,
      Math.min(limit.maxRows, Math.floor(limit.maxBytes / (plan.rowBytes ?? 1_024))),
    );
    for await (const chunk of session.rows(rowSelect(plan, range, wanted), signal)) rows.push(chunk);
    // The rows read hold the table's definition fast.
    if (!(await isAsDescribed(session, plan.table, optionsOf, signal))) return null;
    const more = rows.count >= wanted;
    const lastKey = more ? boundOf(plan.keyColumns, rows.lastCells(plan.boundCells)) : null;
    const { rows: found, bytes } = rows.take(lastKey);
    return { rows: found, bytes, lastKey, high: NOWHERE, sees: () => true, plan };
  } finally {
    if (session.open) await session.query('ROLLBACK', signal).catch(() => undefined);
  }
}

export async function isAsDescribed(
  session: RowSession,
  table: MysqlTable,
  optionsOf: (id: TableId) => PollTableOptions,
  signal: AbortSignal,
): Promise<boolean> {
  const [now] = await describePolled(session, [table.id], optionsOf, signal);
  return now !== undefined && JSON.stringify(now.columns) === JSON.stringify(table.columns);
}
