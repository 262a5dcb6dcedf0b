import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Utf8Writer } from '../../src/emitter/encoders/utf8-writer.ts';
import { oracleSourceBlock } from '../../src/readers/oracle/source-block.ts';
import type { OracleSource, OracleTx } from '../../src/readers/oracle/source-info.ts';
import { postgresSourceBlock } from '../../src/readers/postgres/source-block.ts';
import type { PostgresSource, PostgresTx } from '../../src/readers/postgres/source-info.ts';
import type { SnapshotMarker } from '../../src/model/change.ts';

const MARKERS: readonly (SnapshotMarker | null)[] = [null, 'first', 'true', 'last', 'incremental'];

const tx = fc.record({
  xid: fc.option(fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  commitTimeUs: fc.integer({ min: 946_684_800_000_000, max: 4_102_444_800_000_000 }),
  lastCommitLsn: fc.option(fc.maxSafeNat()),
});

/** Numbers as the text says them: `ts_ns` is past what a double holds. */
function exact(json: string): unknown {
  return JSON.parse(json, (_key, value: unknown, context?: { readonly source: string }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) ? BigInt(context!.source) : value,
  );
}

describe('PostgreSQL’s source block', () => {
  test('is the same text when it is written, and has the same values, in the order of the schema', () => {
    const at = fc.record({ tx: fc.nat(2), lsn: fc.maxSafeNat(), snapshot: fc.constantFrom(...MARKERS) });
    fc.assert(
      fc.property(
        fc.array(tx, { minLength: 3, maxLength: 3 }),
        fc.array(at, { minLength: 1 }),
        (txs, rows) => {
          const block = postgresSourceBlock('shop "1"', 'db');
          const transactions: readonly PostgresTx[] = txs.map((each) => ({
            ...each,
            id: String(each.xid),
            commitLsn: 1,
            beginLsn: 1,
          }));
          const text = block.forTable({ schema: 'public', table: 'orders' });
          const write = block.writerForTable!({ schema: 'public', table: 'orders' });
          const out = new Utf8Writer(16);
          const values = block.valuesForTable({ schema: 'public', table: 'orders' });
          for (const row of rows) {
            const source: PostgresSource = {
              connector: 'postgresql',
              lsn: row.lsn,
              tx: transactions[row.tx]!,
            };
            const expected = exact(text(source, row.snapshot)) as Record<string, unknown>;
            out.begin();
            write(source, row.snapshot, out);
            expect(out.end().toString()).toBe(text(source, row.snapshot));
            const names = block.schema.fields!.map(({ field }) => field);
            const actual = values(source, row.snapshot);
            expect(Object.keys(expected)).toEqual(names);
            expect(actual).toEqual(
              names.map((name) => (name === 'ts_ns' ? BigInt(String(expected[name])) : expected[name])),
            );
          }
        },
      ),
    );
  });
});

describe('Oracle’s source block', () => {
  const bigScn = fc.bigInt({ min: 1n, max: 2n ** 63n });
  const text = fc.option(fc.string({ maxLength: 12 }));
  const count = fc.option(fc.nat());
  const oracleTx = fc.record({
    id: fc.stringMatching(/^[0-9a-f]{16}$/),
    commitTimeUs: fc.integer({ min: 946_684_800_000_000, max: 4_102_444_800_000_000 }),
    commitScn: bigScn,
    commitThread: fc.nat(9),
    startScn: fc.option(bigScn),
    startTimeMs: fc.option(fc.integer({ min: 946_684_800_000, max: 4_102_444_800_000 })),
    user: text,
  });
  const change = fc.record({
    of: fc.integer({ min: -1, max: 2 }),
    scn: bigScn,
    timeMs: fc.integer({ min: 946_684_800_000, max: 4_102_444_800_000 }),
    rsId: text,
    ssn: count,
    thread: count,
    rowId: text,
    txSeq: count,
    snapshot: fc.constantFrom(...MARKERS),
  });

  test('has the same values as text and in the order of the schema, from snapshots and from the log', () => {
    fc.assert(
      fc.property(
        fc.array(oracleTx, { minLength: 3, maxLength: 3 }),
        fc.array(change, { minLength: 1 }),
        fc.constantFrom({ schema: 'SHOP', table: 'ORDERS "1"' }, null),
        (txs: readonly OracleTx[], rows, table) => {
          const block = oracleSourceBlock('shop "1"', 'PDB');
          const names = block.schema.fields!.map(({ field }) => field);
          const json = block.forTable(table);
          const values = block.valuesForTable(table);
          for (const { of, snapshot, ...row } of rows) {
            const source: OracleSource = { connector: 'oracle', ...row, tx: txs[of] ?? null };
            const expected = exact(json(source, snapshot)) as Record<string, unknown>;
            expect(Object.keys(expected)).toEqual(names);
            expect(values(source, snapshot)).toEqual(
              names.map((name) => (name === 'ts_ns' ? BigInt(String(expected[name])) : expected[name])),
            );
            expect(block.transactionId(source)).toBe(expected['txId'] ?? '');
            expect(block.commitTimeMs(source)).toBe(expected['commit_ts_ms'] ?? row.timeMs);
          }
        },
      ),
    );
  });
});
