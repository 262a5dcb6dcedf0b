/** Polling of PostgreSQL servers that are set up otherwise: with prepared transactions, and as a standby. */
import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type PostgresServer, postgresVersions, startPostgres } from '../support/servers.ts';
import { Headwater, headwater, type Workspace, workspace } from './headwater.ts';
import {
  caughtUp,
  delivered,
  polledPipeline,
  type PolledRow,
  polledRows,
  replayed,
} from './polling-support.ts';

const run = promisify(execFile);

let files: Workspace;
const servers: PostgresServer[] = [];

beforeEach(async () => {
  files = await workspace();
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server[Symbol.asyncDispose]()));
  await files?.[Symbol.asyncDispose]();
});

function urlOf({ port }: PostgresServer): string {
  return `postgres://postgres@127.0.0.1:${port}/postgres`;
}

function idsOf(rows: readonly PolledRow[]): readonly number[] {
  return rows.map(({ after }) => Number(after?.['id'])).toSorted((a, b) => a - b);
}

const TABLE =
  'CREATE TABLE t (id int PRIMARY KEY, updated_at timestamptz NOT NULL DEFAULT clock_timestamp())';
const POLL = '{ every: 100ms, overlap: 0s, tables: { public.t: { timestamp: updated_at } } }';

it.each(postgresVersions)(
  'PostgreSQL %i: delivers what was prepared before others committed, once it commits',
  async (version) => {
    const server = await startPostgres({ version, settings: { max_prepared_transactions: '10' } });
    servers.push(server);
    await server.query(TABLE);
    const polled = await polledPipeline(files, { url: urlOf(server), tables: ['public.t'], poll: POLL });
    await caughtUp(polled);
    await server.query(`BEGIN; INSERT INTO t (id) VALUES (1); PREPARE TRANSACTION 'open'`);
    await server.query('INSERT INTO t (id) VALUES (2)');
    {
      await using daemon = new Headwater(['run', polled.file]);
      await daemon.until(({ state }) => state === 'streaming');
      await server.query('INSERT INTO t (id) VALUES (3)');
      // It is polled meanwhile, also by another process, and waits for what is open.
      await daemon.kill();
    }
    {
      await using daemon = new Headwater(['run', polled.file]);
      await daemon.until(({ state }) => state === 'streaming');
      await server.query(`COMMIT PREPARED 'open'`);
      await delivered(polled, (rows) => rows.length >= 3);
      await daemon.stop();
    }
    await caughtUp(polled);
    expect(idsOf(await polledRows(polled))).toEqual([1, 2, 3]);
  },
);

it.each(postgresVersions)(
  'PostgreSQL %i: polls a standby, which tells nothing of its primary’s transactions',
  async (version) => {
    const [primary, standby] = await Promise.all([startPostgres({ version }), startPostgres({ version })]);
    servers.push(primary, standby);
    await primary.query(TABLE);
    await primary.query('INSERT INTO t (id) SELECT generate_series(1, 20)');
    await standby.reload({
      primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres dbname=postgres`,
    });
    // No program for a base backup comes with every build: the files of a server at rest are one.
    await Promise.all([primary.stop(), standby.stop()]);
    await rm(standby.dataDir, { recursive: true });
    await run('cp', ['-a', primary.dataDir, standby.dataDir]);
    await writeFile(join(standby.dataDir, 'standby.signal'), '');
    await primary.start();
    await standby.start();
    const poll = POLL.replace('overlap: 0s', 'overlap: 1m');
    const polled = await polledPipeline(files, { url: urlOf(standby), tables: ['public.t'], poll });
    const { stdout } = await headwater(['doctor', polled.file]);
    expect(stdout).toContain('A standby does not tell which transactions of its primary run');
    await caughtUp(polled);
    for (let round = 0; round < 3; round++) {
      await primary.query(`INSERT INTO t (id) VALUES (${100 + round});
      UPDATE t SET updated_at = clock_timestamp() WHERE id = ${1 + round}; DELETE FROM t WHERE id = ${10 + round}`);
      const [end] = await primary.query<{ readonly lsn: string }>('SELECT pg_current_wal_lsn() AS lsn');
      for (;;) {
        const rows = await standby.query(`SELECT FROM (SELECT pg_last_wal_replay_lsn() AS lsn) x
        WHERE lsn >= '${end!.lsn}'`);
        if (rows.length > 0) break;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await caughtUp(polled);
    }
    const all = await polledRows(polled);
    const ids = replayed(all).map(({ id }) => Number(id));
    // What is deleted is not seen.
    expect(ids.sort((a, b) => a - b)).toEqual([
      ...Array.from({ length: 20 }, (_, i) => i + 1),
      ...[100, 101, 102],
    ]);
    expect(idsOf(all.filter(({ op }) => op !== 'r'))).toEqual([1, 2, 3, 100, 101, 102]);
  },
);
