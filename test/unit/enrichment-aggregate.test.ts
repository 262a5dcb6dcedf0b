import { describe, expect, it } from 'vitest';
import { column, EnrichmentRig, type LogTransaction, table } from '../support/enrichment-rig.ts';

const INT = { kind: 'int32' } as const;
const TEXT = { kind: 'string' } as const;
const MOVES = table(
  'moves',
  [
    column('id', INT),
    column('person', TEXT),
    column('place', TEXT),
    column('amount', { kind: 'decimal', precision: 6, scale: 2 }),
  ],
  [0],
);
const SOURCE = `CREATE STREAM moves WITH (CDC_TABLE = 'shop.public.moves');\n`;

const move = (id: number, person: string | null, place: string | null, amount = '1.00'): LogTransaction => [
  { table: MOVES, op: 'c', after: [id, person, place, amount] },
];

interface Result {
  readonly records: readonly (readonly [key: string | null, value: unknown])[];
  readonly timestamps: readonly number[];
  readonly warnings: readonly string[];
}

/** Every transaction is a second after the one before. With `restarts` each is read by an attempt of its own. */
async function run(sql: string, log: readonly LogTransaction[], restarts = false): Promise<Result> {
  using rig = new EnrichmentRig({ sql: SOURCE + sql, tables: [MOVES], log, snapshotAt: 0 });
  let attempt = await rig.attempt();
  for (let until = 1; until <= log.length; until++) {
    await attempt.read(until, () => 10);
    attempt.commit();
    if (!restarts) continue;
    await attempt.end();
    attempt = await rig.attempt();
  }
  await attempt.end();
  return {
    records: rig.committed.map(({ key, value }) => [
      key,
      value === null ? null : (JSON.parse(value) as unknown),
    ]),
    timestamps: rig.committed.map(({ timestamp }) => timestamp),
    warnings: rig.warnings,
  };
}

const hex = (text: string, windowStart?: number): string => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt(windowStart ?? 0));
  return Buffer.from(text).toString('hex') + (windowStart === undefined ? '' : bytes.toString('hex'));
};

describe('GROUP BY over a stream', () => {
  const robin = ['Leeds', 'London', 'Wakefield', 'Leeds'].map((place, i) => move(i, 'robin', place));

  it.each([false, true])(
    'counts what is distinct, as in the talks (each event by a new process: %s)',
    async (restarts) => {
      const sql = `CREATE TABLE PERSON_MOVEMENTS AS SELECT PERSON, COUNT_DISTINCT(PLACE) AS UNIQUE_LOCATIONS,
      COUNT(*) AS LOCATION_CHANGES FROM MOVES GROUP BY PERSON;`;
      const { records } = await run(sql, robin, restarts);
      expect(records).toEqual(
        [
          [1, 1],
          [2, 2],
          [3, 3],
          [3, 4],
        ].map(([places, changes]) => [hex('robin'), { UNIQUE_LOCATIONS: places, LOCATION_CHANGES: changes }]),
      );
    },
  );

  it.each([false, true])('keeps every kind of aggregate exact (restarts: %s)', async (restarts) => {
    const sql = `CREATE TABLE t AS SELECT person, COUNT(place) AS c, SUM(amount) AS s, AVG(amount) AS a, MIN(place) AS lo,
      MAX(amount) AS hi, TOPK(amount, 2) AS top, TOPKDISTINCT(amount, 2) AS topd, COLLECT_LIST(place) AS l,
      COLLECT_SET(place) AS cs, LATEST_BY_OFFSET(place) AS latest, EARLIEST_BY_OFFSET(place) AS earliest,
      SUM(amount) / COUNT(*) AS mean FROM moves GROUP BY person;`;
    const log = [
      move(1, 'a', 'x', '0.10'),
      move(2, 'a', null, '0.20'),
      move(3, 'a', 'w', '9999.99'),
      move(4, 'a', 'x', '9999.99'),
      move(5, null, 'not counted'),
    ];
    const { records } = await run(sql, log, restarts);
    expect(records).toHaveLength(4);
    expect(records.at(-1)?.[1]).toEqual({
      C: 3,
      S: 20000.28,
      A: 5000.07,
      LO: 'w',
      HI: 9999.99,
      TOP: [9999.99, 9999.99],
      TOPD: [9999.99, 0.2],
      L: ['x', null, 'w', 'x'],
      CS: ['x', 'w'],
      LATEST: 'x',
      EARLIEST: 'x',
      MEAN: expect.closeTo(5000.07) as number,
    });
  });

  it('sums DECIMALs to 38 digits, and leaves out what would be more', async () => {
    const sql = `CREATE TABLE t AS SELECT person, COUNT(*) AS n, CAST(SUM(CAST(place AS DECIMAL(37, 2))) AS STRING) AS s
      FROM moves GROUP BY person;`;
    const most = '9'.repeat(35);
    const log = Array.from({ length: 12 }, (_, i) => move(i, 'a', i === 11 ? '-1' : most));
    const { records, warnings } = await run(sql, log);
    expect(records.slice(9).map(([, row]) => row)).toEqual([
      { N: 10, S: `9${'9'.repeat(34)}0.00` },
      // The eleventh would make it 1.09… · 10^36, which is 39 digits with the two behind the point.
      { N: 11, S: `9${'9'.repeat(34)}0.00` },
      { N: 12, S: `${'9'.repeat(34)}89.00` },
    ]);
    expect(warnings.filter((line) => line.includes('"problem":"overflow"'))).toHaveLength(1);
  });

  it('gives NULL, and 0 of counts, before anything has gone into it', async () => {
    const sql = `CREATE TABLE t AS SELECT person, COUNT(place) AS c, COUNT_DISTINCT(place) AS cd, SUM(amount) AS s,
      AVG(amount) AS a, MIN(place) AS lo, MAX(amount) AS hi, TOPK(amount, 2) AS top, TOPKDISTINCT(amount, 2) AS topd,
      TOPK(amount, place, 2) AS topo, COLLECT_SET(place) AS cs, LATEST_BY_OFFSET(place) AS latest,
      LATEST_BY_OFFSET(place, 2) AS latest2, EARLIEST_BY_OFFSET(place, 2) AS earliest2 FROM moves GROUP BY person;`;
    const nothing: LogTransaction = [{ table: MOVES, op: 'c', after: [1, 'a', null, null] }];
    const { records } = await run(sql, [nothing]);
    const [[, row] = []] = records;
    const { C, CD, ...others } = Object(row) as Readonly<Record<string, unknown>>;
    expect([C, CD]).toEqual([0, 0]);
    expect(Object.keys(others)).toHaveLength(11);
    expect(new Set(Object.values(others))).toEqual(new Set([null]));
  });

  it('takes a group back that HAVING no longer lets pass, by name or by alias', async () => {
    for (const having of ['COUNT(*) < 3', 'n < 3']) {
      const { records } = await run(
        `CREATE TABLE t AS SELECT person, COUNT(*) AS n FROM moves GROUP BY person HAVING ${having};`,
        robin,
      );
      expect(records).toEqual([
        [hex('robin'), { N: 1 }],
        [hex('robin'), { N: 2 }],
        [hex('robin'), null],
      ]);
    }
  });

  it('groups by several expressions and computed ones', async () => {
    const sql = `CREATE TABLE t AS SELECT UCASE(person) AS who, LEN(place) AS len, COUNT(*) AS n FROM moves
      GROUP BY UCASE(person), LEN(place);`;
    const { records } = await run(sql, robin);
    expect(records.at(-1)).toEqual(['{"WHO":"ROBIN","LEN":5}', { N: 2 }]);
  });

  it('begins anew where the statement is another one, and says so', async () => {
    using rig = new EnrichmentRig({
      sql: `${SOURCE}CREATE TABLE t AS SELECT person, COUNT(*) AS n FROM moves GROUP BY person;`,
      tables: [MOVES],
      log: robin,
      snapshotAt: 0,
    });
    const attempt = await rig.attempt();
    await attempt.read(2, () => 1);
    attempt.commit();
    await attempt.end();
    Object.assign(rig.options, {
      sql: `${SOURCE}CREATE TABLE t AS SELECT person, COUNT(*) + 0 AS n FROM moves GROUP BY person;`,
    });
    const again = await rig.attempt();
    await again.read(3, () => 1);
    again.commit();
    await again.end();
    expect(rig.committed.at(-1)?.value).toBe('{"N":1}');
    expect(rig.warnings.join()).toContain('the table of this query begins anew');
    expect([...rig.state.keys()].filter((key) => key.startsWith('enrich-group/'))).toHaveLength(1);
  });
});

describe('windows', () => {
  const T0 = 1_700_000_000_000;

  it.each([false, true])(
    'TUMBLING: one row a window, its start behind the key (restarts: %s)',
    async (restarts) => {
      const sql = `CREATE TABLE t AS SELECT person, COUNT(*) AS n, WINDOWSTART AS s, WINDOWEND AS e
      FROM moves WINDOW TUMBLING (SIZE 2 SECONDS) GROUP BY person;`;
      const log = Array.from({ length: 5 }, (_, i) => move(i, 'a', 'x'));
      const { records } = await run(sql, log, restarts);
      expect(records).toEqual(
        [
          [1, 0],
          [2, 0],
          [1, 2000],
          [2, 2000],
          [1, 4000],
        ].map(([n, s]) => [hex('a', T0 + s!), { N: n, S: T0 + s!, E: T0 + s! + 2000 }]),
      );
    },
  );

  it('HOPPING: an event is in every window that covers it, ascending', async () => {
    const sql = `CREATE TABLE t AS SELECT person, COUNT(*) AS n FROM moves
      WINDOW HOPPING (SIZE 2 SECONDS, ADVANCE BY 1 SECOND) GROUP BY person;`;
    const { records } = await run(sql, [move(1, 'a', 'x'), move(2, 'a', 'x')]);
    expect(records).toEqual([
      [hex('a', T0 - 1000), { N: 1 }],
      [hex('a', T0), { N: 1 }],
      [hex('a', T0), { N: 2 }],
      [hex('a', T0 + 1000), { N: 1 }],
    ]);
  });

  it('forgets windows behind their grace, and the checkpoint does too', async () => {
    using rig = new EnrichmentRig({
      sql: `${SOURCE}CREATE TABLE t AS SELECT person, COUNT(*) AS n FROM moves
        WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 0 SECONDS) GROUP BY person;`,
      tables: [MOVES],
      log: Array.from({ length: 50 }, (_, i) => move(i, 'a', 'x')),
      snapshotAt: 0,
    });
    const attempt = await rig.attempt();
    await attempt.read(50, () => 1);
    attempt.commit();
    await attempt.end();
    expect(rig.committed).toHaveLength(50);
    expect([...rig.state.keys()].filter((key) => key.startsWith('enrich-group/')).length).toBeLessThanOrEqual(
      2,
    );
  });
});
