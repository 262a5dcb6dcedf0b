import type { SourceInfo } from '../../model/change.ts';

/** Rows that one statement has read share it. */
export interface PollSource extends SourceInfo {
  readonly connector: 'polling';
  /** The server's clock when reading began, microseconds since the epoch. */
  readonly readUs: number;
  /** Number of the batch, which stands for a transaction's. */
  readonly batch: number;
}
