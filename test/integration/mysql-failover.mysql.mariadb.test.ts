import { describe, expect, test } from 'vitest';
import { makeReader, openReader, readToEnd, rowsOf } from '../support/mysql-reader.ts';
import { type MysqlServer, startMariadb, startMysql } from '../support/servers.ts';

interface Product {
  readonly start: (serverId: string) => Promise<MysqlServer>;
  /** Makes the second a replica of the first. */
  readonly follow: (source: MysqlServer) => string;
  readonly status: string;
  readonly stop: string;
}

const PRODUCTS: readonly [string, Product][] = [
  [
    'MySQL',
    {
      start: (serverId) => startMysql({ version: '9', settings: { 'server-id': serverId } }),
      follow: ({ host, port }) =>
        `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${host}', SOURCE_PORT=${port}, SOURCE_USER='root', SOURCE_AUTO_POSITION=1, SOURCE_SSL=0, GET_SOURCE_PUBLIC_KEY=1; START REPLICA`,
      status: 'SHOW REPLICA STATUS',
      stop: 'STOP REPLICA; RESET REPLICA ALL',
    },
  ],
  [
    'MariaDB',
    {
      start: (serverId) =>
        startMariadb({ version: '11.8', settings: { 'server-id': serverId, 'log-slave-updates': 'ON' } }),
      follow: ({ host, port }) =>
        `CHANGE MASTER TO MASTER_HOST='${host}', MASTER_PORT=${port}, MASTER_USER='root', MASTER_USE_GTID=slave_pos, MASTER_SSL=0; START SLAVE`,
      status: 'SHOW SLAVE STATUS',
      stop: 'STOP SLAVE; RESET SLAVE ALL',
    },
  ],
];

const ids = (changes: Parameters<typeof rowsOf>[0]): readonly unknown[] =>
  rowsOf(changes).map(({ after }) => after![0]);

describe.each(PRODUCTS)('%s', (_, product) => {
  test('reading goes on at a replica by GTID, and waits for one that lags behind', async () => {
    await using source = await product.start('11');
    await using replica = await product.start('12');
    const has = async (table: string): Promise<boolean> => {
      const rows = await replica.query(
        `SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME = '${table}'`,
      );
      return rows.length > 0;
    };
    await replica.query(product.follow(source));
    await source.query('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)');
    while (!(await has('t'))) await replica.query('DO SLEEP(0.05)');
    const db = { url: source.url, name: 'd' };
    await using reader = makeReader(db);
    const { continuity, identity } = await openReader(reader);
    if (continuity.kind !== 'fresh') throw new Error('not fresh');
    await source.query('INSERT INTO d.t VALUES (1)');
    const first = await readToEnd(reader, continuity.start);
    expect(ids(first.changes)).toEqual([1]);

    await replica.query(product.stop.split(';')[0]!);
    await source.query('INSERT INTO d.t VALUES (2)');
    const second = await readToEnd(reader, first.position);
    const stored = { position: second.position, identity };
    const elsewhere = { url: replica.url, name: 'd' };
    await using early = makeReader(elsewhere);
    await expect(openReader(early, { stored, state: first.state })).rejects.toMatchObject({
      code: 'source.behind',
    });

    await replica.query(product.follow(source).split(';').at(-1)!);
    const rows = async (): Promise<number> =>
      (await replica.query<{ n: number }>('SELECT COUNT(*) AS n FROM d.t'))[0]!.n;
    while ((await rows()) < 2) await replica.query('DO SLEEP(0.05)');
    await source.stop();
    await replica.query(product.stop);
    await replica.query('INSERT INTO d.t VALUES (3)');
    await using later = makeReader(elsewhere);
    const opened = await openReader(later, { stored, state: first.state });
    expect(opened.continuity.kind).toBe('continuous');
    expect(ids((await readToEnd(later, second.position)).changes)).toEqual([3]);
  });
});

test('MariaDB ends the session of whoever had the server id before, and the reason is told', async () => {
  await using server = await startMariadb({ version: '11.8' });
  await server.query('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)');
  const db = { url: server.url, name: 'd' };
  const never = new AbortController().signal;
  await using one = makeReader(db, { serverId: 4711 });
  await using other = makeReader(db, { serverId: 4711 });
  const { continuity } = await openReader(one);
  if (continuity.kind !== 'fresh') throw new Error('not fresh');
  await openReader(other);
  const reading = (async (): Promise<unknown> => {
    for await (const batch of one.read(continuity.start, never)) void batch;
    return null;
  })().catch((error: unknown) => error);
  // The first is there once it is registered.
  while ((await server.query('SHOW SLAVE HOSTS')).length === 0) await server.query('DO SLEEP(0.05)');
  await server.query('INSERT INTO d.t VALUES (1)');
  const second = other.read(continuity.start, never)[Symbol.asyncIterator]();
  await second.next();
  expect(await reading).toMatchObject({ code: 'source.server-id-clash' });
});
