/** What becomes of the odd endings that a group of events can have. */
import mysql from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import { containsGtid, parseGtidSet } from '../../src/readers/mysql/gtid/gtid-set.ts';
import { changesOf, rowsOf } from '../support/mysql-reader.ts';
import { oldMysqlVersions, startMariadb, startMysql, testMariadb, testMysql } from '../support/servers.ts';

const PRODUCTS = [
  { product: 'mysql', open: () => testMysql('9'), executed: 'gtid_executed' },
  { product: 'mariadb', open: () => testMariadb('11.8'), executed: 'gtid_binlog_pos' },
] as const;

describe.each(PRODUCTS)('$product', ({ product, open, executed }) => {
  test('what XA PREPARE has logged is of the transaction that commits it, before which nobody sees it', async () => {
    await using db = await open();
    await db.query('CREATE TABLE t (id INT PRIMARY KEY)');
    let prepared = '';
    const { changes } = await changesOf(
      db,
      async () => {
        const session = await mysql.createConnection({ uri: db.url, multipleStatements: true });
        await session.query(
          `XA START '${db.name}'; INSERT INTO t VALUES (1), (2); XA END '${db.name}'; XA PREPARE '${db.name}'`,
        );
        const [row] = await db.query<{ gtids: string }>(`SELECT @@GLOBAL.${executed} AS gtids`);
        prepared = row!.gtids;
        await session.query(`XA COMMIT '${db.name}'`);
        await session.end();
      },
      { transactionMetadata: true },
    );
    expect(changes.map(({ kind }) => kind)).toEqual(['begin', 'row', 'row', 'end']);
    const ids = new Set(changes.map((change) => change.tx?.id));
    expect(ids.size).toBe(1);
    const set = parseGtidSet(prepared.replaceAll('\n', ''), product)!;
    for (const { tx, at } of rowsOf(changes)) {
      expect(containsGtid(set, tx!.id)).toBe(false);
      expect(at.tx).toBe(tx);
    }
  });
});

test.each([
  ['MySQL 9', () => startMysql({ version: '9', settings: { 'binlog-rows-query-log-events': 'ON' } })],
  ...oldMysqlVersions.map(
    (version) =>
      [
        `MySQL ${version}`,
        () => startMysql({ version, settings: { 'binlog-rows-query-log-events': 'ON' } }),
      ] as const,
  ),
  ['MariaDB', () => startMariadb({ version: '11.8' })],
  [
    'MariaDB, compressed',
    () =>
      startMariadb({
        version: '11.8',
        settings: { 'log-bin-compress': 'ON', 'log-bin-compress-min-len': '10', 'binlog-checksum': 'NONE' },
      }),
  ],
] as const)('%s: the statement of each row, where it is asked for', async (_, start) => {
  await using server = await start();
  await server.query('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, v VARCHAR(300))');
  const long = `INSERT INTO d.t VALUES (1, '${'é'.repeat(200)}')`;
  const act = (): Promise<unknown> =>
    server.query(
      `${long}; BEGIN; INSERT INTO d.t VALUES (2, 'b'); UPDATE d.t SET v = 'c' WHERE id > 1; COMMIT`,
    );
  const db = { url: server.url, name: 'd' };
  const { changes } = await changesOf(db, act, { includeQuery: true });
  expect(rowsOf(changes).map(({ at }) => at.query)).toEqual([
    long,
    "INSERT INTO d.t VALUES (2, 'b')",
    "UPDATE d.t SET v = 'c' WHERE id > 1",
  ]);
  await server.query('DELETE FROM d.t');
  expect(rowsOf((await changesOf(db, act)).changes).map(({ at }) => at.query)).toEqual([null, null, null]);
});

test.each([
  ['MySQL', () => startMysql({ version: '9', settings: { 'binlog-checksum': 'NONE' } })],
  ['MariaDB', () => startMariadb({ version: '11.8', settings: { 'binlog-checksum': 'NONE' } })],
])('%s: the log is read without checksums too, and where they begin', async (_, start) => {
  await using server = await start();
  await server.query('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)');
  const { changes } = await changesOf({ url: server.url, name: 'd' }, () =>
    server.query(`INSERT INTO d.t VALUES (1), (2); SET GLOBAL binlog_checksum = 'CRC32'; INSERT INTO d.t VALUES (3);
      SET GLOBAL binlog_checksum = 'NONE'; INSERT INTO d.t VALUES (4)`),
  );
  expect(rowsOf(changes).map(({ after }) => after![0])).toEqual([1, 2, 3, 4]);
});

describe('MariaDB logs what is rolled back behind a temporary table', () => {
  const temporary = 'CREATE TEMPORARY TABLE tt (a INT); INSERT INTO tt VALUES (1)';

  test('and it is not delivered', async () => {
    await using db = await testMariadb('11.8');
    await db.query(
      'CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE m (id INT PRIMARY KEY) ENGINE = MyISAM',
    );
    const { changes } = await changesOf(
      db,
      () =>
        db.query(`INSERT INTO t VALUES (1);
          BEGIN; INSERT INTO t VALUES (2); ${temporary}; INSERT INTO m VALUES (1); ROLLBACK;
          BEGIN; INSERT INTO t VALUES (3); SAVEPOINT \`a b\`; INSERT INTO t VALUES (4); SAVEPOINT c;
          INSERT INTO t VALUES (5), (6); INSERT INTO m VALUES (2); ROLLBACK TO c; INSERT INTO t VALUES (7);
          ROLLBACK TO \`a b\`; INSERT INTO t VALUES (8); COMMIT`),
      { transactionMetadata: true },
    );
    const rows = rowsOf(changes).map(({ table, after }) => [table.id.table, after![0]]);
    const kept = await db.query<{ id: number }>('SELECT id FROM t ORDER BY id');
    expect(kept.map(({ id }) => id)).toEqual([1, 3, 8]);
    expect(rows).toEqual([
      ['t', 1],
      ['m', 1],
      ['m', 2],
      ['t', 3],
      ['t', 8],
    ]);
    // What is rolled back as a whole was never begun.
    const markers = changes.filter(({ kind }) => kind === 'begin' || kind === 'end');
    expect(markers.map(({ kind }) => kind).join(' ')).toBe('begin end begin end begin end begin end');
  });

  test('where it was too large to wait for its end, a note tells of it', async () => {
    await using db = await testMariadb('11.8');
    await db.query('CREATE TABLE t (id INT PRIMARY KEY)');
    const { changes } = await changesOf(db, () =>
      db.query(
        `BEGIN; INSERT INTO t VALUES (0); INSERT INTO t SELECT seq FROM seq_1_to_20000; ${temporary}; ROLLBACK; INSERT INTO t VALUES (1)`,
      ),
    );
    const rows = rowsOf(changes);
    const notes = rows.filter(({ unreadable }) => unreadable !== undefined);
    const delivered = rows.length - 2;
    expect(delivered).toBeLessThan(20_001);
    expect(notes).toMatchObject([
      { unreadable: { code: 'source.rolled-back', details: { changes: delivered } } },
    ]);
    expect(rows.at(-1)!.after).toEqual([1]);
  });
});
