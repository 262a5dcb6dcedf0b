import type { HeadwaterError } from '../errors/headwater-error.ts';
import type { Batch } from '../model/batch.ts';
import type { RowChange, SourceInfo } from '../model/change.ts';
import type { PositionCodec } from '../model/position.ts';
import { type TableId, tableName } from '../model/table.ts';
import type { Log } from '../observability/log.ts';
import type { SnapshotProgress } from '../observability/status.ts';
import type { CapturedTable } from '../readers/reader.ts';
import { REQUEST_PREFIX, SNAPSHOT_KEY, SNAPSHOT_PAUSED_KEY, TABLE_PREFIX } from '../state/checkpoint.ts';
import { TableSnapshot } from './captured-table.ts';
import { decodeSnapshotRecord, Ledger, type SnapshotRecord } from './ledger.ts';
import { Markers } from './markers.ts';
import { ProgressMeter, snapshotProgress, type TableProgress, tableProgress } from './progress.ts';
import { decodeRequest } from './request.ts';
import type { SnapshotSource, SnapshotView } from './snapshot-source.ts';
import type { Delivery } from './delivery.ts';
import { readFromView } from './view-phase.ts';
import { mergeWindows } from './window-phase.ts';

export type SnapshotMode = 'initial' | 'initial_only' | 'no_data' | 'when_needed' | 'always';

export interface SnapshotOptions<P, S extends SourceInfo> {
  readonly source: SnapshotSource<P, S>;
  readonly codec: PositionCodec<P>;
  readonly tables: readonly CapturedTable[];
  /** Further captured tables (`schema.table`), of which nothing is read this time, and what is known is kept. */
  readonly left?: ReadonlySet<string>;
  /** The durable state: ledgers in it are gone on with. Leave them out where all is to be read again. */
  readonly restored: ReadonlyMap<string, string>;
  /** `when_needed` is `initial` here: that a lost position leads to a new snapshot is the caller's doing. */
  readonly mode: SnapshotMode;
  /** Connections that read at once. */
  readonly parallelism: number;
  readonly chunkRows: number;
  /** `schema.table` → SQL condition. */
  readonly where: ReadonlyMap<string, string>;
  /** Phase A ends early when the source keeps more log than this. */
  readonly walLimitBytes: number | null;
  readonly retainedBytes: () => Promise<number | null>;
  /** Whether the log begins to be kept just now, so that there is a view at its start. */
  readonly freshStart: boolean;
  /**
   * With mode `always`: a complete snapshot that began before this moment (ms since the epoch) is begun again; a
   * later one is this very process's, in a former attempt.
   */
  readonly beganBefore?: number;
  /** Tables (`schema.table`) that are read from the view before any other. */
  readonly first?: ReadonlySet<string>;
  /** They are complete, all of their rows have been taken, and no other row has been read from the view. */
  readonly onFirstRead?: (tables: ReadonlySet<string>) => Promise<void>;
  /** A table that cannot be read; the others go on. Tried again at the next start. */
  readonly onTableError: (table: TableId, error: HeadwaterError) => void;
  readonly log: Log;
  /** For tests. */
  readonly now?: () => number;
}

export interface Snapshot<P, S extends SourceInfo> {
  /** Whether any table is still to be read. */
  readonly pending: boolean;
  /** No table is left to be read; those that failed count as done until the next start. */
  readonly done: boolean;
  /**
   * Phase A, before the stream: rows as of the view's position, which is every batch's `resume`. Ends when all
   * tables are done, or early when the source keeps more log than the limit; empty where there is no view.
   */
  readView(signal: AbortSignal): AsyncIterable<Batch<P, S>>;
  /**
   * Phase B: the stream with what is left of the snapshot put in between. `nudge` makes an idle stream report
   * its position. In mode `initial_only` it ends when the snapshot is done.
   */
  merge(
    stream: AsyncIterable<Batch<P, S>>,
    nudge: () => void,
    signal: AbortSignal,
  ): AsyncIterable<Batch<P, S>>;
  progress(): SnapshotProgress;
  tableProgress(): readonly TableProgress[];
}

export function createSnapshot<P, S extends SourceInfo>(options: SnapshotOptions<P, S>): Snapshot<P, S> {
  return new Engine(options);
}

class Engine<P, S extends SourceInfo> implements Snapshot<P, S> {
  readonly #options: SnapshotOptions<P, S>;
  readonly #now: () => number;
  readonly #tables: readonly TableSnapshot[];
  readonly #markers: Markers;
  readonly #meter: ProgressMeter;
  #record: SnapshotRecord;
  /** By an operator: what is pending waits, and the stream goes on. */
  readonly #paused: boolean;
  /** Not the same as nothing pending: the last rows may still be on their way out. */
  #finished: boolean;
  /** State that belongs to no row and leaves with the next batch. */
  #unsaved = new Map<string, string | null>();

  constructor(options: SnapshotOptions<P, S>) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#meter = new ProgressMeter(this.#now);
    const text = options.restored.get(SNAPSHOT_KEY);
    const stored = text === undefined ? null : decodeSnapshotRecord(text, SNAPSHOT_KEY);
    const anew =
      options.mode === 'always' &&
      stored !== null &&
      stored.completedAt !== null &&
      Date.parse(stored.startedAt) < (options.beganBefore ?? Infinity);
    const skip = options.mode === 'no_data';
    this.#tables = options.tables.map((table) => {
      const name = tableName(table.id);
      const key = TABLE_PREFIX + name;
      let known = options.restored.get(key);
      if (anew && known !== undefined) {
        // Forgotten together with the first row: were the rest found complete after a crash, it would not be read.
        this.#unsaved.set(key, null);
        known = undefined;
      }
      let ledger = known === undefined ? null : Ledger.decode(known, key);
      const asked = options.restored.get(REQUEST_PREFIX + name);
      const request = asked === undefined ? null : decodeRequest(asked, REQUEST_PREFIX + name);
      if (skip && request === null && ledger?.completed !== true) {
        ledger = Ledger.skipped(this.#date());
        this.#unsaved.set(key, ledger.encode());
      }
      return new TableSnapshot(table, {
        where: request?.where === undefined ? (options.where.get(name) ?? null) : request.where,
        requested: request !== null,
        ledger,
      });
    });
    this.#paused = options.restored.has(SNAPSHOT_PAUSED_KEY);
    const names = [...this.#tables.map(({ name }) => name), ...(options.left ?? [])];
    const captured = new Set(names.flatMap((name) => [TABLE_PREFIX + name, REQUEST_PREFIX + name]));
    for (const key of options.restored.keys()) {
      const ofTable = key.startsWith(TABLE_PREFIX) || key.startsWith(REQUEST_PREFIX);
      if (ofTable && !captured.has(key)) this.#unsaved.set(key, null);
    }
    this.#markers = new Markers(this.#tables.some((table) => table.rows > 0));
    const pending = this.#tables.some((table) => table.pending);
    this.#finished = !pending;
    if (stored !== null && !anew && (stored.completedAt === null) === pending) {
      this.#record = stored;
    } else {
      const at = this.#date().toISOString();
      this.#record = { v: 1, mode: options.mode, startedAt: at, completedAt: pending ? null : at };
      this.#unsaved.set(SNAPSHOT_KEY, JSON.stringify(this.#record));
    }
  }

  get pending(): boolean {
    return this.#tables.some((table) => table.pending);
  }

  get done(): boolean {
    return this.#finished;
  }

  async *readView(signal: AbortSignal): AsyncGenerator<Batch<P, S>> {
    const { source, freshStart, parallelism, first, onFirstRead } = this.#options;
    if (!freshStart || !this.pending || this.#paused) return;
    const view = await source.openView({ parallelism }, signal);
    if (view === null) return;
    await using _closing = view;
    const pending = this.#tables.filter((table) => table.pending);
    const foremost = pending.filter(({ name }) => first?.has(name) === true);
    if (foremost.length > 0) {
      yield* this.#readTables(view, foremost, signal);
      // Where reading broke off the others wait for the windows.
      if (!foremost.every((table) => table.done && table.failure === null)) return;
      await onFirstRead?.(new Set(foremost.map(({ name }) => name)));
    }
    yield* this.#readTables(
      view,
      pending.filter((table) => !foremost.includes(table)),
      signal,
    );
    this.#finished = !this.pending;
  }

  async *#readTables(
    view: SnapshotView<P, S>,
    tables: readonly TableSnapshot[],
    signal: AbortSignal,
  ): AsyncGenerator<Batch<P, S>> {
    const { parallelism, chunkRows, walLimitBytes, retainedBytes, log } = this.#options;
    const deliveries = readFromView<P, S>(
      {
        view,
        tables,
        parallelism,
        chunkRows,
        walLimitBytes,
        retainedBytes,
        onTableError: (table, error) => this.#options.onTableError(table.id, error),
        log,
        now: () => this.#date(),
      },
      signal,
    );
    // One batch stays behind until the next is there: the last of all carries the mark and the completion.
    let held: Batch<P, S> | null = null;
    for await (const delivery of deliveries) {
      const batch = this.#batch(delivery, view.position);
      if (held !== null && batch.changes.length === 0) {
        held = withState(held, batch.state!);
        continue;
      }
      if (held !== null) yield held;
      held = batch;
    }
    if (held !== null) yield this.#complete ? this.#final(held) : held;
  }

  merge(
    stream: AsyncIterable<Batch<P, S>>,
    nudge: () => void,
    signal: AbortSignal,
  ): AsyncIterable<Batch<P, S>> {
    const { source, codec, parallelism, chunkRows, log, mode } = this.#options;
    if (!this.pending || this.#paused) return this.#unsaved.size === 0 ? stream : this.#save(stream);
    const merged = mergeWindows<P, S>(
      {
        stream,
        nudge,
        source,
        codec,
        parallelism,
        chunkRows,
        tables: this.#tables,
        deliver: (delivery, resume) => {
          const batch = this.#batch(delivery, resume);
          return delivery.last && this.#complete ? this.#final(batch) : batch;
        },
        onTableError: (table, error) => this.#options.onTableError(table.id, error),
        onDone: () => (this.#finished = true),
        endWhenDone: mode === 'initial_only',
        log,
        now: () => this.#date(),
      },
      signal,
    );
    return this.#save(merged);
  }

  progress(): SnapshotProgress {
    const { startedAt, completedAt } = this.#record;
    const running = !this.#finished && !this.#paused;
    return snapshotProgress(this.#tables, this.#meter, {
      startedAt,
      completedAt,
      running,
      paused: this.#paused,
    });
  }

  tableProgress(): readonly TableProgress[] {
    return tableProgress(this.#tables);
  }

  /** State that belongs to no row leaves with the first batch there is. */
  async *#save(batches: AsyncIterable<Batch<P, S>>): AsyncGenerator<Batch<P, S>> {
    for await (const batch of batches) yield this.#unsaved.size === 0 ? batch : this.#withUnsaved(batch);
  }

  #withUnsaved(batch: Batch<P, S>): Batch<P, S> {
    const unsaved = this.#unsaved;
    this.#unsaved = new Map();
    // What the batch says itself is newer.
    return { ...batch, state: new Map([...unsaved, ...(batch.state ?? [])]) };
  }

  #batch(delivery: Delivery<S>, resume: P | null): Batch<P, S> {
    const { table, bytes, release } = delivery;
    let rows = delivery.rows;
    if (delivery.first && rows.length > 0) rows = this.#markers.first(rows);
    if (delivery.last) rows = this.#markers.lastOfTable(rows);
    this.#meter.add(rows.length);
    const state = new Map([[TABLE_PREFIX + table.name, table.ledger?.encode() ?? null]]);
    if (table.requested && table.done) state.set(REQUEST_PREFIX + table.name, null);
    const batch = { changes: rows, bytes, resume, state, release };
    return this.#unsaved.size === 0 ? batch : this.#withUnsaved(batch);
  }

  get #complete(): boolean {
    return this.#tables.every((table) => table.done);
  }

  /** The batch that completes the snapshot. */
  #final(batch: Batch<P, S>): Batch<P, S> {
    const completedAt = this.#date().toISOString();
    this.#record = { ...this.#record, completedAt };
    const rows = this.#tables.reduce((sum, table) => sum + table.rows, 0);
    this.#options.log.info({ tables: this.#tables.length, rows }, 'snapshot complete');
    // All changes of a snapshot batch are rows.
    const changes = this.#markers.last(batch.changes as readonly RowChange<S>[]);
    return withState({ ...batch, changes }, new Map([[SNAPSHOT_KEY, JSON.stringify(this.#record)]]));
  }

  #date(): Date {
    return new Date(this.#now());
  }
}

function withState<P, S extends SourceInfo>(
  batch: Batch<P, S>,
  state: ReadonlyMap<string, string | null>,
): Batch<P, S> {
  return { ...batch, state: new Map([...(batch.state ?? []), ...state]) };
}
