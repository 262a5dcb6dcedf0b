/**
 * Oracle's `source` block, field for field as Debezium 3.2 has it (io.debezium.connector.oracle.Source, version 1;
 * OracleSourceInfoStructMaker).
 */
import type { SnapshotMarker } from '../../model/change.ts';
import type { TableId } from '../../model/table.ts';
import { OPTIONAL_INT64, OPTIONAL_STRING, STRING, struct } from '../../schema/connect-schema.ts';
import {
  type BlockValue,
  COMMON_FIELDS,
  FORMAT_VERSION,
  type SourceBlock,
} from '../../schema/source-block.ts';
import type { OracleSource } from './source-info.ts';

const SCHEMA = struct({ name: 'io.debezium.connector.oracle.Source', version: 1 }, [
  ...COMMON_FIELDS,
  ['schema', STRING],
  ['table', STRING],
  ['txId', OPTIONAL_STRING],
  ['scn', OPTIONAL_STRING],
  ['commit_scn', OPTIONAL_STRING],
  ['lcr_position', OPTIONAL_STRING],
  ['rs_id', OPTIONAL_STRING],
  ['ssn', OPTIONAL_INT64],
  ['redo_thread', { type: 'int32', optional: true }],
  ['user_name', OPTIONAL_STRING],
  ['redo_sql', OPTIONAL_STRING],
  ['row_id', OPTIONAL_STRING],
  ['commit_ts_ms', OPTIONAL_INT64],
  ['start_scn', OPTIONAL_STRING],
  ['start_ts_ms', OPTIONAL_INT64],
  ['txSeq', OPTIONAL_INT64],
]);

/** `name` is the pipeline's, which is the topic prefix; `database` the PDB, or what source.url names. */
export function oracleSourceBlock(name: string, database: string): SourceBlock<OracleSource> {
  const head = `{"version":"${FORMAT_VERSION}","connector":"oracle","name":${JSON.stringify(name)},"ts_ms":`;
  const db = `","db":${JSON.stringify(database)},"sequence":null,"ts_us":`;
  return {
    schema: SCHEMA,
    forTable: (table) => tableBlock(head, db, table),
    valuesForTable: (table) => tableValues(name, database, table),
    transactionId: (at) => at.tx?.id ?? '',
    commitTimeMs: (at) => Math.floor((at.tx?.commitTimeUs ?? at.timeMs * 1000) / 1000),
  };
}

function tableBlock(
  head: string,
  db: string,
  table: TableId | null,
): (at: OracleSource, snapshot: SnapshotMarker | null) => string {
  const names = `,"schema":${JSON.stringify(table?.schema ?? '')},"table":${JSON.stringify(table?.table ?? '')},"txId":`;
  let lastTx: OracleSource['tx'] | undefined;
  let transaction = '';
  let middle = '';
  let user = '';
  let end = '';
  return (at, snapshot) => {
    const { tx, timeMs, scn } = at;
    if (tx !== lastTx) {
      lastTx = tx;
      transaction = tx === null ? 'null' : `"${tx.id}"`;
      middle = tx === null ? 'null,"lcr_position":null' : `"${tx.commitScn}","lcr_position":null`;
      middle += ',"rs_id":';
      const start = tx?.startScn == null ? 'null' : `"${tx.startScn}"`;
      const commitMs = tx === null ? 'null' : Math.floor(tx.commitTimeUs / 1000);
      end = `,"commit_ts_ms":${commitMs},"start_scn":${start},"start_ts_ms":${tx?.startTimeMs ?? null},"txSeq":`;
      user = `,"user_name":${JSON.stringify(tx?.user ?? null)},"redo_sql":null,"row_id":`;
    }
    const rsId = at.rsId === null ? 'null' : JSON.stringify(at.rsId);
    const rowId = at.rowId === null ? 'null' : JSON.stringify(at.rowId);
    return (
      `${head}${timeMs},"snapshot":"${snapshot ?? 'false'}${db}${timeMs}000,"ts_ns":${timeMs}000000${names}` +
      `${transaction},"scn":"${scn}","commit_scn":${middle}${rsId},"ssn":${at.ssn},"redo_thread":${at.thread}` +
      `${user}${rowId}${end}${at.txSeq}}`
    );
  };
}

function tableValues(
  name: string,
  database: string,
  table: TableId | null,
): (at: OracleSource, snapshot: SnapshotMarker | null) => readonly BlockValue[] {
  const values: BlockValue[] = [FORMAT_VERSION, 'oracle', name];
  const schema = table?.schema ?? '';
  const tableText = table?.table ?? '';
  let lastTx: OracleSource['tx'] | undefined;
  let commitScn: string | null = null;
  let startScn: string | null = null;
  return (at, snapshot) => {
    const { tx, timeMs } = at;
    if (tx !== lastTx) {
      lastTx = tx;
      commitScn = tx === null ? null : String(tx.commitScn);
      startScn = tx?.startScn == null ? null : String(tx.startScn);
    }
    values.length = 3;
    values.push(
      timeMs,
      snapshot ?? 'false',
      database,
      null,
      timeMs * 1000,
      BigInt(timeMs) * 1_000_000n,
      schema,
      tableText,
    );
    values.push(
      tx?.id ?? null,
      String(at.scn),
      commitScn,
      null,
      at.rsId,
      at.ssn,
      at.thread,
      tx?.user ?? null,
      null,
    );
    values.push(
      at.rowId,
      tx === null ? null : Math.floor(tx.commitTimeUs / 1000),
      startScn,
      tx?.startTimeMs ?? null,
      at.txSeq,
    );
    return values;
  };
}
