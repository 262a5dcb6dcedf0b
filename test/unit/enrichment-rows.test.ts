/** The rows that queries over streams make: EXPLODE, the functions of change events, keys, and several into one stream. */
import { describe, expect, it } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import {
  column,
  EnrichmentRig,
  type LogChange,
  type LogTransaction,
  table,
} from '../support/enrichment-rig.ts';

const TEXT = { kind: 'string' } as const;
const INT = { kind: 'int32' } as const;
const POSTS = table(
  'posts',
  [
    column('id', INT),
    column('tags', { kind: 'array', element: TEXT }),
    column('marks', { kind: 'array', element: INT }),
    column('note', TEXT),
  ],
  [0],
);
const SOURCE = `CREATE STREAM posts WITH (CDC_TABLE = 'shop.public.posts');\n`;

type Post = readonly [
  id: number,
  tags: readonly (string | null)[] | null,
  marks: readonly number[] | null,
  note: string | null,
];

const made = (...[id, tags, marks, note]: Post): LogChange => ({
  table: POSTS,
  op: 'c',
  after: [id, tags, marks, note],
});

async function run(
  sql: string,
  log: readonly LogTransaction[],
  more: { dialect?: 'friendly' | 'ksqldb' } = {},
): Promise<{
  records: readonly (readonly [string, string | null, string | null])[];
  warnings: readonly string[];
  timestamps: readonly number[];
}> {
  using rig = new EnrichmentRig({ sql: SOURCE + sql, tables: [POSTS], log, snapshotAt: 0, ...more });
  const attempt = await rig.attempt();
  await attempt.read(log.length, () => 100);
  expect(attempt.commit()).toBe(true);
  await attempt.end();
  return {
    records: rig.committed.map(({ topic, key, value }) => [topic, key, value]),
    warnings: rig.warnings,
    timestamps: rig.committed.map(({ timestamp }) => timestamp),
  };
}

const hex = (text: string): string => Buffer.from(text).toString('hex');

describe('EXPLODE', () => {
  const sql = `CREATE STREAM e AS SELECT id, EXPLODE(tags) AS tag, EXPLODE(marks) AS mark, note FROM posts;`;

  it('gives a record for each item, in step, the shorter padded; none for what is empty or NULL', async () => {
    const { records } = await run(sql, [
      [made(1, ['a', null, 'c'], [7], 'x')],
      [made(2, [], null, 'y')],
      [made(3, null, [], 'y')],
      [made(4, null, [8], 'z')],
      [{ table: POSTS, op: 'd', before: [4, null, [8], 'z'] }],
    ]);
    expect(records.map(([, key, value]) => [key, value])).toEqual([
      ['00000001', '{"TAG":"a","MARK":7,"NOTE":"x"}'],
      ['00000001', '{"TAG":null,"MARK":null,"NOTE":"x"}'],
      ['00000001', '{"TAG":"c","MARK":null,"NOTE":"x"}'],
      ['00000004', '{"TAG":null,"MARK":8,"NOTE":"z"}'],
      ['00000004', null],
    ]);
  });

  it('computes its array, and what stands beside it, once for an event', async () => {
    const { records, warnings } = await run(
      `CREATE STREAM e AS SELECT id, EXPLODE(SPLIT(note, ',')) AS part, CAST(note AS INT) AS n FROM posts;`,
      [[made(1, null, null, 'a,b,c,d,e,f,g,h,i,j')]],
    );
    expect(records).toHaveLength(10);
    // It would be said at the tenth again.
    expect(warnings.filter((line) => line.includes('"problem":"cast"'))).toHaveLength(1);
  });

  it('takes a long text apart in a time that grows as it does', async () => {
    // Split anew for each of its parts this would be 40 thousand million of them.
    const parts = 200_000;
    const { records } = await run(
      `CREATE STREAM e AS SELECT id, EXPLODE(SPLIT(note, ',')) AS part FROM posts;`,
      [[made(1, null, null, 'x,'.repeat(parts - 1))]],
    );
    expect(records).toHaveLength(parts);
  });

  it('is converted, item by item, to what the stream that it is inserted into has', async () => {
    const { records } = await run(
      `CREATE STREAM all_marks AS SELECT id, CAST(NULL AS DECIMAL(12, 2)) AS mark FROM posts;
       INSERT INTO all_marks SELECT id, EXPLODE(marks) AS mark FROM posts;`,
      [[made(1, null, [5, 6], null)]],
    );
    expect(records.map(([, , value]) => value)).toEqual(['{"MARK":null}', '{"MARK":5.00}', '{"MARK":6.00}']);
  });
});

it('the functions of change events say what became of a row', async () => {
  const { records } = await run(
    `CREATE STREAM c AS SELECT id, CDC_OP() AS op, CDC_BEFORE(note) AS was, CDC_CHANGED(note) AS changed,
       CDC_TX() AS tx, CDC_POS() AS pos, ROWTIME AS at, __OP AS op2, __BEFORE->note AS was2, note FROM posts;`,
    [
      [made(1, null, null, 'a')],
      [{ table: POSTS, op: 'u', before: [1, null, null, 'a'], after: [1, null, null, 'b'] }],
      // The log does not hold the row as it was.
      [{ table: POSTS, op: 'u', before: null, after: [1, null, null, 'b'] }],
      [{ table: POSTS, op: 'u', before: [1, null, null, 'b'], after: [1, ['t'], null, 'b'] }],
      [{ table: POSTS, op: 'd', before: [1, null, null, 'b'] }],
    ],
  );
  const at = (tx: number): number => 1_700_000_000_000 + tx * 1_000;
  expect(records.map(([, , value]) => Object.values(JSON.parse(value ?? '{}') as object))).toEqual([
    ['c', null, true, '0', '0:0', at(0), 'c', null, 'a'],
    ['u', 'a', true, '1', '1:0', at(1), 'u', 'a', 'b'],
    ['u', null, null, '2', '2:0', at(2), 'u', null, 'b'],
    ['u', 'b', false, '3', '3:0', at(3), 'u', 'b', 'b'],
    ['d', 'b', true, '4', '4:0', at(4), 'd', 'b', null],
  ]);
});

describe('PARTITION BY', () => {
  const log: readonly LogTransaction[] = [
    [made(1, ['a'], null, '5')],
    [made(2, null, null, 'none')],
    [made(3, null, null, null)],
  ];

  it('keys by a column or an expression; where that is NULL, or fails, there is no key', async () => {
    const { records, warnings } = await run(
      `CREATE STREAM by_note AS SELECT id, note FROM posts PARTITION BY note;
       CREATE STREAM by_number AS SELECT CAST(note AS INT) AS n, id FROM posts PARTITION BY CAST(note AS INT);
       CREATE STREAM by_both AS SELECT id, note, AS_VALUE(id) AS copy FROM posts PARTITION BY note, id;
       CREATE STREAM on_from_both WITH (FIELD_CASE = 'LOWER') AS SELECT * FROM by_both;
       CREATE STREAM by_none AS SELECT id, note FROM posts PARTITION BY NULL;`,
      log,
    );
    const of = (wanted: string): unknown =>
      records.filter(([topic]) => topic === wanted).map(([, key, value]) => [key, value]);
    expect(of('BY_NOTE')).toEqual([
      [hex('5'), '{"ID":1}'],
      [hex('none'), '{"ID":2}'],
      [null, '{"ID":3}'],
    ]);
    expect(of('BY_NUMBER')).toEqual([
      ['00000005', '{"ID":1}'],
      [null, '{"ID":2}'],
      [null, '{"ID":3}'],
    ]);
    // As PARTITION BY lists them, whatever the projection does; who reads on keeps that.
    expect(of('BY_BOTH')).toEqual([
      ['{"NOTE":"5","ID":1}', '{"COPY":1}'],
      ['{"NOTE":"none","ID":2}', '{"COPY":2}'],
      ['{"NOTE":null,"ID":3}', '{"COPY":3}'],
    ]);
    expect(of('ON_FROM_BOTH')).toEqual([
      ['{"note":"5","id":1}', '{"copy":1}'],
      ['{"note":"none","id":2}', '{"copy":2}'],
      ['{"note":null,"id":3}', '{"copy":3}'],
    ]);
    expect(of('BY_NONE')).toEqual([
      [null, '{"ID":1,"NOTE":"5"}'],
      [null, '{"ID":2,"NOTE":"none"}'],
      [null, '{"ID":3,"NOTE":null}'],
    ]);
    expect(warnings).toEqual([
      'enrichment: a value could not be cast {"query":"CSAS_BY_NUMBER_1","problem":"cast","count":1}',
    ]);
  });
});

describe('a compacted topic', () => {
  it('gets no record without a key, since Kafka takes none; who reads on sees none either', async () => {
    const { records, warnings } = await run(
      `CREATE STREAM by_note WITH (KAFKA_TOPIC = 'n', CLEANUP_POLICY = 'compact') AS
         SELECT id, note FROM posts PARTITION BY note;
       CREATE STREAM on_from_it WITH (KAFKA_TOPIC = 'o') AS SELECT id, note FROM by_note;`,
      [[made(1, null, null, '5')], [made(2, null, null, null)], [made(3, null, null, '7')]],
    );
    for (const topic of ['n', 'o'])
      expect(records.flatMap(([to, key]) => (to === topic ? [key] : []))).toEqual([hex('5'), hex('7')]);
    expect(warnings).toEqual([expect.stringContaining('"problem":"key-missing","count":1')]);
  });
});

describe('GROUP BY', () => {
  it('leaves out events whose expression fails or is NULL; a row has the highest time of its events', async () => {
    const { records, warnings, timestamps } = await run(
      `CREATE STREAM timed WITH (TIMESTAMP = 'AT', KAFKA_TOPIC = 'timed') AS
         SELECT id, note, CAST(marks[1] AS BIGINT) AS at FROM posts;
       CREATE TABLE t AS SELECT CAST(note AS INT) AS n, COUNT(*) AS c FROM timed GROUP BY CAST(note AS INT);`,
      [
        [made(1, null, [500], '1')],
        [made(2, null, [200], '1')],
        [made(3, null, [900], 'none')],
        [made(4, null, [700], null)],
        [made(5, null, [600], '1')],
      ],
    );
    const table = records.flatMap((record, i) => (record[0] === 'T' ? [[record[2], timestamps[i]]] : []));
    expect(table).toEqual([
      ['{"C":1}', 500],
      ['{"C":2}', 500],
      ['{"C":3}', 600],
    ]);
    expect(warnings.filter((line) => line.includes('"problem":"cast"'))).toHaveLength(1);
  });
});

describe('TIMESTAMP of a result', () => {
  it('that holds no time is counted, and the record has the time of its event; STOP ends the query', async () => {
    const made_ = (
      onError: string,
    ): string => `CREATE STREAM timed WITH (TIMESTAMP = 'AT', TIMESTAMP_FORMAT = 'yyyy-MM-dd'${onError}) AS
      SELECT id, note AS at FROM posts;`;
    const log = ['2024-01-01', 'tomorrow', null, '1969-12-31'].map((note, i): LogTransaction => [
      made(i, null, null, note),
    ]);
    const { timestamps, warnings } = await run(made_(''), log);
    const event = 1_700_000_000_000;
    expect(timestamps).toEqual([1_704_067_200_000, event + 1_000, event + 2_000, event + 3_000]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('"problem":"timestamp"');
    await expect(run(made_(`, ON_ERROR = 'STOP'`), log)).rejects.toMatchObject({ code: 'enrich.row-failed' });
  });
});

describe('INSERT INTO a stream', () => {
  const into = `CREATE STREAM s AS SELECT id, CAST(LEN(note) AS BIGINT) AS n, note FROM posts;\n`;

  it('takes columns by their order and widens them, whatever they are called', async () => {
    const { records } = await run(
      `${into} INSERT INTO s SELECT id, marks[1] AS other, UCASE(note) AS loud FROM posts;`,
      [[made(1, null, [9], 'abc')]],
    );
    expect(records).toEqual([
      ['S', '00000001', '{"N":3,"NOTE":"abc"}'],
      ['S', '00000001', '{"N":9,"NOTE":"ABC"}'],
    ]);
  });

  it.each([
    [
      'too few columns',
      'SELECT id, 1 FROM posts',
      'S has the columns ID INTEGER KEY, N BIGINT, NOTE STRING, and the SELECT gives ID INTEGER KEY, KSQL_COL_0 INTEGER',
    ],
    [
      'too many',
      `SELECT id, 1, 'a', 2 FROM posts`,
      'the SELECT gives ID INTEGER KEY, KSQL_COL_0 INTEGER, KSQL_COL_1 STRING, KSQL_COL_2 INTEGER',
    ],
    ['a narrower type', `SELECT id, 1.5, 'a' FROM posts`, 'KSQL_COL_0 DECIMAL(2, 1)'],
    ['another order', `SELECT id, note, 1 FROM posts`, 'NOTE STRING, KSQL_COL_0 INTEGER'],
    [
      'another key',
      `SELECT id, 1 AS n, note FROM posts PARTITION BY note`,
      'ID INTEGER, N INTEGER, NOTE STRING KEY',
    ],
  ])('refuses %s and says what both have', async (_, select, sentence) => {
    const refused = await run(`${into} INSERT INTO s ${select};`, []).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(HeadwaterError);
    expect(String(refused)).toContain('test.sql, line 3:2: ');
    expect(String(refused)).toContain(sentence);
  });
});
