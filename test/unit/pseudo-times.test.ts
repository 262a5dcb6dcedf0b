/** ROWTIME, WINDOWSTART and WINDOWEND compared with times that are written as text, as ksqlDB reads them. */
import { describe, expect, it } from 'vitest';
import { BIGINT } from '../../src/enrichment/sql/sql-type.ts';
import { pull } from '../support/ask.ts';
import { evaluate } from '../support/compiled-expression.ts';
import { column, EnrichmentRig, table } from '../support/enrichment-rig.ts';

const AT = Date.parse('2020-12-02T13:59:58.123Z');
const at = (expression: string, ms = AT): unknown =>
  evaluate(expression, { ROWTIME: [BIGINT, ms], WINDOWSTART: [BIGINT, ms], N: [BIGINT, ms] }).value;

describe('a text is the beginning of what it names', () => {
  it.each([
    ['2020', '2020-01-01T00:00:00.000Z'],
    ['2020-02', '2020-02-01T00:00:00.000Z'],
    ['2020-01-02', '2020-01-02T00:00:00.000Z'],
    ['2020-01-02T', '2020-01-02T00:00:00.000Z'],
    ['2020-01-02TZ', '2020-01-02T00:00:00.000Z'],
    ['2020-12-02T13', '2020-12-02T13:00:00.000Z'],
    ['2020-12-02T13Z', '2020-12-02T13:00:00.000Z'],
    ['2020-12-02T13:59', '2020-12-02T13:59:00.000Z'],
    ['2020-12-02T13:59-0100', '2020-12-02T14:59:00.000Z'],
    ['2020-12-02T13:59:58', '2020-12-02T13:59:58.000Z'],
    ['2020-12-02T13:59:58.1', '2020-12-02T13:59:58.100Z'],
    ['2017-11-13T23:59:58.999+0100', '2017-11-13T22:59:58.999Z'],
    ['2017-11-13T23:59:58.999+01:00', '2017-11-13T22:59:58.999Z'],
    ['2020-02-29', '2020-02-29T00:00:00.000Z'],
  ])('%s', (text, iso) => {
    const ms = Date.parse(iso);
    expect([at(`ROWTIME = '${text}'`, ms), at(`ROWTIME > '${text}'`, ms)]).toEqual([true, false]);
    expect(at(`'${text}' < ROWTIME`, ms + 1)).toBe(true);
  });

  it.each([
    ["ROWTIME BETWEEN '2020-12-02' AND '2020-12-03'", true],
    ["ROWTIME NOT BETWEEN '2019' AND 1577836800000", true],
    ["WINDOWSTART >= '2020-12-02T13:59:58.124'", false],
    ["ROWTIME IS DISTINCT FROM '2020'", true],
    ["CASE ROWTIME WHEN '2020-12-02T13:59:58.123' THEN 'it' END", 'it'],
    // A column of the user's is no such one.
    ["N > '2020'", true],
    ["N = '1606917598123'", true],
  ])('%s', (expression, wanted) => expect(at(expression)).toBe(wanted));
});

describe('a text that is no time', () => {
  it.each([
    "ROWTIME > '2017-1-1'",
    "ROWTIME > '2019-02-29'",
    "ROWTIME > '2020-13'",
    "ROWTIME > '2020T10'",
    "ROWTIME > '2020-01-01T1'",
    "ROWTIME > '2020-01-01T24:00'",
    "ROWTIME > '2017-01-01T00:00:00.000+foo'",
    "ROWTIME > '2017-01-01Z'",
    "ROWTIME > '1606917598123'",
    "ROWTIME > ''",
  ])('%s points to it', (expression) =>
    expect(() => at(expression)).toThrow(/^line 1:18: this is no time: /),
  );

  it('is pointed to in BETWEEN', () =>
    expect(() => at("ROWTIME BETWEEN '2020' AND 'soon'")).toThrow(/^line 1:35: this is no time: /));

  it('stays one where texts cannot be compared with numbers', () =>
    expect(() => at("N > '2020-01'")).toThrow('BIGINT and STRING have none'));
});

describe('queries', () => {
  const TEXT = { kind: 'string' } as const;
  const MOVES = table('moves', [column('id', { kind: 'int64' }), column('person', TEXT)], [0]);
  const SQL = `
    CREATE STREAM MOVES WITH (CDC_TABLE = 'shop.public.moves');
    CREATE STREAM SINCE AS SELECT ID, PERSON FROM MOVES WHERE ROWTIME >= '2023-11-14T22:13:22';
    CREATE TABLE VISITS AS SELECT PERSON, COUNT(*) AS N FROM MOVES WINDOW TUMBLING (SIZE 2 SECONDS)
      GROUP BY PERSON HAVING WINDOWSTART < '2023-11-14T22:13:24';
  `;

  // Transactions of the log are a second apart, and the first is of 22:13:20.
  it('bound events, windows and what clients ask for', async () => {
    const log = [1, 2, 3, 4, 5].map((id) => [{ table: MOVES, op: 'c' as const, after: [id, 'ada'] }]);
    using rig = new EnrichmentRig({ sql: SQL, tables: [MOVES], log, snapshotAt: 0 });
    const attempt = await rig.attempt();
    await attempt.snapshot([]);
    await attempt.read(5, () => 10);
    attempt.commit();
    const since = rig.committed.filter(({ topic }) => topic === 'SINCE');
    expect(since.map(({ timestamp }) => timestamp)).toEqual(
      [2, 3, 4].map((s) => 1_700_000_000_000 + s * 1000),
    );
    const windows = async (where: string): Promise<unknown> =>
      await pull(rig.desk, `SELECT N FROM VISITS WHERE PERSON = 'ada' AND ${where}`);
    expect(await windows("WINDOWSTART >= '2023-11-14T22:13:22Z'")).toEqual([[2]]);
    expect(await windows("WINDOWEND BETWEEN '2023' AND '2023-11-14T23:13:22+0100'")).toEqual([[2]]);
    await expect(windows("WINDOWSTART > 'soon'")).rejects.toThrow(/^line 1:\d+: this is no time/);
  });
});
