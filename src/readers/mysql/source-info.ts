import type { SourceInfo, Tx } from '../../model/change.ts';
import type { JsonValue } from '../../model/position.ts';

/** One transaction of the binlog, as its GTID event (or BEGIN) announces it. */
export interface MysqlTx extends Tx {
  /** The GTID (`uuid:n`, tagged `uuid:tag:n`, MariaDB `domain-server-n`); without GTIDs `file=<file>,pos=<pos>`. */
  readonly id: string;
  readonly gtid: string | null;
  /** Microseconds since the epoch: of MySQL 8's commit timestamp, elsewhere of the event's whole seconds. */
  readonly commitTimeUs: number;
  readonly serverId: number;
  /** Connection that made the change; null where the log does not say. */
  readonly thread: number | null;
}

/**
 * Everything Debezium's `source` block needs beside the table and the snapshot marker:
 *
 * | field | from |
 * | --- | --- |
 * | ts_ms, ts_us, ts_ns | `tx.commitTimeUs` |
 * | server_id, gtid, thread | `tx` |
 * | file, pos | where the change's rows event starts |
 * | row | ordinal of the row within its event |
 * | query | the statement, where the server logs it and `source.mysql.include_query` asks for it |
 *
 * Streamed rows share the `tx` of their RowChange. Snapshot rows share one stand-in: serverId 0, gtid and thread
 * null, row 0, the position and time of the snapshot, while their RowChange's own `tx` is null.
 */
export interface MysqlSource extends SourceInfo {
  readonly connector: 'mysql' | 'mariadb';
  readonly tx: MysqlTx;
  readonly file: string;
  readonly pos: number;
  readonly row: number;
  readonly query: string | null;
}

/** What a place of the stream gives to the elements made at it. */
export interface StreamPlace {
  at(): MysqlSource;
  tx(): MysqlTx;
  nextSeq(): number;
  /** Encoded, for the history. */
  position(): JsonValue;
}
