/** Topics of results that Kafka refuses: their statements wait, and the others go on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testDatabase } from '../support/servers.ts';
import { TopicClient } from '../support/topic-client.ts';
import { type DenyingKafka, startDenyingKafka } from './denying-kafka.ts';
import { Headwater, pipelineFile, runToEnd, workspace } from './headwater.ts';

let kafka: DenyingKafka;
let topics: TopicClient;

beforeAll(async () => {
  kafka = await startDenyingKafka();
  topics = await TopicClient.connect(kafka.brokers);
});
afterAll(async () => {
  await topics?.[Symbol.asyncDispose]();
  await kafka?.[Symbol.asyncDispose]();
});

interface Way {
  /** Whether the statements have been followed before their topics are taken. */
  readonly followed: boolean;
  /** In the WITH of their statements. */
  readonly more?: string;
  readonly create: boolean;
  readonly take: (topic: string) => Promise<void>;
  readonly giveBack: (topic: string) => Promise<void>;
  readonly says: RegExp;
  /** What is in their topics in the end, of the captured table and of the other topic. */
  readonly copied: readonly number[];
  readonly counted: readonly number[];
}

const WAYS: readonly (readonly [string, Way])[] = [
  [
    'that may no longer be written',
    {
      followed: true,
      create: true,
      take: (topic) => kafka.deny(topic),
      giveBack: (topic) => kafka.allow(topic),
      says: /denies access to topic/,
      copied: [1, 5],
      counted: [1, 2, 3, 4, 5],
    },
  ],
  [
    'that is deleted and not to be made',
    {
      followed: true,
      create: false,
      take: (topic) => kafka.admin.deleteTopics({ topics: [topic] }),
      giveBack: (topic) => topics.createTopics([topic]),
      says: /does not exist/,
      copied: [5],
      counted: [2, 3, 4, 5],
    },
  ],
  [
    'that cannot be made as its statement wants it',
    {
      followed: false,
      more: ', REPLICAS = 3',
      create: true,
      take: () => Promise.resolve(),
      giveBack: (topic) => topics.createTopics([topic]),
      says: /refuses to create topic/,
      copied: [5],
      counted: [1, 2, 3, 4, 5],
    },
  ],
];

describe.each(WAYS)('a topic %s', (_, way) => {
  it('keeps its statement waiting, also over a restart, while the others go on', async () => {
    await using database = await testDatabase();
    await using files = await workspace();
    const { name } = database;
    await database.query('CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)');
    await topics.createTopics([`${name}.ratings`]);
    const rate = (): Promise<unknown> =>
      topics.producer.send({ topic: `${name}.ratings`, messages: [{ key: 'k', value: '{"stars":1}' }] });
    await rate();
    const pair = (suffix: string, more: string): string => `
      CREATE STREAM copied${suffix} WITH (KAFKA_TOPIC = '${name}.copied${suffix}'${more}) AS SELECT id, id AS n FROM orders;
      CREATE TABLE counted${suffix} WITH (KAFKA_TOPIC = '${name}.counted${suffix}'${more}) AS
        SELECT k, COUNT(*) AS n FROM ratings GROUP BY k;`;
    const write = (file: string, statements: string, create = true): Promise<string> =>
      files.write(
        file,
        pipelineFile({
          name,
          url: database.url,
          tables: ['public.orders'],
          brokers: kafka.denying,
          kafka: [kafka.login],
          more: [
            `state: { dir: ${JSON.stringify(files.path('state'))} }`,
            `enrich: { sql: [${JSON.stringify(`
              CREATE STREAM orders WITH (CDC_TABLE = '${name}.public.orders');
              CREATE STREAM ratings (k STRING KEY, stars INT) WITH (KAFKA_TOPIC = '${name}.ratings', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');
              ${statements}`)}] }`,
          ],
        }).replace('partitions: 1', `partitions: 1, create: ${create}`),
      );
    const both = pair('', '') + pair('_2', way.more ?? '');
    const first = await runToEnd(await write('first.yaml', way.followed ? both : pair('', '')));
    expect(first, first.stderr).toMatchObject({ exit: 0 });
    const path = await write('run.yaml', both, way.create);
    const numbers = async (topic: string, count: number): Promise<readonly number[]> =>
      (await topics.first(`${name}.${topic}`, count)).map(
        ({ value }) => (JSON.parse(value?.toString() ?? '') as { N: number }).N,
      );
    const refused = [`${name}.copied_2`, `${name}.counted_2`];
    const pausedIn = async (run: Headwater, paused: boolean): Promise<readonly string[]> => {
      const { queries } = await run.until(({ queries }) => {
        const theirs = queries.filter(({ statement }) => statement.includes('_2'));
        return theirs.length === 2 && theirs.every((each) => (each.paused !== null) === paused);
      });
      expect(queries.filter(({ statement, paused }) => !statement.includes('_2') && paused !== null)).toEqual(
        [],
      );
      return queries.flatMap((each) => each.paused ?? []);
    };
    const next = async (id: number): Promise<void> => {
      await database.query(`INSERT INTO orders VALUES (${id})`);
      await rate();
      const expected = Array.from({ length: id }, (_, i) => i + 1);
      expect(await numbers('copied', id)).toEqual(expected);
      expect(await numbers('counted', id)).toEqual(expected);
    };
    {
      await using run = new Headwater(['run', path]);
      if (way.followed) await pausedIn(run, false);
      for (const topic of refused) await way.take(topic);
      await next(2);
      for (const reason of await pausedIn(run, true)) expect(reason).toMatch(way.says);
      await next(3);
      expect((await run.stop()).exit).toBe(0);
    }
    const job = await runToEnd(path);
    expect(job, job.stderr).toMatchObject({ exit: 1 });
    expect(job.stderr).toMatch(/had to be given up of CSAS_COPIED_2_\d, CTAS_COUNTED_2_\d;/);
    await using run = new Headwater(['run', path]);
    for (const reason of await pausedIn(run, true)) expect(reason).toMatch(way.says);
    await next(4);
    for (const topic of refused) await way.giveBack(topic);
    await pausedIn(run, false);
    await next(5);
    expect(await numbers('copied_2', way.copied.length)).toEqual(way.copied);
    expect(await numbers('counted_2', way.counted.length)).toEqual(way.counted);
    expect((await run.stop()).exit).toBe(0);
  });
});
