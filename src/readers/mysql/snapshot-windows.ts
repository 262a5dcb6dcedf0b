import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName } from '../../model/table.ts';
import type { Row } from '../../model/value.ts';
import type {
  ChunkLimit,
  ChunkRange,
  PlanOptions,
  TablePlan,
  WindowChunk,
  WindowReader,
} from '../../snapshot/snapshot-source.ts';
import { SessionPool } from '../session-pool.ts';
import { changesTooFast } from '../changed-table.ts';
import { describeTables, type Query } from './catalogue.ts';
import { mapping } from './errors.ts';
import { containsGtid } from './gtid/gtid-set.ts';
import { logEnd } from './log-end.ts';
import { currentPosition, executedGtids, unfinishedGtids } from './log-status.ts';
import type { MysqlPosition } from './position.ts';
import { boundOf } from './key-bounds.ts';
import { isChanged, tableError } from './snapshot-errors.ts';
import { begin, beginBehind, serverTimeUs, takeSnapshot } from './snapshot-lock.ts';
import { chunkKey, keySelect, type MysqlPlan, type Planner, queryOf, rowSelect } from './snapshot-plan.ts';
import { TextRowReader } from './snapshot-rows.ts';
import { containsTx, pageRows, snapshotOrigin } from './snapshot-view.ts';
import type { MysqlSource } from './source-info.ts';
import type { RowSession } from './wire/row-session.ts';

const MAX_ATTEMPTS = 10;
/** So long after a chunk was read all that it saw is in the set of executed transactions, too. */
const SETTLED_MS = 200;

export interface WindowsOptions {
  readonly connector: MysqlSource['connector'];
  readonly parallelism: number;
  readonly connect: (signal: AbortSignal) => Promise<RowSession>;
  readonly planner: Planner;
  /** How far the stream has come, or where it will begin. */
  readonly delivered: () => MysqlPosition;
}

/** What is read in a window. */
type Part =
  | { readonly by: 'range'; readonly range: ChunkRange; readonly limit: ChunkLimit }
  | { readonly by: 'keys'; readonly keys: readonly Row[] };

/** Where a chunk's snapshot lies in the log. */
interface Mark {
  /** All that the snapshot shows had been logged before; null: of a table without transactions, its end after the read. */
  readonly high: MysqlPosition | null;
  /** Whether the snapshot shows what a transaction did that is in the log. */
  readonly sees: (tx: string) => boolean;
}

interface MarkedSession {
  readonly session: RowSession;
  readonly mark: Mark;
  readonly end: () => Promise<void>;
}

/** Chunks, each in a short transaction of its own. */
export class MysqlWindows implements WindowReader<MysqlPosition, MysqlSource> {
  readonly #options: WindowsOptions;
  readonly #pool: SessionPool<RowSession>;
  /** Bytes of a row, as measured in the table's last chunk. */
  readonly #rowBytes = new Map<string, number>();

  constructor(options: WindowsOptions) {
    this.#options = options;
    this.#pool = new SessionPool(options.parallelism, options.connect);
  }

  async keyed(ids: readonly TableId[], signal: AbortSignal): Promise<readonly boolean[]> {
    const tables = await mapping('Reading the catalogue', () =>
      this.#pool.use(signal, (session) => describeTables(queryOf(session, signal), session.server, ids)),
    );
    const keyed = new Map(tables.map((table) => [tableName(table.id), chunkKey(table).length > 0]));
    return ids.map((id) => keyed.get(tableName(id)) ?? true);
  }

  /** MariaDB and Percona wait for them in each chunk; elsewhere GTIDs are in the log before they are executed. */
  async unseen(signal: AbortSignal): Promise<readonly string[]> {
    const { gtids, mid } = this.#options.delivered();
    if (gtids === null) return [];
    const unfinished = await mapping('Asking for transactions that wait for a replica', () =>
      this.#pool.use(signal, (session) => unfinishedGtids(queryOf(session, signal), session.server)),
    );
    return unfinished.filter((tx) => containsGtid(gtids, tx) || mid?.tx === tx);
  }

  async plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan> {
    try {
      return await this.#pool.use(signal, (session) =>
        this.#options.planner.plan(session, id, options, signal),
      );
    } catch (error) {
      throw tableError(error, id);
    }
  }

  chunk(
    plan: TablePlan,
    range: ChunkRange,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): Promise<WindowChunk<MysqlPosition, MysqlSource>> {
    return this.#settledRead(plan, { by: 'range', range, limit }, signal);
  }

  rowsOf(
    plan: TablePlan,
    keys: readonly Row[],
    signal: AbortSignal,
  ): Promise<WindowChunk<MysqlPosition, MysqlSource>> {
    return this.#settledRead(plan, { by: 'keys', keys }, signal);
  }

  /** Reads until the table is as planned. */
  async #settledRead(
    plan: TablePlan,
    part: Part,
    signal: AbortSignal,
  ): Promise<WindowChunk<MysqlPosition, MysqlSource>> {
    let current = plan as MysqlPlan;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const session = await mapping('Opening a session for the snapshot', () => this.#pool.acquire(signal));
      try {
        const chunk = await this.#read(session, current, part, signal);
        if (chunk !== null) return chunk;
        current = await this.#replan(session, current, signal);
      } catch (error) {
        if (!isChanged(error)) throw tableError(error, plan.id);
        current = await this.#replan(session, current, signal);
      } finally {
        this.#pool.release(session);
      }
    }
    throw changesTooFast(plan.id);
  }

  #replan(session: RowSession, plan: MysqlPlan, signal: AbortSignal): Promise<MysqlPlan> {
    return this.#options.planner.replan(session, plan, signal);
  }

  /** One attempt; null where the table is not as planned. */
  async #read(
    session: RowSession,
    plan: MysqlPlan,
    part: Part,
    signal: AbortSignal,
  ): Promise<WindowChunk<MysqlPosition, MysqlSource> | null> {
    const { session: reader, mark, end } = await this.#beginMarked(session, plan, signal);
    try {
      const query = queryOf(reader, signal);
      const takenUs = await serverTimeUs(reader, signal);
      const begun = mark.high ?? (await endOfLog(query, reader));
      const at = snapshotOrigin(this.#options.connector, begun, takenUs);
      const wanted = part.by === 'range' ? this.#rowsWithin(plan, part.limit) : Infinity;
      const select = part.by === 'range' ? rowSelect(plan, part.range, wanted) : keySelect(plan, part.keys);
      const rows = new TextRowReader({ schema: plan.schema, rows: plan.rows, at });
      for await (const chunk of reader.rows(select, signal)) rows.push(chunk);
      // The rows read hold the table's definition fast.
      if (!(await this.#isAsPlanned(reader, plan, signal))) return null;
      const more = rows.count >= wanted;
      const lastKey = more ? boundOf(plan.keyColumns, rows.lastCells(plan.boundCells)) : null;
      const { rows: found, bytes } = rows.take(lastKey);
      if (found.length > 0) this.#rowBytes.set(tableName(plan.id), bytes / found.length);
      const high = mark.high ?? (await endOfLog(query, reader));
      return { rows: found, bytes, lastKey, high, sees: mark.sees, plan };
    } finally {
      await end();
    }
  }

  async #isAsPlanned(session: RowSession, plan: MysqlPlan, signal: AbortSignal): Promise<boolean> {
    const [table] = await describeTables(queryOf(session, signal), session.server, [plan.id]);
    return JSON.stringify(table) === JSON.stringify(plan.table);
  }

  /**
   * Begins a transaction whose place in the log is known.
   *
   * MariaDB and Percona say it themselves, exactly; of MariaDB the GTIDs before it have to be asked for first. Elsewhere
   * with GTIDs: what has been executed before the transaction began is shown by it, and what it shows was logged
   * before the log's end after it began; a transaction is written to the log first, then visible, then in the set.
   * Without GTIDs nothing tells what of the log is visible: for a moment nobody may write to the table.
   */
  async #beginMarked(session: RowSession, plan: MysqlPlan, signal: AbortSignal): Promise<MarkedSession> {
    const query = queryOf(session, signal);
    const end = async (): Promise<void> => {
      if (session.open) await session.query('ROLLBACK', signal).catch(() => undefined);
    };
    // What is in the log of a table without transactions is in the table.
    if (!plan.transactional) return { session, mark: { high: null, sees: () => true }, end };
    const executed = await executedGtids(query, session.server);
    await begin(session, signal);
    const place = await beginBehind(session, await endOfLog(query, session), signal);
    if (place !== null) {
      const shown = {
        file: place.file,
        pos: place.pos,
        gtids: place.gtids ?? executed,
        mid: null,
        prepared: null,
      };
      const high = { ...shown, gtids: null };
      return { session, mark: { high, sees: (tx) => containsTx(shown, tx) }, end };
    }
    if (executed !== null) {
      const high = await endOfLog(query, session);
      return { session, mark: { high, sees: (tx) => containsGtid(executed, tx) }, end };
    }
    await end();
    const { connect } = this.#options;
    const taken = await takeSnapshot({ connect, sessions: 1, tables: [plan.id], longLived: false }, signal);
    if (taken === null) throw noCommonPosition(plan.id);
    const { position } = taken;
    return {
      session: taken.sessions[0]!,
      mark: { high: { ...position, gtids: null }, sees: (tx) => containsTx(position, tx) },
      end: () => Promise.resolve(taken[Symbol.asyncDispose]()),
    };
  }

  async settled(ageMs: number, signal: AbortSignal): Promise<MysqlPosition | null> {
    if (ageMs < SETTLED_MS) return null;
    return mapping('Asking for the log’s end', () =>
      this.#pool.use(signal, async (session) => {
        const query = queryOf(session, signal);
        return currentPosition(query, session.server);
      }),
    );
  }

  #rowsWithin(plan: MysqlPlan, { maxRows, maxBytes }: ChunkLimit): number {
    const rowBytes = this.#rowBytes.get(tableName(plan.id)) ?? plan.rowBytes;
    return pageRows(rowBytes, maxBytes, maxRows);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]();
  }
}

/** File and offset, which the stream passes. */
function endOfLog(query: Query, session: RowSession): Promise<MysqlPosition> {
  return logEnd(query, session.server, false);
}

export function noCommonPosition(id: TableId | null): HeadwaterError {
  const what = id === null ? 'tables' : `the table ${tableName(id)}`;
  return new HeadwaterError(
    'snapshot.no-common-position',
    `The user may not lock ${what} for the moment that a snapshot takes, and the server has no GTIDs.`,
    {
      fix: "GRANT LOCK TABLES on the tables' databases to the user of source.url; or turn gtid_mode on",
    },
  );
}
