import mysql from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import { valueOf, valuesOf } from '../../src/model/raw-row.ts';
import { MYSQL_POSITIONS } from '../../src/readers/mysql/position.ts';
import { changesOf, makeReader, openReader, plainRows, readToEnd, rowsOf } from '../support/mysql-reader.ts';
import { mysqlVersions, startMysql, testMysql } from '../support/servers.ts';

describe.each(mysqlVersions)('MySQL %s', (version) => {
  test('inserts, updates and deletes come with both images, by transaction', async () => {
    await using db = await testMysql(version);
    await db.query('CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20))');
    const { changes, position } = await changesOf(db, () =>
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
    const [first, second, third, fourth] = rowsOf(changes);
    expect(second!.tx).toBe(first!.tx);
    expect(fourth!.tx).toBe(third!.tx);
    expect(third!.tx).not.toBe(first!.tx);
    expect([first!, second!, third!, fourth!].map(({ seq, at }) => [seq, at.row])).toEqual([
      [0, 0],
      [1, 1],
      [0, 0],
      [1, 0],
    ]);
    expect(MYSQL_POSITIONS.decode(MYSQL_POSITIONS.encode(position))).toEqual(position);
  });

  test('a rolled back transaction leaves nothing', async () => {
    await using db = await testMysql(version);
    await db.query('CREATE TABLE t (id INT PRIMARY KEY)');
    const { changes } = await changesOf(db, () =>
      db.query('START TRANSACTION; INSERT INTO t VALUES (1); ROLLBACK; INSERT INTO t VALUES (2)'),
    );
    expect(plainRows(changes)).toEqual([{ op: 'c', before: null, after: { id: 2 } }]);
  });

  test('rows of XA transactions come with XA COMMIT, and never after XA ROLLBACK', async () => {
    await using db = await testMysql(version);
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

  test.each(['MINIMAL', 'NOBLOB'])('what a %s image has not is absent, not null', async (image) => {
    await using db = await testMysql(version);
    await db.query('CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20), body TEXT)');
    const { changes } = await changesOf(db, () =>
      db.query(`
        SET SESSION binlog_row_image = '${image}';
        INSERT INTO t VALUES (1, NULL, 'b');
        UPDATE t SET name = 'x' WHERE id = 1;
        DELETE FROM t WHERE id = 1`),
    );
    const minimal = image === 'MINIMAL';
    expect(plainRows(changes)).toEqual([
      { op: 'c', before: null, after: { id: 1, name: null, body: 'b' } },
      {
        op: 'u',
        before: { id: 1, name: minimal ? 'ABSENT' : null, body: 'ABSENT' },
        after: { id: minimal ? 'ABSENT' : 1, name: 'x', body: 'ABSENT' },
      },
      { op: 'd', before: { id: 1, name: minimal ? 'ABSENT' : 'x', body: 'ABSENT' }, after: null },
    ]);
  });

  test('a change of the table is an element, and rows before and after it have their own columns', async () => {
    await using db = await testMysql(version);
    await db.query('CREATE TABLE t (id INT PRIMARY KEY, a INT)');
    const { changes } = await changesOf(db, () =>
      db.query(`
        INSERT INTO t VALUES (1, 10);
        ALTER TABLE t ADD COLUMN b VARCHAR(5) FIRST;
        INSERT INTO t VALUES ('x', 2, 20);
        TRUNCATE TABLE t;
        RENAME TABLE t TO u;
        INSERT INTO u VALUES ('y', 3, 30);
        DROP TABLE u`),
    );
    expect(
      changes.map((change) =>
        change.kind === 'row'
          ? valuesOf(change.after)
          : change.kind === 'schema'
            ? [change.id.table, change.table === null ? null : change.table.columns.map(({ name }) => name)]
            : change.kind,
      ),
    ).toMatchObject([
      [1, 10],
      ['t', ['b', 'id', 'a']],
      ['x', 2, 20],
      'truncate',
      ['t', null],
      expect.anything(),
      ['y', 3, 30],
      ['u', null],
    ]);
  });

  test('reading goes on inside of a transaction that was half delivered', async () => {
    await using db = await testMysql(version);
    await db.query(
      'CREATE TABLE t (id INT PRIMARY KEY, pad VARCHAR(200)); CREATE TABLE other (id INT PRIMARY KEY)',
    );
    await using reader = makeReader(db, { tables: [`${db.name}.t`] });
    const { continuity, identity } = await openReader(reader);
    if (continuity.kind !== 'fresh') throw new Error('not fresh');
    const values = Array.from({ length: 5_000 }, (_, i) => `(${i}, REPEAT('p', 100))`).join(',');
    await db.query(`START TRANSACTION; INSERT INTO other VALUES (1); INSERT INTO t VALUES ${values}; COMMIT`);
    const whole = await readToEnd(reader, continuity.start);
    const ids = rowsOf(whole.changes).map(({ after }) => valueOf(after!, 0));
    expect(ids).toEqual(Array.from({ length: 5_000 }, (_, i) => i));
    const inside = whole.batches.filter(({ resume }) => resume !== null && resume.mid !== null);
    expect(inside.length).toBeGreaterThan(0);
    let delivered = 0;
    for (const { changes, resume } of inside) {
      delivered += changes.length;
      const position = MYSQL_POSITIONS.decode(MYSQL_POSITIONS.encode(resume!));
      await using again = makeReader(db, { tables: [`${db.name}.t`] });
      const opened = await openReader(again, { stored: { position, identity }, state: whole.state });
      expect(opened.continuity.kind).toBe('continuous');
      const rest = rowsOf((await readToEnd(again, position)).changes);
      expect(rest.map(({ after }) => valueOf(after!, 0))).toEqual(ids.slice(delivered));
      expect(rest[0]?.seq ?? delivered).toBe(delivered);
    }
  });
});

test('compressed transactions are the same as others', async () => {
  await using db = await testMysql('9');
  await db.query('CREATE TABLE t (id INT PRIMARY KEY, pad VARCHAR(200))');
  const values = Array.from({ length: 3_000 }, (_, i) => `(${i}, REPEAT('p', 150))`).join(',');
  const { changes, position } = await changesOf(db, () =>
    db.query(`
      SET SESSION binlog_transaction_compression = ON;
      INSERT INTO t VALUES ${values};
      UPDATE t SET pad = 'x' WHERE id < 2`),
  );
  const rows = rowsOf(changes);
  expect(rows).toHaveLength(3_002);
  expect(rows.at(-1)!.after).toEqual([1, 'x']);
  expect(position.mid).toBeNull();
});

test('partial updates of JSON give the whole value', async () => {
  await using db = await testMysql('9');
  const pad = 'p'.repeat(200);
  await db.query(
    `CREATE TABLE t (id INT PRIMARY KEY, j JSON); INSERT INTO t VALUES (1, '{"a": {"b": [1, 2, 3]}, "pad": "${pad}", "é": "x"}')`,
  );
  const { changes } = await changesOf(db, () =>
    db.query(`
      SET SESSION binlog_row_value_options = 'PARTIAL_JSON';
      UPDATE t SET j = JSON_SET(j, '$.a.b[1]', 'two');
      UPDATE t SET j = JSON_REMOVE(j, '$.a.b[0]');
      UPDATE t SET j = JSON_REPLACE(j, '$."é"', 1.5)`),
  );
  const [row] = await db.query<{ j: string }>('SELECT CAST(j AS CHAR) AS j FROM t');
  expect(rowsOf(changes).map(({ after }) => valueOf(after!, 1))).toEqual([
    `{"a": {"b": [1, "two", 3]}, "é": "x", "pad": "${pad}"}`,
    `{"a": {"b": ["two", 3]}, "é": "x", "pad": "${pad}"}`,
    row!.j,
  ]);
});

test('tagged GTIDs and those of several sources are followed', async () => {
  await using server = await startMysql({ version: '9' });
  await server.query('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)');
  const db = { url: server.url, name: 'd' };
  await using reader = makeReader(db);
  const { continuity, identity } = await openReader(reader);
  if (continuity.kind !== 'fresh') throw new Error('not fresh');
  await server.query(`
    SET gtid_next = 'AUTOMATIC:blue'; INSERT INTO d.t VALUES (1);
    SET gtid_next = '11111111-2222-3333-4444-555555555555:7'; INSERT INTO d.t VALUES (2);
    SET gtid_next = 'AUTOMATIC'; INSERT INTO d.t VALUES (3)`);
  const first = await readToEnd(reader, continuity.start);
  expect(rowsOf(first.changes).map(({ after }) => valueOf(after!, 0))).toEqual([1, 2, 3]);
  const text = String(first.position.gtids);
  expect(text).toContain(':blue:1');
  expect(text).toContain('11111111-2222-3333-4444-555555555555:7');
  await server.query('INSERT INTO d.t VALUES (4)');
  await using again = makeReader(db);
  const opened = await openReader(again, {
    stored: { position: first.position, identity },
    state: first.state,
  });
  expect(opened.continuity.kind).toBe('continuous');
  const rest = await readToEnd(again, first.position);
  expect(rowsOf(rest.changes).map(({ after }) => valueOf(after!, 0))).toEqual([4]);
});

test('without GTIDs the position is file and offset', async () => {
  await using server = await startMysql({
    version: '9',
    settings: { 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' },
  });
  await server.query('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)');
  const db = { url: server.url, name: 'd' };
  await using reader = makeReader(db);
  const { continuity, identity } = await openReader(reader);
  if (continuity.kind !== 'fresh') throw new Error('not fresh');
  expect(continuity.start.gtids).toBeNull();
  await server.query('INSERT INTO d.t VALUES (1); FLUSH BINARY LOGS; INSERT INTO d.t VALUES (2)');
  const first = await readToEnd(reader, continuity.start);
  expect(rowsOf(first.changes).map(({ after }) => valueOf(after!, 0))).toEqual([1, 2]);
  await server.query('FLUSH BINARY LOGS; INSERT INTO d.t VALUES (3)');
  await using again = makeReader(db);
  await openReader(again, { stored: { position: first.position, identity }, state: first.state });
  const rest = await readToEnd(again, first.position);
  expect(rowsOf(rest.changes).map(({ after }) => valueOf(after!, 0))).toEqual([3]);
  // Purged: the server cannot give what follows.
  await server.query('FLUSH BINARY LOGS');
  const { file } = (await again.head(new AbortController().signal)).position;
  await server.query(`PURGE BINARY LOGS TO '${file}'`);
  await using late = makeReader(db);
  const opened = await openReader(late, { stored: { position: first.position, identity } });
  expect(opened.continuity.kind).toBe('gap');
});

test('purged and reset logs are found before reading begins', async () => {
  await using server = await startMysql({ version: '9' });
  await server.query('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)');
  const db = { url: server.url, name: 'd' };
  await using reader = makeReader(db);
  const { continuity, identity } = await openReader(reader);
  if (continuity.kind !== 'fresh') throw new Error('not fresh');
  const stored = { position: continuity.start, identity };
  await server.query('INSERT INTO d.t VALUES (1); FLUSH BINARY LOGS');
  const { file } = (await reader.head(new AbortController().signal)).position;
  await server.query(`PURGE BINARY LOGS TO '${file}'`);
  await using purged = makeReader(db);
  expect((await openReader(purged, { stored })).continuity).toMatchObject({
    kind: 'gap',
    reason: expect.stringContaining('purged') as string,
  });
  await using strict = makeReader(db, { onGap: 'fail' });
  await expect(openReader(strict, { stored })).rejects.toMatchObject({ code: 'source.position-lost' });
  await server.query('RESET BINARY LOGS AND GTIDS');
  await using reset = makeReader(db);
  const opened = await openReader(reset, { stored });
  expect(opened.continuity).toMatchObject({
    kind: 'gap',
    reason: expect.stringContaining('reset') as string,
  });
  // An empty set is where such a server begins.
  if (opened.continuity.kind !== 'gap') throw new Error('no gap');
  expect(String(opened.continuity.start.gtids)).toBe('');
  await server.query('INSERT INTO d.t VALUES (2)');
  const { changes } = await readToEnd(reset, opened.continuity.start);
  expect(rowsOf(changes).map(({ after }) => valueOf(after!, 0))).toEqual([2]);
});

test('rows from before a change of the table that happened meanwhile are read with the columns they had', async () => {
  await using server = await startMysql({ version: '9', settings: { 'binlog-row-metadata': 'MINIMAL' } });
  await server.query('CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, a INT, b INT)');
  const db = { url: server.url, name: 'd' };
  await using reader = makeReader(db);
  const { continuity, identity } = await openReader(reader);
  if (continuity.kind !== 'fresh') throw new Error('not fresh');
  await server.query('INSERT INTO d.t VALUES (1, 10, 100)');
  const first = await readToEnd(reader, continuity.start);
  // All of this while nobody reads: names could not be told from the log.
  await server.query(
    'INSERT INTO d.t VALUES (2, 20, 200); ALTER TABLE d.t RENAME COLUMN a TO c, RENAME COLUMN b TO a; INSERT INTO d.t VALUES (3, 30, 300)',
  );
  await using again = makeReader(db);
  await openReader(again, { stored: { position: first.position, identity }, state: first.state });
  const rest = await readToEnd(again, first.position);
  expect(plainRows(rest.changes)).toEqual([
    { op: 'c', before: null, after: { id: 2, a: 20, b: 200 } },
    { op: 'c', before: null, after: { id: 3, c: 30, a: 300 } },
  ]);
});

test('a statement that is logged instead of its rows makes its table known as incomplete', async () => {
  await using db = await testMysql('9');
  await db.query('CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE u (id INT PRIMARY KEY)');
  const { changes } = await changesOf(db, () =>
    db.query(
      `SET SESSION binlog_format = 'STATEMENT'; INSERT INTO t VALUES (1); SET SESSION binlog_format = 'ROW'; INSERT INTO u VALUES (1)`,
    ),
  );
  const [statement, row] = rowsOf(changes);
  expect(statement).toMatchObject({
    table: { id: { table: 't' } },
    unreadable: { code: 'source.statement-logged' },
  });
  expect(row!.after).toEqual([1]);
});

test.each(['MINIMAL', 'FULL'])(
  'changes of a table in quick succession keep each row with its own columns, metadata %s',
  async (metadata) => {
    await using server = await startMysql({ version: '9', settings: { 'binlog-row-metadata': metadata } });
    await server.query('CREATE DATABASE d');
    const db = { url: server.url, name: 'd' };
    await server.query('CREATE TABLE d.first (id INT PRIMARY KEY)');
    await using reader = makeReader(db);
    const { continuity } = await openReader(reader);
    if (continuity.kind !== 'fresh') throw new Error('not fresh');
    // Nobody reads before all of it is done: the catalogue knows only the last state.
    await server.query(`USE d;
      CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT);
      INSERT INTO t VALUES (1, 10, 100);
      ALTER TABLE t ADD COLUMN c INT FIRST;
      INSERT INTO t VALUES (1000, 2, 20, 200);
      ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a;
      INSERT INTO t VALUES (3000, 3, 30, 300);
      ALTER TABLE t DROP COLUMN c, MODIFY b VARCHAR(10) AFTER a, ADD e ENUM(X'78', 'y');
      INSERT INTO t VALUES (4, 40, 'four', 'y');
      ALTER TABLE t CHANGE e f ENUM('x', 'y', 'z'), DROP COLUMN a, ADD (g INT, h BLOB);
      INSERT INTO t VALUES (5, 'five', 'z', 50, 'h');
      DROP TABLE first`);
    const { changes } = await readToEnd(reader, continuity.start);
    const rows = plainRows(changes).map((row) => {
      const { after, unreadable } = row as { after: Record<string, unknown>; unreadable?: string };
      return unreadable ?? after;
    });
    const unknown = expect.stringContaining('are not known') as string;
    expect(rows).toEqual([
      { id: 1, a: 10, b: 100 },
      { c: 1000, id: 2, a: 20, b: 200 },
      { c: 3000, id: 3, b: 30, a: 300 },
      // Labels of an ENUM that is gone are in the statement, where they are text.
      metadata === 'FULL' ? { id: 4, a: 40, b: 'four', e: 'y' } : unknown,
      { id: 5, b: 'five', f: 'z', g: 50, h: Buffer.from('h') },
    ]);
    expect(changes.filter(({ kind }) => kind === 'schema').length).toBeGreaterThanOrEqual(5);
  },
);

test('a statement is read in the character set and the SQL mode of its session', async () => {
  await using server = await startMysql({ version: '9', settings: { 'binlog-row-metadata': 'MINIMAL' } });
  await server.query('CREATE DATABASE d; CREATE TABLE d.first (id INT PRIMARY KEY)');
  const db = { url: server.url, name: 'd' };
  await using reader = makeReader(db);
  const { continuity } = await openReader(reader);
  if (continuity.kind !== 'fresh') throw new Error('not fresh');
  const session = await mysql.createConnection({
    uri: server.urlFor({ database: 'd' }),
    charset: 'latin1_swedish_ci',
  });
  const [[client]] = await session.query<mysql.RowDataPacket[]>('SELECT @@character_set_client AS charset');
  expect(client).toEqual({ charset: 'latin1' });
  await session.query("SET sql_mode = 'NO_BACKSLASH_ESCAPES'");
  await session.query("CREATE TABLE t (id INT PRIMARY KEY, größe ENUM('ä', 'b') COMMENT '\\', c INT)");
  await session.query("INSERT INTO t VALUES (1, 'ä', 2)");
  // So that the catalogue tells nothing.
  await session.query('ALTER TABLE t DROP COLUMN größe');
  await session.query('INSERT INTO t VALUES (2, 3)');
  await session.end();
  const { changes } = await readToEnd(reader, continuity.start);
  expect(plainRows(changes)).toEqual([
    { op: 'c', before: null, after: { id: 1, größe: 'ä', c: 2 } },
    { op: 'c', before: null, after: { id: 2, c: 3 } },
  ]);
});
