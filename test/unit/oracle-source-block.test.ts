/** Oracle's `source` block, as text and as values. */
import { expect, test } from 'vitest';
import { oracleSourceBlock } from '../../src/readers/oracle/source-block.ts';
import type { OracleSource, OracleTx } from '../../src/readers/oracle/source-info.ts';

const TX: OracleTx = {
  id: '0a000100e8030000',
  commitTimeUs: 1_700_000_001_000_000,
  commitScn: 8305n,
  commitThread: 1,
  startScn: 8200n,
  startTimeMs: 1_700_000_000_000,
  user: 'SHOP',
};
const AT: OracleSource = {
  connector: 'oracle',
  scn: 8301n,
  timeMs: 1_700_000_000_500,
  tx: TX,
  rsId: '0x01.02',
  ssn: 3,
  thread: 2,
  rowId: 'AAAB',
  txSeq: 4,
};
const READ: OracleSource = { ...AT, tx: null, rsId: null, ssn: null, thread: null, rowId: null, txSeq: null };
const BARE: OracleSource = { ...AT, tx: { ...TX, startScn: null, startTimeMs: null, user: null } };
const TABLE = { schema: 'Q', table: 'ORD' };
const block = oracleSourceBlock('shop', 'SHOPPDB');

test('a streamed row', () => {
  expect(JSON.parse(block.forTable(TABLE)(AT, null))).toEqual({
    version: '3.2.0.Final',
    connector: 'oracle',
    name: 'shop',
    ts_ms: 1_700_000_000_500,
    snapshot: 'false',
    db: 'SHOPPDB',
    sequence: null,
    ts_us: 1_700_000_000_500_000,
    ts_ns: Number('1700000000500000000'),
    schema: 'Q',
    table: 'ORD',
    txId: '0a000100e8030000',
    scn: '8301',
    commit_scn: '8305',
    lcr_position: null,
    rs_id: '0x01.02',
    ssn: 3,
    redo_thread: 2,
    user_name: 'SHOP',
    redo_sql: null,
    row_id: 'AAAB',
    commit_ts_ms: 1_700_000_001_000,
    start_scn: '8200',
    start_ts_ms: 1_700_000_000_000,
    txSeq: 4,
  });
});

test('both forms say the same of each row, whatever came before it', () => {
  const names = block.schema.fields!.map(({ field }) => field);
  for (const table of [TABLE, null]) {
    const text = block.forTable(table);
    const values = block.valuesForTable(table);
    for (const at of [AT, BARE, READ, AT, AT, READ, BARE]) {
      for (const snapshot of [null, 'last'] as const) {
        const parsed = JSON.parse(text(at, snapshot)) as Record<string, unknown>;
        expect(Object.keys(parsed)).toEqual(names);
        const given = values(at, snapshot).map((value) =>
          typeof value === 'bigint' ? Number(value) : value,
        );
        expect(names.map((name) => parsed[name])).toEqual(given);
        expect(parsed['snapshot']).toBe(snapshot ?? 'false');
        expect(parsed['table']).toBe(table === null ? '' : 'ORD');
        expect(parsed['txId']).toBe(at.tx?.id ?? null);
        expect(parsed['start_scn']).toBe(at.tx?.startScn == null ? null : '8200');
      }
    }
  }
});

test('what belongs to a transaction', () => {
  expect(block.transactionId(AT)).toBe(TX.id);
  expect(block.transactionId(READ)).toBe('');
  expect(block.commitTimeMs(AT)).toBe(1_700_000_001_000);
  expect(block.commitTimeMs(READ)).toBe(READ.timeMs);
});
