/** `mode: auto` on PostgreSQL: what keeps it from the log, and how it goes over to it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresVersions, type PostgresVersion, startPostgres, testDatabase } from '../support/servers.ts';
import { Headwater, type Workspace, workspace } from './headwater.ts';
import { type AutoSource, followChangeOver, killAtChangeOver, leaveLog } from './polling-auto.ts';
import { delivered, polledPipeline, polledRows, replayed } from './polling-support.ts';

let files: Workspace;
beforeAll(async () => (files = await workspace()));
afterAll(() => files?.[Symbol.asyncDispose]());

const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v int, updated_at timestamptz NOT NULL DEFAULT now())';

async function withRole(
  version: PostgresVersion,
  use: (files: Workspace, source: AutoSource) => Promise<void>,
): Promise<void> {
  await using database = await testDatabase(version);
  const role = `${database.name}_auto`;
  await database.query(`${TABLE}; CREATE ROLE ${role} LOGIN PASSWORD 'geheim'; GRANT SELECT ON t TO ${role}`);
  const url = new URL(database.url);
  url.username = role;
  url.password = 'geheim';
  try {
    await use(files, {
      url: url.href,
      table: 'public.t',
      connector: 'postgresql',
      query: (sql) => database.query(sql),
      grant: () => database.query(`ALTER ROLE ${role} SUPERUSER`),
      revoke: () => database.query(`ALTER ROLE ${role} NOSUPERUSER`),
    });
  } finally {
    await database.drop();
    await using other = await testDatabase(version);
    await other.query(`DROP ROLE ${role}`);
  }
}

describe.each(postgresVersions)('PostgreSQL %i', (version) => {
  it('goes over to the log while it runs, when its role may read it', async () => {
    expect.hasAssertions();
    await withRole(version, followChangeOver);
  });

  it('goes over to the log without losing a delete, however often it is killed meanwhile', async () => {
    expect.hasAssertions();
    await withRole(version, killAtChangeOver);
  });

  it('polls when the log is out of reach again, and tells of what was deleted since it was read last', async () => {
    expect.hasAssertions();
    await withRole(version, leaveLog);
  });
});

it.each(postgresVersions)(
  'PostgreSQL %i: polls where wal_level is below logical, and reads the log of a server that was restarted with it',
  async (version) => {
    await using server = await startPostgres({ version, settings: { wal_level: 'replica' } });
    await server.query(`${TABLE}; INSERT INTO t VALUES (1, 1)`);
    const polled = await polledPipeline(files, {
      url: `postgres://postgres@127.0.0.1:${server.port}/postgres`,
      mode: 'auto',
      tables: ['public.t'],
      poll: '{ every: 100ms, tables: { public.t: { timestamp: updated_at } } }',
    });
    await using daemon = new Headwater(['run', polled.file]);
    const { capture } = await daemon.until(({ state }) => state === 'streaming');
    expect(capture).toMatchObject({ mode: 'poll', reason: expect.stringContaining('wal_level') as string });
    await server.query('INSERT INTO t VALUES (2, 2)');
    await delivered(polled, (rows) => rows.length >= 2);
    await server.query(`ALTER SYSTEM SET wal_level = 'logical'`);
    await server.restart();
    await server.query('INSERT INTO t VALUES (4, 4)');
    await daemon.until(({ state, capture: now }) => state === 'streaming' && now?.mode === 'log');
    await server.query('DELETE FROM t WHERE id = 1');
    await delivered(polled, (rows) => rows.some(({ op }) => op === 'd'));
    await daemon.stop();
    expect(replayed(await polledRows(polled)).map(({ id }) => id)).toEqual([2, 4]);
  },
);
