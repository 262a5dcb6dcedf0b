/**
 * MySQL's and MariaDB's `source` block, field for field as Debezium 3.2 writes it (io.debezium.connector.mysql
 * .Source and .mariadb.Source, version 1). Text is kept per table and per event: a row only adds its number.
 */
import type { SnapshotMarker } from '../../model/change.ts';
import type { TableId } from '../../model/table.ts';
import {
  type ConnectSchema,
  INT64,
  OPTIONAL_INT64,
  OPTIONAL_STRING,
  STRING,
  struct,
} from '../../schema/connect-schema.ts';
import { integerWriter } from '../../schema/integer-text.ts';
import {
  type BlockValue,
  FORMAT_VERSION,
  SNAPSHOT_FIELD,
  type SourceBlock,
} from '../../schema/source-block.ts';
import type { MysqlSource, MysqlTx } from './source-info.ts';

const INT32: ConnectSchema = { type: 'int32', optional: false };

function schemaOf(connector: MysqlSource['connector']): ConnectSchema {
  return struct({ name: `io.debezium.connector.${connector}.Source`, version: 1 }, [
    ['version', STRING],
    ['connector', STRING],
    ['name', STRING],
    ['ts_ms', INT64],
    ['snapshot', SNAPSHOT_FIELD],
    ['db', STRING],
    ['sequence', OPTIONAL_STRING],
    ['ts_us', OPTIONAL_INT64],
    ['ts_ns', OPTIONAL_INT64],
    ['table', OPTIONAL_STRING],
    ['server_id', INT64],
    ['gtid', OPTIONAL_STRING],
    ['file', STRING],
    ['pos', INT64],
    ['row', INT32],
    ['thread', OPTIONAL_INT64],
    ['query', OPTIONAL_STRING],
  ]);
}

/** `name` is the pipeline's, which is the topic prefix. */
export function mysqlSourceBlock(
  name: string,
  connector: MysqlSource['connector'],
): SourceBlock<MysqlSource> {
  return {
    schema: schemaOf(connector),
    forTable: (table) => tableBlock(name, connector, table),
    valuesForTable: (table) => tableValues(name, connector, table),
    transactionId: (at) => at.tx.id,
    commitTimeMs: (at) => Math.floor(at.tx.commitTimeUs / 1000),
  };
}

function tableBlock(
  name: string,
  connector: MysqlSource['connector'],
  table: TableId | null,
): (at: MysqlSource, snapshot: SnapshotMarker | null) => string {
  const head = `{"version":"${FORMAT_VERSION}","connector":"${connector}","name":${JSON.stringify(name)},"ts_ms":`;
  const db = `,"db":${JSON.stringify(table?.schema ?? '')},"sequence":null,"ts_us":`;
  const names = `,"table":${table === null ? 'null' : JSON.stringify(table.table)},"server_id":`;
  const posText = integerWriter();
  let lastTx: MysqlTx | null = null;
  let lastSnapshot: SnapshotMarker | null = null;
  let lastFile = '';
  let lastPos = -1;
  let lastQuery: string | null = null;
  let before = '';
  let place = '';
  let thread = '';
  let query = 'null';
  return (at, snapshot) => {
    const { tx, file, pos } = at;
    if (tx !== lastTx || snapshot !== lastSnapshot || file !== lastFile) {
      lastTx = tx;
      lastSnapshot = snapshot;
      lastFile = file;
      lastPos = -1;
      const us = tx.commitTimeUs;
      const gtid = tx.gtid === null ? 'null' : `"${tx.gtid}"`;
      before = `${head}${Math.floor(us / 1000)},"snapshot":"${snapshot ?? 'false'}"${db}${us},"ts_ns":${us}000${names}${tx.serverId},"gtid":${gtid},"file":${JSON.stringify(file)},"pos":`;
      thread = `,"thread":${tx.thread},"query":`;
    }
    if (pos !== lastPos) {
      lastPos = pos;
      place = `${before}${posText(pos)},"row":`;
    }
    if (at.query !== lastQuery) {
      lastQuery = at.query;
      query = JSON.stringify(at.query);
    }
    return `${place}${at.row}${thread}${query}}`;
  };
}

/** Indexes into the schema's fields of what changes with the transaction, and of what with each event or row. */
const TS_MS = 3;
const SNAPSHOT = 4;
const TS_US = 7;
const TS_NS = 8;
const SERVER_ID = 10;
const GTID = 11;
const FILE = 12;
const POS = 13;
const ROW = 14;
const THREAD = 15;
const QUERY = 16;

function tableValues(
  name: string,
  connector: MysqlSource['connector'],
  table: TableId | null,
): (at: MysqlSource, snapshot: SnapshotMarker | null) => readonly BlockValue[] {
  const values: BlockValue[] = [
    FORMAT_VERSION,
    connector,
    name,
    0,
    'false',
    table?.schema ?? '',
    null,
    0,
    0n,
  ];
  values.push(table?.table ?? null, 0, null, '', 0, 0, null, null);
  let lastTx: MysqlTx | null = null;
  let lastSnapshot: SnapshotMarker | null = null;
  return (at, snapshot) => {
    const { tx } = at;
    if (tx !== lastTx || snapshot !== lastSnapshot) {
      lastTx = tx;
      lastSnapshot = snapshot;
      values[TS_MS] = Math.floor(tx.commitTimeUs / 1000);
      values[SNAPSHOT] = snapshot ?? 'false';
      values[TS_US] = tx.commitTimeUs;
      values[TS_NS] = BigInt(tx.commitTimeUs) * 1000n;
      values[SERVER_ID] = tx.serverId;
      values[GTID] = tx.gtid;
      values[THREAD] = tx.thread;
    }
    values[FILE] = at.file;
    values[POS] = at.pos;
    values[ROW] = at.row;
    values[QUERY] = at.query;
    return values;
  };
}
