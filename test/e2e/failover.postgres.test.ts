/**
 * A primary that is gone for good, and its standby promoted: the slot came over with it (failover slots, 17 and later),
 * and the pipeline goes on where it was.
 */
import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PostgresServer, postgresVersions, startPostgres } from '../support/servers.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';
import { readFiles, summary } from './topic-records.ts';

const run = promisify(execFile);

let files: Workspace;
let primary: PostgresServer;
let standby: PostgresServer;

beforeEach(async () => {
  files = await workspace();
});
afterEach(async () => {
  await Promise.all([primary?.[Symbol.asyncDispose](), standby?.[Symbol.asyncDispose]()]);
  await files?.[Symbol.asyncDispose]();
});

/** Two servers: the second follows the first, and copies its failover slots. */
async function startPair(version: PostgresServer['version']): Promise<void> {
  const settings = { hot_standby_feedback: 'on', wal_receiver_status_interval: '1s' };
  [primary, standby] = await Promise.all([
    startPostgres({ version, settings }),
    startPostgres({ version, settings }),
  ]);
  await primary.query(`SELECT pg_create_physical_replication_slot('standby', true)`);
  await primary.query('CREATE TABLE t (id int PRIMARY KEY)');
  await standby.reload({
    primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres dbname=postgres`,
    primary_slot_name: 'standby',
    sync_replication_slots: 'on',
  });
  // No program for a base backup comes with every build: the files of a server at rest are one.
  await Promise.all([primary.stop(), standby.stop()]);
  await rm(standby.dataDir, { recursive: true });
  await run('cp', ['-a', primary.dataDir, standby.dataDir]);
  await writeFile(join(standby.dataDir, 'standby.signal'), '');
  await primary.start();
  await standby.start();
  // Nothing is streamed to us that the standby has not: else the log after a failover could lack what we have.
  await primary.reload({ synchronized_standby_slots: 'standby' });
}

describe.skipIf(!postgresVersions.some((version) => version >= 17))('a failover', () => {
  it.each(postgresVersions.filter((version) => version >= 17))(
    'of PostgreSQL %i is gone through without a gap, a repetition or a new snapshot',
    async (version) => {
      await startPair(version);
      const file = await files.write(
        'failover.yaml',
        pipelineFile({
          name: 'failover',
          url: `postgres://postgres@127.0.0.1:${primary.port},127.0.0.1:${standby.port}/postgres`,
          tables: ['public.t'],
          path: files.path('records'),
        }),
      );
      await using daemon = new Headwater(['run', file]);
      await daemon.until(({ state, confirmed }) => state === 'streaming' && confirmed !== null);
      let last = 0;
      const insert = async (server: PostgresServer): Promise<void> => {
        last++;
        await server.query(`INSERT INTO t VALUES (${last})`);
        await daemon.until(({ counters }) => counters.creates >= last);
      };
      await insert(primary);
      // The copy counts once it is no longer temporary, which needs the slot to move on meanwhile.
      const synced = async (): Promise<boolean> => {
        const rows = await standby.query(
          `SELECT FROM pg_replication_slots WHERE slot_name = 'headwater_failover' AND synced AND NOT temporary`,
        );
        return rows.length === 1;
      };
      while (!(await synced())) await insert(primary);
      await insert(primary);

      await primary.crash();
      await standby.query('SELECT pg_promote()');
      await daemon.line(({ msg }) => msg.includes('on a new timeline; the log is continuous'));
      await insert(standby);
      await insert(standby);
      const [status] = await daemon.status();
      expect(status).toMatchObject({ state: 'streaming', counters: { reads: 0 } });
      expect((await daemon.stop()).exit).toBe(0);
      expect(summary(await readFiles(files.path('records')))).toEqual(
        Array.from({ length: last }, (_, i) => `c:${i + 1}`),
      );
    },
    180_000,
  );
});
