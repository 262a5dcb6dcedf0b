import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDecimal } from '../../src/enrichment/sql/decimal.ts';
import {
  BIGINT,
  BOOLEAN,
  BYTES,
  DATE,
  decimal,
  type SqlType,
  STRING,
} from '../../src/enrichment/sql/sql-type.ts';
import type { SqlValue } from '../../src/enrichment/sql/value.ts';
import { keyValues, tableKey } from '../../src/enrichment/sources/table-source.ts';
import { column, EnrichmentRig, type LogTransaction, table } from '../support/enrichment-rig.ts';

const INT = { kind: 'int32' } as const;
const TEXT = { kind: 'string' } as const;
const LINES = table('lines', [column('nr', INT), column('unit', TEXT), column('sum', INT)], [0, 1]);
/** The same key, its columns the other way round. */
const NOTES = table('notes', [column('unit', TEXT), column('line', INT), column('note', TEXT)], [0, 1]);

describe('a join of tables whose keys have several columns', () => {
  it('finds rows whatever the order of the columns, and takes them back', async () => {
    const log: LogTransaction[] = [
      [
        { table: LINES, op: 'c', after: [1, 'a', 10] },
        { table: NOTES, op: 'c', after: ['a', 1, 'first'] },
      ],
      [{ table: NOTES, op: 'u', after: ['a', 1, 'second'] }],
      // What the projection does not show changes nothing.
      [{ table: LINES, op: 'u', after: [1, 'a', 11] }],
      [{ table: NOTES, op: 'd', before: ['a', 1, null] }],
    ];
    using rig = new EnrichmentRig({
      sql: `CREATE TABLE lines WITH (CDC_TABLE = 'shop.public.lines');
        CREATE TABLE notes WITH (CDC_TABLE = 'shop.public.notes');
        CREATE TABLE t AS SELECT n.note AS note, l.unit AS unit, l.nr AS nr
          FROM lines l JOIN notes n ON n.line = l.nr AND l.unit = n.unit;`,
      tables: [LINES, NOTES],
      log,
      snapshotAt: 0,
    });
    const attempt = await rig.attempt();
    await attempt.snapshot([LINES, NOTES]);
    await attempt.read(log.length, () => 1);
    attempt.commit();
    await attempt.end();
    expect(rig.committed.map(({ key, value }) => [key, value])).toEqual([
      ['{"UNIT":"a","NR":1}', '{"NOTE":"first"}'],
      ['{"UNIT":"a","NR":1}', '{"NOTE":"second"}'],
      ['{"UNIT":"a","NR":1}', null],
    ]);
  });
});

describe('a table whose own statement is as before', () => {
  it('is written anew where that of a table it reads is another one', async () => {
    const sql = (least: number): string => `CREATE TABLE lines WITH (CDC_TABLE = 'shop.public.lines');
      CREATE TABLE many AS SELECT nr, unit, sum FROM lines WHERE sum > ${least};
      CREATE TABLE units AS SELECT unit, COUNT(*) AS n FROM many GROUP BY unit;
      CREATE TABLE told AS SELECT unit, n * 10 AS tens FROM units;`;
    using rig = new EnrichmentRig({
      sql: sql(5),
      tables: [LINES],
      log: [
        [
          { table: LINES, op: 'c', after: [1, 'a', 10] },
          { table: LINES, op: 'c', after: [2, 'a', 3] },
        ],
      ],
      snapshotAt: 1,
    });
    const attempt = await rig.attempt();
    await attempt.snapshot([LINES]);
    attempt.commit();
    await attempt.end();
    const before = rig.committed.length;
    Object.assign(rig.options, { sql: sql(2) });
    const again = await rig.attempt();
    await rig.load(again);
    await again.absorb({ changes: [], bytes: 0, resume: { tx: 1, mid: 0 } });
    again.commit();
    await again.end();
    const told = rig.committed.map(({ topic, value }) => `${topic} ${String(value)}`);
    expect(told.slice(0, before)).toEqual(['MANY {"SUM":10}', 'UNITS {"N":1}', 'TOLD {"TENS":10}']);
    expect(told.slice(before)).toEqual([
      'MANY {"SUM":10}',
      'MANY {"SUM":3}',
      'UNITS {"N":2}',
      'TOLD {"TENS":20}',
    ]);
  });
});

describe('keys of tables', () => {
  const types: readonly SqlType[] = [BIGINT, STRING, BOOLEAN, decimal(9, 3), BYTES, DATE];
  const values: fc.Arbitrary<readonly SqlValue[]> = fc.tuple(
    fc.oneof(fc.maxSafeInteger(), fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n))),
    fc.string(),
    fc.boolean(),
    fc.constantFrom('1.5', '-0.001', '12').map((text) => parseDecimal(text)!),
    fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
    fc.integer({ min: -9_999, max: 99_999 }),
  );

  it('give their values back, alone and together', () => {
    fc.assert(
      fc.property(values, (row) => {
        expect(keyValues(types, tableKey(types, row))).toEqual(row);
        for (const [i, type] of types.entries())
          expect(keyValues([type], tableKey([type], [row[i] ?? null]))).toEqual([row[i]]);
      }),
    );
  });
});
