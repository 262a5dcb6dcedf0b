/** What cannot be used of a topic's records: counted, told, put aside by choice, and an end when that is asked for. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { TopicQueries } from '../../src/enrichment/run/topic-queries.ts';
import { MemoryTopics, startTopics } from '../support/memory-topics.ts';

const SOURCE = `CREATE STREAM readings (id STRING KEY, note STRING, n INT, at BIGINT)
  WITH (KAFKA_TOPIC = 'readings', VALUE_FORMAT = 'JSON', TIMESTAMP = 'AT');\n`;
const DAY = 86_400_000;

/** One of each kind, and a good one in front and behind. */
const RECORDS: readonly (readonly [id: string, value: unknown])[] = [
  ['good', { note: '1', n: 1, at: 3 * DAY }],
  ['unreadable', { note: '1', n: 'many', at: 3 * DAY }],
  ['cast', { note: 'one', n: 1, at: 3 * DAY }],
  ['zero', { note: '1', n: 0, at: 3 * DAY }],
  ['late', { note: '1', n: 1, at: 1 }],
  ['timeless', { note: '1', n: 1, at: null }],
  ['before', { note: '1', n: 1, at: -1 }],
  ['good', { note: '2', n: 2, at: 3 * DAY }],
];

const sql = (onError: string): string => `${SOURCE}
  CREATE TABLE sums WITH (KAFKA_TOPIC = 'sums'${onError}) AS
    SELECT id, COUNT(*) AS c, SUM(CAST(note AS INT)) AS notes, SUM(12 / n) AS parts
    FROM readings WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY id;`;

function filled(records: readonly (readonly [string, unknown])[]): MemoryTopics {
  const topics = new MemoryTopics();
  topics.create('readings', 1);
  for (const [key, value] of records) topics.send('readings', 0, { key, value, timestamp: 5 });
  return topics;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 60_000 && !holds(); i++) await sleep(1);
  if (!holds()) throw new Error(`Waited for ${what}.`);
}

/** The name of a group, and its row. */
function rows(topics: MemoryTopics): readonly (readonly [string, string | null])[] {
  return topics.results('sums').map(({ key, value }) => [
    Buffer.from(key ?? '', 'hex')
      .subarray(0, -8)
      .toString(),
    value,
  ]);
}

const ROWS = [
  ['good', '{"C":1,"NOTES":1,"PARTS":12}'],
  ['cast', '{"C":1,"NOTES":null,"PARTS":12}'],
  ['zero', '{"C":1,"NOTES":1,"PARTS":null}'],
  ['good', '{"C":2,"NOTES":3,"PARTS":18}'],
];
const COUNTS = { 'record-unreadable': 1, cast: 1, 'division-by-zero': 1, late: 1, timestamp: 2 };

function counted(queries: TopicQueries): unknown {
  return queries.status()[0]?.problemsByKind;
}

describe('a record that cannot be read, a failing cast, a division by zero, a late event', () => {
  it('is counted, and the query goes on', async () => {
    const topics = filled(RECORDS);
    await using running = startTopics(topics, 'shop', sql('')).queries;
    await until('the last row', () => rows(topics).length >= ROWS.length);
    expect(rows(topics)).toEqual(ROWS);
    expect(counted(running)).toEqual(COUNTS);
    expect(topics.results('sums-dlq')).toEqual([]);
  });

  it('lies in the dead-letter topic with what was wrong, where that is asked for', async () => {
    const topics = filled(RECORDS);
    await using running = startTopics(topics, 'shop', sql(`, ON_ERROR = 'DLQ'`)).queries;
    await until('the last row', () => rows(topics).length >= ROWS.length);
    expect(rows(topics)).toEqual(ROWS);
    expect(counted(running)).toEqual(COUNTS);
    const letters = topics.results('sums-dlq').map(({ value, headers }) => {
      const told = new Map(headers);
      const place = ['topic', 'partition', 'offset'].map((name) => told.get(`__headwater.${name}`) ?? null);
      const text = value?.startsWith('{') === true ? value : Buffer.from(value ?? '', 'hex').toString();
      return [told.get('__headwater.problem'), JSON.parse(text), place] as const;
    });
    const whole = (id: string, value: object): object => ({ ID: id, ...value });
    const nowhere = [null, null, null];
    expect(letters).toEqual([
      ['record-unreadable', { note: '1', n: 'many', at: 3 * DAY }, ['readings', '0', '1']],
      ['cast', whole('cast', { NOTE: 'one', N: 1, AT: 3 * DAY }), nowhere],
      ['division-by-zero', whole('zero', { NOTE: '1', N: 0, AT: 3 * DAY }), nowhere],
      ['late', whole('late', { NOTE: '1', N: 1, AT: 1 }), nowhere],
      ['timestamp', { note: '1', n: 1, at: null }, ['readings', '0', '5']],
      ['timestamp', { note: '1', n: 1, at: -1 }, ['readings', '0', '6']],
    ]);
  });

  it.each([
    ['record-unreadable', 'unreadable'],
    ['cast', 'cast'],
    ['division-by-zero', 'zero'],
    ['timestamp', 'timeless'],
  ])('STOP: %s ends the query before anything of the record is committed', async (problem, id) => {
    const topics = filled(RECORDS.filter(([each]) => each === 'good' || each === id));
    await using running = startTopics(topics, 'shop', sql(`, ON_ERROR = 'STOP'`)).queries;
    await expect(running.failed).rejects.toMatchObject({
      code: 'enrich.row-failed',
      details: { query: 'CTAS_SUMS_0', problem },
    });
    expect(rows(topics).filter(([group]) => group === id)).toEqual([]);
    expect(rows(topics).length).toBeLessThan(2);
  });

  it('STOP: a late event ends nothing, since the statement asks for it to be left out', async () => {
    const topics = filled(RECORDS.filter(([id]) => id === 'good' || id === 'late'));
    await using running = startTopics(topics, 'shop', sql(`, ON_ERROR = 'STOP'`)).queries;
    await until('both rows', () => rows(topics).length >= 2);
    expect(counted(running)).toEqual({ late: 1 });
  });
});

it('no time and no number of a record is too large for what is made of it', async () => {
  const topics = new MemoryTopics();
  topics.create('odd', 1);
  const odd = [
    { d: 1, t: Number.MAX_SAFE_INTEGER, tm: 1, x: 'NaN' },
    { d: 2 ** 31 - 1, t: -Number.MAX_SAFE_INTEGER, tm: 86_400_000, x: 'Infinity' },
    { d: 2 ** 31, t: 0, tm: 0, x: 0 },
    { d: 0, t: 0, tm: -1, x: 0 },
    { d: 0, t: 0, tm: 0, x: 1e308 },
  ];
  for (const value of odd) topics.send('odd', 0, { key: 'k', value, timestamp: 5 });
  const made = `CREATE STREAM odd (d DATE, t TIMESTAMP, tm TIME, x DOUBLE) WITH (KAFKA_TOPIC = 'odd', VALUE_FORMAT = 'JSON');
    CREATE STREAM made AS SELECT CAST(d AS STRING) AS day, CAST(t AS STRING) AS text, CAST(d AS TIMESTAMP) AS midnight,
      CONVERT_TZ(t, 'UTC', 'Europe/Berlin') AS berlin, FORMAT_TIMESTAMP(t, 'yyyy VV', 'Asia/Tokyo') AS tokyo, CAST(tm AS STRING) AS clock,
      SIGN(x) AS sign, ROUND(x) AS whole, x * 10 AS more FROM odd;`;
  await using running = startTopics(topics, 'shop', made).queries;
  await until('three rows', () => topics.results('MADE').length >= 3);
  expect(topics.results('MADE').map(({ value }) => Object.values(JSON.parse(value ?? '') as object))).toEqual(
    [
      ['1970-01-02', '287396-10-12T08:59:00.991', 86_400_000, null, null, '00:00:00.001', null, null, 'NaN'],
      ['5881580-07-11', '-283457-03-21T15:00:59.009', null, null, null, '24:00', 1, null, 'Infinity'],
      [
        '1970-01-01',
        '1970-01-01T00:00:00.000',
        0,
        3_600_000,
        '1970 Asia/Tokyo',
        '00:00',
        1,
        null,
        'Infinity',
      ],
    ],
  );
  expect(counted(running)).toEqual({ 'record-unreadable': 2, time: 4, overflow: 4, cast: 1 });
});
