import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName } from '../../model/table.ts';
import type {
  ChunkRange,
  PlanOptions,
  RowBlock,
  SnapshotView,
  TablePlan,
} from '../../snapshot/snapshot-source.ts';
import type { CommitLog } from './commit-log.ts';
import { type OraclePosition } from './position.ts';
import type { OracleSession } from './session/oracle-session.ts';
import { chunkStatement, type OraclePlan, planTable, tableError } from './snapshot-plan.ts';
import { acquireSession, oraclePool, type OraclePool, useSession } from './snapshot-pool.ts';
import { rowsAtOnce, SnapshotRows, snapshotOrigin } from './snapshot-rows.ts';
import type { OracleSource } from './source-info.ts';
import type { TableModel } from './table-model.ts';

const BLOCK_ROWS = 250;
const BLOCK_BYTES = 64 * 1024;

export interface ViewOptions {
  /** Its `read` is the SCN of the view. */
  readonly position: OraclePosition;
  readonly parallelism: number;
  readonly connect: (signal: AbortSignal) => Promise<OracleSession>;
  readonly commitLog: CommitLog;
  /** The table as it was at an SCN; null where it is not captured. */
  readonly modelAt: (id: TableId, scn: bigint) => TableModel | null;
  readonly estimatedRows: (id: TableId) => number | null;
  readonly chunkBlocks: number;
}

/** The database at one SCN, by flashback query: any number of connections see the same without holding anything. */
export class OracleView implements SnapshotView<OraclePosition, OracleSource> {
  readonly position: OraclePosition;
  readonly #options: ViewOptions;
  readonly #pool: OraclePool;
  readonly #at: OracleSource;

  constructor(options: ViewOptions) {
    this.#options = options;
    this.position = options.position;
    this.#pool = oraclePool(options.parallelism, options.connect);
    this.#at = snapshotOrigin(options.position.read, Date.now());
  }

  /** What was delivered so long ago that its SCN is forgotten lies before the view. */
  sees(tx: string): boolean {
    return (this.#options.commitLog.scnOf(tx) ?? 0n) <= this.position.read;
  }

  async plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan> {
    const { modelAt, estimatedRows, chunkBlocks } = this.#options;
    const model = modelAt(id, this.position.read);
    if (model === null) {
      throw new HeadwaterError('snapshot.table-unreadable', `The table ${tableName(id)} is gone.`);
    }
    try {
      return await useSession(this.#pool, signal, (session) =>
        planTable(session, model, { options, estimatedRows: estimatedRows(id), chunkBlocks }),
      );
    } catch (error) {
      throw tableError(error, { id, where: options.where });
    }
  }

  async *rows(
    plan: TablePlan,
    range: ChunkRange,
    signal: AbortSignal,
  ): AsyncGenerator<RowBlock<OracleSource>> {
    const oraclePlan = plan as OraclePlan; // made by this view's `plan`
    const pooled = await acquireSession(this.#pool, signal);
    let finished = false;
    try {
      const atOnce = rowsAtOnce(oraclePlan.model);
      const statement = chunkStatement(oraclePlan, range, this.position.read, null);
      const cursor = await pooled.session.open(statement, {}, atOnce);
      try {
        const rows = new SnapshotRows(oraclePlan.model, this.#at);
        for (;;) {
          const fetched = await cursor.next(atOnce);
          for (const row of fetched) {
            rows.push(row);
            if (rows.rows.length >= BLOCK_ROWS || rows.bytes >= BLOCK_BYTES) yield blockOf(rows);
          }
          if (fetched.length === 0) break;
          signal.throwIfAborted();
        }
        if (rows.rows.length > 0) yield blockOf(rows);
      } finally {
        await cursor.close();
      }
      finished = true;
    } catch (error) {
      throw tableError(error, oraclePlan);
    } finally {
      if (!finished) await pooled.close();
      this.#pool.release(pooled);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]();
  }
}

function blockOf(rows: SnapshotRows<OracleSource>): RowBlock<OracleSource> {
  return { lastKey: String(rows.place[0]), ...rows.take() };
}
