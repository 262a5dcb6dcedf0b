/** Kafka topics as inputs of statements: what a read_committed consumer sees, also of a process that is killed. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase, type TestKafka, testKafka } from '../support/servers.ts';
import { TopicClient } from '../support/topic-client.ts';
import { Headwater, headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';

let files: Workspace;
let kafka: TestKafka;
let database: TestDatabase;
let topics: TopicClient;

beforeAll(async () => {
  files = await workspace();
  kafka = await testKafka();
  topics = await TopicClient.connect(kafka.brokers);
});
afterAll(async () => {
  await topics?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  database = await testDatabase();
});
afterEach(() => database.drop());

const CUSTOMERS = `
  CREATE TABLE customers (id int PRIMARY KEY, first_name text, club_status text);
  INSERT INTO customers VALUES (1, 'Ada', 'platinum'), (2, 'Bo', 'bronze'), (3, 'Cy', 'platinum');`;

interface Seen {
  readonly key: string | null;
  readonly value: string | null;
  readonly timestamp: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** The first committed records of a topic. */
async function read(topic: string, count: number): Promise<readonly Seen[]> {
  return (await topics.first(topic, count)).map(({ key, value, ...rest }) => ({
    ...rest,
    key: key?.toString('hex') ?? null,
    value: value?.toString() ?? null,
  }));
}

async function send(topic: string, values: readonly unknown[], timestamp?: number): Promise<void> {
  for (let from = 0; from < values.length; from += 1000) {
    const messages = values.slice(from, from + 1000).map((value) => ({
      value: typeof value === 'string' ? value : JSON.stringify(value),
      ...(timestamp === undefined ? {} : { timestamp: String(timestamp) }),
    }));
    await topics.producer.send({ topic, messages });
  }
}

async function pipeline(
  name: string,
  tables: readonly string[],
  sql: string,
  durable = false,
): Promise<string> {
  return files.write(
    `${name}.yaml`,
    pipelineFile({
      name,
      url: database.url,
      tables,
      brokers: kafka.brokers,
      source: [`postgres: { slot: ${name.replaceAll('-', '_')}, publication: ${name.replaceAll('-', '_')} }`],
      kafka: ['session_timeout: 6s'],
      more: [
        `state: { dir: ${JSON.stringify(files.path(`state-${name}`))}, durable: ${durable} }`,
        `enrich: { sql: [${JSON.stringify(sql)}] }`,
      ],
    }),
  );
}

/** `run --until-caught-up` to a good end; what it has said. */
async function caughtUp(path: string): Promise<string> {
  const { exit, stderr } = await runToEnd(path);
  if (exit !== 0) throw new Error(`ended with ${exit}:\n${stderr}`);
  return stderr;
}

const inOrder = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

/**
 * The third of a minute, an hour ago. Records from long ago would not do: a transaction's marker has the time of now,
 * Kafka begins a new segment where two times are a week apart, and cleans the old one of a compacted topic at once.
 */
const START = Math.floor((Date.now() - 3_600_000) / 60_000) * 60_000 + 20_000;

describe('the statements of the talks, over a topic of another producer', () => {
  it('run as they are printed', async () => {
    const name = `${kafka.prefix}-talks`;
    const ratings = `${name}.ratings`;
    await database.query(CUSTOMERS);
    await topics.createTopics([ratings], 3);
    const stars = [5, 1, 2, 4, 1];
    const users = [1, 1, 2, 3, 9];
    await send(
      ratings,
      stars.map((value, i) => ({
        rating_id: i,
        user_id: users[i],
        stars: value,
        rating_time: START + i * 1000,
        message: 'm',
      })),
      START + 50_000,
    );
    await send(ratings, ['{"rating_id":', { rating_id: 'x' }]);
    const path = await pipeline(
      name,
      ['public.customers'],
      `CREATE STREAM RATINGS (RATING_ID BIGINT, USER_ID INT, STARS INT, ROUTE_ID INT, RATING_TIME BIGINT, CHANNEL VARCHAR, MESSAGE VARCHAR)
         WITH (KAFKA_TOPIC='${ratings}', VALUE_FORMAT='JSON', TIMESTAMP='RATING_TIME');
       CREATE TABLE CUSTOMERS WITH (CDC_TABLE='${name}.public.customers');
       CREATE STREAM POOR_RATINGS AS SELECT * FROM ratings WHERE STARS <3;
       CREATE STREAM RATINGS_WITH_CUSTOMER_DATA AS SELECT * FROM RATINGS R LEFT JOIN CUSTOMERS C ON R.USER_ID=C.ID;
       CREATE STREAM UNHAPPY_PLATINUM_CUSTOMERS AS SELECT * FROM RATINGS_WITH_CUSTOMER_DATA WHERE STARS < 3 AND CLUB_STATUS='platinum';
       CREATE TABLE RATINGS_BY_CLUB_STATUS AS SELECT CLUB_STATUS, COUNT(*) FROM RATINGS_WITH_CUSTOMER_DATA
         WINDOW TUMBLING (SIZE 1 MINUTES) GROUP BY CLUB_STATUS;`,
    );
    expect(await caughtUp(path)).toContain('a record is not what its columns and format say');
    expect(JSON.parse((await read('UNHAPPY_PLATINUM_CUSTOMERS', 1))[0]?.value ?? '')).toEqual({
      RATING_ID: 1,
      STARS: 1,
      ROUTE_ID: null,
      RATING_TIME: START + 1000,
      CHANNEL: null,
      MESSAGE: 'm',
      ID: 1,
      FIRST_NAME: 'Ada',
      CLUB_STATUS: 'platinum',
    });
    const joined = await read('RATINGS_WITH_CUSTOMER_DATA', 5);
    // The key is the left side of the join, the time the column's.
    expect(joined.map(({ key, timestamp }) => `${key} ${timestamp}`).toSorted(inOrder)).toEqual(
      users.map((user, i) => `${user.toString(16).padStart(8, '0')} ${START + i * 1000}`).toSorted(inOrder),
    );
    expect(joined.every(({ headers }) => headers['__table_pos'] !== undefined)).toBe(true);
    expect(await read('POOR_RATINGS', 3)).toHaveLength(3);
    const counts = await read('RATINGS_BY_CLUB_STATUS', 4);
    expect(counts.map(({ value }) => value ?? '').toSorted(inOrder)).toEqual([
      '{"KSQL_COL_0":1}',
      '{"KSQL_COL_0":1}',
      '{"KSQL_COL_0":2}',
      '{"KSQL_COL_0":3}',
    ]);
  });
});

describe('a process that is killed', () => {
  it.each([
    { where: 'in memory', durable: false },
    { where: 'on disk', durable: true },
  ])('leaves what an undisturbed run gives, byte for byte, with groups $where', async ({ durable }) => {
    const rows = 4_800;
    await database.query(CUSTOMERS);
    const store = durable ? 'disk' : 'memory';
    const ratings = `${kafka.prefix}-killed-${store}.ratings`;
    await topics.createTopics([ratings]);
    const records = Array.from({ length: rows }, (_, i) => ({
      user_id: 1 + (i % 4),
      stars: i % 5,
      at: START + i * 100,
    }));
    const statements = (name: string): string => `
      CREATE STREAM ratings (user_id INT, stars INT, at BIGINT)
        WITH (KAFKA_TOPIC='${ratings}', VALUE_FORMAT='JSON', TIMESTAMP='AT');
      CREATE TABLE customers WITH (CDC_TABLE='${name}.public.customers');
      CREATE STREAM joined WITH (KAFKA_TOPIC='${name}.joined') AS
        SELECT r.user_id, r.stars, c.club_status FROM ratings r LEFT JOIN customers c ON r.user_id = c.id;
      CREATE TABLE counted WITH (KAFKA_TOPIC='${name}.counted') AS
        SELECT club_status, COUNT(*) AS n, SUM(stars) AS stars FROM joined
        WINDOW TUMBLING (SIZE 30 SECONDS) GROUP BY club_status;`;
    const results = async (name: string): Promise<unknown> => {
      const counted = (rows / 4) * 3;
      const plain = ({ key, value, timestamp }: Seen): unknown => [key, value, timestamp];
      return [
        (await read(`${name}.joined`, rows)).map(plain),
        (await read(`${name}.counted`, counted)).map(plain),
      ];
    };
    const killed = `${kafka.prefix}-killed-${store}`;
    const path = await pipeline(killed, ['public.customers'], statements(killed), durable);
    let kills = 0;
    const places = ['before-commit', 'before-end-transaction', 'after-commit'];
    const runs = [2, 3, 4, 5].flatMap((count) => places.map((place) => `${place}:${count}`));
    for (const [i, failpoint] of runs.entries()) {
      const part = rows / runs.length;
      await send(ratings, records.slice(Math.floor(i * part), Math.floor((i + 1) * part)));
      const { exit } = await headwater(['run', '--until-caught-up', path], {
        HEADWATER_FAILPOINT: failpoint,
      });
      if (exit === 'SIGKILL') kills++;
    }
    expect(kills).toBeGreaterThan(3);
    await caughtUp(path);
    await send(ratings, [{ user_id: 1, stars: 0, at: START + rows * 100 }]);
    await caughtUp(path);
    const last = await read(`${killed}.joined`, rows + 1);
    expect(last).toHaveLength(rows + 1);
    const calm = `${kafka.prefix}-calm-${store}`;
    await caughtUp(await pipeline(calm, ['public.customers'], statements(calm)));
    expect(await results(killed)).toEqual(await results(calm));
  });
});

describe('a topic joined with a captured table', () => {
  it('sees the table as it was at the time of each event, while both move on', async () => {
    const name = `${kafka.prefix}-timed`;
    const topic = `${name}.events`;
    await database.query('CREATE TABLE versions (id int PRIMARY KEY, v int, w int);');
    await database.query('INSERT INTO versions VALUES (1, 0, 0)');
    await topics.createTopics([topic]);
    const path = await pipeline(
      name,
      ['public.versions'],
      `CREATE STREAM events (n INT, id INT) WITH (KAFKA_TOPIC='${topic}', VALUE_FORMAT='JSON');
       CREATE TABLE versions WITH (CDC_TABLE='${name}.public.versions');
       CREATE STREAM seen WITH (KAFKA_TOPIC='${name}.seen', FIELD_CASE='LOWER') AS
         SELECT e.id, e.n, t.v, t.w FROM events e LEFT JOIN versions t ON e.id = t.id;`,
    );
    const rounds = 60;
    await using run = new Headwater(['run', path]);
    await run.until(({ state }) => state === 'streaming');
    for (let n = 1; n <= rounds; n++) {
      // Both columns change in one transaction, in two statements.
      await database.query(`BEGIN; UPDATE versions SET v = ${n}; UPDATE versions SET w = ${n}; COMMIT;`);
      // The event is sent when the next change may have been made already.
      const timestamp = Date.now();
      await new Promise((resolve) => setTimeout(resolve, 3));
      if (n % 3 === 0) await database.query('UPDATE versions SET v = -1, w = -1');
      await send(topic, [{ n, id: 1 }], timestamp);
    }
    const seen = await read(`${name}.seen`, rounds);
    expect(seen.map(({ value }) => value)).toEqual(
      Array.from({ length: rounds }, (_, i) => JSON.stringify({ n: i + 1, v: i + 1, w: i + 1 })),
    );
    await run.stop();
  });
});

describe('a topic joined with a table that another topic holds', () => {
  it('meets the whole of it first, and its changes in the order of time, through kills', async () => {
    const name = `${kafka.prefix}-kept`;
    const [ratings, customers] = [`${name}.ratings`, `${name}.customers`];
    await database.query(CUSTOMERS);
    await topics.createTopics([ratings]);
    await topics.createTopics([customers], 3);
    const put = async (id: number, club: string | null, timestamp: number): Promise<void> => {
      const value = club === null ? null : JSON.stringify({ CLUB: club });
      await topics.producer.send({
        topic: customers,
        messages: [{ key: `c${id}`, value, timestamp: String(timestamp) }],
      });
    };
    const people = 40;
    for (let id = 0; id < people; id++) await put(id, 'bronze', START);
    const path = await pipeline(
      name,
      ['public.customers'],
      `CREATE STREAM ratings (id INT, customer STRING) WITH (KAFKA_TOPIC='${ratings}', VALUE_FORMAT='JSON');
       CREATE TABLE people (name STRING PRIMARY KEY, club STRING) WITH (KAFKA_TOPIC='${customers}', VALUE_FORMAT='JSON');
       CREATE STREAM joined WITH (KAFKA_TOPIC='${name}.joined', FIELD_CASE='LOWER') AS
         SELECT r.customer, r.id, p.club FROM ratings r LEFT JOIN people p ON r.customer = p.name;`,
    );
    const expected: string[] = [];
    let time = START + 1_000;
    // A new query begins with the first record that is there.
    const rate = async (id: number, customer: number, club: string | null): Promise<void> => {
      await send(ratings, [{ id, customer: `c${customer}` }], time++);
      expected.push(JSON.stringify({ id, club }));
    };
    for (let id = 0; id < people; id++) await rate(id, id, 'bronze');
    await caughtUp(path);
    for (let round = 1; round <= 3; round++) {
      await headwater(['run', '--until-caught-up', path], {
        HEADWATER_FAILPOINT: `${round === 2 ? 'after-commit' : 'before-end-transaction'}:${round + 1}`,
      });
      await put(round, round === 2 ? null : 'gold', time++);
      for (let id = 1; id <= 3; id++) {
        const gold = id <= round && id !== 2;
        await rate(100 * round + id, id, gold ? 'gold' : id === 2 && round >= 2 ? null : 'bronze');
      }
    }
    await caughtUp(path);
    const joined = await read(`${name}.joined`, expected.length);
    expect(joined.map(({ value }) => value)).toEqual(expected);
    expect(joined.every(({ headers }) => headers['__table_pos']?.startsWith('PEOPLE [') === true)).toBe(true);
  });
});
