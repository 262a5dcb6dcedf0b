/** Tables that an application keeps locked while they are to be published, described or read. */
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import type { PipelineStatus } from '../../src/observability/status.ts';
import { freePort } from '../../src/local-servers/processes.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { Headwater, headwater, pipelineFile, runToEnd, workspace } from './headwater.ts';
import { readFiles } from './topic-records.ts';

const ROWS = 12_000;

interface Lock extends AsyncDisposable {
  release(): Promise<void>;
}

/** Held by a transaction that goes on until it is released. */
async function locked(database: TestDatabase, table: string, mode: string): Promise<Lock> {
  const session = new pg.Client({ connectionString: database.url });
  await session.connect();
  await session.query(`BEGIN; LOCK TABLE ${table} IN ${mode} MODE`);
  let held = true;
  const release = async (): Promise<void> => {
    if (held) await session.end();
    held = false;
  };
  return { release, [Symbol.asyncDispose]: release };
}

/** What came of each topic, in order: `r:1`, `c:2`. */
async function delivered(path: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const byTable: Record<string, string[]> = {};
  for (const { topic, value } of await readFiles(path)) {
    const row = value?.after ?? value?.before;
    (byTable[topic.split('.').at(-1)!] ??= []).push(`${value?.op}:${String(row?.['id'])}`);
  }
  return byTable;
}

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

  await using lock = await locked(database, 'heap', 'ACCESS EXCLUSIVE');
  expect((await headwater(['resync', file, 'public.heap', 'public.large'])).exit).toBe(0);
  const meanwhile = await run.until(
    (status) => stateOf(status, 'heap') !== 'done' && stateOf(status, 'large') === 'done',
  );
  expect(meanwhile.snapshot?.tablesDone).toBe(1);
  await lock.release();
  await run.until((status) => stateOf(status, 'heap') === 'done');
  expect((await run.stop()).exit).toBe(0);
  const read = new Map<string, number>();
  for (const { topic } of await readFiles(path)) read.set(topic, (read.get(topic) ?? 0) + 1);
  expect(Object.fromEntries(read)).toEqual({
    [`${database.name}.public.heap`]: 2 * 2,
    [`${database.name}.public.large`]: 2 * ROWS,
  });
});

describe('a table that is to be published', () => {
  it.each(['SHARE UPDATE EXCLUSIVE', 'ACCESS EXCLUSIVE'])(
    'and is locked (%s) waits by itself, and is read when the lock is gone',
    async (mode) => {
      await using database = await testDatabase();
      await using files = await workspace();
      const path = files.path('out');
      const text = (tables: readonly string[]): string =>
        pipelineFile({ name: database.name, url: database.url, tables, path });
      await database.query(`
        CREATE TABLE open (id int PRIMARY KEY DEFAULT 1); INSERT INTO open VALUES (1);
        CREATE TABLE taken (id int PRIMARY KEY DEFAULT 1); INSERT INTO taken VALUES (1);
        CREATE TABLE gone (id int PRIMARY KEY)`);
      const file = await files.write('shop.yaml', text(['public.gone']));
      expect((await runToEnd(file)).exit).toBe(0);

      // One comes, one comes and is locked, one leaves and is locked.
      await using lock = await locked(database, 'taken, gone', mode);
      await files.write('shop.yaml', text(['public.open', 'public.taken']));
      await using run = new Headwater(['run', file]);
      const of = ({ tables }: PipelineStatus, name: string) =>
        tables.find(({ table }) => table === `public.${name}`);
      const waiting = await run.until(
        (status) => status.state === 'streaming' && of(status, 'open')?.snapshot === 'done',
      );
      expect(of(waiting, 'taken')).toMatchObject({
        state: 'quarantined',
        snapshot: null,
        reason: expect.stringContaining('public.taken is locked') as string,
        advice: expect.stringContaining('pg_locks') as string,
      });
      await database.query('INSERT INTO open VALUES (2)');
      await run.until((status) => of(status, 'open')?.events === 2);

      await lock.release();
      await database.query('INSERT INTO taken VALUES (2)');
      await run.until((status) => of(status, 'taken')?.snapshot === 'done');
      await database.query('INSERT INTO taken VALUES (3)');
      await run.until((status) => status.caughtUp && of(status, 'taken')?.events === 3);
      expect((await run.stop()).exit).toBe(0);
      expect(await delivered(path)).toEqual({ open: ['r:1', 'c:2'], taken: ['r:1', 'r:2', 'c:3'] });
      const published = await database.query<{ tablename: string }>(
        'SELECT tablename FROM pg_publication_tables ORDER BY 1',
      );
      expect(published.map(({ tablename }) => tablename)).toEqual(['open', 'taken']);
    },
  );

  it('and was taken out by hand is read again after the lock, or not, as on_gap says', async () => {
    await using database = await testDatabase();
    await using files = await workspace();
    const path = files.path('out');
    await database.query(`CREATE TABLE open (id int PRIMARY KEY); CREATE TABLE taken (id int PRIMARY KEY);
      INSERT INTO taken VALUES (1)`);
    const file = await files.write(
      'shop.yaml',
      pipelineFile({
        name: database.name,
        url: database.url,
        tables: ['public.*'],
        path,
        source: ['on_gap: skip_with_marker', 'postgres: { publication: pub }'],
      }),
    );
    expect((await runToEnd(file)).exit).toBe(0);
    await database.query('ALTER PUBLICATION pub DROP TABLE taken; INSERT INTO taken VALUES (2)');
    {
      await using _lock = await locked(database, 'taken', 'SHARE');
      const { exit, stderr } = await runToEnd(file);
      expect(exit, stderr).toBe(1);
      expect(stderr).toContain('All is delivered but what had to be given up of public.taken');
    }
    expect((await runToEnd(file)).exit).toBe(0);
    await database.query('INSERT INTO taken VALUES (3)');
    expect((await runToEnd(file)).exit).toBe(0);
    expect((await delivered(path))['taken']).toEqual(['r:1', 'c:3']);
  });
});

it('a table that is captured and locked keeps no restart from streaming', async () => {
  await using database = await testDatabase();
  await using files = await workspace();
  const path = files.path('out');
  await database.query(`
    CREATE TABLE open (id int PRIMARY KEY);
    CREATE TABLE taken (id int PRIMARY KEY, v int DEFAULT 7);
    CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100)`);
  const file = await files.write(
    'shop.yaml',
    pipelineFile({
      name: database.name,
      url: database.url,
      tables: ['public.open', 'public.taken', 'public.parts'],
      path,
    }),
  );
  expect((await runToEnd(file)).exit).toBe(0);
  await database.query(
    'INSERT INTO open VALUES (1); INSERT INTO taken VALUES (1); INSERT INTO parts VALUES (1)',
  );
  await using lock = await locked(database, 'taken, parts', 'ACCESS EXCLUSIVE');
  await using run = new Headwater(['run', file]);
  await run.until(({ caughtUp, tables }) => caughtUp && tables.every(({ events }) => events === 1));
  await lock.release();
  expect((await run.stop()).exit).toBe(0);
  expect(await delivered(path)).toEqual({ open: ['c:1'], taken: ['c:1'], parts: ['c:1'] });
});
