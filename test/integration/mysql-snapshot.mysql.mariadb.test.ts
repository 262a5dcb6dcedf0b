/** Tables read at one position and in windows, on real servers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { TableId } from '../../src/model/table.ts';
import { valuesOf } from '../../src/model/raw-row.ts';
import type { Row } from '../../src/model/value.ts';
import { takeSnapshot } from '../../src/readers/mysql/snapshot-lock.ts';
import { createMysqlSnapshotSource } from '../../src/readers/mysql/snapshot-source.ts';
import { connectRows, type RowSession } from '../../src/readers/mysql/wire/row-session.ts';
import { keyText, keyValues } from '../../src/snapshot/row-key.ts';
import type { SnapshotView, TablePlan, WindowReader } from '../../src/snapshot/snapshot-source.ts';
import { connectOptions } from '../support/mysql-reader.ts';
import { oldMysqlVersions, startMysql, testMariadb, testMysql } from '../support/servers.ts';

const never = new AbortController().signal;
const ALL = { where: null };

const SERVERS = [
  { product: 'MySQL 9', open: () => testMysql('9') },
  ...oldMysqlVersions.map((version) => ({ product: `MySQL ${version}`, open: () => testMysql(version) })),
  { product: 'MariaDB 11.8', open: () => testMariadb('11.8') },
] as const;

type Connect = (signal: AbortSignal) => Promise<RowSession>;

function connecting(url: string): Connect {
  return (signal) => connectRows(connectOptions(url), signal);
}

function sourceOf(connect: Connect, taken: Awaited<ReturnType<typeof takeSnapshot>> = null) {
  return createMysqlSnapshotSource({
    connector: 'mysql',
    connect,
    taken,
    delivered: () => ({ gtids: null, file: 'binlog.000001', pos: 4, mid: null, prepared: null }),
    types: { zeroDates: 'null', unsignedOverflow: 'quarantine' },
    number: (schema) => ({ ...schema, version: 1 }),
  });
}

async function viewOf(
  connect: Connect,
  sessions: number,
  tables: readonly TableId[],
): Promise<SnapshotView<unknown>> {
  const taken = await takeSnapshot({ connect, sessions, tables, longLived: true }, never);
  const view = await sourceOf(connect, taken).openView({ parallelism: sessions }, never);
  if (view === null) throw new Error('No view could be opened.');
  return view;
}

async function readAll(view: SnapshotView<unknown>, plan: TablePlan): Promise<readonly Row[]> {
  const rows: Row[] = [];
  await Promise.all(
    plan.chunks.map(async (range) => {
      for await (const block of view.rows(plan, range, never))
        rows.push(...block.rows.map(({ after }) => valuesOf(after!)));
    }),
  );
  return rows;
}

/** The rows, or the news that they cannot be shown any more. */
async function expectAsItWas(
  view: SnapshotView<unknown>,
  plan: TablePlan,
  rows: readonly Row[],
): Promise<void> {
  const found = await readAll(view, plan).catch((error: unknown) => error);
  if (found instanceof Error) expect(found).toMatchObject({ code: 'snapshot.table-rewritten' });
  else expect(found).toEqual(rows);
}

/** Through windows of a few rows each, so that the reading goes on from many keys. */
async function readWindows(windows: WindowReader<unknown>, plan: TablePlan): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const whole of plan.chunks) {
    for (let from = whole.from; ;) {
      const limit = { maxRows: 7, maxBytes: 1_000_000 };
      const chunk = await windows.chunk(plan, { from, to: whole.to }, limit, never);
      rows.push(...chunk.rows.map(({ after }) => valuesOf(after!)));
      if (chunk.lastKey === null) break;
      from = chunk.lastKey;
    }
  }
  return rows;
}

describe.each(SERVERS)('$product', ({ open }) => {
  test('a view shows one position, and an ALTER TABLE does not wait for it', async () => {
    await using database = await open();
    const { name } = database;
    await database.query('CREATE TABLE t (id int PRIMARY KEY, v varchar(10))');
    await database.query('CREATE TABLE nokey (v int)');
    await database.query("INSERT INTO t VALUES (1, 'a'), (2, 'b')");
    await database.query('INSERT INTO nokey VALUES (1), (1)');
    const connect = connecting(database.url);
    const ids = ['t', 'nokey'].map((table) => ({ schema: name, table }));
    await using view = await viewOf(connect, 2, ids);
    await database.query("INSERT INTO t VALUES (3, 'later')");
    const plan = await view.plan({ schema: name, table: 't' }, { chunkRows: 100, ...ALL }, never);
    expect(await readAll(view, plan)).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
    const keyless = await view.plan({ schema: name, table: 'nokey' }, { chunkRows: 100, ...ALL }, never);
    expect(keyless.by).toBe('block');
    expect(await readAll(view, keyless)).toEqual([[1], [1]]);
    await database.query('ALTER TABLE t ADD COLUMN w int');
    await database.query('TRUNCATE TABLE nokey');
    // Where the server adds a column without touching rows, they can still be read as they were.
    await expectAsItWas(view, plan, [
      [1, 'a'],
      [2, 'b'],
    ]);
    // MySQL 5.6 shows the emptied table: what the stream's TRUNCATE would have taken away is not there at all.
    await expectAsItWas(view, keyless, []);
  });

  test('chunks of every kind of key hold each row once', async () => {
    await using database = await open();
    const { name } = database;
    const keys = {
      ints: ['a bigint unsigned', '18446744073709551615 - i'],
      negative: ['a int', 'i * 1000 - 30000'],
      decimals: ['a decimal(10,3)', 'i / 7'],
      doubles: ['a double', 'i / 7'],
      floats: ['a float', 'i * 1.1'],
      texts: ['a varchar(20) CHARACTER SET latin1', "CONCAT('é', i % 50, CHAR(39), '\\\\\\\\', i)"],
      wide: ['a varchar(20) CHARACTER SET ucs2', "CONCAT('ž', i)"],
      binaries: ['a varbinary(8)', 'UNHEX(LPAD(HEX(i * 4097), 8, 0))'],
      enums: ["a enum('z','a','m'), b int", 'ELT(1 + i % 3, "z", "a", "m"), i', 'a, b'],
      sets: ["a set('x','y'), b int", 'ELT(1 + i % 3, "x", "y", "x,y"), i', 'a, b'],
      bits: ['a bit(12)', 'i'],
      dates: [
        'a datetime(3), b time',
        "'2024-01-01' + INTERVAL i * 100000 MICROSECOND, SEC_TO_TIME(i % 9)",
        'a, b',
      ],
      moments: [
        'a timestamp(6) NOT NULL, b date, c year, d time(6)',
        "'2024-01-01' + INTERVAL i * 100001 MICROSECOND, '1999-12-31' + INTERVAL i DAY, 1990 + i, SEC_TO_TIME(i - 40.000001)",
        'a, b, c, d',
      ],
      zeros: [
        'a datetime, b date, c int',
        "IF(i % 2, '2024-02-00 01:02:03', '1200-01-01'), IF(i % 3, '0000-00-00', '9999-12-31'), i",
        'a, b, c',
      ],
    } as const;
    const windows = await sourceOf(connecting(database.url)).openWindows({ parallelism: 1 }, never);
    try {
      await database.query('CREATE TABLE n (i int PRIMARY KEY)');
      await database.query(
        `INSERT INTO n VALUES ${Array.from({ length: 90 }, (_, i) => `(${i + 1})`).join(', ')}`,
      );
      for (const [table, [columns, values, key = 'a']] of Object.entries(keys)) {
        await database.query(`CREATE TABLE ${table} (${columns}, i int, PRIMARY KEY (${key}))`);
        await database.query(`SET SESSION sql_mode = ''; INSERT INTO ${table} SELECT ${values}, i FROM n`);
        await database.query(`ANALYZE TABLE ${table}`);
        const plan = await windows.plan({ schema: name, table }, { chunkRows: 25, ...ALL }, never);
        expect(plan.by, table).toBe('key');
        const rows = await readWindows(windows, plan);
        const found = rows.map((row) => Number(row.at(-1))).sort((a, b) => a - b);
        const all = Array.from({ length: 90 }, (_, i) => i + 1);
        expect(found, table).toEqual(all);
        // And single rows are found by the values of their keys.
        const stored = rows.map((row) => keyText(row, plan.key)!);
        const { rows: again, lastKey } = await windows.rowsOf!(plan, stored.map(keyValues), never);
        expect(lastKey).toBe(null);
        const nth = (row: Row): number => Number(row.at(-1));
        expect(
          again.map(({ after }) => nth(valuesOf(after!))).sort((a, b) => a - b),
          table,
        ).toEqual(all);
        const [one] = (await windows.rowsOf!(plan, stored.slice(7, 8).map(keyValues), never)).rows;
        expect(valuesOf(one!.after!), table).toEqual(rows[7]);
      }
    } finally {
      await windows[Symbol.asyncDispose]();
    }
  });

  test('names of any kind', async () => {
    await using database = await open();
    const odd = 'a`b\'c"d.e f-g;h\\i%j 表';
    const quoted = `\`${odd.replaceAll('`', '``')}\``;
    await database.query(`CREATE TABLE ${quoted} (${quoted} varchar(20) PRIMARY KEY, \`select\` int)`);
    await database.query(`INSERT INTO ${quoted} VALUES ('x', 1), ('y', 2)`);
    const connect = connecting(database.url);
    const id = { schema: database.name, table: odd };
    await using view = await viewOf(connect, 1, [id]);
    const plan = await view.plan(id, { chunkRows: 1, where: `${quoted} <> 'y'` }, never);
    expect(plan.schema.columns.map((column) => column.name)).toEqual([odd, 'select']);
    expect(await readAll(view, plan)).toEqual([['x', 1]]);
    await expect(view.plan(id, { chunkRows: 1, where: 'nope = 1' }, never)).rejects.toMatchObject({
      code: 'snapshot.where-invalid',
    });
    await expect(
      view.plan({ schema: database.name, table: 'gone' }, { chunkRows: 1, ...ALL }, never),
    ).rejects.toMatchObject({ code: 'snapshot.table-unreadable' });
  });

  test('a window reads the table as it is, and a table without transactions too', async () => {
    await using database = await open();
    const { name } = database;
    await database.query('CREATE TABLE t (id int PRIMARY KEY, v int)');
    await database.query('CREATE TABLE m (id int PRIMARY KEY, v int) ENGINE = MyISAM');
    await database.query('INSERT INTO t VALUES (1, 1), (2, 2)');
    await database.query('INSERT INTO m VALUES (1, 1)');
    const windows = await sourceOf(connecting(database.url)).openWindows({ parallelism: 1 }, never);
    try {
      const ids = ['t', 'm', 'gone'].map((table) => ({ schema: name, table }));
      expect(await windows.keyed(ids, never)).toEqual([true, true, true]);
      const plan = await windows.plan(ids[0]!, { chunkRows: 10, ...ALL }, never);
      await database.query('ALTER TABLE t ADD COLUMN w int NOT NULL DEFAULT 5, DROP COLUMN v');
      const limit = { maxRows: 100, maxBytes: 1_000_000 };
      const chunk = await windows.chunk(plan, { from: null, to: null }, limit, never);
      expect(chunk.plan).not.toBe(plan);
      expect(chunk.rows.map(({ after }) => valuesOf(after))).toEqual([
        [1, 5],
        [2, 5],
      ]);
      const other = await windows.plan(ids[1]!, { chunkRows: 10, ...ALL }, never);
      const rows = await windows.chunk(other, { from: null, to: null }, limit, never);
      expect(rows.rows.map(({ after }) => valuesOf(after))).toEqual([[1, 1]]);
    } finally {
      await windows[Symbol.asyncDispose]();
    }
  });
});

test('no writer waits for long while a lock is asked for that is not to be had', async () => {
  await using server = await startMysql({ version: '9' });
  await server.query('CREATE DATABASE d; CREATE TABLE d.t (id int AUTO_INCREMENT PRIMARY KEY, v int)');
  const connect = connecting(server.url);
  const tables = [{ schema: 'd', table: 't' }];
  const options = { connect, sessions: 2, tables, longLived: true };
  let longest = 0;
  const writing = new AbortController();
  const writer = (async () => {
    while (!writing.signal.aborted) {
      const begun = performance.now();
      await server.query('INSERT INTO d.t (v) VALUES (1)');
      longest = Math.max(longest, performance.now() - begun);
    }
  })();
  // The lock waits for statements that write to the table.
  const slow = server.query('INSERT INTO d.t (v) SELECT SLEEP(8)');
  await sleep(300);
  expect(await takeSnapshot(options, never)).toBeNull();
  await slow;
  // A report that reads the table for long is in nobody's way.
  const report = server.query('SELECT SLEEP(5) FROM d.t LIMIT 1');
  await sleep(300);
  await using taken = await takeSnapshot(options, never);
  expect(taken?.sessions.length).toBe(2);
  await report;
  writing.abort();
  await writer;
  // The request is taken back after one second; the limit of two is what is promised.
  expect(longest).toBeLessThan(2_000);
});

test('without the right to lock, tables are read in windows; without GTIDs too, not at all', async () => {
  await using server = await startMysql({
    version: '9',
    settings: { 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' },
  });
  await server.query(`CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY); INSERT INTO d.t VALUES (1);
    CREATE USER reader@'%'; GRANT SELECT, REPLICATION CLIENT ON *.* TO reader@'%';
    CREATE USER locker@'%'; GRANT SELECT, LOCK TABLES, REPLICATION CLIENT ON *.* TO locker@'%'`);
  const id = { schema: 'd', table: 't' };
  const limit = { maxRows: 100, maxBytes: 1_000_000 };
  const reader = connecting(server.urlFor({ user: 'reader' }));
  expect(
    await takeSnapshot({ connect: reader, sessions: 1, tables: [id], longLived: true }, never),
  ).toBeNull();
  const refused = await sourceOf(reader).openWindows({ parallelism: 1 }, never);
  const plan = await refused.plan(id, { chunkRows: 10, ...ALL }, never);
  await expect(refused.chunk(plan, { from: null, to: null }, limit, never)).rejects.toMatchObject({
    code: 'snapshot.no-common-position',
  });
  await refused[Symbol.asyncDispose]();
  const locker = connecting(server.urlFor({ user: 'locker' }));
  const windows = await sourceOf(locker).openWindows({ parallelism: 1 }, never);
  const chunk = await windows.chunk(plan, { from: null, to: null }, limit, never);
  expect(chunk.rows.map(({ after }) => valuesOf(after))).toEqual([[1]]);
  await windows[Symbol.asyncDispose]();
  await using own = await sourceOf(locker).openOwnView({ parallelism: 1, tables: [id] }, never);
  expect(own.sees(`file=${chunk.high.file},pos=4`)).toBe(true);
});
