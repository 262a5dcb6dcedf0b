import { type TableId, tableName } from '../../model/table.ts';
import type {
  ChunkRange,
  PlanOptions,
  RowBlock,
  SnapshotView,
  TablePlan,
} from '../../snapshot/snapshot-source.ts';
import { mapping } from './errors.ts';
import type { PostgresPosition } from './position.ts';
import { CHANGED_STATES, isState, tableError } from './snapshot-errors.ts';
import { rewritten } from '../changed-table.ts';
import { chunkSelect, type PgPlan, type Planner, rewrittenSince } from './snapshot-plan.ts';
import { SessionPool } from '../session-pool.ts';
import { CopyRows } from './snapshot-rows.ts';
import { Visibility } from './snapshot-visibility.ts';
import type { PostgresSource } from './source-info.ts';
import type { PgConnection } from './wire/connection.ts';
import type { TextRows } from './wire/messages.ts';
import { PgError } from './wire/pg-error.ts';
import { quoteLiteral } from './wire/quoting.ts';

const BLOCK_ROWS = 250;
const BLOCK_BYTES = 64 * 1024;
/** Tables that are looked at together before the first of them is planned. */
const LOOK_AHEAD = 100;

/** COPY by several sessions is parallel enough; temporary files and workers belong to the application. */
export const QUIET = `SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off`;

/** invalid_parameter_value, undefined_object: SET TRANSACTION SNAPSHOT knows no such snapshot. */
const GONE_STATES = new Set(['22023', '42704']);

export interface ViewOptions {
  readonly position: PostgresPosition;
  /** Exported by a session that keeps its transaction open until this function has resolved. */
  readonly snapshotName: string;
  readonly parallelism: number;
  /** After this long a locked table is `snapshot.table-locked`. */
  readonly lockTimeoutMs: number;
  readonly connect: (signal: AbortSignal) => Promise<PgConnection>;
  readonly planner: Planner;
}

/**
 * Sessions that see the database at one position. One of them, the keeper, exports the snapshot anew, so that
 * the session it came from is free and broken sessions can be replaced.
 *
 * Each read is undone to a savepoint, which gives its table lock back: an ALTER TABLE, and the writers that
 * queue behind it, wait for a chunk at most, not for the snapshot.
 *
 * Null where the exported snapshot is gone, since the session that held it has ended.
 */
export async function openPgView(
  options: ViewOptions,
  signal: AbortSignal,
): Promise<SnapshotView<PostgresPosition, PostgresSource> | null> {
  return mapping('Opening the snapshot', async () => {
    const keeper = await options.connect(signal);
    try {
      await begin(keeper, options.snapshotName, options.lockTimeoutMs, signal);
      const [row] = await keeper.query(
        `SELECT pg_catalog.pg_export_snapshot(), pg_catalog.pg_current_snapshot()::text,
          pg_catalog.floor(1000000 * extract(epoch FROM pg_catalog.clock_timestamp()))::bigint`,
        signal,
      );
      await keeper.command('SAVEPOINT unread', signal);
      return new PgView(options, keeper, {
        name: row![0]!,
        visibility: new Visibility(row![1]!),
        takenUs: Number(row![2]),
      });
    } catch (error) {
      await keeper.close();
      if (isState(error, GONE_STATES)) return null;
      throw error;
    }
  });
}

async function begin(
  session: PgConnection,
  snapshotName: string,
  lockTimeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  // One message each: a multi-statement message would be parsed before the snapshot is set.
  await session.command('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY', signal);
  await session.command(`SET TRANSACTION SNAPSHOT ${quoteLiteral(snapshotName)}`, signal);
  await session.command(QUIET, signal);
  await session.command(`SET LOCAL lock_timeout = ${lockTimeoutMs}`, signal);
}

/** What rows of one snapshot share as their origin: Debezium's txId and lsn of the snapshot. */
export function snapshotOrigin(
  visibility: Visibility,
  position: PostgresPosition,
  takenUs: number,
): PostgresSource {
  const xid = visibility.xmax % 0x1_0000_0000;
  return {
    connector: 'postgresql',
    lsn: position.lsn,
    tx: {
      id: String(xid),
      xid,
      commitTimeUs: takenUs,
      commitLsn: 0,
      beginLsn: position.lsn,
      lastCommitLsn: null,
    },
  };
}

class PgView implements SnapshotView<PostgresPosition, PostgresSource> {
  readonly position: PostgresPosition;
  readonly #keeper: PgConnection;
  readonly #planner: Planner;
  readonly #pool: SessionPool<PgConnection>;
  readonly #visibility: Visibility;
  readonly #at: PostgresSource;
  #planning: Promise<unknown> = Promise.resolve();
  #expected: TableId[] = [];

  constructor(
    options: ViewOptions,
    keeper: PgConnection,
    snapshot: { readonly name: string; readonly visibility: Visibility; readonly takenUs: number },
  ) {
    this.position = options.position;
    this.#keeper = keeper;
    this.#planner = options.planner;
    this.#visibility = snapshot.visibility;
    this.#at = snapshotOrigin(snapshot.visibility, options.position, snapshot.takenUs);
    this.#pool = new SessionPool(options.parallelism, async (signal) => {
      const session = await options.connect(signal);
      try {
        await begin(session, snapshot.name, options.lockTimeoutMs, signal);
        await session.command('SAVEPOINT unread', signal);
        return session;
      } catch (error) {
        await session.close();
        throw error;
      }
    });
  }

  sees(tx: string): boolean {
    return this.#visibility.sees(tx);
  }

  plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan> {
    // One after the other: they share a session and its savepoint.
    const plan = this.#planning.then(() => this.#plan(id, options, signal));
    this.#planning = plan.catch(() => undefined);
    return plan;
  }

  expect(ids: readonly TableId[]): void {
    this.#expected = [...ids];
  }

  /** A view shows the catalogue as it was, so that nothing of it can be out of date. */
  async #lookAhead(id: TableId, signal: AbortSignal): Promise<void> {
    if (this.#planner.knows(id)) return;
    const name = tableName(id);
    const at = this.#expected.findIndex((each) => tableName(each) === name);
    if (at < 0) return;
    const ids = this.#expected.splice(0, at + LOOK_AHEAD).slice(at);
    const keeper = this.#keeper;
    try {
      await this.#planner.lookAhead((sql) => keeper.query(sql, signal), ids);
    } catch (error) {
      // Something is wrong with one of them: each is asked for alone, and the others do not suffer.
      if (!(error instanceof PgError) || !keeper.open) throw error;
    }
    await keeper.command('ROLLBACK TO SAVEPOINT unread', signal);
  }

  async #plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan> {
    const keeper = this.#keeper;
    try {
      await this.#lookAhead(id, signal);
      let asked = false;
      const query = (sql: string): Promise<TextRows> => {
        asked = true;
        return keeper.query(sql, signal);
      };
      const plan = await this.#planner.plan(query, id, { ...options, by: 'any' });
      if (asked) await keeper.command('ROLLBACK TO SAVEPOINT unread', signal);
      return plan;
    } catch (error) {
      if (keeper.open) await keeper.command('ROLLBACK TO SAVEPOINT unread', signal).catch(() => undefined);
      throw this.#tableError(error, id);
    }
  }

  async *rows(
    plan: TablePlan,
    range: ChunkRange,
    signal: AbortSignal,
  ): AsyncGenerator<RowBlock<PostgresSource>> {
    const pgPlan = plan as PgPlan;
    const session = await mapping('Opening the snapshot', () => this.#pool.acquire(signal));
    try {
      yield* this.#copy(session, pgPlan, range, signal);
      const [row] = await session.query(
        `SELECT ${rewrittenSince(pgPlan.table)}; ROLLBACK TO SAVEPOINT unread`,
        signal,
      );
      if (row?.[0] === 't') throw rewritten(plan.id);
    } catch (error) {
      // A session that breaks over it is seen as broken when it is given back.
      if (session.open) await session.command('ROLLBACK TO SAVEPOINT unread', signal).catch(() => undefined);
      throw this.#tableError(error, plan.id);
    } finally {
      this.#pool.release(session);
    }
  }

  async *#copy(
    session: PgConnection,
    plan: PgPlan,
    range: ChunkRange,
    signal: AbortSignal,
  ): AsyncGenerator<RowBlock<PostgresSource>> {
    const { table, schema, wide, by, key } = plan;
    const rows = new CopyRows({ schema, decoders: table.decoders, wide, at: this.#at });
    const block = (): RowBlock<PostgresSource> =>
      rows.take(by === 'key' ? JSON.stringify(rows.lastTexts(key)) : null);
    for await (const chunk of session.copyOut(`COPY (${chunkSelect(plan, range, null)}) TO STDOUT`, signal)) {
      const count = chunk.frames.length >> 1;
      for (let frame = 0; frame < count;) {
        frame = rows.push(chunk, frame, BLOCK_ROWS);
        if (rows.count >= BLOCK_ROWS || rows.bytes >= BLOCK_BYTES) yield block();
      }
      chunk.memory?.drop();
    }
    if (rows.count > 0) yield block();
  }

  /** Here a column that is gone means that the table was altered after the view was taken. */
  #tableError(error: unknown, id: TableId): unknown {
    return isState(error, CHANGED_STATES) ? rewritten(id, error) : tableError(error, id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#pool[Symbol.asyncDispose](), this.#keeper.close()]);
  }
}
