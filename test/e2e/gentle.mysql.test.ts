/** What Headwater does not do to a MySQL: write anything, or keep its writers waiting. */
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MysqlServer, startMysql } from '../support/servers.ts';
import { Headwater, pipelineFile, type Workspace, workspace } from './headwater.ts';

/** Rulings, 4: measured, and never more. */
const LONGEST_WAIT_MS = 2_000;

let files: Workspace;
let server: MysqlServer;

beforeAll(async () => {
  files = await workspace();
  server = await startMysql({ version: '9' });
  await server.query(`CREATE DATABASE shop;
    CREATE TABLE shop.big (id INT PRIMARY KEY, v VARCHAR(200));
    CREATE TABLE shop.busy (id INT AUTO_INCREMENT PRIMARY KEY, v INT);
    SET SESSION cte_max_recursion_depth = 200001;
    INSERT INTO shop.big WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 200000)
      SELECT i, repeat('x', 100) FROM s`);
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await files?.[Symbol.asyncDispose]();
});

const write = (name: string): Promise<string> =>
  files.write(
    `${name}.yaml`,
    pipelineFile({
      name,
      url: server.url,
      tables: ['shop.*'],
      path: files.path(name),
      more: ['snapshot: { chunk_rows: 20000 }'],
    }),
  );

interface Writing {
  /** The longest that one INSERT took, in milliseconds. */
  stop(): Promise<number>;
}

/** One row after another, each timed. */
function keepWriting(): Writing {
  let stopping = false;
  const run = async (): Promise<number> => {
    const connection = await mysql.createConnection(server.url);
    let longest = 0;
    while (!stopping) {
      const started = performance.now();
      await connection.query('INSERT INTO shop.busy (v) VALUES (1)');
      longest = Math.max(longest, performance.now() - started);
    }
    await connection.end();
    return longest;
  };
  const running = run();
  return {
    stop: () => {
      stopping = true;
      return running;
    },
  };
}

describe('while a snapshot is taken', () => {
  it('no writer waits for more than two seconds', async () => {
    const writers = [keepWriting(), keepWriting()];
    await using run = new Headwater(['run', await write('calm')]);
    await run.line(({ msg }) => msg === 'snapshot complete');
    const waits = await Promise.all(writers.map((writer) => writer.stop()));
    expect(Math.max(...waits)).toBeLessThan(LONGEST_WAIT_MS);
    expect((await run.stop()).exit).toBe(0);
  });

  it('not even where a query takes long, for which FLUSH TABLES would wait', async () => {
    const slow = await mysql.createConnection(server.url);
    await server.query('INSERT INTO shop.busy (v) VALUES (0)');
    const query = slow.query('SELECT SLEEP(15) FROM shop.busy LIMIT 1');
    const running = "SELECT 1 FROM information_schema.processlist WHERE state = 'User sleep' AND time >= 1";
    while ((await server.query(running)).length === 0);
    const writers = [keepWriting(), keepWriting()];
    await using run = new Headwater(['run', await write('held')]);
    await run.line(({ msg }) => msg === 'snapshot complete');
    const waits = await Promise.all(writers.map((writer) => writer.stop()));
    await query;
    slow.destroy();
    expect(Math.max(...waits)).toBeLessThan(LONGEST_WAIT_MS);
    expect((await run.stop()).exit).toBe(0);
  });
});

it('nothing is written: no transaction, no table, no variable', async () => {
  const state = async (): Promise<unknown> => [
    await server.query('SELECT @@global.gtid_executed AS executed'),
    await server.query('SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2'),
    await server.query(
      `SELECT * FROM performance_schema.global_variables WHERE variable_name NOT LIKE 'gtid%' ORDER BY 1`,
    ),
  ];
  const before = await state();
  await using run = new Headwater(['run', await write('silent')]);
  await run.until(({ state: now, caughtUp }) => now === 'streaming' && caughtUp);
  expect((await run.stop()).exit).toBe(0);
  expect(await state()).toEqual(before);
});
