/** Statements over topics in Avro, with a real registry: what other producers wrote, and what other readers see. */
import avsc from 'avsc';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type TestDatabase,
  testDatabase,
  type TestKafka,
  testKafka,
  type TestRegistry,
  testRegistry,
} from '../support/servers.ts';
import { TopicClient } from '../support/topic-client.ts';
import { plainReader } from '../support/registered-records.ts';
import { headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';

let files: Workspace;
let kafka: TestKafka;
let registry: TestRegistry;
let database: TestDatabase;
let topics: TopicClient;

beforeAll(async () => {
  files = await workspace();
  kafka = await testKafka();
  registry = await testRegistry();
  topics = await TopicClient.connect(kafka.brokers);
});
afterAll(async () => {
  await topics?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
});
beforeEach(async () => {
  database = await testDatabase();
  await database.query(`
    CREATE TABLE customers (id int PRIMARY KEY, club text, turnover numeric(12,2));
    INSERT INTO customers VALUES (1, 'gold', 100.50), (2, NULL, -0.01);`);
});
afterEach(() => database.drop());

/** The first committed records of a topic, read with the schemas in the registry. */
async function read(topic: string, count: number): Promise<readonly { key: unknown; value: unknown }[]> {
  const decode = plainReader(registry);
  const records: { key: unknown; value: unknown }[] = [];
  for (const { key, value } of await topics.first(topic, count))
    records.push({ key: await decode(key), value: await decode(value) });
  return records;
}

/** Of several partitions: no order is promised between them. */
async function readByKey(topic: string, count: number): ReturnType<typeof read> {
  return (await read(topic, count)).toSorted((a, b) => Number(a.key) - Number(b.key));
}

async function register(subject: string, schema: unknown): Promise<number> {
  const request = { method: 'POST', body: { schema: JSON.stringify(schema) } };
  const { id } = (await registry.ask(`/subjects/${subject}/versions`, request)) as { readonly id: number };
  return id;
}

function encoded(id: number, schema: avsc.Schema, value: unknown): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(id, 1);
  return Buffer.concat([head, avsc.Type.forSchema(schema).toBuffer(value)]);
}

async function pipeline(name: string, format: string, sql: string): Promise<string> {
  return files.write(
    `${name}.yaml`,
    pipelineFile({
      name,
      url: database.url,
      tables: ['public.customers'],
      brokers: kafka.brokers,
      emit: [`format: ${format}`, `registry: { url: ${registry.url} }`],
      source: [`postgres: { slot: ${name.replaceAll('-', '_')}, publication: ${name.replaceAll('-', '_')} }`],
      kafka: ['session_timeout: 6s'],
      more: [
        `state: { dir: ${JSON.stringify(files.path(`state-${name}`))} }`,
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

const rating = (version: 1 | 2): avsc.Schema => ({
  type: 'record',
  name: 'Rating',
  namespace: 'com.example',
  fields: [
    { name: 'rating_id', type: 'long' },
    { name: 'user_id', type: 'int' },
    ...(version === 1
      ? [{ name: 'stars', type: 'int' }]
      : [
          { name: 'route', type: ['null', 'string'], default: null },
          { name: 'stars', type: 'long' },
        ]),
    { name: 'rating_time', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'tags', type: { type: 'array', items: 'string' } },
  ],
});

/** Not long ago: Kafka's retention goes by the times of records, and deletes what seems to be a week old at any time. */
const AT = Date.now() - 600_000;

describe.each(['avro', 'protobuf', 'json-schema'] as const)('beside tables in %s', (format) => {
  it('topics in Avro of several schemas are joined, and results are as ksqlDB registers them', async () => {
    const name = `${kafka.prefix}_${format.replace('-', '_')}`;
    const topic = `${name}.ratings`;
    await topics.createTopics([topic]);
    const subject = `${topic}-value`;
    const first = await register(subject, rating(1));
    const sql = `
      CREATE STREAM RATINGS WITH (KAFKA_TOPIC='${topic}', VALUE_FORMAT='AVRO', TIMESTAMP='RATING_TIME');
      CREATE TABLE CUSTOMERS WITH (CDC_TABLE='${name}.public.customers');
      CREATE STREAM CHANGES WITH (CDC_TABLE='${name}.public.customers');
      CREATE STREAM JOINED WITH (KAFKA_TOPIC='${name}.joined', KEY_FORMAT='AVRO', PARTITIONS=2) AS
        SELECT R.USER_ID, R.RATING_ID, R.STARS, R.RATING_TIME, R.TAGS, C.CLUB, C.TURNOVER
        FROM RATINGS R LEFT JOIN CUSTOMERS C ON R.USER_ID=C.ID;
      CREATE STREAM POOR WITH (KAFKA_TOPIC='${name}.poor') AS SELECT USER_ID, STARS FROM JOINED WHERE STARS < 3;
      CREATE STREAM OF_LOG WITH (KAFKA_TOPIC='${name}.of-log', FORMAT='AVRO', FIELD_CASE='LOWER',
        VALUE_AVRO_SCHEMA_FULL_NAME='com.example.Customer') AS SELECT ID, CLUB, TURNOVER FROM CHANGES;`;
    const path = await pipeline(name, format, sql);
    const send = async (version: 1 | 2, id: number, value: object): Promise<void> => {
      const bytes = encoded(id, rating(version), value);
      await topics.producer.send({ topic, messages: [{ value: bytes, timestamp: String(AT) }] });
    };
    await send(1, first, { rating_id: 2 ** 40, user_id: 1, stars: 5, rating_time: AT, tags: ['a', 'b'] });
    const doctor = await headwater(['doctor', path]);
    expect(doctor.exit, doctor.stdout).toBe(0);
    await caughtUp(path);
    // A later schema, with another type and one field more, and what is no Avro of the registry.
    const second = await register(`${name}-other`, rating(2));
    await send(2, second, { rating_id: 3, user_id: 9, route: null, stars: 1, rating_time: AT + 1, tags: [] });
    await topics.producer.send({
      topic,
      messages: [{ value: 'no Avro' }, { value: Buffer.from('000fffffff00', 'hex') }],
    });
    await send(1, first, { rating_id: 4, user_id: 2, stars: 2, rating_time: AT + 2, tags: ['c'] });
    expect(await caughtUp(path)).toContain('a record is not what its columns and format say');

    const turnover = (unscaled: number): unknown => ({
      type: 'Buffer',
      data: [...Buffer.from(unscaled < 0 ? 'ff' : '2742', 'hex')],
    });
    const row = (id: number, more: object): object => ({
      RATING_ID: id,
      CLUB: null,
      TURNOVER: null,
      ...more,
    });
    expect(await readByKey(`${name}.joined`, 3)).toEqual([
      {
        key: 1,
        value: row(2 ** 40, {
          STARS: 5,
          RATING_TIME: AT,
          TAGS: ['a', 'b'],
          CLUB: 'gold',
          TURNOVER: turnover(1),
        }),
      },
      { key: 2, value: row(4, { STARS: 2, RATING_TIME: AT + 2, TAGS: ['c'], TURNOVER: turnover(-1) }) },
      { key: 9, value: row(3, { STARS: 1, RATING_TIME: AT + 1, TAGS: [] }) },
    ]);
    // The formats of what it reads.
    expect(await readByKey(`${name}.poor`, 2)).toEqual([
      { key: 2, value: { STARS: 2 } },
      { key: 9, value: { STARS: 1 } },
    ]);
    expect(await read(`${name}.of-log`, 2)).toEqual([
      { key: 1, value: { club: 'gold', turnover: turnover(1) } },
      { key: 2, value: { club: null, turnover: turnover(-1) } },
    ]);
    const latest = async (subject: string): Promise<unknown> => {
      const { schema } = (await registry.ask(`/subjects/${subject}/versions/latest`)) as { schema: string };
      return JSON.parse(schema);
    };
    expect(await latest(`${name}.poor-value`)).toEqual({
      type: 'record',
      name: 'KsqlDataSourceSchema',
      namespace: 'io.confluent.ksql.avro_schemas',
      fields: [{ name: 'STARS', type: ['null', 'int'], default: null }],
      'connect.name': 'io.confluent.ksql.avro_schemas.KsqlDataSourceSchema',
    });
    expect(await latest(`${name}.poor-key`)).toEqual('int');
    expect(await latest(`${name}.of-log-value`)).toMatchObject({
      name: 'Customer',
      namespace: 'com.example',
    });
    // Nothing was registered twice.
    expect(await registry.ask(`/subjects/${name}.joined-value/versions`)).toEqual([1]);
  });
});

describe('a process that is killed', () => {
  it('has put aside each record that it could not use, once', async () => {
    const name = `${kafka.prefix}_killed`;
    const topic = `${name}.ratings`;
    await topics.createTopics([topic]);
    const id = await register(`${topic}-value`, rating(1));
    const rows = 1_200;
    const isBad = (i: number): boolean => i % 5 === 2;
    const isZero = (i: number): boolean => i % 7 === 3;
    const messages = Array.from({ length: rows }, (_, i) => ({
      value: isBad(i)
        ? Buffer.from(`no Avro ${i}`)
        : encoded(id, rating(1), {
            rating_id: i,
            user_id: 1 + (i % 3),
            stars: isZero(i) ? 0 : 1,
            rating_time: AT + i,
            tags: [],
          }),
      timestamp: String(AT + i),
    }));
    const path = await pipeline(
      name,
      'json',
      `CREATE STREAM RATINGS WITH (KAFKA_TOPIC='${topic}', VALUE_FORMAT='AVRO', TIMESTAMP='RATING_TIME');
       CREATE TABLE CUSTOMERS WITH (CDC_TABLE='${name}.public.customers');
       CREATE STREAM J WITH (KAFKA_TOPIC='${name}.j', ON_ERROR='DLQ', VALUE_FORMAT='JSON') AS
         SELECT R.USER_ID, R.RATING_ID, 10 / R.STARS AS SHARE, C.CLUB
         FROM RATINGS R LEFT JOIN CUSTOMERS C ON R.USER_ID=C.ID;`,
    );
    const places = ['before-commit', 'before-end-transaction', 'after-commit'];
    const runs = [2, 3, 4].flatMap((count) => places.map((place) => `${place}:${count}`));
    let kills = 0;
    for (const [i, failpoint] of runs.entries()) {
      const part = rows / runs.length;
      await topics.producer.send({
        topic,
        messages: messages.slice(Math.floor(i * part), Math.floor((i + 1) * part)),
      });
      const { exit } = await headwater(['run', '--until-caught-up', path], {
        HEADWATER_FAILPOINT: failpoint,
      });
      if (exit === 'SIGKILL') kills++;
    }
    expect(kills).toBeGreaterThan(2);
    await caughtUp(path);
    const indexes = Array.from({ length: rows }, (_, i) => i);
    const used = indexes.filter((i) => !isBad(i));
    const aside = indexes.filter((i) => isBad(i) || isZero(i));
    const results = await topics.first(`${name}.j`, used.length);
    const club = (i: number): string | null => (i % 3 === 0 ? 'gold' : null);
    expect(results.map(({ value }) => JSON.parse(String(value)) as unknown)).toEqual(
      used.map((i) => ({ RATING_ID: i, SHARE: isZero(i) ? null : 10, CLUB: club(i) })),
    );
    const letters = await topics.first(`${name}.j-dlq`, aside.length);
    expect(letters.map(({ headers }) => headers['__headwater.problem'])).toEqual(
      aside.map((i) => (isBad(i) ? 'record-unreadable' : 'division-by-zero')),
    );
    expect(letters.map(({ headers }) => headers['__headwater.offset'])).toEqual(
      aside.map((i) => (isBad(i) ? String(i) : undefined)),
    );
    expect(String(letters[0]?.value)).toBe('no Avro 2');
    expect(letters[0]?.headers).toMatchObject({
      '__headwater.topic': topic,
      '__headwater.query': 'CSAS_J_0',
    });
    expect(JSON.parse(String(letters[1]?.value))).toMatchObject({ RATING_ID: 3, STARS: 0 });
  });
});

describe("ON_ERROR = 'STOP'", () => {
  it('ends the process at a record that cannot be read', async () => {
    const name = `${kafka.prefix}_stop`;
    const topic = `${name}.in`;
    await topics.createTopics([topic]);
    await topics.producer.send({ topic, messages: [{ value: '1' }, { value: 'x' }, { value: '3' }] });
    const path = await pipeline(
      name,
      'json',
      `CREATE STREAM NUMBERS (N INT) WITH (KAFKA_TOPIC='${topic}', VALUE_FORMAT='DELIMITED');
       CREATE STREAM OUT WITH (KAFKA_TOPIC='${name}.out', ON_ERROR='STOP') AS SELECT N FROM NUMBERS;`,
    );
    const { exit, stderr } = await runToEnd(path);
    expect(exit).not.toBe(0);
    expect(stderr).toContain('enrich.row-failed');
  });
});
