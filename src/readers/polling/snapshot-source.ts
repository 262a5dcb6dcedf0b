import { readRow, type RowChange } from '../../model/change.ts';
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
import type { TableId } from '../../model/table.ts';
import type { PollDialect } from '../poll-dialect.ts';
import { PolledRows } from './polled-rows.ts';
import type { PollPosition } from './position.ts';
import type { RowState } from './row-state.ts';
import type { PollReaderOptions } from './settings.ts';
import type { PollSource } from './source-info.ts';

interface Beside {
  /** Of the batch that was handed over last. */
  readonly position: () => PollPosition;
  /** Whether a statement may be under way whose rows are in the batch that comes next. */
  readonly reading: () => boolean;
  readonly options: PollReaderOptions;
  readonly rowState: () => RowState | null;
  /** From which time on rows of the table are read; null: from any. */
  readonly sinceUs: (id: TableId) => number | null;
}

/**
 * The snapshots of the database's own reader, put among what is polled. Everything is read on one server, where what
 * one statement has seen every later one sees: so a row that is read when a batch has been handed over is no older
 * than what that batch held, and what is polled after the batch that comes next no older than the row.
 */
export function snapshotsBeside(
  dialect: PollDialect,
  beside: Beside,
): SnapshotSource<PollPosition, PollSource> {
  const source = dialect.snapshots();
  const parts = new Origin(dialect, beside);
  return {
    async openView(options, signal) {
      const position = beside.position();
      const view = await source.openView({ ...options, parallelism: 1 }, signal);
      // Polling begins behind it, at the beginning that is durable already.
      return view === null ? null : new View(view, parts, position);
    },
    async openOwnView(options, signal) {
      const { batch } = beside.position();
      const view = await source.openOwnView({ ...options, parallelism: 1 }, signal);
      return new View(view, parts, parts.next(), batch);
    },
    async openWindows(options, signal) {
      return new Windows(await source.openWindows({ ...options, parallelism: 1 }, signal), parts);
    },
  };
}

/** Rows as polling hands them over. */
class Origin {
  readonly #dialect: PollDialect;
  readonly #beside: Beside;

  constructor(dialect: PollDialect, beside: Beside) {
    this.#dialect = dialect;
    this.#beside = beside;
  }

  /** What is read from here on is in no earlier batch. */
  next(): PollPosition {
    const position = this.#beside.position();
    return { ...position, batch: position.batch + (this.#beside.reading() ? 2 : 1) };
  }

  /** Notes them in the row state, where that is to know all rows. */
  async seed(id: TableId, rows: readonly RowChange[], signal: AbortSignal): Promise<void> {
    const state = this.#beside.rowState();
    const { remember } = this.#beside.options.settingsOf(id);
    if (state === null || rows.length === 0) return;
    const [table] = await this.#dialect.describe([id], signal);
    if (table !== undefined) {
      const of = { stamp: this.next().batch, sinceUs: this.#beside.sinceUs(id) };
      new PolledRows(table, remember, state).seed(rows, of);
    }
  }

  of(rows: readonly RowChange[]): RowChange<PollSource>[] {
    const at: PollSource = { connector: 'polling', readUs: Date.now() * 1000, batch: 0 };
    return rows.map((row) => {
      const read = readRow(row.table, row.after!, at);
      return row.unreadable === undefined ? read : { ...read, unreadable: row.unreadable };
    });
  }
}

class View implements SnapshotView<PollPosition, PollSource> {
  readonly position: PollPosition;
  readonly #view: SnapshotView<unknown>;
  readonly #origin: Origin;
  /** Batches up to this one had been read before the view was opened. */
  readonly #seen: number;

  constructor(view: SnapshotView<unknown>, origin: Origin, position: PollPosition, seen = 0) {
    this.#view = view;
    this.#origin = origin;
    this.position = position;
    this.#seen = seen;
  }

  sees(tx: string): boolean {
    return Number(tx) <= this.#seen;
  }

  plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan> {
    return this.#view.plan(id, options, signal);
  }

  async *rows(plan: TablePlan, range: ChunkRange, signal: AbortSignal): AsyncGenerator<RowBlock<PollSource>> {
    for await (const block of this.#view.rows(plan, range, signal)) {
      const { bytes, lastKey, release } = block;
      await this.#origin.seed(plan.id, block.rows, signal);
      yield { rows: this.#origin.of(block.rows), bytes, lastKey, release };
    }
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#view[Symbol.asyncDispose]();
  }
}

class Windows implements WindowReader<PollPosition, PollSource> {
  readonly #windows: WindowReader<unknown>;
  readonly #origin: Origin;

  constructor(windows: WindowReader<unknown>, origin: Origin) {
    this.#windows = windows;
    this.#origin = origin;
  }

  keyed(ids: readonly TableId[], signal: AbortSignal): Promise<readonly boolean[]> {
    return this.#windows.keyed(ids, signal);
  }

  plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan> {
    return this.#windows.plan(id, options, signal);
  }

  async chunk(
    plan: TablePlan,
    range: ChunkRange,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): Promise<WindowChunk<PollPosition, PollSource>> {
    const chunk = await this.#windows.chunk(plan, range, limit, signal);
    await this.#origin.seed(plan.id, chunk.rows, signal);
    return {
      rows: this.#origin.of(chunk.rows),
      bytes: chunk.bytes,
      lastKey: chunk.lastKey,
      plan: chunk.plan,
      high: this.#origin.next(),
      // What was handed over had been visible.
      sees: () => true,
    };
  }

  /** The next batch always comes. */
  settled(): Promise<PollPosition> {
    return Promise.resolve(this.#origin.next());
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#windows[Symbol.asyncDispose]();
  }
}
