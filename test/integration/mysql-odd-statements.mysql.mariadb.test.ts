/** Statements of which something else is in the log than rows, or more than once, or of another table. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  changesOf,
  makeReader,
  type MysqlChange,
  openReader,
  plainRows,
  rowsOf,
} from '../support/mysql-reader.ts';
import {
  type MysqlServer,
  oldMysqlVersions,
  startMariadb,
  startMysql,
  testMariadb,
} from '../support/servers.ts';

const never = new AbortController().signal;
const FILES = { 'secure-file-priv': '' };
const SERVERS = [
  ['MySQL 9', () => startMysql({ version: '9', settings: FILES })],
  ...oldMysqlVersions.map(
    (version) => [`MySQL ${version}`, () => startMysql({ version, settings: FILES })] as const,
  ),
  ['MariaDB 11.8', () => startMariadb({ version: '11.8', settings: FILES })],
] as const;

/** `op id` of rows, the code of what cannot be read, the statement of schema changes. */
function shortly(changes: readonly MysqlChange[]): readonly string[] {
  return changes.map((change) => {
    if (change.kind === 'schema') return `${change.id.table}: ${change.ddl ?? ''}`;
    if (change.kind !== 'row') return change.kind;
    if (change.unreadable !== undefined) return `${change.table.id.table}: unreadable`;
    const [row] = plainRows([change]) as readonly { before: object | null; after: object | null }[];
    return [change.op, ...Object.values(row!.after ?? row!.before!)].join(' ');
  });
}

describe.each(SERVERS)('%s', (product, start) => {
  let server: MysqlServer;
  let directory: string;
  let databases = 0;
  beforeAll(async () => {
    server = await start();
    directory = await mkdtemp(join(tmpdir(), 'load-'));
    await writeFile(join(directory, 'rows.csv'), '5\t50\n6\t60\n', { mode: 0o644 });
    await chmod(directory, 0o755);
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    if (directory !== undefined) await rm(directory, { recursive: true });
  });

  async function logged(before: string, statements: string): Promise<readonly string[]> {
    const name = `d${databases++}`;
    await server.query(`CREATE DATABASE ${name}; USE ${name}; ${before}`);
    const { changes } = await changesOf({ url: server.urlFor({ database: name }), name }, () =>
      server.query(`USE ${name}; ${statements}`),
    );
    return shortly(changes);
  }

  test('every statement that changes rows comes as the rows that it changed', async () => {
    const load = `LOAD DATA INFILE '${join(directory, 'rows.csv')}'`;
    expect(
      await logged(
        `CREATE TABLE t (id INT PRIMARY KEY, n INT); CREATE TABLE u (id INT PRIMARY KEY, t INT, n INT);
         INSERT INTO t VALUES (1, 10), (2, 20), (3, 30); INSERT INTO u VALUES (11, 1, 0), (12, 2, 0)`,
        `${load} INTO TABLE t;
         ${load} REPLACE INTO TABLE t (id, @n) SET n = 7;
         INSERT INTO t VALUES (1, 11), (4, 40) ON DUPLICATE KEY UPDATE n = n + 1;
         REPLACE INTO t VALUES (4, 44);
         UPDATE t JOIN u ON u.t = t.id SET t.n = 0, u.n = 1 WHERE t.id = 2;
         DELETE t, u FROM t JOIN u ON u.t = t.id WHERE t.id = 1;
         INSERT INTO t SELECT id + 100, n FROM t WHERE id = 3;
         BEGIN; INSERT INTO t VALUES (7, 70); SAVEPOINT s; INSERT INTO t VALUES (8, 80); ROLLBACK TO s;
         INSERT INTO t VALUES (9, 90); COMMIT`,
      ),
    ).toEqual([
      'c 5 50',
      'c 6 60',
      'u 5 7',
      'u 6 7',
      'u 1 11',
      'c 4 40',
      'u 4 44',
      'u 2 0',
      'u 12 2 1',
      'd 1 11',
      'd 11 1 0',
      'c 103 30',
      'c 7 70',
      'c 9 90',
    ]);
  });

  test('LOAD DATA that is logged as a statement is told as such, and others go on', async () => {
    expect(
      await logged(
        'CREATE TABLE t (id INT PRIMARY KEY, n INT); CREATE TABLE u (id INT PRIMARY KEY)',
        `SET SESSION binlog_format = 'STATEMENT'; LOAD DATA INFILE '${join(directory, 'rows.csv')}' INTO TABLE t;
         SET SESSION binlog_format = 'ROW'; INSERT INTO u VALUES (1)`,
      ),
    ).toEqual(['t: unreadable', 'c 1']);
  });

  test('a temporary table hides the captured one of its name', async () => {
    const rename = product.startsWith('Maria') ? 'RENAME TABLE t TO r; RENAME TABLE r TO t' : 'DO 0';
    expect(
      await logged(
        'CREATE TABLE t (id INT PRIMARY KEY, n INT); INSERT INTO t VALUES (1, 1)',
        `SET SESSION binlog_format = 'STATEMENT'; CREATE TEMPORARY TABLE t (id INT, x INT); INSERT INTO t VALUES (1, 1);
         UPDATE t SET x = 2; ${rename}; ALTER TABLE t ADD y INT; CREATE INDEX i ON t (x); TRUNCATE TABLE t;
         ALTER TABLE t RENAME TO s; INSERT INTO s VALUES (3, 3, 3); INSERT INTO t VALUES (2, 2); DROP TABLE s;
         SET SESSION binlog_format = 'ROW'; INSERT INTO t VALUES (3, 3); TRUNCATE TABLE t`,
      ),
    ).toEqual(['t: unreadable', 'c 3 3', 'truncate']);
  });
});

test.each([
  ['MySQL 9', () => startMysql({ version: '9', settings: { 'binlog-row-image': 'MINIMAL' } })],
  ...oldMysqlVersions.map(
    (version) =>
      [
        `MySQL ${version}`,
        () => startMysql({ version, settings: { 'binlog-row-image': 'MINIMAL' } }),
      ] as const,
  ),
  ['MariaDB 11.8', () => startMariadb({ version: '11.8', settings: { 'binlog-row-image': 'MINIMAL' } })],
] as const)(
  '%s: what an INSERT leaves to the defaults is in the row, whatever the image',
  async (_, start) => {
    await using server = await start();
    await server.query(
      `CREATE DATABASE d; CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, a INT DEFAULT 7, b VARCHAR(10) DEFAULT 'é',
      c DECIMAL(6,3) NOT NULL DEFAULT 1.5, e ENUM('x','y') DEFAULT 'y', f FLOAT DEFAULT 0.1, g BIT(10) DEFAULT b'101',
      h DATE DEFAULT '2024-02-29', i DATETIME(3) DEFAULT '2024-01-02 03:04:05.678', j TIME(2) DEFAULT '-01:02:03.45',
      k TIMESTAMP NOT NULL DEFAULT '2024-01-02 03:04:05', l BIGINT UNSIGNED DEFAULT 18446744073709551615,
      m SET('p','q') DEFAULT 'p,q', n YEAR DEFAULT 1999, o BIT DEFAULT 1, p CHAR(4) CHARACTER SET latin1 DEFAULT 'ä', q INT)`,
    );
    const db = { url: server.urlFor({ database: 'd' }), name: 'd' };
    const { changes } = await changesOf(db, () =>
      server.query('INSERT INTO d.t () VALUES (); INSERT INTO d.t (a) VALUES (1)'),
    );
    await using reader = makeReader(db);
    await openReader(reader);
    const windows = await reader.snapshotSource().openWindows({ parallelism: 1 }, never);
    try {
      const plan = await windows.plan({ schema: 'd', table: 't' }, { chunkRows: 10, where: null }, never);
      const limit = { maxRows: 10, maxBytes: 1_000_000 };
      const { rows } = await windows.chunk(plan, { from: null, to: null }, limit, never);
      expect(rowsOf(changes).map(({ after }) => after)).toEqual(rowsOf(rows).map(({ after }) => after));
    } finally {
      await windows[Symbol.asyncDispose]();
    }
  },
);

test('MariaDB: a table that was a partition, or becomes one, comes and goes', async () => {
  await using db = await testMariadb('11.8');
  await db.query(`CREATE TABLE t (id INT PRIMARY KEY) PARTITION BY RANGE (id)
    (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN (20)); INSERT INTO t VALUES (1), (11)`);
  const out = 'ALTER TABLE t CONVERT PARTITION b TO TABLE b';
  const back = 'ALTER TABLE t CONVERT TABLE b TO PARTITION b VALUES LESS THAN (20)';
  const first = await changesOf(db, () => db.query(`${out}; INSERT INTO b VALUES (12)`));
  expect(shortly(first.changes)).toEqual([`b: ${out}`, 'c 12']);
  const second = await changesOf(db, () => db.query(`${back}; INSERT INTO t VALUES (13)`));
  expect(shortly(second.changes)).toEqual([`b: ${back}`, 'c 13']);
});

test('MariaDB: an ALTER TABLE in two phases is told when it is done, with the rows before it as they were', async () => {
  await using db = await testMariadb('11.8');
  await db.query('CREATE TABLE t (id INT PRIMARY KEY, n INT, UNIQUE (n)); INSERT INTO t VALUES (1, 1)');
  const failing = 'ALTER TABLE t DROP n, ADD m INT NOT NULL, ADD UNIQUE (m), ALGORITHM=COPY';
  const good = 'ALTER TABLE t ADD m INT, ALGORITHM=COPY';
  const { changes } = await changesOf(db, async () => {
    await db.query('INSERT INTO t VALUES (2, 2)');
    await db.query(`SET SESSION binlog_alter_two_phase = 1; ${failing}`).catch(() => undefined);
    await db.query(`SET SESSION binlog_alter_two_phase = 1; ${good}; INSERT INTO t VALUES (3, 3, 3)`);
  });
  expect(shortly(changes)).toEqual(['c 2 2', `t: ${good}`, 'c 3 3 3']);
});
