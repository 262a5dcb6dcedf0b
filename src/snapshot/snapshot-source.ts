import type { RowChange, SourceInfo } from '../model/change.ts';
import type { TableId, TableSchema } from '../model/table.ts';

/**
 * What the snapshot engine needs of a database. Two kinds of reading:
 *
 * - a *view*: many connections that see the database at one common position (phase A, before the stream
 *   starts, at exactly the position where the stream will start);
 * - a *window*: one chunk in a short transaction of its own while the stream runs (phase B), merged with the
 *   stream by key (docs/architecture.md, "Snapshots").
 *
 * Chunk bounds are opaque text made and compared by the server, never by JavaScript (collations).
 */
export interface SnapshotSource<P, S extends SourceInfo = SourceInfo> {
  /**
   * The view at the position where `Reader.open` began to keep the log. Null where that moment is over (a
   * restart): then only windows are left. May be called once.
   */
  openView(signal: AbortSignal): Promise<SnapshotView<P, S> | null>;
  /** A view at a new position of its own, for tables without a key while the stream runs. */
  openOwnView(signal: AbortSignal): Promise<SnapshotView<P, S>>;
  /** A connection for chunks read in windows. */
  openWindows(signal: AbortSignal): Promise<WindowReader<P, S>>;
}

/** A part of a table. `from` is exclusive, `to` inclusive; null is open. The text is the source's own. */
export interface ChunkRange {
  readonly from: string | null;
  readonly to: string | null;
}

export interface TablePlan {
  readonly id: TableId;
  readonly schema: TableSchema;
  /** `key`: ranges of the key, rows in key order, resumable after any row. `block`: by physical place. */
  readonly by: 'key' | 'block';
  readonly chunks: readonly ChunkRange[];
  readonly estimatedRows: number | null;
}

export interface RowBlock<S extends SourceInfo = SourceInfo> {
  /** op 'r', snapshot marker 'true' (or 'incremental' in a window), tx null. */
  readonly rows: readonly RowChange<S>[];
  readonly bytes: number;
  /** Where a read of this chunk can go on after the block's last row; null for `by: 'block'`. */
  readonly lastKey: string | null;
}

export interface SnapshotView<P, S extends SourceInfo = SourceInfo> extends AsyncDisposable {
  readonly position: P;
  plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan>;
  /** Any number may run at once, up to the parallelism the source was made with. */
  rows(plan: TablePlan, range: ChunkRange, signal: AbortSignal): AsyncIterable<RowBlock<S>>;
}

export interface PlanOptions {
  readonly chunkRows: number;
  /** SQL condition of the operator's own (`snapshot.where`). */
  readonly where: string | null;
}

/** What one windowed chunk read saw. */
export interface WindowChunk<P, S extends SourceInfo = SourceInfo> {
  readonly rows: readonly RowChange<S>[];
  readonly bytes: number;
  /** Null when the range has been read to its end. */
  readonly lastKey: string | null;
  /** The window may close when the stream has passed this position. */
  readonly high: P;
  /**
   * Transactions (Tx.id) that were still running when the chunk was read: if the stream has already delivered
   * one of them before the window opened, the chunk must be read again.
   */
  readonly runningTx: readonly string[];
}

export interface WindowReader<P, S extends SourceInfo = SourceInfo> extends AsyncDisposable {
  plan(id: TableId, options: PlanOptions, signal: AbortSignal): Promise<TablePlan>;
  /** Reads at most `maxRows` rows or `maxBytes` of the range, in key order. The table has a key. */
  chunk(
    plan: TablePlan,
    range: ChunkRange,
    limit: { maxRows: number; maxBytes: number },
    signal: AbortSignal,
  ): Promise<WindowChunk<P, S>>;
}
