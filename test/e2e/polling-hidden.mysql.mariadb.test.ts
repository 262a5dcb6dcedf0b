/** Polling of a server that never shows its new transactions, since somebody looks at them all the time. */
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Headwater, type Workspace, workspace } from './headwater.ts';
import { MYSQL_FLAVOURS } from './mysql-flavours.ts';
import { delivered, polledPipeline, polledRows } from './polling-support.ts';

let files: Workspace;
beforeAll(async () => (files = await workspace()));
afterAll(() => files?.[Symbol.asyncDispose]());

it.each(MYSQL_FLAVOURS)('$connector: rows that commit late are delivered, once', async ({ start }) => {
  await using server = await start({});
  await server.query(`CREATE DATABASE shop; USE shop;
    CREATE TABLE t (id int PRIMARY KEY, updated_at timestamp(3) NOT NULL)`);
  const url = server.urlFor({ database: 'shop' });
  const polled = await polledPipeline(files, {
    url,
    tables: ['shop.t'],
    poll: '{ every: 100ms, overlap: 0s, tables: { shop.t: { timestamp: updated_at } } }',
  });
  await using daemon = new Headwater(['run', polled.file]);
  await daemon.until(({ state }) => state === 'streaming');
  const looking = new AbortController();
  const onlooker = (async (): Promise<void> => {
    const session = await mysql.createConnection({ uri: url });
    while (!looking.signal.aborted) {
      await session.query('SELECT COUNT(*) FROM information_schema.INNODB_TRX');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await session.end();
  })();
  const late = await mysql.createConnection({ uri: url });
  await late.query('START TRANSACTION');
  await late.query('INSERT INTO t VALUES (1, now(3))');
  // Its time is in the past by then, in whole seconds too.
  for (const id of [2, 3, 4, 5]) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await server.query(`INSERT INTO shop.t VALUES (${id}, now(3))`);
    await delivered(polled, (rows) => rows.some(({ after }) => after?.['id'] === id));
  }
  await late.query('COMMIT');
  await late.end();
  await delivered(polled, (rows) => rows.some(({ after }) => after?.['id'] === 1));
  looking.abort();
  await onlooker;
  await server.query('INSERT INTO shop.t VALUES (6, now(3))');
  await delivered(polled, (rows) => rows.some(({ after }) => after?.['id'] === 6));
  await daemon.stop();
  const ids = (await polledRows(polled)).map(({ after }) => Number(after?.['id']));
  expect(ids.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6]);
});
