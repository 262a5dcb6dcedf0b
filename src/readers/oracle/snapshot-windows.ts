import { type TableId, tableName } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import type {
  ChunkLimit,
  ChunkRange,
  PlanOptions,
  TablePlan,
  WindowChunk,
  WindowReader,
} from '../../snapshot/snapshot-source.ts';
import { changesTooFast, rewritten } from '../changed-table.ts';
import { currentScn } from './database.ts';
import { pastIsGone } from './errors.ts';
import { type OraclePosition, positionAt } from './position.ts';
import { OracleError, type OracleSession } from './session/oracle-session.ts';
import {
  chunkStatement,
  isInPlace,
  mayShrink,
  type OraclePlan,
  planTable,
  tableError,
} from './snapshot-plan.ts';
import { oraclePool, type OraclePool, useSession } from './snapshot-pool.ts';
import { rowsAtOnce, SnapshotRows, snapshotOrigin } from './snapshot-rows.ts';
import type { ViewOptions } from './snapshot-view.ts';
import type { OracleSource } from './source-info.ts';
import type { TableModel } from './table-model.ts';

/** Within some twenty seconds. */
const MAX_ATTEMPTS = 10;
const SETTLE_MS = 3_000;

export interface WindowsOptions extends Omit<ViewOptions, 'position'> {
  /** As the catalogue has it now, under the version it has or will have in the stream. */
  readonly describe: (id: TableId) => Promise<TableModel | null>;
  /** Where the log stands now: what is behind it was written later. */
  readonly logged: () => Promise<bigint>;
  /** See OracleLimits. */
  readonly alteredRetryMs: number;
  readonly log: Log;
  /** Throws once the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Chunks while the stream runs, each by a flashback query at an SCN of its own. */
export class OracleWindows implements WindowReader<OraclePosition, OracleSource> {
  readonly #options: WindowsOptions;
  readonly #pool: OraclePool;

  constructor(options: WindowsOptions) {
    this.#options = options;
    this.#pool = oraclePool(options.parallelism, options.connect);
  }

  async keyed(ids: readonly TableId[], _signal: AbortSignal): Promise<readonly boolean[]> {
    const models = await Promise.all(ids.map((id) => this.#options.describe(id)));
    return models.map((model) => model === null || model.schema.key.length > 0);
  }

  async plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan> {
    const { describe, estimatedRows, chunkBlocks, log } = this.#options;
    try {
      const model = await describe(id);
      if (model === null) throw new OracleError('ORA-00942');
      return await useSession(this.#pool, signal, async (session) => {
        if (await mayShrink(session, id)) {
          log.warn(
            { table: tableName(id) },
            'the table has row movement enabled: SHRINK SPACE must wait until it is read, or rows may be missed',
          );
        }
        return planTable(session, model, { options, estimatedRows: estimatedRows(id), chunkBlocks });
      });
    } catch (error) {
      throw tableError(error, { id, where: options.where });
    }
  }

  async chunk(
    plan: TablePlan,
    range: ChunkRange,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): Promise<WindowChunk<OraclePosition, OracleSource>> {
    let current = plan as OraclePlan; // made by this reader's `plan`
    for (let attempt = 1; ; attempt++) {
      try {
        return await useSession(this.#pool, signal, (session) =>
          this.#read(session, current, { range, limit, signal }),
        );
      } catch (error) {
        // Altered between the plan and the read: look again.
        const altered = error instanceof OracleError && (pastIsGone(error) || error.has(904));
        if (!altered) throw tableError(error, current);
        const model = await this.#options.describe(current.id);
        if (model === null) throw tableError(new OracleError('ORA-00942'), current);
        current = { ...current, model, schema: model.schema, key: model.schema.key };
        if (attempt === MAX_ATTEMPTS) throw changesTooFast(plan.id);
        const { alteredRetryMs, sleep } = this.#options;
        await sleep(Math.min(alteredRetryMs * 2 ** (attempt - 1), alteredRetryMs * 50), signal);
      }
    }
  }

  async #read(
    session: OracleSession,
    plan: OraclePlan,
    {
      range,
      limit,
      signal,
    }: { readonly range: ChunkRange; readonly limit: ChunkLimit; readonly signal: AbortSignal },
  ): Promise<WindowChunk<OraclePosition, OracleSource>> {
    // At or past all that was delivered, so that the chunk shows what the stream has shown.
    let scn = await currentScn(session);
    while (scn < this.#options.commitLog.last) {
      await this.#options.sleep(10, signal);
      scn = await currentScn(session);
    }
    const rows = new SnapshotRows(plan.model, snapshotOrigin(scn, Date.now()));
    const atOnce = rowsAtOnce(plan.model);
    const cursor = await session.open(chunkStatement(plan, range, scn, limit.maxRows), {}, atOnce);
    let ended = false;
    try {
      while (rows.bytes < limit.maxBytes) {
        const fetched = await cursor.next(atOnce);
        if (fetched.length === 0) {
          ended = rows.rows.length < limit.maxRows;
          break;
        }
        for (const row of fetched) rows.push(row);
      }
    } finally {
      await cursor.close();
    }
    // Behind the rows: what is moved later is so for the chunks that are still to be read, and found by them.
    if (!(await isInPlace(session, plan.id, range))) throw rewritten(plan.id);
    return {
      ...rows.take(),
      lastKey: ended ? null : String(rows.place[0]),
      high: positionAt(scn),
      sees: () => true,
      plan,
    };
  }

  /** What an idle instance has logged is mined once it has been flushed, which it is by then. */
  async settled(ageMs: number, _signal: AbortSignal): Promise<OraclePosition | null> {
    return ageMs < SETTLE_MS ? null : positionAt(await this.#options.logged());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]();
  }
}
