import type { SourceInfo, Tx } from '../../model/change.ts';

/** One transaction. */
export interface OracleTx extends Tx {
  /** XID: undo segment, slot and sequence as 16 hex digits in lower case. */
  readonly id: string;
  /** LogMiner's times are whole seconds. */
  readonly commitTimeUs: number;
  readonly commitScn: bigint;
  readonly commitThread: number;
  /** Null where the transaction began before mining did. */
  readonly startScn: bigint | null;
  readonly startTimeMs: number | null;
  readonly user: string | null;
}

/** Everything Debezium's `source` block needs beside the table and the snapshot marker. */
export interface OracleSource extends SourceInfo {
  readonly connector: 'oracle';
  /** Of the change; in a snapshot the SCN it was taken at. */
  readonly scn: bigint;
  /** When the change was made, milliseconds; in a snapshot when the row was read. */
  readonly timeMs: number;
  /** Null in a snapshot, as all that follows. */
  readonly tx: OracleTx | null;
  readonly rsId: string | null;
  readonly ssn: number | null;
  readonly thread: number | null;
  readonly rowId: string | null;
  /** Counts the transaction's changes from 1. */
  readonly txSeq: number | null;
}
