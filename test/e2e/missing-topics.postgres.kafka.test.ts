/** Topics that are made by others, or not: what goes to them waits alone. */
import { Kafka, logLevel } from 'kafkajs';
import { expect, it } from 'vitest';
import { testDatabase, testKafka } from '../support/servers.ts';
import { Headwater, pipelineFile, runToEnd, workspace } from './headwater.ts';
import { readUntil } from './topic-records.ts';

it('a topic that is missing keeps its table waiting, or its messages apart, until it is there', async () => {
  await using database = await testDatabase();
  await using files = await workspace();
  const { brokers, prefix } = await testKafka();
  const name = `${prefix}m`;
  const admin = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const create = async (topic: string, ...config: { name: string; value: string }[]): Promise<void> => {
    await admin.createTopics({ topics: [{ topic, numPartitions: 1, configEntries: config }] });
  };
  await create(`headwater.${name}.state`, { name: 'cleanup.policy', value: 'compact' });
  await create(`${name}.dead-letter`);
  await create(`${name}.public.a`);
  await database.query(`
    CREATE TABLE a (id int PRIMARY KEY);
    CREATE TABLE b (id int PRIMARY KEY);
    CREATE TABLE box (id int PRIMARY KEY, aggregatetype text, aggregateid text, payload text);
    INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)`);
  const write = (tables: readonly string[]): Promise<string> =>
    files.write(
      'm.yaml',
      pipelineFile({
        name,
        url: database.url,
        tables,
        brokers,
        source: [`postgres: { slot: ${database.name} }`],
        more: ['outbox: { table: public.box, topic: "' + name + '.{route}" }'],
      }).replace('partitions: 1', 'partitions: 1, create: false'),
    );
  const refused = await runToEnd(await write(['public.a', 'public.b', 'public.box']));
  expect(refused.stderr).toContain(`${name}.public.b does not exist`);
  expect(refused.exit).toBe(3);
  expect(await runToEnd(await write(['public.a', 'public.box']))).toMatchObject({ exit: 0 });

  await using run = new Headwater(['run', await write(['public.a', 'public.b', 'public.box'])]);
  await run.until(({ tables }) =>
    tables.some(({ table, state }) => table === 'public.b' && state === 'quarantined'),
  );
  await database.query(`INSERT INTO a VALUES (2); INSERT INTO b VALUES (2);
    INSERT INTO box VALUES (1, 'orders', 'k', 'v'); INSERT INTO a VALUES (3)`);
  const inA = await readUntil(brokers, [`${name}.public.a`], (records) => records.length >= 3);
  expect(inA.map(({ value }) => value!.after!.id)).toEqual([1, 2, 3]);
  const letters = await readUntil(brokers, [`${name}.dead-letter`], (records) => records.length >= 1);
  expect(letters[0]!.value).toMatchObject({
    table: 'public.box',
    after: { aggregateid: 'k', payload: 'v' },
    cause: { code: 'delivery.topic-missing' },
  });
  await create(`${name}.public.b`);
  const inB = await readUntil(brokers, [`${name}.public.b`], (records) => records.length >= 2);
  expect(inB.map(({ value }) => [value!.op, value!.after!.id])).toEqual([
    ['r', 1],
    ['r', 2],
  ]);
  await run.until(({ tables }) =>
    tables.some(({ table, state }) => table === 'public.b' && state === 'streaming'),
  );
  expect((await run.stop()).exit).toBe(0);
  await admin.disconnect();
});
