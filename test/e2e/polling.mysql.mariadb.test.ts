/** Polling of MySQL and MariaDB: what the records say at the end is what the tables hold. */
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomFrom, writeOverlapping } from '../support/overlapping-writers.ts';
import { mariadbVersions, mysqlVersions, testMariadb, testMysql } from '../support/servers.ts';
import { Headwater, headwater, type Workspace, workspace } from './headwater.ts';
import {
  caughtUp,
  changesByKey,
  delivered,
  polledPipeline,
  polledRows,
  replayed,
} from './polling-support.ts';

let files: Workspace;
beforeAll(async () => (files = await workspace()));
afterAll(() => files?.[Symbol.asyncDispose]());

const SERVERS = [
  ...mysqlVersions.map((version) => ({ name: `MySQL ${version}`, version, open: () => testMysql(version) })),
  ...mariadbVersions.map((version) => ({
    name: `MariaDB ${version}`,
    version,
    open: () => testMariadb(version),
  })),
];
const SEED = 21;

describe.each(SERVERS)('polling of $name', ({ version, open }) => {
  it('knows rows by its own state: creates, rows before, deletes, and updates without a new time', async () => {
    await using database = await open();
    await database.query(`CREATE TABLE t (id varchar(10), v int, updated_at datetime, PRIMARY KEY (id));
      INSERT INTO t VALUES ('a', 1, '2020-01-01'), ('b', 2, '2020-01-01'), ('c', 3, '2020-01-01')`);
    const at = `${database.name}.t`;
    const polled = await polledPipeline(files, {
      url: database.url,
      tables: [at],
      poll: `{ every: 100ms, tables: { ${at}: { timestamp: updated_at, delete_sweep: 1s, remember: rows } } }`,
    });
    {
      await using daemon = new Headwater(['run', polled.file]);
      await delivered(polled, (rows) => rows.length === 3);
      await database.query(`UPDATE t SET v = 10, updated_at = now() WHERE id = 'a'`);
      await delivered(polled, (rows) => rows.length === 4);
      await daemon.kill();
    }
    await database.query(`INSERT INTO t VALUES ('d', 4, now())`);
    await database.query(`DELETE FROM t WHERE id = 'b'`);
    {
      await using daemon = new Headwater(['run', polled.file]);
      await delivered(polled, (rows) => rows.length === 6);
      await database.query(`UPDATE t SET v = 30 WHERE id = 'c'`);
      await delivered(polled, (rows) => rows.length === 7);
      // With a time it is for the next poll, however often it is swept meanwhile.
      await database.query(`UPDATE t SET v = 40, updated_at = now() WHERE id = 'd'`);
      await delivered(polled, (rows) => rows.length === 8);
      await database.query(`DELETE FROM t WHERE id = 'c'`);
      await delivered(polled, (rows) => rows.length === 9);
      await daemon.stop();
    }
    expect(changesByKey(await polledRows(polled), ['id', 'v'])).toEqual({
      '{"id":"a"}': ['r - - a 1', 'u a 1 a 10'],
      '{"id":"b"}': ['r - - b 2', 'd b 2 - -'],
      '{"id":"c"}': ['r - - c 3', 'u c 3 c 30', 'd c 30 - -'],
      '{"id":"d"}': ['c - - d 4', 'u d 4 d 40'],
    });
    const { stdout } = await headwater(['doctor', polled.file]);
    expect(stdout).toContain('found 1 rows that had changed without its timestamp');
  });

  it('polls views, queries of one’s own', async () => {
    await using database = await open();
    await database.query(`CREATE TABLE sales (id int PRIMARY KEY, shop varchar(10) NOT NULL, kind enum('a', 'b'), amount decimal(8,2),
        at datetime(3) NOT NULL, note text, raw varbinary(4), f float, big bigint unsigned);
      CREATE VIEW dear AS SELECT id, amount FROM sales WHERE amount > 10;
      INSERT INTO sales VALUES (1, 'x', 'a', 5, utc_timestamp(3), 'é', 'ab', 1.5, 9000000000000000000),
        (2, 'x', 'b', 20, utc_timestamp(3), NULL, NULL, NULL, NULL)`);
    const at = (table: string): string => `${database.name}.${table}`;
    const polled = await polledPipeline(files, {
      url: database.url,
      tables: [at('dear'), 'reports.shops', 'reports.rows'],
      poll: `{ every: 100ms, time_zone: UTC, tables: { ${at('dear')}: { key: id },
        reports.shops: { query: "SELECT shop, sum(amount) AS total, max(at) AS at FROM ${at('sales')} GROUP BY shop", key: shop, timestamp: at },
        reports.rows: { query: "SELECT id, kind, amount, at, note, raw, f, big FROM ${at('sales')};", key: id } } }`,
    });
    await caughtUp(polled);
    await database.query(`INSERT INTO sales VALUES (3, 'y', 'b', 30.5, utc_timestamp(3), 'n', NULL, 0.1, 7)`);
    await database.query(`UPDATE sales SET amount = 21, at = utc_timestamp(3) WHERE id = 2`);
    await caughtUp(polled);
    const of = async (table: string): Promise<readonly Readonly<Record<string, unknown>>[]> =>
      replayed((await polledRows(polled)).filter(({ source }) => source['table'] === table));
    expect(await of('dear')).toEqual([
      { id: 2, amount: 'CDQ=' },
      { id: 3, amount: 'C+o=' },
    ]);
    const shops = (await of('shops')).map(({ shop, total }) => `${String(shop)} ${String(total)}`);
    expect(shops.sort()).toEqual(['x Cig=', 'y C+o=']);
    const rows = (await of('rows')).map(({ id, kind, note, raw, f, amount }) => [
      id,
      kind,
      note,
      raw,
      f,
      amount,
    ]);
    expect(rows).toEqual([
      [1, 'a', 'é', 'YWI=', 1.5, 'AfQ='],
      [2, 'b', null, null, null, 'CDQ='],
      [3, 'b', 'n', null, expect.closeTo(0.1, 5), 'C+o='],
    ]);
  });

  it('delivers what was prepared (XA) before others committed, once it commits', async () => {
    await using database = await open();
    await database.query('CREATE TABLE t (id int PRIMARY KEY, updated_at timestamp(3) NOT NULL)');
    const at = `${database.name}.t`;
    const polled = await polledPipeline(files, {
      url: database.url,
      tables: [at],
      poll: `{ every: 100ms, overlap: 0s, tables: { ${at}: { timestamp: updated_at } } }`,
    });
    await caughtUp(polled);
    const xid = `'${database.name}'`;
    const session = await mysql.createConnection({ uri: database.url });
    for (const statement of [
      `XA START ${xid}`,
      'INSERT INTO t VALUES (1, now(3))',
      `XA END ${xid}`,
      `XA PREPARE ${xid}`,
    ])
      await session.query(statement);
    // What is prepared belongs to no session any more; MySQL 5.6 would roll it back.
    const detached = version !== '5.6';
    if (detached) await session.end();
    // Its time is in the past by then, in whole seconds too.
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    await database.query('INSERT INTO t VALUES (2, now(3))');
    await caughtUp(polled);
    await caughtUp(polled);
    if (detached) await database.query(`XA COMMIT ${xid}`);
    else {
      await session.query(`XA COMMIT ${xid}`);
      await session.end();
    }
    await caughtUp(polled);
    const ids = (await polledRows(polled)).map(({ after }) => String(after?.['id']));
    expect(ids.sort()).toEqual(['1', '2']);
  });

  it('goes by the overlap where it may not see who runs, and repeats nothing of it', async () => {
    await using database = await open();
    const user = `b${database.name}`; // 16 characters at most in MySQL 5.6
    await database.query(`CREATE TABLE t (id int PRIMARY KEY, v int, updated_at timestamp(3) NOT NULL DEFAULT now(3));
      CREATE USER ${user}@'%' IDENTIFIED BY 'geheim-genug'; GRANT SELECT ON ${database.name}.* TO ${user}@'%'`);
    const url = new URL(database.url);
    url.username = user;
    url.password = 'geheim-genug';
    const at = `${database.name}.t`;
    const polled = await polledPipeline(files, {
      url: url.href,
      tables: [at],
      poll: `{ every: 100ms, overlap: 1h, tables: { ${at}: { timestamp: updated_at } } }`,
    });
    try {
      const { stdout } = await headwater(['doctor', polled.file]);
      expect(stdout).toContain('Without PROCESS the server does not tell which transactions run');
      await caughtUp(polled);
      const late = await mysql.createConnection({ uri: database.url });
      await late.query('BEGIN');
      await late.query('INSERT INTO t (id, v) VALUES (1, 1)');
      {
        await using daemon = new Headwater(['run', polled.file]);
        await database.query('INSERT INTO t (id, v) VALUES (2, 1)');
        await delivered(polled, (rows) => rows.length >= 1);
        await daemon.kill();
      }
      await late.query('COMMIT');
      await late.end();
      await caughtUp(polled);
      // It changes and changes back, and each state is one of its own.
      for (const v of [2, 1]) {
        await database.query(`UPDATE t SET v = ${v}, updated_at = now(3) WHERE id = 2`);
        await caughtUp(polled);
      }
      await caughtUp(polled);
      expect(changesByKey(await polledRows(polled), ['v'])).toEqual({
        '{"id":1}': ['u - 1'],
        '{"id":2}': ['u - 1', 'u - 2', 'u - 1'],
      });
    } finally {
      await database.query(`DROP USER ${user}@'%'`);
    }
  });

  it(`loses and repeats nothing while transactions overlap and it is killed (seed ${SEED})`, async () => {
    await using database = await open();
    const begin = `SELECT 1 AS i UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5`;
    await database.query(`CREATE TABLE stamped (id int PRIMARY KEY, v int NOT NULL, updated_at timestamp(3) NULL, KEY (updated_at, id));
      CREATE TABLE numbered (id int AUTO_INCREMENT PRIMARY KEY, v int NOT NULL);
      CREATE TABLE whole (name varchar(20) CHARACTER SET latin1 PRIMARY KEY, v int NOT NULL);
      CREATE TABLE local (id int PRIMARY KEY, v int NOT NULL, changed datetime, made datetime NOT NULL);
      INSERT INTO stamped SELECT i, -i, now(3) FROM (${begin}) x;
      INSERT INTO whole SELECT concat('é', i), -i FROM (${begin}) x;
      INSERT INTO local SELECT i, -i, NULL, now() FROM (${begin}) x;
      INSERT INTO numbered (v) SELECT -i FROM (${begin}) x`);
    const at = (table: string): string => `${database.name}.${table}`;
    const polled = await polledPipeline(files, {
      url: database.url,
      tables: [at('*')],
      poll: `{ every: 100ms, overlap: 0s, batch_rows: 7, tables: { ${at('stamped')}: { timestamp: updated_at },
        ${at('numbered')}: { incrementing: id }, ${at('local')}: { timestamp: [changed, made] } } }`,
    });
    const sessions = await Promise.all(
      Array.from({ length: 5 }, () => mysql.createConnection({ uri: database.url })),
    );
    let writing = true;
    const writers = writeOverlapping({
      sessions,
      seed: SEED,
      transactions: 20,
      // Times are cut to the second.
      longestMs: 3_000,
      statement: (random, n) => {
        const id = 1 + random(30);
        switch (random(4)) {
          case 0:
            return `INSERT INTO numbered (v) VALUES (${n}), (${n}), (${n})`;
          case 1:
            return `INSERT INTO whole VALUES ('é${id}', ${n}) ON DUPLICATE KEY UPDATE v = ${n}`;
          case 2:
            return `INSERT INTO local VALUES (${id}, ${n}, NULL, now()) ON DUPLICATE KEY UPDATE v = ${n}, changed = now()`;
          default:
            return `INSERT INTO stamped VALUES (${id}, ${n}, now(3)) ON DUPLICATE KEY UPDATE v = ${n}, updated_at = now(3)`;
        }
      },
    }).finally(() => (writing = false));
    const random = randomFrom(SEED);
    while (writing) {
      await using daemon = new Headwater(['run', polled.file]);
      await daemon.until(({ state }) => state === 'streaming');
      await new Promise((resolve) => setTimeout(resolve, 200 + random(600)));
      await daemon.kill();
    }
    await writers;
    await Promise.all(sessions.map((session) => session.end()));
    await caughtUp(polled);
    const all = await polledRows(polled);
    for (const [table, key] of [
      ['stamped', 'id'],
      ['numbered', 'id'],
      ['whole', 'name'],
      ['local', 'id'],
    ] as const) {
      const ofTable = all.filter(({ source }) => source['table'] === table);
      const rows = await database.query<{ readonly k: unknown; readonly v: number }>(
        `SELECT ${key} AS k, v FROM ${table}`,
      );
      const found = replayed(ofTable).map((row) => JSON.stringify([row[key], row['v']]));
      expect(found.sort(), table).toEqual(rows.map(({ k, v }) => JSON.stringify([k, v])).sort());
      // Statements number what they write: of what was polled no state comes twice.
      const states = ofTable
        .filter(({ op }) => op !== 'r')
        .map(({ after }) => JSON.stringify([after?.[key], after?.['v']]));
      expect(new Set(states).size, table).toBe(states.length);
      // What the snapshot has read of a table that is read whole does not come again behind it.
      if (table === 'whole') {
        const read = ofTable
          .filter(({ op }) => op === 'r')
          .map(({ after }) => JSON.stringify([after?.[key], after?.['v']]));
        expect(states.filter((state) => read.includes(state))).toEqual([]);
      }
    }
  });
});
