import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName } from '../../model/table.ts';
import type {
  ChunkRange,
  PlanOptions,
  RowBlock,
  SnapshotView,
  TablePlan,
} from '../../snapshot/snapshot-source.ts';
import { SessionPool } from '../session-pool.ts';
import { mapping } from './errors.ts';
import { containsGtid } from './gtid/gtid-set.ts';
import { compareFiles, type MysqlPosition } from './position.ts';
import { boundOf } from './key-bounds.ts';
import { isChanged, tableError } from './snapshot-errors.ts';
import { rewritten } from '../changed-table.ts';
import type { TakenSnapshot } from './snapshot-lock.ts';
import { type MysqlPlan, type Planner, rowSelect } from './snapshot-plan.ts';
import { TextRowReader } from './snapshot-rows.ts';
import type { MysqlSource } from './source-info.ts';
import { MysqlConnectionError } from './wire/mysql-error.ts';
import { quoteTable } from './wire/quoting.ts';
import type { CatalogueSession, RowChunk, RowSession } from './wire/row-session.ts';

const BLOCK_ROWS = 250;
/** What one statement reads of a table with a key, so that it is over, and the table free, within a moment. */
const PAGE_ROWS = 10_000;
const PAGE_BYTES = 4 * 1024 * 1024;
/** With so few bytes a row its overhead outweighs it. */
const MIN_ROW_BYTES = 64;
/** Until a page has been read and measured. */
const UNKNOWN_ROW_BYTES = 128 * 1024;

const RELEASE = 'ROLLBACK TO SAVEPOINT unread';

/** What rows of one snapshot share as their origin, as Debezium has it. */
export function snapshotOrigin(
  connector: MysqlSource['connector'],
  position: MysqlPosition,
  takenUs: number,
): MysqlSource {
  const { file, pos } = position;
  return {
    connector,
    tx: {
      id: `file=${file},pos=${pos}`,
      gtid: null,
      commitTimeUs: takenUs,
      serverId: 0,
      thread: null,
    },
    file,
    pos,
    row: 0,
    query: null,
  };
}

/** Whether what is at the position has the transaction's changes. */
export function containsTx({ gtids, file, pos }: MysqlPosition, tx: string): boolean {
  if (gtids !== null && containsGtid(gtids, tx)) return true;
  const match = /^file=(.*),pos=(\d+)$/.exec(tx);
  if (match === null) return false;
  const files = compareFiles(match[1]!, file);
  return files === 0 ? Number(match[2]) < pos : files !== null && files < 0;
}

export interface ViewOptions {
  readonly connector: MysqlSource['connector'];
  readonly taken: TakenSnapshot;
  readonly planner: Planner;
  /** While the stream runs, for tables that windows cannot read. */
  readonly own: boolean;
}

/**
 * Sessions whose transactions began at one position. Each statement is undone to a savepoint, which gives its
 * table's metadata lock back: an ALTER TABLE, and the writers that queue behind it, wait for a page of rows at
 * most, not for the snapshot. A session that is lost cannot be replaced.
 */
export class MysqlView implements SnapshotView<MysqlPosition, MysqlSource> {
  readonly position: MysqlPosition;
  readonly #planner: Planner;
  readonly #taken: TakenSnapshot;
  readonly #pool: SessionPool<RowSession>;
  readonly #at: MysqlSource;
  /** Bytes of a row, as measured in the table's last page. */
  readonly #rowBytes = new Map<string, number>();
  readonly #own: boolean;

  constructor({ connector, taken, planner, own }: ViewOptions) {
    this.#own = own;
    this.position = taken.position;
    this.#planner = planner;
    this.#taken = taken;
    this.#at = snapshotOrigin(connector, taken.position, taken.takenUs);
    const unused = [...taken.sessions];
    this.#pool = new SessionPool(taken.sessions.length, async () => {
      const session = unused.pop();
      if (session?.open === true) return session;
      throw new MysqlConnectionError('lost', 'A session of the snapshot was lost');
    });
  }

  sees(tx: string): boolean {
    return containsTx(this.position, tx);
  }

  async plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan> {
    try {
      return await this.#pool.use(signal, async (session) => {
        const releasing = async <T>(answer: Promise<T>): Promise<T> => {
          try {
            return await answer;
          } finally {
            if (session.open) await session.query(RELEASE, signal);
          }
        };
        const catalogue: CatalogueSession = {
          server: session.server,
          query: (sql) => releasing(session.query(sql, signal)),
          columns: (sql) => releasing(session.columns(sql, signal)),
        };
        const plan = await this.#planner.plan(catalogue, id, options, signal);
        // Of a table without transactions only windows tell what was read when.
        if (!plan.transactional) throw this.#own ? neitherKeyNorTransactions(id) : rewritten(id);
        return plan;
      });
    } catch (error) {
      throw viewError(error, id);
    }
  }

  async *rows(
    plan: TablePlan,
    range: ChunkRange,
    signal: AbortSignal,
  ): AsyncGenerator<RowBlock<MysqlSource>> {
    const mysqlPlan = plan as MysqlPlan;
    const session = await mapping('Reading the snapshot', () => this.#pool.acquire(signal));
    try {
      if (plan.by === 'key') yield* this.#pages(session, mysqlPlan, range, signal);
      else yield* this.#scan(session, mysqlPlan, range, signal);
    } catch (error) {
      throw viewError(error, plan.id);
    } finally {
      this.#pool.release(session);
    }
  }

  async *#pages(
    session: RowSession,
    plan: MysqlPlan,
    range: ChunkRange,
    signal: AbortSignal,
  ): AsyncGenerator<RowBlock<MysqlSource>> {
    const name = tableName(plan.id);
    let from = range.from;
    for (;;) {
      const limit = pageRows(this.#rowBytes.get(name) ?? plan.rowBytes, PAGE_BYTES, PAGE_ROWS);
      // As they came, which takes a fraction of what the values take: the table is given back before they are.
      const page: RowChunk[] = [];
      let count = 0;
      let bytes = 0;
      for await (const chunk of session.rows(rowSelect(plan, { from, to: range.to }, limit), signal)) {
        page.push(chunk);
        count += chunk.frames.length >> 1;
        bytes += chunk.frames[chunk.frames.length - 1]! - chunk.frames[0]!;
      }
      await session.query(RELEASE, signal);
      if (count > 0) this.#rowBytes.set(name, bytes / count);
      const rows = this.#reader(plan);
      for (let chunk = page.shift(); chunk !== undefined; chunk = page.shift()) {
        rows.push(chunk);
        if (rows.count < BLOCK_ROWS && page.length > 0) continue;
        from = boundOf(plan.keyColumns, rows.lastCells(plan.boundCells));
        yield rows.take(from);
      }
      if (count < limit) return;
    }
  }

  async *#scan(
    session: RowSession,
    plan: MysqlPlan,
    range: ChunkRange,
    signal: AbortSignal,
  ): AsyncGenerator<RowBlock<MysqlSource>> {
    const rows = this.#reader(plan);
    for await (const chunk of session.rows(rowSelect(plan, range, null), signal)) {
      rows.push(chunk);
      if (rows.count >= BLOCK_ROWS) yield rows.take(null);
    }
    if (rows.count > 0) yield rows.take(null);
    await session.query(RELEASE, signal);
  }

  #reader({ schema, rows }: MysqlPlan): TextRowReader<MysqlSource> {
    return new TextRowReader({ schema, rows, at: this.#at });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#pool[Symbol.asyncDispose](), this.#taken[Symbol.asyncDispose]()]);
  }
}

function neitherKeyNorTransactions(id: TableId): HeadwaterError {
  return new HeadwaterError(
    'snapshot.table-unsettled',
    `The table ${tableName(id)} has neither a key nor transactions, so that its rows are of no position of the log.`,
    {
      fix: `ALTER TABLE ${quoteTable(id)} ENGINE = InnoDB, or give it a primary key`,
      details: { table: tableName(id) },
    },
  );
}

/** Rows that are read at once, so that they are about `bytes` at most; few of a table of which nothing is known. */
export function pageRows(rowBytes: number | null, bytes: number, most: number): number {
  return Math.max(
    1,
    Math.min(most, Math.floor(bytes / Math.max(MIN_ROW_BYTES, rowBytes ?? UNKNOWN_ROW_BYTES))),
  );
}

function viewError(error: unknown, id: TableId): unknown {
  return isChanged(error) ? rewritten(id, error) : tableError(error, id);
}
