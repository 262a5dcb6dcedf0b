/**
 * PostgreSQL's `source` block, field for field as Debezium 3.2 writes it (io.debezium.connector.postgresql
 * .Source, version 1). Text is kept per table and per transaction: a streamed row only adds its own LSN.
 */
import type { SnapshotMarker } from '../../model/change.ts';
import type { TableId } from '../../model/table.ts';
import { OPTIONAL_INT64, STRING, struct } from '../../schema/connect-schema.ts';
import { integerWriter } from '../../schema/integer-text.ts';
import {
  type BlockValue,
  COMMON_FIELDS,
  type SourceBlock,
  FORMAT_VERSION,
  type WriteBlock,
} from '../../schema/source-block.ts';
import type { PostgresSource, PostgresTx } from './source-info.ts';

const SCHEMA = struct({ name: 'io.debezium.connector.postgresql.Source', version: 1 }, [
  ...COMMON_FIELDS,
  ['schema', STRING],
  ['table', STRING],
  ['txId', OPTIONAL_INT64],
  ['lsn', OPTIONAL_INT64],
  ['xmin', OPTIONAL_INT64],
]);

/** `name` is the pipeline's, which is the topic prefix; `database` the one in source.url. */
export function postgresSourceBlock(name: string, database: string): SourceBlock<PostgresSource> {
  const head = `{"version":"${FORMAT_VERSION}","connector":"postgresql","name":${JSON.stringify(name)},"ts_ms":`;
  const db = `,"db":${JSON.stringify(database)},"sequence":"[`;
  return {
    schema: SCHEMA,
    forTable: (table) => tableBlock(head, db, table),
    valuesForTable: (table) => tableValues(name, database, table),
    writerForTable: (table) => tableWriter(head, db, table),
    transactionId: (at) => `${at.tx.xid}:${at.lsn}`,
    commitTimeMs: (at) => Math.floor(at.tx.commitTimeUs / 1000),
  };
}

/** The block without its two LSNs. Both ways of writing it keep these for the rows of a transaction. */
interface Pieces {
  readonly before: string;
  readonly between: string;
  readonly end: string;
}

function piecesOf(
  head: string,
  db: string,
  table: TableId | null,
): (tx: PostgresTx, snapshot: SnapshotMarker | null) => Pieces {
  const names = `,"schema":${JSON.stringify(table?.schema ?? '')},"table":${JSON.stringify(table?.table ?? '')},"txId":`;
  return (tx, snapshot) => {
    const us = tx.commitTimeUs;
    const committed = tx.lastCommitLsn === null ? 'null' : `\\"${tx.lastCommitLsn}\\"`;
    // Rows of an incremental snapshot and messages outside transactions belong to none of the log.
    const xid = snapshot === 'incremental' || tx.xid === 0 ? 'null' : String(tx.xid);
    return {
      before: `${head}${Math.floor(us / 1000)},"snapshot":"${snapshot ?? 'false'}"${db}${committed},\\"`,
      between: `\\"]","ts_us":${us},"ts_ns":${us}000${names}${xid},"lsn":`,
      end: ',"xmin":null}',
    };
  };
}

function tableBlock(
  head: string,
  db: string,
  table: TableId | null,
): (at: PostgresSource, snapshot: SnapshotMarker | null) => string {
  const pieces = piecesOf(head, db, table);
  const lsnText = integerWriter();
  let lastTx: PostgresTx | null = null;
  let lastSnapshot: SnapshotMarker | null = null;
  let lastAt: PostgresSource | null = null;
  let text = '';
  let kept: Pieces = { before: '', between: '', end: '' };
  return (at, snapshot) => {
    // Rows of a snapshot share their origin.
    if (at === lastAt && snapshot === lastSnapshot) return text;
    lastAt = at;
    const { tx } = at;
    if (tx !== lastTx || snapshot !== lastSnapshot) {
      lastTx = tx;
      lastSnapshot = snapshot;
      kept = pieces(tx, snapshot);
    }
    const lsn = lsnText(at.lsn);
    text = kept.before + lsn + kept.between + (snapshot === 'incremental' ? 'null' : lsn) + kept.end;
    return text;
  };
}

function tableWriter(head: string, db: string, table: TableId | null): WriteBlock<PostgresSource> {
  const pieces = piecesOf(head, db, table);
  let lastTx: PostgresTx | null = null;
  let lastSnapshot: SnapshotMarker | null = null;
  let before = NULL;
  let between = NULL;
  let end = NULL;
  return (at, snapshot, out) => {
    const { tx, lsn } = at;
    if (tx !== lastTx || snapshot !== lastSnapshot) {
      lastTx = tx;
      lastSnapshot = snapshot;
      const texts = pieces(tx, snapshot);
      before = Buffer.from(texts.before);
      between = Buffer.from(texts.between);
      end = Buffer.from(texts.end);
    }
    out.bytes(before);
    out.integer(lsn);
    out.bytes(between);
    if (snapshot === 'incremental') out.bytes(NULL);
    else out.integer(lsn);
    out.bytes(end);
  };
}

const NULL = Buffer.from('null');

/** Indexes into SCHEMA's fields of what changes with the transaction, and of what with each row. */
const TS_MS = 3;
const SNAPSHOT_MARKER = 4;
const SEQUENCE = 6;
const TS_US = 7;
const TS_NS = 8;
const TX_ID = 11;
const LSN = 12;

function tableValues(
  name: string,
  database: string,
  table: TableId | null,
): (at: PostgresSource, snapshot: SnapshotMarker | null) => readonly BlockValue[] {
  const values: BlockValue[] = [FORMAT_VERSION, 'postgresql', name, 0, 'false', database, null, 0, 0n];
  values.push(table?.schema ?? '', table?.table ?? '', null, null, null);
  const lsnText = integerWriter();
  let lastTx: PostgresTx | null = null;
  let lastSnapshot: SnapshotMarker | null = null;
  let lastAt: PostgresSource | null = null;
  let committed = '';
  return (at, snapshot) => {
    if (at === lastAt && snapshot === lastSnapshot) return values;
    lastAt = at;
    const { tx } = at;
    const incremental = snapshot === 'incremental';
    if (tx !== lastTx || snapshot !== lastSnapshot) {
      lastTx = tx;
      lastSnapshot = snapshot;
      committed = tx.lastCommitLsn === null ? '[null,"' : `["${tx.lastCommitLsn}","`;
      values[TS_MS] = Math.floor(tx.commitTimeUs / 1000);
      values[SNAPSHOT_MARKER] = snapshot ?? 'false';
      values[TS_US] = tx.commitTimeUs;
      values[TS_NS] = BigInt(tx.commitTimeUs) * 1000n;
      values[TX_ID] = incremental || tx.xid === 0 ? null : tx.xid;
    }
    values[SEQUENCE] = `${committed}${lsnText(at.lsn)}"]`;
    values[LSN] = incremental ? null : at.lsn;
    return values;
  };
}
