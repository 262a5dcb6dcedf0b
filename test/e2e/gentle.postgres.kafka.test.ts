/** What Headwater does not do to the source: write, keep log it does not need, or make the application fail. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type PostgresServer,
  postgresVersions,
  startPostgres,
  type TestKafka,
  testKafka,
} from '../support/servers.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';
import { readUntil, sentinel, summary } from './topic-records.ts';

describe.each(postgresVersions)('PostgreSQL %i', (version) => {
  let files: Workspace;
  let kafka: TestKafka;
  let server: PostgresServer;

  beforeAll(async () => {
    files = await workspace();
    kafka = await testKafka();
    // Nothing of the server's own is to be in the log: no checkpoint, no vacuum.
    server = await startPostgres({ version, settings: { autovacuum: 'off', checkpoint_timeout: '1h' } });
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await files?.[Symbol.asyncDispose]();
  });

  const client = async (url: string): Promise<pg.Client> => {
    const connection = new pg.Client({ connectionString: url });
    await connection.connect();
    return connection;
  };
  const write = (name: string, url: string, tables: readonly string[]): Promise<string> =>
    files.write(
      `${name}.yaml`,
      pipelineFile({ name: `${kafka.prefix}-${name}`, url, tables, brokers: kafka.brokers }),
    );
  const confirmed = async (): Promise<bigint> =>
    BigInt(
      (
        await server.query<{ at: string }>(
          `SELECT confirmed_flush_lsn - '0/0' AS at FROM pg_replication_slots`,
        )
      )[0]!.at,
    );

  it('moves the slot of an idle database while another one writes, and writes nothing itself', async () => {
    const url = await server.createDatabase('idle');
    const busy = await client(await server.createDatabase('busy'));
    const idle = await client(url);
    await idle.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
    await busy.query('CREATE TABLE noise (x text)');
    await using run = new Headwater(['run', await write('idle', url, ['public.t'])]);
    await run.until(({ state, caughtUp }) => state === 'streaming' && caughtUp);

    const before = await confirmed();
    await busy.query(`INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 2000)`);
    const [{ at }] = (await busy.query(`SELECT pg_current_wal_flush_lsn() - '0/0' AS at`)).rows as [
      { at: string },
    ];
    expect(BigInt(at)).toBeGreaterThan(before);
    while ((await confirmed()) < BigInt(at)) await sleep(100);

    // Only what the server logs by itself, of running transactions, may come: let it, then look. With a slot
    // its background writer logs them after other records only, so an idle log stands still.
    const state = async (): Promise<unknown> => {
      await idle.query('SELECT pg_stat_clear_snapshot()');
      const { rows } = await idle.query(
        `SELECT d.tup_inserted, d.tup_updated, d.tup_deleted, pg_current_xact_id_if_assigned() AS own,
          pg_snapshot_xmax(pg_current_snapshot())::text AS next FROM pg_stat_database d WHERE datname = 'idle'`,
      );
      return rows;
    };
    const log = async (): Promise<string> =>
      ((await busy.query('SELECT pg_current_wal_insert_lsn()::text AS at')).rows[0] as { at: string }).at;
    let at0 = await log();
    for (let still = 0; still < 3;) {
      await sleep(5_000);
      const now = await log();
      still = now === at0 ? 3 : still + 1;
      if (still === 3) expect(now).toBe(at0);
      at0 = now;
    }
    const tuples = await state();
    await sleep(2_000);
    expect(await state()).toEqual(tuples);
    expect((await run.stop()).exit).toBe(0);
    await busy.end();
    await idle.end();
    await server.query(`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots`);
  });

  it('leaves UPDATE and DELETE working in tables without a usable replica identity', async () => {
    const url = await server.createDatabase('app');
    const app = await client(url);
    await app.query(`CREATE TABLE no_key (id int); CREATE TABLE nothing (id int PRIMARY KEY);
      ALTER TABLE nothing REPLICA IDENTITY NOTHING; CREATE TABLE keyed (id int PRIMARY KEY)`);
    await using run = new Headwater(['run', await write('app', url, ['public.*'])]);
    const { tables } = await run.until(({ state, confirmed: at }) => state === 'streaming' && at !== null);
    const limits = new Map(tables.map(({ table, limitation }) => [table, limitation]));
    expect(limits.get('public.keyed')).toBeNull();
    expect(limits.get('public.no_key')).toMatch(/ALTER TABLE .*no_key.* REPLICA IDENTITY FULL;/);
    expect(limits.get('public.nothing')).toMatch(/ALTER TABLE .*nothing.* REPLICA IDENTITY DEFAULT;/);
    for (const table of ['no_key', 'nothing', 'keyed']) {
      await app.query(`INSERT INTO ${table} VALUES (1), (2)`);
      expect((await app.query(`UPDATE ${table} SET id = 3 WHERE id = 2`)).rowCount).toBe(1);
      expect((await app.query(`DELETE FROM ${table} WHERE id = 1`)).rowCount).toBe(1);
      await app.query(`INSERT INTO ${table} VALUES (9)`);
    }
    const of = async (table: string): Promise<readonly string[]> =>
      summary(await readUntil(kafka.brokers, [`${kafka.prefix}-app.public.${table}`], sentinel(9)));
    expect(await of('no_key')).toEqual(['c:1', 'c:2', 'c:9']);
    expect(await of('nothing')).toEqual(['c:1', 'c:2', 'c:9']);
    expect((await run.status())[0]).toMatchObject({ state: 'streaming', attempts: 1 });
    expect((await run.stop()).exit).toBe(0);
    await app.end();
  });
});
