import type { RowChange, SourceInfo } from '../model/change.ts';
import type { TableId, TableSchema } from '../model/table.ts';
import type { Row } from '../model/value.ts';

/**
 * What the snapshot engine needs of a database. Two kinds of reading:
 *
 * - a *view*: many connections that see the database at one common position (phase A, before the stream
 *   starts, at exactly the position where the stream will start);
 * - a *window*: one chunk in a short transaction of its own while the stream runs (phase B), merged with the
 *   stream by key (docs/architecture.md, "Snapshots").
 *
 * Chunk bounds are opaque text made and compared by the server, never by JavaScript (collations).
 *
 * Errors: whatever concerns one table alone (gone, not readable) has a code whose fate is `quarantine`;
 * `snapshot.table-rewritten` says that the view can no longer show the table as it was, or of a chunk of a window
 * that rows are elsewhere by now, and the table begins again; `snapshot.table-locked` that somebody keeps everyone from
 * it: it is asked for again when the others are through.
 */
export interface SnapshotSource<P, S extends SourceInfo = SourceInfo> {
  /**
   * The view at the position where `Reader.open` began to keep the log. Null where that moment is over (a
   * restart): then only windows are left. May be called once.
   */
  openView(options: ReadOptions, signal: AbortSignal): Promise<SnapshotView<P, S> | null>;
  /** A view at a new position of its own, for tables without a key while the stream runs. */
  openOwnView(options: ReadOptions, signal: AbortSignal): Promise<SnapshotView<P, S>>;
  /** For chunks read in windows. */
  openWindows(options: ReadOptions, signal: AbortSignal): Promise<WindowReader<P, S>>;
}

export interface ReadOptions {
  /** How many reads run at once at most, each on a connection of its own. */
  readonly parallelism: number;
  /** Of an own view: what it is opened for. A source that needs a lock for a moment locks nothing else. */
  readonly tables?: readonly TableId[];
}

/**
 * A part of a table; null is open. The text is the source's own. By key: `from` exclusive, `to` inclusive; by
 * block as the source sees fit. Neighbouring chunks share their bound.
 */
export interface ChunkRange {
  readonly from: string | null;
  readonly to: string | null;
}

export interface TablePlan {
  readonly id: TableId;
  readonly schema: TableSchema;
  /** `key`: ranges of the key, rows in key order, resumable after any row. `block`: by physical place. */
  readonly by: 'key' | 'block';
  /**
   * Indexes into `schema.columns` of a unique key without NULLs that the log's before images hold whenever it
   * changes: what chunks are cut by, and what rows are recognised by in windows. Not necessarily the key of
   * the records. Empty where there is none.
   */
  readonly key: readonly number[];
  /** Ascending and without a gap: the first begins, the last ends open. */
  readonly chunks: readonly ChunkRange[];
  readonly estimatedRows: number | null;
}

export interface RowBlock<S extends SourceInfo = SourceInfo> {
  /** op 'r', snapshot marker 'true', tx null. May be made only when asked for: waiting blocks then cost bytes alone. */
  readonly rows: readonly RowChange<S>[];
  readonly bytes: number;
  /** Where a read of this chunk can go on after the block's last row; null for `by: 'block'`. */
  readonly lastKey: string | null;
  /** As that of a batch. */
  readonly release?: (() => void) | undefined;
}

export interface SnapshotView<P, S extends SourceInfo = SourceInfo> extends AsyncDisposable {
  readonly position: P;
  /** Whether the view shows what the transaction (Tx.id) did. Only for transactions that have committed. */
  sees(tx: string): boolean;
  /** Tables that will be planned, in this order: a source may look at many of them at once. */
  expect?(ids: readonly TableId[]): void;
  plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan>;
  /** Any number may run at once, up to the parallelism the view was opened with. Blocks are never empty. */
  rows(plan: TablePlan, range: ChunkRange, signal: AbortSignal): AsyncIterable<RowBlock<S>>;
}

export interface PlanOptions {
  readonly chunkRows: number;
  /** SQL condition of the operator's own (`snapshot.where`). */
  readonly where: string | null;
  /** Key chunks that were made before: they are kept and not made anew. */
  readonly chunks?: readonly ChunkRange[];
}

/** What one windowed chunk read saw. */
export interface WindowChunk<P, S extends SourceInfo = SourceInfo> {
  readonly rows: readonly RowChange<S>[];
  readonly bytes: number;
  /** Null when the range has been read to its end. */
  readonly lastKey: string | null;
  /** The window may close when the stream has passed this position: all the chunk saw had committed before it. */
  readonly high: P;
  /**
   * Whether the read saw what a transaction (Tx.id) did that the stream has delivered. A transaction can be in
   * the log before it is visible: if that is so for one delivered before the window opened, the chunk is stale
   * and must be read again.
   */
  sees(tx: string): boolean;
  /** The plan with the schema the rows were read with: the same object where nothing changed. */
  readonly plan: TablePlan;
}

export interface WindowReader<P, S extends SourceInfo = SourceInfo> extends AsyncDisposable {
  /** Which of the tables have a key that windows can use; tables that are gone count as such. */
  keyed(ids: readonly TableId[], signal: AbortSignal): Promise<readonly boolean[]>;
  /**
   * Transactions (Tx.id) that are not visible yet although the log has them since before now: those that wait for
   * a synchronous standby. What an earlier process has delivered may be among them, so no chunk counts that does
   * not see them. Where the source does not tell, all that may be; they need not commit. Left out where there are
   * none.
   */
  unseen?(signal: AbortSignal): Promise<readonly string[]>;
  /** Always by key. */
  plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan>;
  /** Reads about `maxRows` rows or `maxBytes` of the range at most, in key order. */
  chunk(
    plan: TablePlan,
    range: ChunkRange,
    limit: ChunkLimit,
    signal: AbortSignal,
  ): Promise<WindowChunk<P, S>>;
  /**
   * Reads the rows that have these keys (values of the columns `key` of the changes' tables), as `chunk` does, to their
   * end. For a log that may leave columns out of a row whose key changes: nothing else tells them where it moved from
   * among rows still to be read to those that have been. Left out where the source cannot: then chunks are read again
   * until none is touched so.
   */
  rowsOf?(plan: TablePlan, keys: readonly Row[], signal: AbortSignal): Promise<WindowChunk<P, S>>;
  /**
   * A position that serves a chunk as its high mark too, `ageMs` after it was read; null where it is too early
   * to tell. For chunks whose own mark an idle source does not get past.
   */
  settled(ageMs: number, signal: AbortSignal): Promise<P | null>;
}

export interface ChunkLimit {
  readonly maxRows: number;
  readonly maxBytes: number;
}
