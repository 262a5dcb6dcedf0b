import type { SourceInfo, Tx } from '../../model/change.ts';

/**
 * One PostgreSQL transaction, as BEGIN announces it. LSNs are byte positions of the WAL as numbers (exact to
 * 2^53); `formatLsn` gives the server's own `X/Y`.
 */
export interface PostgresTx extends Tx {
  /** Decimal text of `xid`. */
  readonly id: string;
  /** 32 bits, as pgoutput sends it; null for a message outside of transactions. */
  readonly xid: number | null;
  /** Microseconds since 1970; of snapshot rows, when the snapshot was taken. */
  readonly commitTimeUs: number;
  /** Start of the transaction's COMMIT record; 0 in a snapshot. */
  readonly commitLsn: number;
  /** Of the XLogData message that carried BEGIN. */
  readonly beginLsn: number;
  /** End of the COMMIT before this one in the log: first part of Debezium's `source.sequence`; null in a snapshot. */
  readonly lastCommitLsn: number | null;
}

/**
 * Everything Debezium's `source` block needs beside the table and the snapshot marker:
 *
 * | field | from |
 * | --- | --- |
 * | ts_ms, ts_us, ts_ns | `tx.commitTimeUs` |
 * | txId | `tx.xid` |
 * | lsn | `lsn` |
 * | sequence | `["<tx.lastCommitLsn>","<lsn>"]`, the first null without quotes where it is null |
 * | xmin | always null |
 *
 * Streamed rows share the `tx` of their RowChange. Snapshot rows share one stand-in: xid and `lsn` of the
 * snapshot, while their RowChange's own `tx` is null. So do messages outside of transactions, with xid null.
 */
export interface PostgresSource extends SourceInfo {
  readonly connector: 'postgresql';
  /** Start of the change's WAL record, as the XLogData message gives it. */
  readonly lsn: number;
  readonly tx: PostgresTx;
}

/** Of what is told of at a position of the log without a transaction of its own. */
export function originAt(lsn: number, timeMs: number): PostgresSource {
  const tx = {
    id: '',
    xid: null,
    commitTimeUs: timeMs * 1000,
    commitLsn: 0,
    beginLsn: lsn,
    lastCommitLsn: null,
  };
  return { connector: 'postgresql', lsn, tx };
}
