/** Topics that are taken away while they are written: their tables wait, or go on in a new topic; the others always go on. */
import { ConfigResourceTypes } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PipelineStatus } from '../../src/observability/status.ts';
import { testDatabase } from '../support/servers.ts';
import { type DenyingKafka, startDenyingKafka } from './denying-kafka.ts';
import { Headwater, pipelineFile, runToEnd, workspace } from './headwater.ts';
import { type Delivered, readUntil } from './topic-records.ts';

let kafka: DenyingKafka;

beforeAll(async () => {
  kafka = await startDenyingKafka();
});
afterAll(() => kafka?.[Symbol.asyncDispose]());

interface Taking {
  /** Of the table's column; PRIMARY KEY unless given. */
  readonly key?: string;
  readonly take: (topic: string) => Promise<void>;
  readonly giveBack: (topic: string) => Promise<void>;
  /** What the table's error says meanwhile. */
  readonly says: RegExp;
}

async function alter(topic: string, name: string, value: string): Promise<void> {
  await kafka.admin.alterConfigs({
    validateOnly: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name, value }] }],
  });
}

const WAYS: readonly (readonly [string, Taking])[] = [
  [
    'that may no longer be written',
    {
      take: (topic) => kafka.deny(topic),
      giveBack: (topic) => kafka.allow(topic),
      says: /denies access to topic/,
    },
  ],
  [
    'that is deleted and not to be made',
    {
      take: async (topic) => kafka.admin.deleteTopics({ topics: [topic] }),
      giveBack: async (topic) =>
        void (await kafka.admin.createTopics({ topics: [{ topic, numPartitions: 1 }] })),
      says: /does not exist/,
    },
  ],
  [
    'that takes nothing of what is sent, for a reason that nobody looks at',
    {
      // Records without a key cannot be compacted.
      key: '',
      take: (topic) => alter(topic, 'cleanup.policy', 'compact'),
      giveBack: (topic) => alter(topic, 'cleanup.policy', 'delete'),
      says: /Producing to topic/,
    },
  ],
];

function stateOf({ tables }: PipelineStatus, table: string) {
  return tables.find((each) => each.table === table);
}

const ids = (records: readonly Delivered[]): unknown[] =>
  records.flatMap(({ value }) => (value === null ? [] : [value.after!.id]));

describe.each(WAYS)('a topic %s', (_, { take, giveBack, says, key = 'PRIMARY KEY' }) => {
  it('keeps its table waiting while the others go on, and is read anew afterwards', async () => {
    await using database = await testDatabase();
    await using files = await workspace();
    const { name } = database;
    const [inA, inB] = [`${name}.public.a`, `${name}.public.b`];
    await database.query(`
      CREATE TABLE a (id int PRIMARY KEY);
      CREATE TABLE b (id int ${key});
      INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)`);
    const file = pipelineFile({
      name,
      url: database.url,
      tables: ['public.a', 'public.b'],
      brokers: kafka.denying,
      kafka: [kafka.login],
    });
    expect(await runToEnd(await files.write('first.yaml', file))).toMatchObject({ exit: 0 });
    const withoutMaking = file.replace('partitions: 1', 'partitions: 1, create: false');
    await using run = new Headwater(['run', await files.write('run.yaml', withoutMaking)]);
    await database.query('INSERT INTO a VALUES (2); INSERT INTO b VALUES (2)');
    await readUntil(kafka.brokers, [inA, inB], (records) => records.length === 4);

    await take(inB);
    await database.query('INSERT INTO b VALUES (3); INSERT INTO a VALUES (3)');
    const waiting = await run.until((status) => stateOf(status, 'public.b')?.state === 'quarantined');
    expect(JSON.stringify(stateOf(waiting, 'public.b'))).toMatch(says);
    expect(stateOf(waiting, 'public.a')?.state).toBe('streaming');
    await database.query('INSERT INTO b VALUES (4); INSERT INTO a VALUES (4)');
    const others = await readUntil(kafka.brokers, [inA], (records) => records.length >= 4);
    expect(ids(others)).toEqual([1, 2, 3, 4]);

    await giveBack(inB);
    await run.until((status) => stateOf(status, 'public.b')?.state === 'streaming');
    await database.query('INSERT INTO b VALUES (5); INSERT INTO a VALUES (5)');
    const after = await readUntil(kafka.brokers, [inB], (records) => records.at(-1)?.value?.after?.id === 5);
    const anew = after.slice(after.findLastIndex(({ value }) => value?.op === 'r' && value.after?.id === 1));
    expect(ids(anew)).toEqual([1, 2, 3, 4, 5]);
    const all = await readUntil(kafka.brokers, [inA], (records) => records.at(-1)?.value?.after?.id === 5);
    expect(ids(all)).toEqual([1, 2, 3, 4, 5]);
    expect((await run.stop()).exit).toBe(0);
  });
});

it('a topic that is deleted is made anew where topics are made, and no change is lost', async () => {
  await using database = await testDatabase();
  await using files = await workspace();
  const { name } = database;
  const topics = [`${name}.public.a`, `${name}.public.b`];
  await database.query(`
    CREATE TABLE a (id int PRIMARY KEY);
    CREATE TABLE b (id int PRIMARY KEY);
    INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)`);
  const file = pipelineFile({
    name,
    url: database.url,
    tables: ['public.a', 'public.b'],
    brokers: kafka.brokers,
  });
  await using run = new Headwater(['run', await files.write('run.yaml', file)]);
  await readUntil(kafka.brokers, topics, (records) => records.length === 2);
  await kafka.admin.deleteTopics({ topics: [topics[1]!] });
  await database.query('INSERT INTO b VALUES (2); INSERT INTO a VALUES (2)');
  await readUntil(kafka.brokers, [topics[0]!], (records) => records.length === 2);
  const made = await readUntil(kafka.brokers, [topics[1]!], (records) => records.length >= 1);
  expect(ids(made)).toEqual([2]);
  await run.until((status) => stateOf(status, 'public.b')?.state === 'streaming');
  expect((await run.stop()).exit).toBe(0);
});
