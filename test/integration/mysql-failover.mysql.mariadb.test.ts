import { describe, expect, test } from 'vitest';
import { type Log, SILENT } from '../../src/observability/log.ts';
import { createMysqlReader } from '../../src/readers/mysql/reader.ts';
import { makeReader, openReader, readerOptions, readToEnd, rowsOf } from '../support/mysql-reader.ts';
import { type MysqlServer, startMariadb, startMysql, testMysql } from '../support/servers.ts';

type ServerSettings = Readonly<Record<string, string>>;

interface Product {
  readonly start: (serverId: string, settings?: ServerSettings) => Promise<MysqlServer>;
  /** Makes the second a replica of the first. */
  readonly follow: (source: MysqlServer) => string;
  readonly status: string;
  readonly stop: string;
}

const PRODUCTS: readonly [string, Product][] = [
  [
    'MySQL',
    {
      start: (serverId, settings) =>
        startMysql({ version: '9', settings: { 'server-id': serverId, ...settings } }),
      follow: ({ host, port }) =>
        `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${host}', SOURCE_PORT=${port}, SOURCE_USER='root', SOURCE_AUTO_POSITION=1, SOURCE_SSL=0, GET_SOURCE_PUBLIC_KEY=1; START REPLICA`,
      status: 'SHOW REPLICA STATUS',
      stop: 'STOP REPLICA; RESET REPLICA ALL',
    },
  ],
  [
    'MariaDB',
    {
      start: (serverId, settings) =>
        startMariadb({
          version: '11.8',
          settings: { 'server-id': serverId, 'log-slave-updates': 'ON', ...settings },
        }),
      follow: ({ host, port }) =>
        `CHANGE MASTER TO MASTER_HOST='${host}', MASTER_PORT=${port}, MASTER_USER='root', MASTER_USE_GTID=slave_pos, MASTER_SSL=0; START SLAVE`,
      status: 'SHOW SLAVE STATUS',
      stop: 'STOP SLAVE; RESET SLAVE ALL',
    },
  ],
];

const ids = (changes: Parameters<typeof rowsOf>[0]): readonly unknown[] =>
  rowsOf(changes).map(({ after }) => after![0]);

describe.each(PRODUCTS)('%s', (name, product) => {
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

  test.each([
    { key: 'PRIMARY KEY', outcome: 'goes on where it was' },
    {
      key: '',
      outcome: 'goes on there too, or begins again where a replica may have its rows in another order',
    },
  ])('half of a large transaction of tables with "$key" delivered, it $outcome', async ({ key }) => {
    await using source = await product.start('11');
    await using replica = await product.start('12', { 'binlog-row-event-max-size': '256' });
    await replica.query(product.follow(source));
    const rows = 6_000;
    const numbers = Array.from({ length: rows }, (_, i) => i);
    await source.query(`CREATE DATABASE d; CREATE TABLE d.a (id INT ${key}, n INT); CREATE TABLE d.b LIKE d.a;
      CREATE TABLE d.other (id INT PRIMARY KEY)`);
    const db = { url: source.url, name: 'd' };
    const options = { tables: ['d.a', 'd.b'] };
    await using reader = makeReader(db, options);
    const { continuity, identity } = await openReader(reader);
    if (continuity.kind !== 'fresh') throw new Error('not fresh');
    const values = (from: number): string =>
      numbers
        .slice(from, from + 1_000)
        .map((i) => `(${i},0)`)
        .join(',');
    const inserts = [0, 1_000, 2_000, 3_000, 4_000, 5_000].flatMap((from) => [
      `INSERT INTO d.a VALUES ${values(from)}`,
      `INSERT INTO d.other VALUES (${from})`,
      `INSERT INTO d.b VALUES ${values(from)}`,
    ]);
    await source.query(['BEGIN', ...inserts, 'UPDATE d.a SET n = 1', 'COMMIT'].join(';'));
    const half = await readToEnd(reader, continuity.start, {
      done: (position, changes) => position.mid !== null && changes.length > 7_000,
    });
    expect(half.changes.length).toBeLessThan(3 * rows);
    while ((await replica.query('SELECT 1 FROM d.a WHERE n = 1 LIMIT 1')).length === 0)
      await replica.query('DO SLEEP(0.05)');
    const stored = {
      position: reader.codec.decode(JSON.parse(JSON.stringify(reader.codec.encode(half.position)))),
      identity,
    };
    await using later = makeReader({ url: replica.url, name: 'd' }, options);
    await openReader(later, { stored, state: half.state });
    const rest = await readToEnd(later, stored.position);
    const all = rowsOf([...half.changes, ...rest.changes]);
    const seen = all.map(({ table, op, after }) => `${table.id.table} ${op} ${String(after![0])}`);
    if (key === '' && name === 'MySQL') {
      expect(rowsOf(rest.changes)).toHaveLength(3 * rows);
      return;
    }
    expect(new Set(seen).size).toBe(3 * rows);
    expect(seen).toHaveLength(3 * rows);
    expect(all.map(({ seq }) => seq)).toEqual(Array.from({ length: 3 * rows }, (_, i) => i));
  });
});

const [X, Y] = ['aaaaaaaa-0000-0000-0000-000000000001', 'bbbbbbbb-0000-0000-0000-000000000002'];

test.each([
  [
    'MySQL',
    PRODUCTS[0]![1],
    (source: string, n: number) => `SET gtid_next = '${source === 'x' ? X : `${Y}:blue`}:${n}'`,
  ],
  [
    'MariaDB',
    PRODUCTS[1]![1],
    (source: string, n: number) =>
      `SET SESSION server_id = ${source === 'x' ? 101 : 102}, SESSION gtid_domain_id = ${source === 'x' ? 1 : 2}, SESSION gtid_seq_no = ${n}`,
  ],
] as const)(
  '%s: another server has the transactions of several sources in another order',
  async (_, product, from) => {
    const setUp = `SET SESSION sql_log_bin = 0; CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)`;
    const insert = (source: string, n: number, id: number): string =>
      `${from(source, n)}; INSERT INTO d.t VALUES (${id})`;
    await using one = await product.start('11');
    await using other = await product.start('12');
    await one.query(setUp);
    await other.query(setUp);
    await using reader = makeReader({ url: one.url, name: 'd' });
    const { continuity, identity } = await openReader(reader);
    if (continuity.kind !== 'fresh') throw new Error('not fresh');
    for (const sql of [insert('x', 1, 1), insert('y', 1, 11), insert('x', 2, 2)]) await one.query(sql);
    const first = await readToEnd(reader, continuity.start);
    expect(ids(first.changes)).toEqual([1, 11, 2]);
    for (const sql of [
      insert('y', 1, 11),
      insert('y', 2, 12),
      insert('x', 1, 1),
      insert('x', 2, 2),
      insert('x', 3, 3),
    ])
      await other.query(sql);
    await using later = makeReader({ url: other.url, name: 'd' });
    const stored = { position: first.position, identity };
    const opened = await openReader(later, { stored, state: first.state });
    expect(opened.continuity.kind).toBe('continuous');
    expect(ids((await readToEnd(later, first.position)).changes)).toEqual([12, 3]);
  },
);

test('MySQL: a server id that another reader has already is warned of', async () => {
  await using db = await testMysql('9');
  await db.query('CREATE TABLE t (id INT PRIMARY KEY)');
  const warnings: string[] = [];
  const log: Log = { ...SILENT, warn: (_, message) => void warnings.push(message), child: () => log };
  await using one = makeReader(db, { serverId: 4711 });
  await using other = createMysqlReader(readerOptions(db, { serverId: 4711 }), log);
  const { continuity } = await openReader(one);
  if (continuity.kind !== 'fresh') throw new Error('not fresh');
  const reading = one.read(continuity.start, new AbortController().signal)[Symbol.asyncIterator]();
  await db.query('INSERT INTO t VALUES (1)');
  await reading.next();
  await openReader(other);
  expect(ids((await readToEnd(other, continuity.start)).changes)).toEqual([1]);
  expect(warnings).toEqual([expect.stringContaining('under this server id')]);
  await reading.return?.();
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
