/** A server whose commits wait for a synchronous standby: they are in the log long before anybody sees them. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createPgSnapshotSource } from '../../src/readers/postgres/snapshot-source.ts';
import { connectPg } from '../../src/readers/postgres/wire/connection.ts';
import type { PgConnectOptions } from '../../src/readers/postgres/wire/connect-options.ts';
import { type PostgresServer, startPostgres } from '../support/servers.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';
import { readFiles, summary } from './topic-records.ts';

let files: Workspace;
let server: PostgresServer;
/** Commits that do not come back. */
let hanging: Promise<unknown>[] = [];

beforeAll(async () => {
  files = await workspace();
  server = await startPostgres({ version: 18, settings: { max_prepared_transactions: '5' } });
  await server.query('CREATE ROLE plain LOGIN');
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
});
beforeEach(() =>
  server.query(`DROP TABLE IF EXISTS a, b; CREATE TABLE a (id int PRIMARY KEY);
    CREATE TABLE b (id int PRIMARY KEY, v text); INSERT INTO b VALUES (1, 'old'), (2, 'old')`),
);
afterEach(async () => {
  await awaitNobody();
  await Promise.all(hanging);
  hanging = [];
});

/** From now on commits wait for a standby that does not exist. */
async function awaitSomebody(): Promise<void> {
  await server.query(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`);
  await server.query('SELECT pg_reload_conf()');
  await expect
    .poll(() => server.query('SHOW synchronous_standby_names'))
    .toEqual([{ synchronous_standby_names: 'nobody' }]);
}

async function awaitNobody(): Promise<void> {
  await server.query('ALTER SYSTEM RESET synchronous_standby_names');
  await server.query('SELECT pg_reload_conf()');
}

/** Resolves when the commit waits. */
async function hang(sql: string): Promise<void> {
  const waiting = async (): Promise<number> =>
    (await server.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'`)).length;
  const before = await waiting();
  hanging.push(server.query(sql));
  await expect.poll(waiting, { timeout: 10_000 }).toBe(before + 1);
}

function file(where: string, dir: string): Promise<string> {
  const text = pipelineFile({
    name: 'sync',
    url: server.url,
    tables: ['public.a', 'public.b'],
    path: files.path(dir),
    more: [`snapshot: { where: { public.b: ${JSON.stringify(where)} } }`],
  });
  return files.write('sync.yaml', text);
}

describe('a commit that waits for a standby', () => {
  it('delivered before a restart, it is not undone by rows that are read after it', async () => {
    // The first process cannot read b, and streams its changes.
    const first = new Headwater(['run', await file('nonsense = 1', 'rows')]);
    await using _first = first;
    await first.until(({ state, confirmed }) => state === 'streaming' && confirmed !== null);
    await awaitSomebody();
    await hang(`UPDATE b SET v = 'new' WHERE id = 1`);
    await first.until(({ counters, caughtUp }) => counters.updates === 1 && caughtUp);
    expect((await first.stop()).exit).toBe(0);

    const second = new Headwater(['run', await file('true', 'rows')]);
    await using _second = second;
    await second.line(({ msg }) => msg.startsWith('waiting for transactions that are not visible yet'));
    // It streams on meanwhile, and has read b in vain by the time that these are through.
    for (const id of [1, 2, 3]) {
      await server.query(`SET synchronous_commit = local; INSERT INTO a VALUES (${id})`);
      await second.until(({ counters }) => counters.creates >= id);
    }
    expect((await second.status())[0]!.counters.reads).toBe(0);
    await awaitNobody();
    await second.until(({ snapshot }) => snapshot?.completedAt != null);
    expect((await second.stop()).exit).toBe(0);
    const ofB = (await readFiles(files.path('rows'))).filter(({ topic }) => topic === 'sync.public.b');
    expect(summary(ofB)).toEqual(['u:1', 'r:1', 'r:2']);
    expect(summary(ofB, 'v')).toEqual(['u:new', 'r:new', 'r:old']);
    await server.query(`SELECT pg_drop_replication_slot('headwater_sync')`);
    await server.query('DROP PUBLICATION headwater_sync');
  });

  it('is told from a transaction that merely runs, where the role may see it', async () => {
    const url = new URL(server.url);
    const connect = (user: string): PgConnectOptions => ({
      hosts: [{ host: url.hostname, port: Number(url.port) }],
      user,
      password: null,
      database: url.pathname.slice(1),
      connectTimeoutMs: 5000,
      tls: { mode: 'disable', ca: null, cert: null, key: null },
    });
    const unseenBy = async (user: string): Promise<readonly string[]> => {
      const source = createPgSnapshotSource({
        connect: (signal) => connectPg(connect(user), {}, signal),
        connectReplication: () => Promise.reject(new Error('not needed')),
        exported: null,
        temporarySlot: 'x',
        generatedColumns: 'none',
        number: (schema) => schema,
      });
      const signal = new AbortController().signal;
      await using windows = await source.openWindows({ parallelism: 1 }, signal);
      return (await windows.unseen?.(signal)) ?? [];
    };
    const superuser = url.username;
    await using running = await connectPg(connect(superuser), {}, new AbortController().signal);
    const [row] = await running.query('BEGIN; SELECT pg_current_xact_id()::text');
    const runs = row![0]!;
    // Nobody waits for a standby where there is none to wait for.
    expect(await unseenBy('plain')).toEqual([]);
    await awaitSomebody();
    expect(await unseenBy(superuser)).toEqual([]);
    expect(await unseenBy('plain')).toEqual([runs]);
    await hang('INSERT INTO a VALUES (1)');
    const waits = await unseenBy(superuser);
    expect(waits).toHaveLength(1);
    expect(waits).not.toContain(runs);
    expect((await unseenBy('plain')).toSorted()).toEqual([...waits, runs].toSorted());
    // Of one that was prepared the session that commits it does not say the number.
    await server.query(
      `SET synchronous_commit = local; BEGIN; INSERT INTO a VALUES (2); PREPARE TRANSACTION 'p'`,
    );
    const [prepared] = await server.query<{ xid: string }>(
      'SELECT transaction::text AS xid FROM pg_prepared_xacts',
    );
    expect(await unseenBy(superuser)).toEqual(waits);
    await hang(`COMMIT PREPARED 'p'`);
    expect((await unseenBy(superuser)).toSorted()).toEqual([...waits, prepared!.xid].toSorted());
    await running.command('ROLLBACK');
  });
});
