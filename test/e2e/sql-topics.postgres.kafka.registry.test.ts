/** Results in Avro with a real registry: schemas that it refuses, and statements of clients that make and drop topics. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Consumer } from '@platformatic/kafka';
import { Kafka, type Consumer as KafkaConsumer, logLevel } from 'kafkajs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type TestDatabase,
  testDatabase,
  type TestKafka,
  testKafka,
  type TestRegistry,
  testRegistry,
} from '../support/servers.ts';
import { plainReader } from '../support/registered-records.ts';
import { TopicClient } from '../support/topic-client.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';

/** How long anything is waited for, in ms. */
const PATIENCE_MS = 120_000;

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
    CREATE TABLE customers (id int PRIMARY KEY, club text);
    INSERT INTO customers VALUES (1, 'gold'), (2, NULL);`);
});
afterEach(() => database.drop());

function settings(name: string, enrich: string): Promise<string> {
  const text = pipelineFile({
    name,
    url: database.url,
    tables: ['public.customers'],
    brokers: kafka.brokers,
    emit: [`registry: { url: ${registry.url} }`],
    source: [`postgres: { slot: ${database.name}, publication: ${database.name} }`],
    kafka: ['session_timeout: 6s'],
    more: [`state: { dir: ${JSON.stringify(files.path(`state-${name}`))} }`, `enrich: ${enrich}`],
  });
  return files.write(
    `${name}.yaml`,
    text.replace(/^http: .*$/m, 'http: { listen: "127.0.0.1:0", sql: "127.0.0.1:0", sql_changes: open }'),
  );
}

/** The values of the first committed records of a topic, read with the schemas in the registry. */
async function values(topic: string, count: number): Promise<readonly unknown[]> {
  const decode = plainReader(registry);
  return await Promise.all((await topics.first(topic, count)).map(({ value }) => decode(value)));
}

function versions(subject: string): Promise<unknown> {
  return registry.ask(`/subjects/${subject}/versions`);
}

/** Asks the SQL interface of a daemon, with a body by POST, again while the pipeline begins anew with a new statement. */
async function asker(run: Headwater): Promise<(path: string, body?: object) => Promise<unknown>> {
  const { host, port } = await run.line(({ msg }) => msg === 'SQL interface is up');
  // A stream that is made before the snapshot has ended has its rows too.
  await run.until(({ state }) => state === 'streaming');
  return async (path, body) => {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = await fetch(`http://${String(host)}:${String(port)}${path}`, {
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
        headers: { 'content-type': 'application/json', accept: 'application/json' },
      });
      // An answer that is not read keeps its connection.
      const said: unknown = await answer.json();
      if (answer.status !== 503) return said;
      if (performance.now() > deadline) throw new Error(`not ready: ${JSON.stringify(said)}`);
      await sleep(50);
    }
  };
}

describe('a schema that the registry refuses', () => {
  it('holds its statement and who reads it, until it is accepted', async () => {
    const name = `${kafka.prefix}_refused`;
    const ratings = `${name}.ratings`;
    await topics.createTopics([ratings]);
    const refused = ['poor', 'log', 'table'].map((topic) => `${name}.${topic}-value`);
    // What all of the results call STARS or CLUB is something else there.
    const other = {
      type: 'record',
      name: 'KsqlDataSourceSchema',
      namespace: 'io.confluent.ksql.avro_schemas',
      fields: ['STARS', 'CLUB'].map((field) => ({ name: field, type: 'boolean' })),
    };
    for (const subject of refused) {
      await registry.ask(`/subjects/${subject}/versions`, {
        method: 'POST',
        body: { schema: JSON.stringify(other) },
      });
      await registry.ask(`/config/${subject}`, { method: 'PUT', body: { compatibility: 'BACKWARD' } });
    }
    const sql = `
      CREATE STREAM RATINGS (USER_ID INT, STARS INT) WITH (KAFKA_TOPIC='${ratings}', VALUE_FORMAT='JSON');
      CREATE STREAM POOR WITH (KAFKA_TOPIC='${name}.poor', VALUE_FORMAT='AVRO') AS
        SELECT USER_ID, STARS FROM RATINGS WHERE STARS < 3;
      CREATE STREAM READS WITH (KAFKA_TOPIC='${name}.reads', VALUE_FORMAT='JSON') AS SELECT STARS FROM POOR;
      CREATE STREAM OTHER WITH (KAFKA_TOPIC='${name}.other') AS SELECT STARS FROM RATINGS;
      CREATE STREAM CHANGES WITH (CDC_TABLE='${name}.public.customers');
      CREATE STREAM LOGGED WITH (KAFKA_TOPIC='${name}.log', VALUE_FORMAT='AVRO') AS SELECT ID, CLUB FROM CHANGES;
      CREATE TABLE CUSTOMERS WITH (CDC_TABLE='${name}.public.customers');
      CREATE TABLE CLUBS WITH (KAFKA_TOPIC='${name}.table', VALUE_FORMAT='AVRO') AS SELECT ID, CLUB FROM CUSTOMERS;`;
    await using run = new Headwater(['run', await settings(name, `{ sql: [${JSON.stringify(sql)}] }`)]);
    const send = (stars: number): Promise<unknown> =>
      topics.producer.send({
        topic: ratings,
        messages: [{ value: JSON.stringify({ user_id: 1, stars }), timestamp: String(Date.now()) }],
      });
    await send(1);
    // What is over topics is named by its id, what is over the log by its result.
    const paused = await run.until(
      ({ queries }) => queries.filter((each) => each.paused != null).length === 4,
    );
    const waiting = paused.queries.flatMap(({ id, paused: why }) => (why == null ? [] : [`${id} ${why}`]));
    expect(new Set(waiting.map((line) => line.split(' ')[0]))).toEqual(
      new Set(['CLUBS', 'CSAS_POOR_0', 'CSAS_READS_1', 'LOGGED']),
    );
    for (const line of waiting)
      expect(line).toMatch(/compatibility BACKWARD of the subject .*-value forbids/);
    expect((await topics.first(`${name}.other`, 1)).map(({ value }) => String(value))).toEqual([
      '{"STARS":1}',
    ]);
    for (const subject of refused) expect(await versions(subject)).toEqual([1]);
    await database.query(`INSERT INTO customers VALUES (3, 'tin')`);
    await send(2);
    for (const subject of refused)
      await registry.ask(`/config/${subject}`, { method: 'PUT', body: { compatibility: 'NONE' } });
    await run.until(({ queries }) => queries.length > 0 && queries.every((each) => each.paused == null));
    // Over a topic it goes on where it was, and a table is whole; of a stream over the log what was meanwhile is not there.
    expect(await values(`${name}.poor`, 2)).toEqual([1, 2].map((STARS) => ({ USER_ID: 1, STARS })));
    expect((await topics.first(`${name}.reads`, 2)).map(({ value }) => String(value))).toEqual([
      '{"STARS":1}',
      '{"STARS":2}',
    ]);
    const clubs = await values(`${name}.table`, 3);
    expect(new Set(clubs)).toEqual(new Set(['gold', null, 'tin'].map((CLUB) => ({ CLUB }))));
    await database.query(`INSERT INTO customers VALUES (4, 'silver')`);
    expect(await values(`${name}.log`, 1)).toEqual([{ CLUB: 'silver' }]);
    for (const subject of refused) expect(await versions(subject)).toEqual([1, 2]);
  });
});

describe('statements of clients', () => {
  it('insert into a table over a topic, and drop topics with their schemas', async () => {
    const name = `${kafka.prefix}_clients`;
    await using run = new Headwater(['run', await settings(name, '{}')]);
    const ask = await asker(run);
    const ksql = (statements: string): Promise<unknown> => ask('/ksql', { ksql: statements });
    const rows = async (sql: string): Promise<readonly unknown[]> =>
      ((await ask('/query-stream', { sql })) as readonly unknown[]).slice(1);
    await ksql(`
      CREATE TABLE PEOPLE (ID STRING PRIMARY KEY, CLUB STRING) WITH (KAFKA_TOPIC='${name}.people', FORMAT='AVRO', PARTITIONS=2);
      CREATE SOURCE TABLE READ_ONLY (ID STRING PRIMARY KEY, CLUB STRING) WITH (KAFKA_TOPIC='${name}.people', FORMAT='AVRO');
      CREATE STREAM CHANGES WITH (CDC_TABLE='${name}.public.customers');
      CREATE STREAM COPIED WITH (KAFKA_TOPIC='${name}.copied', FORMAT='AVRO') AS SELECT ID, CLUB FROM CHANGES;`);
    expect(
      await ksql(`INSERT INTO PEOPLE VALUES ('ada', 'gold'); INSERT INTO PEOPLE (ID) VALUES ('bo');
        INSERT INTO PEOPLE (CLUB, ID) VALUES ('tin', 'ada');`),
    ).toEqual([]);
    expect(await ksql(`INSERT INTO PEOPLE (CLUB) VALUES ('tin');`)).toMatchObject({
      error_code: 40001,
      message: expect.stringContaining('ID has no value') as string,
    });
    expect(await ksql(`INSERT INTO READ_ONLY VALUES ('x', 'y');`)).toMatchObject({
      error_code: 40001,
      message: expect.stringContaining('CREATE SOURCE') as string,
    });
    const sql = 'SELECT ID, CLUB FROM PEOPLE;';
    const deadline = performance.now() + PATIENCE_MS;
    let seen: readonly unknown[] = [];
    const wanted = new Set(['["ada","tin"]', '["bo",null]']);
    while (!isDeepStrictEqual(new Set(seen.map((row) => JSON.stringify(row))), wanted)) {
      if (performance.now() > deadline) throw new Error(`the table has ${JSON.stringify(seen)}`);
      seen = await rows(sql);
    }
    expect(await ksql('DESCRIBE PEOPLE EXTENDED;')).toMatchObject([
      { sourceDescription: { partitions: 2, replication: 1, statistics: 'rows: 2, complete' } },
    ]);
    const subjects = ['people', 'copied'].flatMap((topic) =>
      ['key', 'value'].map((part) => `${name}.${topic}-${part}`),
    );
    await database.query(`INSERT INTO customers VALUES (3, 'tin')`);
    expect(await values(`${name}.copied`, 1)).toEqual([{ CLUB: 'tin' }]);
    for (const subject of subjects) expect(await versions(subject)).toEqual([1]);
    const dropped = await ksql(
      'DROP STREAM COPIED DELETE TOPIC; DROP TABLE READ_ONLY; DROP TABLE PEOPLE DELETE TOPIC;',
    );
    const message = (source: string, topic: string): object => ({
      commandStatus: {
        status: 'SUCCESS',
        message: `Source \`${source}\` (topic: ${name}.${topic}) was dropped.`,
      },
    });
    expect(dropped).toMatchObject([
      message('COPIED', 'copied'),
      message('READ_ONLY', 'people'),
      message('PEOPLE', 'people'),
    ]);
    for (const subject of subjects) expect(await versions(subject)).toMatchObject({ error_code: 40401 });
    const [{ topics: left }] = (await ksql('SHOW TOPICS;')) as [{ topics: readonly { name: string }[] }];
    const names = left.map((topic) => topic.name);
    expect(names).toContain(`${name}.public.customers`);
    for (const topic of ['people', 'copied']) expect(names).not.toContain(`${name}.${topic}`);
  });

  it('show who consumes topics, and which cluster it is', async () => {
    const name = `${kafka.prefix}_shown`;
    const [read, unread] = [`${name}.read`, `${name}.unread`];
    await topics.createTopics([read, unread], 2);
    await using run = new Headwater(['run', await settings(name, '{}')]);
    const ask = await asker(run);
    const shown = async (): Promise<readonly unknown[]> => {
      const [entity] = (await ask('/ksql', { ksql: 'SHOW TOPICS EXTENDED;' })) as [
        { readonly topics: readonly { readonly name: string }[] },
      ];
      return entity.topics.filter((topic) => topic.name === read || topic.name === unread);
    };
    const nobody = { replicaInfo: [1, 1], consumerCount: 0, consumerGroupCount: 0 };
    expect(await shown()).toEqual([
      { name: read, ...nobody },
      { name: unread, ...nobody },
    ]);
    const client = new Kafka({ brokers: [kafka.brokers], logLevel: logLevel.NOTHING });
    const consume = async (groupId: string): Promise<KafkaConsumer> => {
      const consumer = client.consumer({ groupId });
      await consumer.connect();
      await consumer.subscribe({ topic: read });
      await consumer.run({ eachMessage: () => Promise.resolve() });
      return consumer;
    };
    const newer = new Consumer({
      clientId: name,
      groupId: `${name}.newer`,
      groupProtocol: 'consumer',
      bootstrapBrokers: [kafka.brokers],
    });
    const stream = await newer.consume({ topics: [read] });
    const consumers = await Promise.all(['a', 'a', 'b'].map((group) => consume(`${name}.${group}`)));
    const all = { ...nobody, name: read, consumerCount: 4, consumerGroupCount: 3 };
    for (const deadline = performance.now() + PATIENCE_MS; !isDeepStrictEqual((await shown())[0], all);) {
      if (performance.now() > deadline) expect(await shown()).toContainEqual(all);
      await sleep(100);
    }
    expect((await shown())[1]).toEqual({ name: unread, ...nobody });
    for (const consumer of consumers) await consumer.disconnect();
    await stream.close();
    await newer.close();
    const admin = client.admin();
    await admin.connect();
    const { clusterId } = await admin.describeCluster();
    await admin.disconnect();
    expect(clusterId).toMatch(/./);
    expect(await ask('/info')).toMatchObject({ KsqlServerInfo: { kafkaClusterId: clusterId } });
  });

  it('name topics that are to be had, and delete none that is needed', async () => {
    const name = `${kafka.prefix}_needed`;
    await using run = new Headwater(['run', await settings(name, '{}')]);
    const ask = await asker(run);
    const ksql = (statements: string): Promise<unknown> => ask('/ksql', { ksql: statements });
    const refused = (statements: string, message: RegExp): Promise<void> =>
      expect(ksql(statements), statements).resolves.toMatchObject({
        error_code: 40001,
        message: expect.stringMatching(message) as string,
      });
    const made = 'PARTITIONS=2';
    const of = (topic: string, more: string): string =>
      `WITH (KAFKA_TOPIC='${name}.${topic}', VALUE_FORMAT='JSON'${more === '' ? '' : `, ${more}`})`;
    // Each of these would end the pipeline at its start, and every start behind it.
    await refused(`CREATE STREAM A (X INT) ${of('none', '')};`, /^line 1:1: there is no topic .*PARTITIONS/);
    await refused(`CREATE TABLE A (X INT PRIMARY KEY) ${of('none', '')};`, /^line 1:1: there is no topic/);
    await refused(
      `CREATE STREAM A (X INT) ${of('a', 'PARTITIONS=1, REPLICAS=7')};`,
      /replication factor of 7/,
    );
    await ksql(`CREATE STREAM A (X INT) ${of('a', made)};`);
    await refused(`CREATE STREAM B ${of('b', 'REPLICAS=7')} AS SELECT X FROM A;`, /replication factor of 7/);
    expect(await ask('/query-stream', { sql: `SELECT X FROM A;` })).toHaveLength(1);
    const listed = async (): Promise<readonly string[]> => {
      const [{ topics: all }] = (await ksql('SHOW TOPICS;')) as [
        { readonly topics: readonly { readonly name: string }[] },
      ];
      return all.flatMap((topic) => (topic.name.includes(name) ? [topic.name] : []));
    };
    expect(await listed()).toContain(`${name}.a`);
    expect(await listed()).not.toContain(`${name}.b`);
    await ksql(`CREATE STREAM SAME (X INT) ${of('a', '')};
      CREATE STREAM CHANGES (X INT) ${of('public.customers', '')};
      CREATE STREAM STATE (X INT) WITH (KAFKA_TOPIC='headwater.${name}.state', VALUE_FORMAT='JSON');`);
    await refused('DROP STREAM SAME DELETE TOPIC;', /is that of A too: leave DELETE TOPIC out/);
    await refused('DROP STREAM CHANGES DELETE TOPIC;', /is that of a captured table/);
    await refused('DROP STREAM STATE DELETE TOPIC;', /holds the state of a pipeline/);
    // What is refused is not done by half.
    expect(await ksql('DROP STREAM SAME; DROP STREAM CHANGES; DROP STREAM STATE;')).toMatchObject(
      ['SAME', 'CHANGES', 'STATE'].map((source) => ({ commandId: `stream/\`${source}\`/drop` })),
    );
    await ksql('DROP STREAM A DELETE TOPIC;');
    expect(await listed()).toEqual(
      expect.arrayContaining([`${name}.public.customers`, `headwater.${name}.state`]),
    );
    expect(await listed()).not.toContain(`${name}.a`);
    expect(run.alive).toBe(true);
  });
});
