import { describe, expect, it } from 'vitest';
import {
  type Attempt,
  column,
  EnrichmentRig,
  type LogTransaction,
  table,
} from '../support/enrichment-rig.ts';
import { PullQuery } from '../../src/enrichment/queries/pull-query.ts';
import { ask, pull, rowsOf } from '../support/ask.ts';

const INT = { kind: 'int32' } as const;
const TEXT = { kind: 'string' } as const;
const MOVES = table(
  'moves',
  [column('id', { kind: 'int64' }), column('person', TEXT), column('location', TEXT)],
  [0],
);
const PEOPLE = table(
  'people',
  [column('id', TEXT), column('club', TEXT), column('born', { kind: 'date' }), column('secret', TEXT)],
  [0],
);
const PAIRS = table('pairs', [column('a', INT), column('b', TEXT), column('n', INT)], [0, 1]);
const TABLES = [MOVES, PEOPLE, PAIRS];
const SQL = `
  CREATE STREAM MOVEMENTS WITH (CDC_TABLE = 'shop.public.moves');
  CREATE TABLE PEOPLE WITH (CDC_TABLE = 'shop.public.people');
  CREATE SOURCE TABLE PAIRS WITH (CDC_TABLE = 'shop.public.pairs');
  CREATE STREAM MOVES_OF_PEOPLE AS SELECT M.PERSON, M.LOCATION, P.CLUB, P.BORN
    FROM MOVEMENTS M LEFT JOIN PEOPLE P ON M.PERSON = P.ID;
  CREATE TABLE PERSON_MOVEMENTS AS SELECT PERSON, COUNT_DISTINCT(LOCATION) AS UNIQUE_LOCATIONS,
    COUNT(*) AS LOCATION_CHANGES FROM MOVEMENTS GROUP BY PERSON HAVING COUNT(*) < 5;
  CREATE TABLE PER_SECONDS AS SELECT PERSON, COUNT(*) AS N FROM MOVEMENTS
    WINDOW TUMBLING (SIZE 2 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY PERSON;
`;
const JOINED = [PEOPLE, PAIRS];

const move = (id: number, person: string, location: string): LogTransaction => [
  { table: MOVES, op: 'c', after: [id, person, location] },
];
const ROBIN = ['Leeds', 'London', 'Wakefield', 'Leeds', 'Leeds'].map((place, i) => move(i, 'robin', place));
const person = (id: string, club: string): LogTransaction => [
  { table: PEOPLE, op: 'c', after: [id, club, 10_957, 's'] },
];

async function begin(
  log: readonly LogTransaction[],
  snapshotAt = 0,
  sql = SQL,
): Promise<[EnrichmentRig, Attempt]> {
  const rig = new EnrichmentRig({ sql, tables: TABLES, log, snapshotAt });
  const attempt = await rig.attempt();
  await attempt.snapshot(JOINED);
  attempt.commit();
  return [rig, attempt];
}

const LATEST = `SELECT LOCATION_CHANGES, UNIQUE_LOCATIONS FROM PERSON_MOVEMENTS WHERE ROWKEY='robin'`;

describe('a pull query', () => {
  it('answers from the table as the last durable commit left it', async () => {
    const [rig, attempt] = await begin(ROBIN);
    using _rig = rig;
    expect(await pull(rig.desk, LATEST)).toEqual([]);
    await attempt.read(2, () => 10);
    expect(await pull(rig.desk, LATEST)).toEqual([]);
    attempt.seal();
    await attempt.read(4, () => 10);
    expect(await pull(rig.desk, LATEST)).toEqual([]);
    attempt.settle();
    expect(await pull(rig.desk, LATEST)).toEqual([[2, 2]]);
    attempt.commit();
    expect(await pull(rig.desk, LATEST)).toEqual([[4, 3]]);
    await attempt.read(5, () => 10);
    expect(await pull(rig.desk, LATEST)).toEqual([[4, 3]]);
    attempt.commit();
    expect(await pull(rig.desk, LATEST)).toEqual([]);
  });

  // ksqlDB 0.29, ApiJsonMapper and SqlTimeTypes: java.time's texts of LocalDate and LocalTime, and TIMESTAMP in UTC
  // with milliseconds and without a zone. LocalTime leaves out seconds that are zero.
  it('shows dates and times as ksqlDB does', async () => {
    const [rig, attempt] = await begin(ROBIN.slice(0, 1));
    using _rig = rig;
    await attempt.read(1, () => 10);
    attempt.commit();
    const times = ['11:51:00', '11:51:30', '00:00:00'].map((text) => `CAST('${text}' AS TIME)`);
    const others = [`CAST('2000-01-01' AS DATE)`, `CAST('2000-01-01T12:00:00' AS TIMESTAMP)`];
    expect(
      await pull(
        rig.desk,
        `SELECT ${[...times, ...others].join(', ')} FROM PERSON_MOVEMENTS WHERE PERSON = 'robin'`,
      ),
    ).toEqual([['11:51', '11:51:30', '00:00', '2000-01-01', '2000-01-01T12:00:00.000']]);
  });

  it('finds the same rows in the next attempt, and nothing of what was not committed', async () => {
    const [rig, attempt] = await begin(ROBIN);
    using _rig = rig;
    await attempt.read(2, () => 10);
    attempt.commit();
    await attempt.read(4, () => 10);
    await attempt.end();
    await expect(pull(rig.desk, LATEST)).rejects.toMatchObject({ code: 'query.not-running' });
    await rig.attempt();
    expect(await pull(rig.desk, LATEST)).toEqual([[2, 2]]);
    expect(await pull(rig.desk, 'SELECT PERSON, N, WINDOWEND - WINDOWSTART FROM PER_SECONDS')).toEqual([
      ['robin', 2, 2000],
    ]);
  });

  it('reads captured tables by key, keys, ranges and conditions, BIGINT and dates as people read them', async () => {
    const log = [
      ...['ada', 'bob', 'cy'].map((id, i) => person(id, i === 1 ? 'gold' : 'tin')),
      [
        { table: PAIRS, op: 'c', after: [1, 'x', 10] } as const,
        { table: PAIRS, op: 'c', after: [1, 'y', 20] } as const,
      ],
    ];
    const [rig, attempt] = await begin(log, 2);
    using _rig = rig;
    await attempt.read(4, () => 10);
    attempt.commit();
    expect(await pull(rig.desk, `SELECT ID, CLUB, BORN FROM PEOPLE WHERE ID = 'ada'`)).toEqual([
      ['ada', 'tin', '2000-01-01'],
    ]);
    expect(await pull(rig.desk, `SELECT ID FROM PEOPLE WHERE ID IN ('cy', 'no', 'bob', 'cy')`)).toEqual([
      ['cy'],
      ['bob'],
    ]);
    expect(await pull(rig.desk, `SELECT ID FROM PEOPLE WHERE ID > 'ada' AND CLUB = 'tin'`)).toEqual([['cy']]);
    expect(await pull(rig.desk, `SELECT ID FROM PEOPLE WHERE 'bob' = ID AND CLUB = 'tin'`)).toEqual([]);
    expect(await pull(rig.desk, `SELECT ID FROM PEOPLE LIMIT 2`)).toHaveLength(2);
    expect(await pull(rig.desk, `SELECT * FROM PAIRS WHERE A = 1 AND B = 'y'`)).toEqual([[1, 'y', 20]]);
    expect(await pull(rig.desk, `SELECT B FROM PAIRS WHERE A = 1`)).toEqual([['x'], ['y']]);
  });

  it('refuses what it cannot answer, with the place and what to do', async () => {
    const [rig] = await begin([]);
    using _rig = rig;
    const refused = async (sql: string): Promise<string> =>
      ask(rig.desk, sql).then(
        () => 'answered',
        (error: Error) => error.message,
      );
    expect(await refused('SELECT SECRET FROM PEOPLE')).toMatch(
      /line 1:8: SECRET of PEOPLE is not kept.*kept: ID, CLUB, BORN.*CREATE SOURCE TABLE/,
    );
    expect(await refused('SELECT CLUP FROM PEOPLE')).toMatch(
      /line 1:8: there is no column CLUP.*did you mean CLUB/,
    );
    expect(await refused('SELECT 1 FROM PEOPEL')).toMatch(/line 1:15: there is no .*did you mean PEOPLE/);
    expect(await refused('SELECT * FROM MOVEMENTS')).toMatch(/EMIT CHANGES/);
    const grouped = 'SELECT CLUB, COUNT(*) FROM PEOPLE GROUP BY CLUB';
    expect(await refused(`${grouped} EMIT CHANGES`)).toMatch(/not in this version/);
    expect(await refused(`SELECT CLUB, COUNT(*) FROM PEOPLE WINDOW SESSION (1 DAY) GROUP BY CLUB`)).toMatch(
      /line 1:42: WINDOW belongs to events/,
    );
  });

  it('looks at all rows only where that is allowed, unless the condition bounds the whole key', async () => {
    const [rig, attempt] = await begin(ROBIN, 0, SQL);
    using _rig = rig;
    await attempt.read(1, () => 10);
    attempt.commit();
    const bounded = async (sql: string): Promise<unknown> =>
      ask(rig.desk, sql, { scans: false }).then(rowsOf, (error: Error) => error.message);
    const all = expect.stringContaining("set 'ksql.query.pull.table.scan.enabled'") as string;
    expect(await bounded('SELECT N FROM PER_SECONDS')).toEqual(all);
    expect(await bounded(`SELECT N FROM PER_SECONDS WHERE WINDOWSTART > 0`)).toEqual(all);
    expect(await bounded(`SELECT N FROM PER_SECONDS WHERE PERSON = 'robin' AND WINDOWSTART > 0`)).toEqual([
      [1],
    ]);
    expect(await bounded(`SELECT N FROM PER_SECONDS WHERE PERSON = 'robin' AND WINDOWEND < 9`)).toEqual([]);
    expect(await bounded(`SELECT N FROM PER_SECONDS WHERE PERSON = LCASE(PERSON)`)).toEqual(all);
    const moved = 'SELECT LOCATION_CHANGES FROM PERSON_MOVEMENTS WHERE';
    expect(await bounded(`${moved} PERSON >= 'r'`)).toEqual([[1]]);
    expect(await bounded(`${moved} PERSON BETWEEN 'a' AND 'b'`)).toEqual([]);
    expect(await bounded(`${moved} PERSON <> 'r'`)).toEqual(all);
    expect(await bounded(`${moved} PERSON > 'a' OR LOCATION_CHANGES = 1`)).toEqual(all);
    expect(await bounded(`SELECT N FROM PAIRS WHERE A > 0`)).toEqual(all);
    expect(await bounded(`SELECT N FROM PAIRS WHERE A > 0 AND B < 'z'`)).toEqual([]);
  });

  it('groups the rows of a table as they are, with any aggregate', async () => {
    const log = [person('ada', 'gold'), person('bob', 'tin'), person('cy', 'gold'), person('di', 'gold')];
    const [rig, attempt] = await begin(log, 3);
    using _rig = rig;
    const sql = `SELECT CLUB, COUNT(*) AS N, MAX(ID) AS LAST FROM PEOPLE GROUP BY CLUB`;
    const groups = [
      ['gold', 2, 'cy'],
      ['tin', 1, 'bob'],
    ];
    expect(await pull(rig.desk, sql)).toEqual(groups);
    await attempt.read(4, () => 10);
    // As the last durable commit left it.
    expect(await pull(rig.desk, sql)).toEqual(groups);
    attempt.commit();
    expect(await pull(rig.desk, `${sql} HAVING N > 1`)).toEqual([['gold', 3, 'di']]);
    expect(await pull(rig.desk, `${sql} LIMIT 1`)).toEqual([['gold', 3, 'di']]);
    expect(await pull(rig.desk, `SELECT COUNT(*) FROM PEOPLE WHERE ID IN ('bob', 'cy') GROUP BY 1`)).toEqual([
      [2],
    ]);
    expect(await pull(rig.desk, `SELECT TOPK(ID, 1) FROM PEOPLE WHERE ID = 'no' GROUP BY 1`)).toEqual([]);
    const { plan } = await ask(rig.desk, sql);
    expect(plan.warnings).toEqual(['GROUP BY of a table ends with what is there now']);
  });

  it('ends where it makes too many groups', async () => {
    const [rig] = await begin([]);
    using _rig = rig;
    const { plan } = await ask(rig.desk, 'SELECT A, COUNT(*) FROM PAIRS GROUP BY A');
    if (plan.kind !== 'pull' || plan.over !== 'table') throw new Error('a pull query over a table');
    const running = new PullQuery(
      plan,
      [
        [1, 'x', 1],
        [2, 'x', 1],
        [3, 'x', 1],
      ],
      2,
    );
    expect(await rowsOf(running)).toEqual([]);
    expect(running.end).toMatchObject({ code: 'query.cut-off' });
  });

  it('waits for tables that are still being read', async () => {
    using rig = new EnrichmentRig({ sql: SQL, tables: TABLES, log: [], snapshotAt: 0 });
    const attempt = await rig.attempt();
    const sql = 'SELECT ID FROM PEOPLE';
    await expect(pull(rig.desk, sql)).rejects.toMatchObject({ code: 'query.not-ready' });
    await attempt.snapshot(JOINED);
    await expect(pull(rig.desk, sql)).rejects.toMatchObject({ code: 'query.not-ready' });
    attempt.commit();
    expect(await pull(rig.desk, sql)).toEqual([]);
  });
});

describe('a push query', () => {
  it('shows each change of a table once it is durable, as in the talks', async () => {
    const [rig, attempt] = await begin(ROBIN);
    using _rig = rig;
    const running = await ask(rig.desk, `${LATEST} EMIT CHANGES LIMIT 4`);
    const rows = rowsOf(running);
    await attempt.read(4, () => 10);
    attempt.commit();
    expect(await rows).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 3],
    ]);
    expect(running.end).toBe('limit');
  });

  it('shows nothing of what an attempt did not commit, and ends with it', async () => {
    const [rig, attempt] = await begin(ROBIN);
    using _rig = rig;
    const running = await ask(rig.desk, `SELECT * FROM MOVEMENTS EMIT CHANGES`);
    const rows = rowsOf(running);
    await attempt.read(2, () => 10);
    attempt.seal();
    await attempt.read(4, () => 10);
    attempt.settle();
    await attempt.end();
    expect(await rows).toEqual([
      [0, 'robin', 'Leeds'],
      [1, 'robin', 'London'],
    ]);
    expect(running.end).toMatchObject({ code: 'query.ended' });
  });

  it('joins, groups and filters as a statement of the file does', async () => {
    const log = [person('robin', 'gold'), ...ROBIN];
    const [rig, attempt] = await begin(log, 1);
    using _rig = rig;
    const joined = rowsOf(
      await ask(
        rig.desk,
        `SELECT UCASE(M.LOCATION), P.CLUB FROM MOVEMENTS M JOIN PEOPLE P ON M.PERSON = P.ID WHERE M.ID < 2 EMIT CHANGES LIMIT 2`,
      ),
    );
    const grouped = rowsOf(
      await ask(
        rig.desk,
        `SELECT COUNT(*) FROM MOVES_OF_PEOPLE GROUP BY CLUB HAVING COUNT(*) < 3 EMIT CHANGES LIMIT 2`,
      ),
    );
    const ops = rowsOf(
      await ask(rig.desk, `SELECT CDC_OP() AS OP, PERSON FROM MOVEMENTS EMIT CHANGES LIMIT 1`),
    );
    await attempt.read(6, () => 1);
    attempt.commit();
    expect(await joined).toEqual([
      ['LEEDS', 'gold'],
      ['LONDON', 'gold'],
    ]);
    expect(await grouped).toEqual([[1], [2]]);
    expect(await ops).toEqual([['c', 'robin']]);
  });

  it('over a table takes rows back that go or stop to match, and begins with those there are if asked', async () => {
    const log: LogTransaction[] = [
      person('ada', 'gold'),
      person('bob', 'tin'),
      [
        { table: PEOPLE, op: 'u', before: ['bob', 'tin', 0, ''], after: ['bob', 'gold', 0, ''] },
        { table: PEOPLE, op: 'u', before: ['ada', 'gold', 0, ''], after: ['ada', 'tin', 0, ''] },
      ],
      [{ table: PEOPLE, op: 'd', before: ['bob', 'gold', 0, ''] }],
      person('cy', 'gold'),
    ];
    const [rig, attempt] = await begin(log, 2);
    using _rig = rig;
    const running = await ask(
      rig.desk,
      `SELECT CLUB, ID FROM PEOPLE WHERE CLUB = 'gold' EMIT CHANGES LIMIT 3`,
      {
        fromBeginning: true,
      },
    );
    const rows = rowsOf(running);
    await attempt.read(5, () => 10);
    attempt.commit();
    expect(await rows).toEqual([
      ['gold', 'ada'],
      ['gold', 'bob'],
      { gone: [null, 'ada'] },
      { gone: [null, 'bob'] },
      ['gold', 'cy'],
    ]);
  });

  it('begins between two transactions', async () => {
    const big: LogTransaction = [0, 1, 2, 3].map((id) => ({ table: MOVES, op: 'c', after: [id, 'p', 'x'] }));
    const [rig, attempt] = await begin([big, move(4, 'q', 'y')]);
    using _rig = rig;
    let running: ReturnType<typeof ask> | null = null;
    let sizes = 0;
    await attempt.read(2, () => {
      // In the middle of the first transaction.
      if (++sizes === 2) running = ask(rig.desk, `SELECT ID FROM MOVEMENTS EMIT CHANGES LIMIT 1`);
      return 2;
    });
    attempt.commit();
    expect(await rowsOf(await running!)).toEqual([[4]]);
  });

  it('is cut off when its client does not keep up, and the pipeline goes on', async () => {
    const wide = 'x'.repeat(100_000);
    const log = Array.from({ length: 100 }, (_, i) => move(i, wide, 'y'));
    const [rig, attempt] = await begin(log);
    using _rig = rig;
    const running = await ask(rig.desk, `SELECT * FROM MOVEMENTS EMIT CHANGES`);
    await attempt.read(100, () => 1);
    attempt.commit();
    expect(await rowsOf(running)).toEqual([]);
    expect(running.end).toMatchObject({ code: 'query.cut-off' });
    expect(rig.committed.length).toBeGreaterThan(100);
  });

  it('ends with the reason where a column that it alone reads is gone, and the pipeline goes on', async () => {
    const without = table('moves', [column('id', { kind: 'int64' }), column('person', TEXT)], [0], 2);
    const [rig, attempt] = await begin(
      [move(1, 'robin', 'Leeds'), [{ table: without, op: 'c', after: [2, 'robin'] }]],
      0,
      "CREATE STREAM MOVEMENTS WITH (CDC_TABLE = 'shop.public.moves'); CREATE STREAM WHO AS SELECT PERSON FROM MOVEMENTS;",
    );
    using _rig = rig;
    const running = await ask(rig.desk, `SELECT LOCATION FROM MOVEMENTS EMIT CHANGES`);
    await attempt.read(1, () => 10);
    attempt.commit();
    Object.assign(rig.options, { tables: [without, PEOPLE, PAIRS] });
    await attempt.read(2, () => 10);
    attempt.commit();
    expect(await rowsOf(running)).toEqual([['Leeds']]);
    expect(running.end).toMatchObject({ code: 'enrich.table-changed' });
    expect(rig.committed.filter(({ topic }) => topic === 'WHO')).toHaveLength(2);
  });

  it('leaves nothing behind when it is closed or its client goes before it has begun', async () => {
    const [rig, attempt] = await begin(ROBIN);
    using _rig = rig;
    const gone = new AbortController();
    gone.abort();
    await expect(
      ask(rig.desk, `SELECT * FROM MOVEMENTS EMIT CHANGES`, { signal: gone.signal }),
    ).rejects.toThrow();
    for (let i = 0; i < 300; i++) (await ask(rig.desk, `SELECT * FROM MOVEMENTS EMIT CHANGES`)).close();
    const open = await Promise.all(
      Array.from({ length: 100 }, () => ask(rig.desk, `SELECT * FROM MOVEMENTS EMIT CHANGES`)),
    );
    await expect(ask(rig.desk, `SELECT * FROM MOVEMENTS EMIT CHANGES`)).rejects.toMatchObject({
      code: 'query.too-many',
    });
    for (const each of open) each.close();
    await attempt.read(4, () => 10);
    attempt.commit();
    expect(await rowsOf(open[0]!)).toEqual([]);
  });
});

describe('tables made of tables, and with windows', () => {
  const MORE = `
    CREATE TABLE PEOPLE WITH (CDC_TABLE = 'shop.public.people');
    CREATE STREAM MOVEMENTS WITH (CDC_TABLE = 'shop.public.moves');
    CREATE TABLE GOLDEN AS SELECT ID, UCASE(CLUB) AS CLUB FROM PEOPLE WHERE CLUB = 'gold';
    CREATE TABLE CLUBS AS SELECT CLUB, COUNT(*) AS N FROM PEOPLE GROUP BY CLUB;
    CREATE TABLE VISITS AS SELECT PERSON, COUNT(*) AS N FROM MOVEMENTS WINDOW SESSION (1 SECONDS) GROUP BY PERSON;
  `;
  const log = [person('ada', 'gold'), person('bob', 'tin'), person('cy', 'gold'), ...ROBIN.slice(0, 2)];
  const answers = async (desk: EnrichmentRig['desk']): Promise<readonly unknown[]> => [
    await pull(desk, 'SELECT * FROM GOLDEN'),
    await pull(desk, `SELECT N FROM CLUBS WHERE CLUB = 'gold'`),
    await pull(
      desk,
      `SELECT PERSON, N, WINDOWEND - WINDOWSTART AS LASTED FROM VISITS WHERE PERSON = 'robin'`,
    ),
  ];

  it('show their rows once they hold all of them, also in the next attempt', async () => {
    using rig = new EnrichmentRig({ sql: MORE, tables: TABLES, log, snapshotAt: 2 });
    const attempt = await rig.attempt();
    await expect(pull(rig.desk, 'SELECT * FROM GOLDEN')).rejects.toMatchObject({ code: 'query.not-ready' });
    await attempt.snapshot([PEOPLE]);
    await expect(pull(rig.desk, 'SELECT * FROM GOLDEN')).rejects.toMatchObject({ code: 'query.not-ready' });
    attempt.commit();
    expect(await answers(rig.desk)).toEqual([[['ada', 'GOLD']], [[1]], []]);
    await attempt.read(5, () => 10);
    expect(await answers(rig.desk)).toEqual([[['ada', 'GOLD']], [[1]], []]);
    attempt.commit();
    const last = [
      [
        ['ada', 'GOLD'],
        ['cy', 'GOLD'],
      ],
      [[2]],
      [['robin', 2, 1000]],
    ];
    expect(await answers(rig.desk)).toEqual(last);
    await attempt.end();
    await rig.attempt();
    expect(await answers(rig.desk)).toEqual(last);
  });
});
