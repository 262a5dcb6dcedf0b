/** Tables come into the settings of a running daemon and leave them, whichever way changes are found. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../src/local-servers/processes.ts';
import type { PipelineStatus } from '../../src/observability/status.ts';
import { testDatabase, testMariadb, testMysql } from '../support/servers.ts';
import { Headwater, headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';
import { readFiles, summary } from './topic-records.ts';

let files: Workspace;
beforeAll(async () => (files = await workspace()));
afterAll(() => files?.[Symbol.asyncDispose]());

interface Server extends AsyncDisposable {
  readonly url: string;
  /** What tables are qualified with. */
  readonly schema: string;
  query(sql: string): Promise<unknown>;
}

async function postgres(): Promise<Server> {
  const database = await testDatabase();
  return {
    url: database.url,
    schema: 'public',
    query: (sql) => database.query(sql),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

async function ofMysql(open: typeof testMysql | typeof testMariadb): Promise<Server> {
  const database = await open();
  return {
    url: database.url,
    schema: database.name,
    query: (sql) => database.query(sql),
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

const POLLING = ['mode: poll', 'poll: { every: 100ms }'];

it.each<[string, () => Promise<Server>, readonly string[]]>([
  ['the log of PostgreSQL', postgres, []],
  ['the log of MySQL', () => ofMysql(testMysql), []],
  ['the log of MariaDB', () => ofMysql(testMariadb), []],
  ['polling of PostgreSQL', postgres, POLLING],
  ['polling of MySQL', () => ofMysql(testMysql), POLLING],
])(
  '%s: a table that comes is read while the others go on, one that leaves is heard of no more',
  async (what, open, source) => {
    await using server = await open();
    const { schema } = server;
    const name = what.replaceAll(/\W/g, '_').toLowerCase();
    const path = files.path(name);
    const http = `127.0.0.1:${await freePort()}`;
    const text = (tables: readonly string[]): string =>
      pipelineFile({
        name,
        url: server.url,
        tables: tables.map((table) => `${schema}.${table}`),
        path,
        source,
        http,
        more: [`state: { dir: ${JSON.stringify(files.path(`${name}-state`))} }`],
      });
    const file = await files.write(`${name}.yaml`, text(['stays', 'leaves']));
    for (const table of ['stays', 'leaves', 'comes']) {
      await server.query(`CREATE TABLE ${table} (id int PRIMARY KEY)`);
      await server.query(`INSERT INTO ${table} VALUES (1)`);
    }
    const reload = async (tables: readonly string[]): Promise<void> => {
      await files.write(`${name}.yaml`, text(tables));
      const { exit, stdout } = await headwater(['reload', file]);
      expect({ exit, stdout }).toEqual({ exit: 0, stdout: `changed ${name}\n` });
    };
    const records = async (table: string): Promise<readonly string[]> =>
      summary((await readFiles(path)).filter(({ topic }) => topic.endsWith(`.${table}`)));
    const arrives = (table: string, id: number): Promise<void> =>
      expect
        .poll(async () => (await records(table)).map((record) => record.slice(2)), { timeout: 60_000 })
        .toContain(String(id));
    const done = ({ state, snapshot }: PipelineStatus): boolean =>
      state === 'streaming' && snapshot?.completedAt != null;

    await using daemon = new Headwater(['run', file]);
    await daemon.until(done);
    await reload(['stays', 'leaves', 'comes']);
    await server.query('INSERT INTO stays VALUES (2)');
    await arrives('comes', 1);
    await arrives('stays', 2);
    await daemon.until(done);
    await server.query('INSERT INTO comes VALUES (2)');
    await server.query('INSERT INTO leaves VALUES (2)');
    await arrives('comes', 2);
    await arrives('leaves', 2);
    await reload(['stays', 'comes']);
    const left = await daemon.until((status) => done(status) && status.tables.length === 2);
    expect(left.tables.map(({ state }) => state)).toEqual(['streaming', 'streaming']);
    await server.query('INSERT INTO leaves VALUES (3)');
    await server.query('INSERT INTO stays VALUES (3)');
    await arrives('stays', 3);
    expect((await daemon.stop()).exit).toBe(0);

    // Polling may read a row again where its snapshot and its first poll meet, and cannot tell a new one from another.
    const polls = source.length > 0;
    const seen = async (table: string): Promise<readonly string[]> => {
      const all = await records(table);
      return polls ? [...new Set(all.map((record) => record.slice(2)))] : all;
    };
    expect(await seen('stays')).toEqual(polls ? ['1', '2', '3'] : ['r:1', 'c:2', 'c:3']);
    expect(await seen('leaves')).toEqual(polls ? ['1', '2'] : ['r:1', 'c:2']);
    expect(await seen('comes')).toEqual(polls ? ['1', '2'] : ['r:1', 'c:2']);
  },
);
