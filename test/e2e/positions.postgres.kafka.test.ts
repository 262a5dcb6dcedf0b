/** Topics of two tables that tell their place in the log, joined by statements that know nothing of the tables. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type TestDatabase, testDatabase, type TestKafka, testKafka } from '../support/servers.ts';
import { TopicClient } from '../support/topic-client.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';

const ROUNDS = 300;
const PEOPLE = 5;

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
  await database.query(`
    CREATE TABLE customers (id int PRIMARY KEY, club int);
    CREATE TABLE orders (id int PRIMARY KEY, customer int);
    INSERT INTO customers SELECT id, 0 FROM generate_series(0, ${PEOPLE - 1}) AS id;`);
});
afterEach(() => database.drop());

it('each event sees the table as of its own transaction, of hundreds within milliseconds, also of a process that is killed', async () => {
  const name = `${kafka.prefix}_places`;
  const [orders, customers] = [`${name}.public.orders`, `${name}.public.customers`];
  await topics.createTopics([orders, customers], 3);
  const sql = `
    CREATE STREAM ORDERS (K STRING KEY, ID INT, CUSTOMER INT) WITH (KAFKA_TOPIC='${orders}', VALUE_FORMAT='JSON');
    CREATE TABLE CUSTOMERS (K STRING PRIMARY KEY, CLUB INT) WITH (KAFKA_TOPIC='${customers}', VALUE_FORMAT='JSON');
    CREATE STREAM JOINED WITH (KAFKA_TOPIC='${name}.joined') AS
      SELECT O.ID, C.CLUB
      FROM ORDERS O LEFT JOIN CUSTOMERS C ON '{"id":' + CAST(O.CUSTOMER AS STRING) + '}' = C.K;`;
  const path = await files.write(
    'places.yaml',
    pipelineFile({
      name,
      url: database.url,
      tables: ['public.orders', 'public.customers'],
      brokers: kafka.brokers,
      emit: ['envelope: unwrapped', 'position_header: true'],
      source: [`postgres: { slot: ${database.name}, publication: ${database.name} }`],
      kafka: ['session_timeout: 6s'],
      more: [
        `state: { dir: ${JSON.stringify(files.path('state-places'))} }`,
        `enrich: { sql: [${JSON.stringify(sql)}] }`,
      ],
    }),
  );
  const begin = async (): Promise<Headwater> => {
    const process = new Headwater(['run', path]);
    await process.until(({ state }) => state === 'streaming');
    return process;
  };
  await using first = await begin();
  await first.line(({ msg }) => msg === 'topics of the statements are read');
  const transactions = Array.from({ length: ROUNDS }, (_, i) => {
    const [n, customer] = [i + 1, i % PEOPLE];
    const [order, change] = [
      `INSERT INTO orders VALUES (${n}, ${customer});`,
      `UPDATE customers SET club = ${n} WHERE id = ${customer};`,
    ];
    return `BEGIN; ${n % 2 === 0 ? order + change : change + order} COMMIT;`;
  });
  const commit = (from: number, to: number): Promise<unknown> =>
    database.query(transactions.slice(from, to).join('\n'));
  await commit(0, 100);
  await topics.first(`${name}.joined`, 10);
  await commit(100, 200);
  // With some of it delivered, some of it joined, and the clock of the log behind its places.
  await first.kill();
  await using second = await begin();
  await commit(200, ROUNDS);
  const joined = (await topics.first(`${name}.joined`, ROUNDS)).map(({ value, headers }) => ({
    row: JSON.parse(String(value)) as unknown,
    place: String(headers['__headwater.position']),
  }));
  expect(joined.map(({ row }) => row)).toEqual(
    Array.from({ length: ROUNDS }, (_, i) => ({ ID: i + 1, CLUB: i + 1 })),
  );
  const places = joined.map(({ place }) => Number(/^(\d{16}):[01]$/.exec(place)?.[1]));
  expect(places.every((place, i) => i === 0 || place > (places[i - 1] ?? Infinity))).toBe(true);
  await second.stop();
});
