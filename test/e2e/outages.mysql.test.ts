/** What happens while a MySQL is away, cuts us off, or another takes its place. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, startMysql } from '../support/servers.ts';
import { Headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';
import { readFiles, summary } from './topic-records.ts';

let files: Workspace;
let server: MysqlServer;
let count = 0;

beforeAll(async () => {
  files = await workspace();
  server = await startMysql({ version: '9', settings: { 'server-id': '11' } });
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
});

interface Pipeline {
  readonly database: string;
  readonly file: string;
  readonly out: string;
}

async function pipeline(more: readonly string[] = []): Promise<Pipeline> {
  const database = `away${++count}`;
  await server.query(`CREATE DATABASE ${database}; CREATE TABLE ${database}.t (id INT PRIMARY KEY)`);
  const out = files.path(database);
  const file = await write({ database, out, url: server.url, more });
  return { database, file, out };
}

function write({
  database,
  out,
  url,
  tables = ['t'],
  more = [],
}: {
  readonly database: string;
  readonly out: string;
  readonly url: string;
  readonly tables?: readonly string[];
  readonly more?: readonly string[];
}): Promise<string> {
  const names = tables.map((table) => `${database}.${table}`);
  return files.write(
    `${database}.yaml`,
    pipelineFile({ name: database, url, tables: names, path: out, more }),
  );
}

const creates = (last: number): readonly string[] => Array.from({ length: last }, (_, i) => `c:${i + 1}`);

describe('a connection that breaks', () => {
  it.each([
    [
      'is killed by an administrator',
      async () => {
        const dumps = await server.query<{ id: number }>(
          "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'",
        );
        for (const { id } of dumps) await server.query(`KILL ${id}`);
      },
    ],
    ['is cut by a restart of the server', () => server.restart()],
    [
      'is lost with the server, which recovers from a crash',
      async () => {
        await server.crash();
        await server.start();
      },
    ],
  ])('%s: the same daemon goes on, each change once', async (_, disturb) => {
    const { database, file, out } = await pipeline();
    await using run = new Headwater(['run', file]);
    await run.until(({ state }) => state === 'streaming');
    await server.query(`INSERT INTO ${database}.t VALUES (1), (2)`);
    await run.until(({ counters }) => counters.creates >= 2);
    await disturb();
    await server.query(`INSERT INTO ${database}.t VALUES (3), (4)`);
    await run.until(({ counters }) => counters.creates >= 4);
    expect((await run.stop()).exit).toBe(0);
    expect(summary(await readFiles(out))).toEqual(creates(4));
  });
});

describe('runs', () => {
  it('a stopped one goes on where it was, also inside of a large transaction', async () => {
    const { database, file, out } = await pipeline();
    await using run = new Headwater(['run', file]);
    await run.until(({ state }) => state === 'streaming');
    const rows = Array.from({ length: 20_000 }, (_, i) => `(${i + 1})`).join(', ');
    await server.query(`INSERT INTO ${database}.t VALUES ${rows}`);
    await run.until(({ counters }) => counters.creates > 0);
    expect((await run.stop()).exit).toBe(0);
    expect((await runToEnd(file)).exit).toBe(0);
    expect(summary(await readFiles(out))).toEqual(creates(20_000));
  });

  it('no_data leaves out what is there, initial_only what comes', async () => {
    const empty = await pipeline(['snapshot: { mode: no_data }']);
    await server.query(`INSERT INTO ${empty.database}.t VALUES (1)`);
    expect((await runToEnd(empty.file)).exit).toBe(0);
    await server.query(`INSERT INTO ${empty.database}.t VALUES (2)`);
    expect((await runToEnd(empty.file)).exit).toBe(0);
    expect(summary(await readFiles(empty.out))).toEqual(['c:2']);

    const once = await pipeline(['snapshot: { mode: initial_only }']);
    await server.query(`INSERT INTO ${once.database}.t VALUES (1)`);
    expect((await runToEnd(once.file)).exit).toBe(0);
    expect(summary(await readFiles(once.out))).toEqual(['r:1']);
  });

  it('tables that are added are read while the others go on', async () => {
    const { database, file, out } = await pipeline();
    expect((await runToEnd(file)).exit).toBe(0);
    await server.query(`CREATE TABLE ${database}.added (id INT PRIMARY KEY);
      INSERT INTO ${database}.added VALUES (100), (101); INSERT INTO ${database}.t VALUES (1)`);
    await write({ database, out, url: server.url, tables: ['t', 'added'] });
    expect((await runToEnd(file)).exit).toBe(0);
    await server.query(`INSERT INTO ${database}.added VALUES (102)`);
    expect((await runToEnd(file)).exit).toBe(0);
    const records = await readFiles(out);
    const of = (table: string): readonly string[] =>
      summary(records.filter(({ topic }) => topic === `${database}.${database}.${table}`));
    expect(of('t')).toEqual(['c:1']);
    // Rows that were made after the checkpoint are in the log as well; nothing is missing, nothing is told late.
    const added = of('added');
    expect(new Set(added.map((row) => row.slice(2)))).toEqual(new Set(['100', '101', '102']));
    expect(added.at(-1)).toBe('c:102');
  });
});

it('another server goes on for one that is gone: a promoted replica, by GTID', async () => {
  await using source = await startMysql({ version: '9', settings: { 'server-id': '21' } });
  await using replica = await startMysql({ version: '9', settings: { 'server-id': '22' } });
  await replica.query(`CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=${source.port},
    SOURCE_USER='root', SOURCE_AUTO_POSITION=1, SOURCE_SSL=0, GET_SOURCE_PUBLIC_KEY=1; START REPLICA`);
  await source.query('CREATE DATABASE failover; CREATE TABLE failover.t (id INT PRIMARY KEY)');
  const out = files.path('failover');
  const file = await write({ database: 'failover', out, url: source.url });
  await source.query('INSERT INTO failover.t VALUES (1)');
  expect((await runToEnd(file)).exit).toBe(0);
  await source.query('INSERT INTO failover.t VALUES (2)');
  await replica.query(
    `SELECT WAIT_FOR_EXECUTED_GTID_SET('${(await source.query<{ set: string }>('SELECT @@global.gtid_executed AS `set`'))[0]!.set}', 30)`,
  );
  await source.stop();
  await replica.query('STOP REPLICA; RESET REPLICA ALL; INSERT INTO failover.t VALUES (3)');
  await write({ database: 'failover', out, url: replica.url });
  const { exit, stderr } = await runToEnd(file);
  expect(exit, stderr).toBe(0);
  expect(summary(await readFiles(out))).toEqual(['r:1', 'c:2', 'c:3']);
});
