/** A table that an application keeps locked while it is to be read. */
import pg from 'pg';
import { expect, it } from 'vitest';
import type { PipelineStatus } from '../../src/observability/status.ts';
import { freePort } from '../../src/local-servers/processes.ts';
import { testDatabase } from '../support/servers.ts';
import { Headwater, headwater, pipelineFile, workspace } from './headwater.ts';
import { readFiles } from './topic-records.ts';

const ROWS = 12_000;

it('a locked table without a key keeps no other from being read, with one lane for all', async () => {
  await using database = await testDatabase();
  await using files = await workspace();
  const path = files.path('out');
  const file = await files.write(
    'shop.yaml',
    pipelineFile({
      name: database.name,
      url: database.url,
      tables: ['public.heap', 'public.large'],
      path,
      http: `127.0.0.1:${await freePort()}`,
      more: ['snapshot: { parallelism: 1 }'],
    }),
  );
  await database.query(`
    CREATE TABLE heap (id int);
    CREATE TABLE large (id int PRIMARY KEY);
    INSERT INTO heap VALUES (1), (2);
    INSERT INTO large SELECT generate_series(1, ${ROWS})`);
  const stateOf = ({ tables }: PipelineStatus, name: string) =>
    tables.find(({ table }) => table === `public.${name}`)?.snapshot;
  await using run = new Headwater(['run', file]);
  await run.until((status) => stateOf(status, 'heap') === 'done' && stateOf(status, 'large') === 'done');

  const lock = new pg.Client({ connectionString: database.url });
  await lock.connect();
  await lock.query('BEGIN; LOCK TABLE heap IN ACCESS EXCLUSIVE MODE');
  expect((await headwater(['resync', file, 'public.heap', 'public.large'])).exit).toBe(0);
  const meanwhile = await run.until(
    (status) => stateOf(status, 'heap') !== 'done' && stateOf(status, 'large') === 'done',
  );
  expect(meanwhile.snapshot?.tablesDone).toBe(1);
  await lock.query('ROLLBACK');
  await lock.end();
  await run.until((status) => stateOf(status, 'heap') === 'done');
  expect((await run.stop()).exit).toBe(0);
  const read = new Map<string, number>();
  for (const { topic } of await readFiles(path)) read.set(topic, (read.get(topic) ?? 0) + 1);
  expect(Object.fromEntries(read)).toEqual({
    [`${database.name}.public.heap`]: 2 * 2,
    [`${database.name}.public.large`]: 2 * ROWS,
  });
});
