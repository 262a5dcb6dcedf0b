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
import type { TableSchema } from '../../src/model/table.ts';
import {
  column,
  EnrichmentRig,
  type LogChange,
  type LogTransaction,
  table,
} from '../support/enrichment-rig.ts';

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

/** Each transaction is read by an attempt of its own: what is kept of the table goes through the checkpoint. */
async function records(
  sql: string,
  tables: readonly TableSchema[],
  log: readonly LogTransaction[],
): Promise<{ rows: readonly (readonly [string | null, string | null])[]; warnings: readonly string[] }> {
  using rig = new EnrichmentRig({ sql, tables, log, snapshotAt: 0 });
  for (let until = 1; until <= log.length; until++) {
    const attempt = await rig.attempt();
    if (until === 1) await attempt.snapshot(tables);
    await attempt.read(until, () => 1);
    attempt.commit();
    await attempt.end();
  }
  return { rows: rig.committed.map(({ key, value }) => [key, value]), warnings: rig.warnings };
}

describe('a join of tables', () => {
  const PEOPLE = table('people', [column('id', INT), column('name', TEXT)], [0]);
  const SCORES = table('scores', [column('id', INT), column('score', INT)], [0]);
  const ada: LogChange = { table: PEOPLE, op: 'c', after: [1, 'Ada'] };
  const seven: LogChange = { table: SCORES, op: 'c', after: [1, 7] };
  const LOG: readonly LogTransaction[] = [
    [seven],
    [ada],
    [{ table: SCORES, op: 'd', before: [1, 7] }],
    [seven],
    [{ table: PEOPLE, op: 'd', before: [1, 'Ada'] }],
    // The row goes on one side and comes back on the other: it is none before and behind.
    [{ table: SCORES, op: 'd', before: [1, 7] }, ada],
    // Both come and go within one transaction.
    [seven, { table: SCORES, op: 'd', before: [1, 7] }],
    [{ table: PEOPLE, op: 'u', before: [1, 'Ada'], after: [2, 'Ada'] }],
    [{ table: PEOPLE, op: 't' }],
  ];
  const sql = (kind: string): string => `CREATE TABLE people WITH (CDC_TABLE = 'shop.public.people');
    CREATE TABLE scores WITH (CDC_TABLE = 'shop.public.scores');
    CREATE TABLE t AS SELECT p.id, p.name, s.score FROM people p ${kind} JOIN scores s ON p.id = s.id;`;

  it('INNER: a row that goes on either side takes the result back, and nothing is said of what was none', async () => {
    const { rows } = await records(sql('INNER'), [PEOPLE, SCORES], LOG);
    expect(rows).toEqual([
      ['00000001', '{"NAME":"Ada","SCORE":7}'],
      ['00000001', null],
      ['00000001', '{"NAME":"Ada","SCORE":7}'],
      ['00000001', null],
    ]);
  });

  it('LEFT: what goes on the right is NULL, what goes on the left takes the result back', async () => {
    const { rows } = await records(sql('LEFT'), [PEOPLE, SCORES], LOG);
    expect(rows).toEqual([
      ['00000001', '{"NAME":"Ada","SCORE":7}'],
      ['00000001', '{"NAME":"Ada","SCORE":null}'],
      ['00000001', '{"NAME":"Ada","SCORE":7}'],
      ['00000001', null],
      ['00000001', '{"NAME":"Ada","SCORE":null}'],
      ['00000001', null],
      ['00000002', '{"NAME":"Ada","SCORE":null}'],
      ['00000002', null],
    ]);
  });
});

describe('SUM over the rows of a table', () => {
  it('is NULL for as long as its type cannot hold it, and right again when rows go', async () => {
    const large = 2 ** 31 - 1;
    const most = 2n ** 63n - 1n;
    const SUMS = table(
      'sums',
      [
        column('id', INT),
        column('n', INT),
        column('b', { kind: 'int64' }),
        column('d', { kind: 'decimal', precision: 38, scale: 0 }),
      ],
      [0],
    );
    const nines = '9'.repeat(38);
    const first = [1, large, most, nines];
    const second = [2, 5, 5, '5'];
    const sql = `CREATE TABLE sums WITH (CDC_TABLE = 'shop.public.sums');
      CREATE TABLE t AS SELECT 'all' AS k, SUM(n) AS n, SUM(b) AS b, SUM(d) AS d, COUNT(*) AS c FROM sums GROUP BY 'all';`;
    const { rows, warnings } = await records(
      sql,
      [SUMS],
      [
        [{ table: SUMS, op: 'c', after: first }],
        [{ table: SUMS, op: 'c', after: second }],
        [{ table: SUMS, op: 'u', before: second, after: [2, 6, 6, '6'] }],
        [{ table: SUMS, op: 'd', before: [2, 6, 6, '6'] }],
        [{ table: SUMS, op: 'c', after: second }],
        [{ table: SUMS, op: 'd', before: first }],
        [{ table: SUMS, op: 'd', before: second }],
      ],
    );
    const whole = `{"N":${large},"B":${most},"D":${nines},"C":1}`;
    const beyond = '{"N":null,"B":null,"D":null,"C":2}';
    expect(rows.map(([, value]) => value)).toEqual([
      whole,
      beyond,
      whole,
      beyond,
      '{"N":5,"B":5,"D":5,"C":1}',
      null,
    ]);
    expect(warnings.filter((line) => line.includes('"problem":"overflow"')).length).toBeGreaterThan(0);
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
