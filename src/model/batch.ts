import type { Change, SourceInfo } from './change.ts';

/**
 * The unit that crosses folders: up to 1,000 rows, 256 KiB or the end of what has arrived, whichever comes first,
 * and from there on to the end of the transaction, up to twice as much. A batch without changes reports progress
 * only.
 */
export interface Batch<P, S extends SourceInfo = SourceInfo> {
  readonly changes: readonly Change<S>[];
  /** Bytes read from the source for these changes: what the byte gate counts. */
  readonly bytes: number;
  /** The position after the last change, or null where nothing may be committed here (INV-1). */
  readonly resume: P | null;
  /**
   * State that becomes durable together with this batch's records (snapshot ledgers, schema versions):
   * key → JSON text, or null to forget the key. See state/checkpoint.ts for the keys.
   */
  readonly state?: ReadonlyMap<string, string | null>;
  /**
   * For whoever is done with the batch and sure that nobody else refers to its rows any more, as text rows
   * (model/raw-row.ts): their memory is then used again. Who is not sure leaves it, to the garbage collector.
   */
  readonly release?: (() => void) | undefined;
}
