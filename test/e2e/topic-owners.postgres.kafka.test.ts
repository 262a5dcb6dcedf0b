/** Tables that come to one topic by their names alone, or to two that Kafka cannot tell apart. */
import { Kafka, logLevel } from 'kafkajs';
import { expect, it } from 'vitest';
import { testDatabase, testKafka } from '../support/servers.ts';
import { Headwater, pipelineFile, runToEnd, workspace } from './headwater.ts';
import { readUntil } from './topic-records.ts';

it('one of them waits until the settings say where it goes; what they bring together stays so', async () => {
  await using database = await testDatabase();
  await using files = await workspace();
  const { brokers, prefix } = await testKafka();
  const name = `${prefix}o`;
  const write = (...more: readonly string[]): Promise<string> =>
    files.write(
      'o.yaml',
      pipelineFile({
        name,
        url: database.url,
        tables: ['a*.*', 'shard_*.t'],
        brokers,
        source: [`postgres: { slot: ${database.name} }`],
        emit: [`routes: [{ match: '.*\\.shard_\\d\\.t', topic: ${name}.shards, key_field: shard }]`],
        more,
      }),
    );
  await database.query(`
    CREATE SCHEMA a; CREATE SCHEMA "a.b"; CREATE SCHEMA shard_1; CREATE SCHEMA shard_2;
    CREATE TABLE a."b.c" (id int PRIMARY KEY); CREATE TABLE "a.b".c (id int PRIMARY KEY);
    CREATE TABLE a.b_c (id int PRIMARY KEY);
    CREATE TABLE shard_1.t (id int PRIMARY KEY); CREATE TABLE shard_2.t (id int PRIMARY KEY);
    INSERT INTO a."b.c" VALUES (1); INSERT INTO "a.b".c VALUES (2); INSERT INTO a.b_c VALUES (3);
    INSERT INTO shard_1.t VALUES (1); INSERT INTO shard_2.t VALUES (1)`);
  const first = await runToEnd(await write());
  expect(first.exit, first.stderr).toBe(1);
  expect(first.stderr).toContain(`its topic ${name}.a.b.c is that of the table a.b.c`);
  expect(first.stderr).toContain(
    `its topic ${name}.a.b_c differs from ${name}.a.b.c in dots and underscores`,
  );
  const admin = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await expect(
    admin.createTopics({ topics: [{ topic: `${name}.a.b_c`, numPartitions: 1 }] }),
  ).rejects.toThrow();
  await admin.disconnect();
  const both = await readUntil(brokers, [`${name}.shards`], (records) => records.length === 2);
  expect(both.map(({ key }) => String(key?.['shard'])).toSorted()).toEqual([
    `${name}.shard_1.t`,
    `${name}.shard_2.t`,
  ]);

  await using run = new Headwater(['run', await write()]);
  await run.until(({ state }) => state === 'streaming');
  await database.query(`UPDATE "a.b".c SET id = 20; UPDATE a."b.c" SET id = 10;
    CREATE SCHEMA a_b; CREATE TABLE a_b.c (id int PRIMARY KEY);
    INSERT INTO a_b.c VALUES (4)`);
  await run.until(({ tables }) =>
    tables.some(({ table, state }) => table === 'a_b.c' && state === 'quarantined'),
  );
  expect((await run.stop()).exit).toBe(0);
  const names = ['"a.b".c', 'a.b_c', 'a_b.c'];
  const again = await runToEnd(
    await write('tables:', ...names.map((table, i) => `  '${table}': { topic: ${name}.own${i} }`)),
  );
  expect(again.exit, again.stderr).toBe(0);
  const ofFirst = await readUntil(brokers, [`${name}.a.b.c`], (records) => records.length === 4);
  expect(ofFirst.map(({ value }) => value?.after?.['id'] ?? value?.op ?? null)).toEqual([1, 'd', null, 10]);
  const owned = names.map((_, i) => `${name}.own${i}`);
  const ofOthers = await readUntil(brokers, owned, (records) => records.length === 3);
  expect(ofOthers.map(({ topic, value }) => `${topic} ${String(value?.after?.['id'])}`).toSorted()).toEqual([
    `${owned[0]} 20`,
    `${owned[1]} 3`,
    `${owned[2]} 4`,
  ]);
});
