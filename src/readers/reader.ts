import type { Batch } from '../model/batch.ts';
import type { PositionCodec } from '../model/position.ts';
import type { SourceInfo } from '../model/change.ts';
import type { TableId, TableSchema } from '../model/table.ts';
import type { SnapshotSource } from '../snapshot/snapshot-source.ts';

/** One thing `doctor` or the start checked. */
export interface Finding {
  readonly check: string;
  readonly level: 'ok' | 'warning' | 'error';
  /** What was found, where. One sentence. No cell values, no secrets. */
  readonly message: string;
  /** What to do: the exact statement where there is one. */
  readonly fix?: string;
  /** The catalogue code `run` would stop with; set on errors. */
  readonly code?: import('../errors/catalogue.ts').Code;
}

/** A table that the settings' patterns match, as the source sees it now. */
export interface CapturedTable {
  readonly id: TableId;
  /** Null where the table has no usable key. */
  readonly key: readonly string[] | null;
  /** Planner's estimate; null where unknown. */
  readonly estimatedRows: number | null;
  /** What is not captured for this table and why (e.g. updates and deletes without replica identity). */
  readonly limitation: string | null;
}

/** How the source's log relates to a stored checkpoint. */
export type Continuity<P> =
  | { readonly kind: 'fresh'; readonly start: P } // nothing stored; the log begins to be kept at `start`
  | { readonly kind: 'continuous' }
  | { readonly kind: 'gap'; readonly reason: string; readonly start: P }; // stored position cannot be resumed

/** Where the log stands and how much the source keeps for us. */
export interface Head<P> {
  readonly position: P;
  /** Bytes between the confirmed position and the log's end; null where the source has no such figure. */
  readonly retainedBytes: number | null;
  /** How long the source keeps what it has logged, whoever has read it; null: for ever. Left out by others. */
  readonly retentionMs?: number | null;
}

/**
 * A source's log. One object serves one pipeline run; after an error the supervisor disposes of it and opens
 * another. A reader never retries and never logs what it throws.
 */
export interface Reader<P, S extends SourceInfo = SourceInfo> extends AsyncDisposable {
  readonly codec: PositionCodec<P>;
  /** Connects, checks, never changes anything at the source. Does not throw for what it can describe. */
  preflight(signal: AbortSignal): Promise<readonly Finding[]>;
  /**
   * The captured tables, resolved against the catalogue. Throws `settings.no-table-matches` where one of the
   * settings' patterns matches none; with `onUnmatched`, which is told so instead, only where none is left at all.
   */
  tables(signal: AbortSignal, onUnmatched?: (message: string) => void): Promise<readonly CapturedTable[]>;
  /** The captured tables' columns and keys as the source has them now; changes nothing. Asked after `tables`. */
  describe(signal: AbortSignal): Promise<readonly TableSchema[]>;
  /**
   * Why the stored position cannot be resumed; null where it can. Throws what `open` would refuse; changes nothing.
   * Asked after `tables`.
   */
  examine(stored: StoredLog<P>, signal: AbortSignal): Promise<string | null>;
  /**
   * Makes the source keep its log for us from some position on (slot, publication) and tells how that relates
   * to what is stored. Nothing is created before `recordIntent` has resolved, so that a crash in between does
   * not leave something that looks foreign at the next start.
   */
  open(request: OpenRequest<P>, signal: AbortSignal): Promise<Opened<P>>;
  head(signal: AbortSignal): Promise<Head<P>>;
  /**
   * Looks whether the source still gives what the settings ask for, as it was at `open`; asked now and then while
   * the stream runs. Throws `source.tables-changed` where opening anew would mend it.
   */
  checkTables?(signal: AbortSignal): Promise<void>;
  /** Whether the application's own writes fail because of what was made at the source; asked every second or so. */
  harms?(signal: AbortSignal): Promise<boolean>;
  /** One attempt; throws, never retries. Ends when `signal` aborts, at a batch boundary. */
  read(from: P, signal: AbortSignal): AsyncIterable<Batch<P, S>>;
  /** Only after a durable checkpoint (INV-2). Never waits for the network. */
  confirm(position: P): void;
  /** Asks the source to report its position soon, as a batch without changes; for windows on idle databases. */
  nudge(): void;
  /** Rows for the snapshot engine. */
  snapshotSource(): SnapshotSource<P, S>;
}

export interface StoredPosition<P> {
  readonly position: P;
  /** What `Opened.identity` said when that position was stored. */
  readonly identity: string | null;
}

/** What is stored of a log. */
export interface StoredLog<P> {
  /** Null for a new pipeline. */
  readonly stored: StoredPosition<P> | null;
  /** An identity recorded by a former `recordIntent` whose position never became durable. */
  readonly intent: string | null;
  /** Why a former attempt could not read on from the stored position: it is a gap, whatever it looks like. */
  readonly lost?: string | null;
  /** The durable state as restored: schema versions go on from it (key `schema/…`). */
  readonly state?: ReadonlyMap<string, string>;
}

export interface OpenRequest<P> extends StoredLog<P> {
  /** Makes the identity of what is about to be created durable (checkpoint key `source`). */
  recordIntent(identity: string): Promise<void>;
}

export interface Opened<P> {
  readonly continuity: Continuity<P>;
  /** JSON text that recognises this log again: system identifier, timeline, slot. Stored under key `source`. */
  readonly identity: string;
  /**
   * With a continuous log: tables whose changes were not in it for a while, to be treated like a gap of those
   * alone.
   */
  readonly interrupted?: readonly TableId[];
  /**
   * Captured tables whose changes are not in the log for now, because others hold them locked. They are to be left alone:
   * `checkTables` says when opening anew would take them up.
   */
  readonly locked?: readonly TableId[];
}
