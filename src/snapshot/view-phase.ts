import { asHeadwaterError, type HeadwaterError } from '../errors/headwater-error.ts';
import type { SourceInfo } from '../model/change.ts';
import type { Log } from '../observability/log.ts';
import { ByteQueue } from './byte-queue.ts';
import type { TableSnapshot } from './captured-table.ts';
import type { Delivery } from './delivery.ts';
import { TableFeed } from './table-feed.ts';
import type { ChunkRange, RowBlock, SnapshotView, TablePlan } from './snapshot-source.ts';

/** Rows read ahead of the sink; each worker may hold one block more. */
const QUEUED_BYTES = 64 * 1024;
/** How often the source is asked how much log it keeps for us. */
const WAL_CHECK_MS = 5_000;

export interface ViewPhaseOptions<P, S extends SourceInfo> {
  readonly view: SnapshotView<P, S>;
  readonly tables: readonly TableSnapshot[];
  readonly parallelism: number;
  readonly chunkRows: number;
  /** Reading ends early when the source keeps more log than this. Null: never. */
  readonly walLimitBytes: number | null;
  readonly retainedBytes: () => Promise<number | null>;
  readonly onTableError: (table: TableSnapshot, error: HeadwaterError) => void;
  readonly log: Log;
  readonly now: () => Date;
}

type Item<S extends SourceInfo> =
  | { readonly kind: 'planned'; readonly table: TableSnapshot; readonly plan: TablePlan }
  | {
      readonly kind: 'block';
      readonly table: TableSnapshot;
      readonly chunk: number;
      readonly block: RowBlock<S>;
    }
  | { readonly kind: 'chunk-end'; readonly table: TableSnapshot; readonly chunk: number }
  | { readonly kind: 'failed'; readonly table: TableSnapshot; readonly error: HeadwaterError };

/**
 * Phase A: reads all tables from one view, `parallelism` chunks at a time. The ledgers are moved on here, as
 * rows leave, never where they are read: what is delivered with a row is the ledger that says so.
 */
export async function* readFromView<P, S extends SourceInfo>(
  options: ViewPhaseOptions<P, S>,
  signal: AbortSignal,
): AsyncGenerator<Delivery<S>> {
  const ending = new AbortController();
  const queue = new ByteQueue<Item<S>>(QUEUED_BYTES);
  const limit = { reached: false };
  const stop = (): void => {
    ending.abort();
    queue.close();
  };
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  options.view.expect?.(options.tables.map(({ id }) => id));
  const work = new ChunkQueue(options.tables);
  const workers = Array.from({ length: Math.max(1, options.parallelism) }, () =>
    readChunks(options, work, queue, ending.signal),
  );
  const finished = Promise.all(workers).then(
    () => queue.close(),
    (error: unknown) => {
      ending.abort();
      queue.fail(error);
    },
  );
  const checkLog = (): void => {
    options.retainedBytes().then(
      (bytes) => {
        if (bytes === null || bytes <= options.walLimitBytes! || limit.reached) return;
        limit.reached = true;
        options.log.warn(
          { retainedBytes: bytes, walLimitBytes: options.walLimitBytes },
          'the source keeps too much log for the snapshot; the rest is read while streaming',
        );
        work.close();
        stop();
      },
      (error: unknown) => {
        if (!ending.signal.aborted) queue.fail(error);
      },
    );
  };
  const timer = options.walLimitBytes === null ? null : setInterval(checkLog, WAL_CHECK_MS);
  if (timer !== null) checkLog();
  try {
    const feeds = new Map<TableSnapshot, TableFeed<S>>();
    for (;;) {
      const item = await queue.take();
      if (item === null) break;
      if (item.table.failure !== null) continue;
      if (item.kind === 'planned') {
        item.table.reading = true;
        item.table.adopt(item.plan, options.now());
        feeds.set(item.table, new TableFeed<S>(item.table, options.now));
        continue;
      }
      if (item.kind === 'failed') {
        feeds.delete(item.table);
        const forget = abandon(item.table, item.error, options);
        if (forget) yield { table: item.table, rows: [], bytes: 0, first: false, last: false };
        continue;
      }
      const feed = feeds.get(item.table);
      if (feed === undefined) continue;
      const delivery = item.kind === 'block' ? feed.block(item.chunk, item.block) : feed.chunkEnd(item.chunk);
      if (item.table.done) feeds.delete(item.table);
      if (delivery !== null) yield delivery;
    }
    // Broken off: what was held back is delivered without its mark.
    for (const feed of feeds.values()) {
      const delivery = feed.flush();
      if (delivery !== null) yield delivery;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    if (timer !== null) clearInterval(timer);
    for (const table of options.tables) table.reading = false;
    stop();
    await finished;
  }
}

/** A table that cannot be read any further from this view. Answers whether its ledger is to be forgotten. */
function abandon<P, S extends SourceInfo>(
  table: TableSnapshot,
  error: HeadwaterError,
  options: ViewPhaseOptions<P, S>,
): boolean {
  table.reading = false;
  if (error.code === 'snapshot.table-rewritten') {
    options.log.warn({ table: table.name, rows: table.rows }, 'the table is read again while streaming');
    table.reset();
    return true;
  }
  table.failure = error;
  options.onTableError(table, error);
  return false;
}

interface ChunkTask {
  readonly table: TableSnapshot;
  readonly plan: TablePlan;
  readonly chunk: number;
  readonly range: ChunkRange;
  /** Whether some of its rows have been passed on: then it cannot begin again. */
  begun: boolean;
}

/** Hands out chunks of planned tables first, then tables to plan, and last what was locked when its turn came. */
class ChunkQueue {
  readonly #tables: TableSnapshot[];
  readonly #chunks: ChunkTask[] = [];
  readonly #postponed: (ChunkTask | TableSnapshot)[] = [];
  /** Tasks handed out: a plan makes more of them, and what is locked comes back. */
  #underWay = 0;
  #closed = false;
  #waiting: (() => void)[] = [];
  readonly #abandoned = new Set<TableSnapshot>();
  readonly #wereLocked = new Set<TableSnapshot>();

  constructor(tables: readonly TableSnapshot[]) {
    this.#tables = [...tables];
  }

  async next(): Promise<ChunkTask | TableSnapshot | null> {
    for (;;) {
      if (this.#closed) return null;
      const task = this.#chunks.shift() ?? this.#tables.shift() ?? this.#postponed.shift();
      if (task !== undefined) {
        if ('chunk' in task && this.#abandoned.has(task.table)) continue;
        this.#underWay++;
        return task;
      }
      if (this.#underWay === 0) return null;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** What `next` has answered is dealt with; a table that was planned has led to these. */
  finished(tasks: readonly ChunkTask[] = []): void {
    this.#underWay--;
    this.#chunks.push(...tasks);
    this.#wake();
  }

  /** A task that `next` has answered could not be done yet. Answers whether that is the first of its table. */
  postpone(task: ChunkTask | TableSnapshot): boolean {
    this.#postponed.push(task);
    this.finished();
    const table = 'chunk' in task ? task.table : task;
    if (this.#wereLocked.has(table)) return false;
    this.#wereLocked.add(table);
    return true;
  }

  abandon(table: TableSnapshot): void {
    this.#abandoned.add(table);
  }

  abandoned(table: TableSnapshot): boolean {
    return this.#abandoned.has(table);
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

async function readChunks<P, S extends SourceInfo>(
  options: ViewPhaseOptions<P, S>,
  work: ChunkQueue,
  queue: ByteQueue<Item<S>>,
  signal: AbortSignal,
): Promise<void> {
  try {
    for (;;) {
      const task = await work.next();
      if (task === null || signal.aborted) return;
      const table = 'chunk' in task ? task.table : task;
      try {
        const open =
          'chunk' in task
            ? await readChunk(options.view, work, task, queue, signal)
            : await planTable(options, work, task, queue, signal);
        if (!open) return;
        if ('chunk' in task) work.finished();
      } catch (error) {
        const known = asHeadwaterError(error);
        if (known.code === 'snapshot.table-locked' && !('chunk' in task && task.begun)) {
          if (work.postpone(task)) {
            options.log.info({ table: table.name }, 'the table is locked; the others are read first');
          }
          continue;
        }
        work.finished();
        if (signal.aborted) return;
        if (known.entry.fate !== 'quarantine') throw error;
        work.abandon(table);
        if (!(await queue.push({ kind: 'failed', table, error: known }, 0))) return;
      }
    }
  } finally {
    work.close();
  }
}

async function planTable<P, S extends SourceInfo>(
  options: ViewPhaseOptions<P, S>,
  work: ChunkQueue,
  table: TableSnapshot,
  queue: ByteQueue<Item<S>>,
  signal: AbortSignal,
): Promise<boolean> {
  // A table that goes on keeps its chunks.
  const begun = table.ledger !== null && table.ledger.by === 'key' ? table.ledger.ranges() : null;
  const plan = await options.view.plan(
    table.id,
    {
      chunkRows: options.chunkRows,
      where: table.where,
      ...(begun === null ? {} : { chunks: begun }),
    },
    signal,
  );
  const goOn = begun !== null && plan.by === 'key' ? table.ledger : null;
  const tasks: ChunkTask[] = [];
  plan.chunks.forEach((whole, chunk) => {
    const range = goOn === null ? whole : goOn.remaining(chunk);
    if (range !== null) tasks.push({ table, plan, chunk, range, begun: false });
  });
  // Queued before the first block can be: the consumer must know the ledger first.
  const open = await queue.push({ kind: 'planned', table, plan }, 0);
  work.finished(tasks);
  return open;
}

async function readChunk<P, S extends SourceInfo>(
  view: SnapshotView<P, S>,
  work: ChunkQueue,
  task: ChunkTask,
  queue: ByteQueue<Item<S>>,
  signal: AbortSignal,
): Promise<boolean> {
  const { table, plan, chunk, range } = task;
  for await (const block of view.rows(plan, range, signal)) {
    if (work.abandoned(table)) return true;
    task.begun = true;
    if (!(await queue.push({ kind: 'block', table, chunk, block }, block.bytes))) return false;
  }
  // A read that was cut off by the signal has not seen the chunk's end.
  if (signal.aborted) return false;
  return queue.push({ kind: 'chunk-end', table, chunk }, 0);
}
