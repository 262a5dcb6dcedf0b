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
  COMMON_FIELDS,
  FORMAT_VERSION,
  type SourceBlock,
  type WriteBlock,
} from '../../schema/source-block.ts';
import type { MysqlSource, MysqlTx } from './source-info.ts';

const INT32: ConnectSchema = { type: 'int32', optional: false };

function schemaOf(connector: MysqlSource['connector']): ConnectSchema {
  return struct({ name: `io.debezium.connector.${connector}.Source`, version: 1 }, [
    ...COMMON_FIELDS,
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
    forTable: (table) => tableBlock(piecesOf(name, connector, table)),
    writerForTable: (table) => tableWriter(piecesOf(name, connector, table)),
    valuesForTable: (table) => tableValues(name, connector, table),
    transactionId: (at) => at.tx.id,
    commitTimeMs: (at) => Math.floor(at.tx.commitTimeUs / 1000),
  };
}

/** The block in pieces; both ways of writing it keep these for the rows of an event. */
interface Pieces {
  /** Up to the offset. */
  readonly before: string;
  /** Behind the row's number, up to the statement. */
  readonly thread: string;
}

function piecesOf(
  name: string,
  connector: MysqlSource['connector'],
  table: TableId | null,
): (at: MysqlSource, snapshot: SnapshotMarker | null) => Pieces {
  const head = `{"version":"${FORMAT_VERSION}","connector":"${connector}","name":${JSON.stringify(name)},"ts_ms":`;
  const db = `,"db":${JSON.stringify(table?.schema ?? '')},"sequence":null,"ts_us":`;
  const names = `,"table":${table === null ? 'null' : JSON.stringify(table.table)},"server_id":`;
  return ({ tx, file }, snapshot) => {
    const us = tx.commitTimeUs;
    const gtid = tx.gtid === null ? 'null' : `"${tx.gtid}"`;
    return {
      before: `${head}${Math.floor(us / 1000)},"snapshot":"${snapshot ?? 'false'}"${db}${us},"ts_ns":${us}000${names}${tx.serverId},"gtid":${gtid},"file":${JSON.stringify(file)},"pos":`,
      thread: `,"thread":${tx.thread},"query":`,
    };
  };
}

/** Keeps the pieces, and the statement as JSON, for as long as they are the same. */
class KeptPieces {
  readonly #pieces: ReturnType<typeof piecesOf>;
  #tx: MysqlTx | null = null;
  #snapshot: SnapshotMarker | null = null;
  #file = '';
  #statement: string | null = null;
  before = '';
  thread = '';
  query = 'null';

  constructor(pieces: ReturnType<typeof piecesOf>) {
    this.#pieces = pieces;
  }

  /** Answers whether `before` is another one. */
  at(at: MysqlSource, snapshot: SnapshotMarker | null): boolean {
    if (at.query !== this.#statement) {
      this.#statement = at.query;
      this.query = JSON.stringify(at.query);
    }
    if (at.tx === this.#tx && snapshot === this.#snapshot && at.file === this.#file) return false;
    this.#tx = at.tx;
    this.#snapshot = snapshot;
    this.#file = at.file;
    const { before, thread } = this.#pieces(at, snapshot);
    this.before = before;
    this.thread = thread;
    return true;
  }
}

function tableBlock(
  pieces: ReturnType<typeof piecesOf>,
): (at: MysqlSource, snapshot: SnapshotMarker | null) => string {
  const kept = new KeptPieces(pieces);
  const posText = integerWriter();
  let lastPos = -1;
  let place = '';
  return (at, snapshot) => {
    if (kept.at(at, snapshot) || at.pos !== lastPos) {
      lastPos = at.pos;
      place = `${kept.before}${posText(at.pos)},"row":`;
    }
    return `${place}${at.row}${kept.thread}${kept.query}}`;
  };
}

function tableWriter(pieces: ReturnType<typeof piecesOf>): WriteBlock<MysqlSource> {
  const kept = new KeptPieces(pieces);
  let before = EMPTY;
  let end = EMPTY;
  let lastQuery = '';
  return (at, snapshot, out) => {
    const other = kept.at(at, snapshot);
    if (other) before = Buffer.from(kept.before);
    if (other || kept.query !== lastQuery) {
      lastQuery = kept.query;
      end = Buffer.from(`${kept.thread}${kept.query}}`);
    }
    out.bytes(before);
    out.integer(at.pos);
    out.bytes(ROW_NAME);
    out.integer(at.row);
    out.bytes(end);
  };
}

const EMPTY = Buffer.alloc(0);
const ROW_NAME = Buffer.from(',"row":');

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
