import { describe, expect, test } from 'vitest';
import { changesOf, makeReader, openReader, plainRows, readToEnd, rowsOf } from '../support/mysql-reader.ts';
import { mariadbVersions, startMariadb, testMariadb } from '../support/servers.ts';

describe.each(mariadbVersions)('MariaDB %s', (version) => {
  test('inserts, updates and deletes come with both images', async () => {
    await using db = await testMariadb(version);
    await db.query('CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20))');
    const { changes } = await changesOf(db, () =>
      db.query(`
        INSERT INTO t VALUES (1, 'one'), (2, NULL);
        START TRANSACTION;
        UPDATE t SET name = 'eins' WHERE id = 1;
        DELETE FROM t WHERE id = 2;
        COMMIT`),
    );
    expect(plainRows(changes)).toEqual([
      { op: 'c', before: null, after: { id: 1, name: 'one' } },
      { op: 'c', before: null, after: { id: 2, name: null } },
      { op: 'u', before: { id: 1, name: 'one' }, after: { id: 1, name: 'eins' } },
      { op: 'd', before: { id: 2, name: null }, after: null },
    ]);
    const positions = rowsOf(changes).map(({ at }) => at.pos);
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
    expect(new Set(positions).size).toBe(3);
  });

  test('the types that only MariaDB has, as the server prints them', async () => {
    await using db = await testMariadb(version);
    await db.query(
      'CREATE TABLE t (id INT PRIMARY KEY, u UUID, i6 INET6, i4 INET4, c VARCHAR(50) COMPRESSED, b TEXT COMPRESSED)',
    );
    const { changes } = await changesOf(db, () =>
      db.query(`INSERT INTO t VALUES
        (1, '123e4567-e89b-12d3-a456-426655440000', '2001:db8::ff00:42:8329', '192.0.2.1', 'short', REPEAT('long ', 100)),
        (2, '01890a5d-ac96-774b-bcce-b302099a8057', '::ffff:192.0.2.128', '0.0.0.0', '', NULL),
        (3, '00000000-0000-0000-0000-000000000000', '::', '255.255.255.255', REPEAT('x', 50), ''),
        (4, 'ffffffff-ffff-ffff-ffff-ffffffffffff', '1::', NULL, NULL, 'ü'),
        (5, 'fd5b2ea5-9ac5-4c5e-8c8c-7d4a1b1b1b1b', '::1.2.3.4', '10.0.0.0', 'é', REPEAT('ü', 300))`),
    );
    const printed = await db.query(
      'SELECT id, CAST(u AS CHAR) AS u, CAST(i6 AS CHAR) AS i6, CAST(i4 AS CHAR) AS i4, c, b FROM t ORDER BY id',
    );
    expect(plainRows(changes)).toEqual(printed.map((after) => ({ op: 'c', before: null, after })));
  });

  test('rows of XA transactions come with XA COMMIT, and never after XA ROLLBACK', async () => {
    await using db = await testMariadb(version);
    await db.query('CREATE TABLE t (id INT PRIMARY KEY)');
    const { changes } = await changesOf(db, () =>
      db.query(`
        XA START '${db.name}a'; INSERT INTO t VALUES (1); XA END '${db.name}a'; XA PREPARE '${db.name}a'; XA COMMIT '${db.name}a';
        XA START '${db.name}b'; INSERT INTO t VALUES (2); XA END '${db.name}b'; XA PREPARE '${db.name}b'; XA ROLLBACK '${db.name}b';
        XA START '${db.name}c'; INSERT INTO t VALUES (3); XA END '${db.name}c'; XA COMMIT '${db.name}c' ONE PHASE`),
    );
    expect(plainRows(changes)).toEqual([
      { op: 'c', before: null, after: { id: 1 } },
      { op: 'c', before: null, after: { id: 3 } },
    ]);
  });

  test('sequences write no rows of ours, and system versions do not shift columns', async () => {
    await using db = await testMariadb(version);
    await db.query(
      'CREATE SEQUENCE s; CREATE TABLE t (id INT PRIMARY KEY DEFAULT NEXT VALUE FOR s, v INT) WITH SYSTEM VERSIONING',
    );
    const { changes } = await changesOf(db, () =>
      db.query('INSERT INTO t (v) VALUES (10); UPDATE t SET v = 11; DELETE FROM t'),
    );
    expect(plainRows(changes).map((row) => (row as { op: string; unreadable?: string }).unreadable)).toEqual(
      plainRows(changes).map(() => undefined),
    );
    expect(plainRows(changes)).toMatchObject([
      { op: 'c', after: { id: 1, v: 10 } },
      { op: 'u', before: { id: 1, v: 10 }, after: { id: 1, v: 11 } },
      { op: 'd', before: { id: 1, v: 11 }, after: null },
    ]);
  });

  test('compressed events are the same as others', async () => {
    await using server = await startMariadb({
      version,
      settings: { 'log-bin-compress': 'ON', 'log-bin-compress-min-len': '10' },
    });
    await server.query('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, pad VARCHAR(400))');
    const { changes } = await changesOf({ url: server.url, name: 'd' }, () =>
      server.query(
        `INSERT INTO d.t VALUES (1, REPEAT('p', 300)), (2, REPEAT('q', 300)); UPDATE d.t SET pad = REPEAT('r', 300) WHERE id = 1; ALTER TABLE d.t ADD COLUMN a_column_with_a_long_name INT DEFAULT 5; DELETE FROM d.t WHERE id = 2`,
      ),
    );
    expect(rowsOf(changes).map(({ op, before, after }) => [op, before, after])).toEqual([
      ['c', null, [1, 'p'.repeat(300)]],
      ['c', null, [2, 'q'.repeat(300)]],
      ['u', [1, 'p'.repeat(300)], [1, 'r'.repeat(300)]],
      ['d', [2, 'q'.repeat(300), 5], null],
    ]);
  });

  test('GTIDs of several domains are followed, and purged ones are found before reading begins', async () => {
    await using server = await startMariadb({ version });
    await server.query('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)');
    const db = { url: server.url, name: 'd' };
    await using reader = makeReader(db);
    const { continuity, identity } = await openReader(reader);
    if (continuity.kind !== 'fresh') throw new Error('not fresh');
    await server.query(
      'INSERT INTO d.t VALUES (1); SET SESSION gtid_domain_id = 7; INSERT INTO d.t VALUES (2)',
    );
    const first = await readToEnd(reader, continuity.start);
    expect(rowsOf(first.changes).map(({ after }) => after![0])).toEqual([1, 2]);
    expect(String(first.position.gtids)).toMatch(/^0-1-\d+,7-1-1$/);
    await server.query('INSERT INTO d.t VALUES (3)');
    await using again = makeReader(db);
    const opened = await openReader(again, {
      stored: { position: first.position, identity },
      state: first.state,
    });
    expect(opened.continuity.kind).toBe('continuous');
    expect(rowsOf((await readToEnd(again, first.position)).changes).map(({ after }) => after![0])).toEqual([
      3,
    ]);
    await server.query('FLUSH BINARY LOGS; INSERT INTO d.t VALUES (4)');
    const { file } = (await again.head(new AbortController().signal)).position;
    // It keeps a file until the engines have said that they need it no longer.
    for (let first = ''; first !== file;) {
      await server.query(`PURGE BINARY LOGS TO '${file}'`);
      first = (await server.query<{ Log_name: string }>('SHOW BINARY LOGS'))[0]!.Log_name;
    }
    await using purged = makeReader(db);
    expect(
      (await openReader(purged, { stored: { position: first.position, identity } })).continuity,
    ).toMatchObject({
      kind: 'gap',
      reason: expect.stringContaining('purged') as string,
    });
  });
});
