/** Polling into Kafka: a reader of committed records sees each state once, however often the process is killed. */
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { randomFrom, writeOverlapping } from '../support/overlapping-writers.ts';
import { testDatabase, testKafka } from '../support/servers.ts';
import { Headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';
import { readUntil, sentinel } from './topic-records.ts';

const SEED = 31;
const SENTINEL = 1_000_000;

let files: Workspace;
beforeAll(async () => (files = await workspace()));
afterAll(() => files?.[Symbol.asyncDispose]());

it(`delivers each state once while it is killed (seed ${SEED})`, async () => {
  const { brokers, prefix } = await testKafka();
  await using database = await testDatabase();
  await database.query(`CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL, updated_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO t SELECT i, -i FROM generate_series(1, 20) i`);
  const name = `${prefix}-polled`;
  const text = pipelineFile({
    name,
    url: database.url,
    tables: ['public.t'],
    brokers,
    source: [
      'mode: poll',
      'poll: { every: 100ms, overlap: 0s, batch_rows: 5, tables: { public.t: { timestamp: updated_at } } }',
    ],
    http: '127.0.0.1:0',
  });
  const file = await files.write('polled.yaml', text);
  const sessions = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      return client;
    }),
  );
  let writing = true;
  const writers = writeOverlapping({
    sessions,
    seed: SEED,
    transactions: 40,
    longestMs: 600,
    statement: (random, n) => {
      const id = 1 + random(40);
      return `INSERT INTO t VALUES (${id}, ${n}, now()) ON CONFLICT (id) DO UPDATE SET v = ${n}, updated_at = now()`;
    },
  }).finally(() => (writing = false));
  const random = randomFrom(SEED);
  while (writing) {
    await using daemon = new Headwater(['run', file]);
    await daemon.until(({ state }) => state === 'streaming');
    await new Promise((resolve) => setTimeout(resolve, 300 + random(700)));
    await daemon.kill();
  }
  await writers;
  await Promise.all(sessions.map((session) => session.end()));
  expect((await runToEnd(file)).exit).toBe(0);
  await database.query('INSERT INTO t VALUES ($1, 0)', [SENTINEL]);
  expect((await runToEnd(file)).exit).toBe(0);
  const records = await readUntil(brokers, [`${name}.public.t`], sentinel(SENTINEL));
  const latest = new Map<unknown, unknown>();
  for (const { value } of records) if (value?.after != null) latest.set(value.after['id'], value.after['v']);
  const rows = (await database.query('SELECT id, v FROM t')) as readonly {
    readonly id: number;
    readonly v: number;
  }[];
  expect(latest).toEqual(new Map(rows.map(({ id, v }) => [id, v])));
  const states = records
    .filter(({ value }) => value?.op !== 'r')
    .map(({ value }) => JSON.stringify([value?.after?.['id'], value?.after?.['v']]));
  expect(new Set(states).size).toBe(states.length);
});
