/** Two instances that share the partitions of a stream; one is killed, and the other goes on with its state. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase, type TestKafka, testKafka } from '../support/servers.ts';
import { TopicClient } from '../support/topic-client.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';

const PARTITIONS = 4;
const CUSTOMERS = 40;
const CLUBS = ['gold', 'silver', 'bronze'];
/** ms; the broker's retention goes by the times of records, and deletes old ones. */
const START = Date.now() - 3_600_000;

let files: Workspace;
let kafka: TestKafka;
let database: TestDatabase;
let client: TopicClient;

beforeAll(async () => {
  files = await workspace();
  kafka = await testKafka();
  database = await testDatabase();
  await database.query('CREATE TABLE anything (id int PRIMARY KEY)');
  client = await TopicClient.connect(kafka.brokers);
});
afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await database?.drop();
  await files?.[Symbol.asyncDispose]();
});

interface Sent {
  readonly key: string;
  readonly value: object | null;
}

async function send(topic: string, records: readonly Sent[]): Promise<void> {
  const messages = records.map(({ key, value }, i) => ({
    key,
    value: value === null ? null : JSON.stringify(value),
    timestamp: String(START + i),
  }));
  await client.producer.send({ topic, messages });
}

const customerOf = (id: number): string => `c${id % CUSTOMERS}`;
const clubOf = (customer: number): string => CLUBS[customer % CLUBS.length] ?? '';

/** Units that an instance has taken up, by the names in its log. */
function held({ log }: Headwater): ReadonlySet<string> {
  const lines = log.filter(
    ({ msg, unit }) => msg === 'topics of the statements are read' && unit !== undefined,
  );
  return new Set(lines.map(({ unit }) => String(unit)));
}

/** Reads committed records until those that were looked for are there. */
async function readUntil(
  topic: string,
  enough: (records: { readonly length: number }) => boolean,
): Promise<readonly { readonly key: string; readonly value: string }[]> {
  const records = await client.read(topic, enough);
  return records.map(({ key, value }) => ({ key: key?.toString() ?? '', value: value?.toString() ?? '' }));
}

/** Settings of an instance. */
function file(instance: string, name: string, sql: string): Promise<string> {
  const own = name.replaceAll('-', '_');
  return files.write(
    `${instance}-${name}.yaml`,
    pipelineFile({
      name,
      url: database.url,
      tables: ['public.anything'],
      brokers: kafka.brokers,
      source: [`postgres: { slot: ${own}, publication: ${own} }`],
      kafka: ['session_timeout: 6s'],
      more: [
        `state: { dir: ${JSON.stringify(files.path(`state-${instance}-${name}`))} }`,
        `enrich: { shared: true, sql: [${JSON.stringify(sql)}] }`,
      ],
    }),
  );
}

const counts = (seen: readonly { readonly key: string; readonly value: string }[]): Map<string, number> =>
  new Map(seen.map(({ key, value }) => [key, (JSON.parse(value) as { readonly n: number }).n]));

describe('queries that instances share', () => {
  it('go on in the other with the state of the one that was killed, exactly once', async () => {
    const name = `${kafka.prefix}-shared`;
    const [ratings, customers] = [`${name}.ratings`, `${name}.customers`];
    await client.createTopics([ratings, customers], PARTITIONS);
    await send(
      customers,
      Array.from({ length: CUSTOMERS }, (_, id) => ({ key: customerOf(id), value: { club: clubOf(id) } })),
    );
    const sql = `
      CREATE STREAM ratings (customer STRING KEY, id INT) WITH (KAFKA_TOPIC='${ratings}', VALUE_FORMAT='JSON');
      CREATE TABLE customers (id STRING PRIMARY KEY, club STRING)
        WITH (KAFKA_TOPIC='${customers}', VALUE_FORMAT='JSON', REPLICATION='PARTITIONED');
      CREATE STREAM joined WITH (KAFKA_TOPIC='${name}.joined', FIELD_CASE='LOWER') AS
        SELECT r.customer, r.id AS rating, c.club FROM ratings r LEFT JOIN customers c ON r.customer = c.id;
      CREATE TABLE counted WITH (KAFKA_TOPIC='${name}.counted', FIELD_CASE='LOWER') AS
        SELECT customer, COUNT(*) AS n FROM joined GROUP BY customer;`;
    let sent = 0;
    const rate = async (count: number): Promise<void> => {
      const ids = Array.from({ length: count }, () => sent++);
      await send(
        ratings,
        ids.map((id) => ({ key: customerOf(id), value: { id } })),
      );
    };
    await using first = new Headwater(['run', await file('first', name, sql)]);
    await first.line(() => held(first).size === PARTITIONS);
    await rate(400);
    await using second = new Headwater(['run', await file('second', name, sql)]);
    // They come to share evenly.
    await second.line(() => held(second).size === PARTITIONS / 2);
    await rate(400);
    await readUntil(`${name}.joined`, ({ length }) => length >= sent);
    // Not all of this is worked off when the process dies.
    await rate(4_000);
    await first.kill();
    await rate(400);
    await second.line(() => held(second).size === PARTITIONS);
    await rate(400);
    const per = sent / CUSTOMERS;
    const joined = await readUntil(`${name}.joined`, ({ length }) => length >= sent);
    const seen = joined.map(({ key, value }) => ({
      key,
      ...(JSON.parse(value) as { readonly rating: number; readonly club: string }),
    }));
    expect(seen.map(({ rating }) => rating).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: sent }, (_, id) => id),
    );
    for (const { key, rating, club } of seen) {
      expect(key).toBe(customerOf(rating));
      expect(club).toBe(clubOf(rating % CUSTOMERS));
    }
    const counted = await readUntil(`${name}.counted`, ({ length }) => length >= sent);
    // Each event counted once: the counts of a customer are 1, 2, 3 and so on.
    const runs = new Map<string, number>();
    for (const { key, value } of counted) {
      const next = (runs.get(key) ?? 0) + 1;
      expect((JSON.parse(value) as { readonly n: number }).n).toBe(next);
      runs.set(key, next);
    }
    expect([...counts(counted).values()]).toEqual(Array.from({ length: CUSTOMERS }, () => per));
  });

  it('are shared anew when their topic gets partitions, with events under way', async () => {
    const name = `${kafka.prefix}-grown`;
    const ratings = `${name}.ratings`;
    await client.createTopics([ratings], 2);
    const sql = `
      CREATE STREAM ratings (customer STRING KEY, id INT) WITH (KAFKA_TOPIC='${ratings}', VALUE_FORMAT='JSON');
      CREATE STREAM passed WITH (KAFKA_TOPIC='${name}.passed', FIELD_CASE='LOWER') AS SELECT customer, id FROM ratings;`;
    let sent = 0;
    const rate = (): Promise<void> =>
      send(
        ratings,
        Array.from({ length: 200 }, () => ({ key: customerOf(sent), value: { id: sent++ } })),
      );
    await using first = new Headwater(['run', await file('first', name, sql)]);
    await using second = new Headwater(['run', await file('second', name, sql)]);
    const units = (): readonly string[] => [...new Set([...held(first), ...held(second)])].toSorted();
    const expected = (count: number): readonly string[] =>
      Array.from({ length: count }, (_, partition) => `${name}.enrich.${partition}`);
    // One that has not begun by then knows of no fewer partitions.
    const bothWork = (): boolean => held(first).size > 0 && held(second).size > 0;
    /** Meanwhile events go on. */
    const until = async (count: number): Promise<void> => {
      const deadline = performance.now() + 120_000;
      while (units().length < count || !bothWork()) {
        if (performance.now() > deadline || !first.alive || !second.alive)
          throw new Error(`only ${units().join(', ')} are worked off`);
        await rate();
        await sleep(500);
      }
      expect(units()).toEqual(expected(count));
    };
    await until(2);
    await client.addPartitions(ratings, 5);
    // The producer hears of the new partitions at some time, and the instances at others.
    await until(5);
    await rate();
    const passed = await readUntil(`${name}.passed`, ({ length }) => length >= sent);
    const ids = passed.map(({ value }) => (JSON.parse(value) as { readonly id: number }).id);
    expect(ids.toSorted((a, b) => a - b)).toEqual(Array.from({ length: sent }, (_, id) => id));
    // Both have counted anew, whatever share of them each comes to have: one alone would go on with all.
    for (const instance of [first, second])
      await instance.line(({ msg }) => msg.startsWith(`The topic ${ratings} has 5 partitions`));
  });
});
