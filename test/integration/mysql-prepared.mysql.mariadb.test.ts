/** XA transactions over restarts: what is prepared and not decided is neither lost nor delivered twice. */
import mysql from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MysqlPosition } from '../../src/readers/mysql/position.ts';
import { makeReader, openReader, readToEnd, rowsOf } from '../support/mysql-reader.ts';
import { type MysqlServer, oldMysqlVersions, startMariadb, startMysql } from '../support/servers.ts';

const NO_GTIDS = { 'gtid-mode': 'OFF', 'enforce-gtid-consistency': 'OFF' };
const SERVERS: readonly [string, () => Promise<MysqlServer>][] = [
  ['MySQL by GTIDs', () => startMysql({ version: '9' })],
  ['MySQL by file and offset', () => startMysql({ version: '9', settings: NO_GTIDS })],
  // From 5.7 on a prepared transaction is in the log.
  ...oldMysqlVersions
    .filter((version) => version !== '5.6')
    .map((version): [string, () => Promise<MysqlServer>] => [
      `MySQL ${version}`,
      () => startMysql({ version }),
    ]),
  ['MariaDB', () => startMariadb({ version: '11.8' })],
];

/** What the session `who` does. */
type Step = readonly [who: string, sql: string];

const STEPS: readonly Step[] = [
  ['plain', 'INSERT INTO t VALUES (1)'],
  ['a', "XA START 'a'; INSERT INTO t VALUES (2), (3); XA END 'a'"],
  ['a', "XA PREPARE 'a'"],
  ['plain', 'INSERT INTO t VALUES (4); INSERT INTO u VALUES (1); ALTER TABLE u ADD n INT'],
  [
    'b',
    "XA START 'b'; INSERT INTO t VALUES (5); UPDATE t SET id = 50 WHERE id = 5; XA END 'b'; XA PREPARE 'b'",
  ],
  ['plain', 'INSERT INTO u VALUES (2, 2); FLUSH BINARY LOGS'],
  ['c', "XA START 'c'; INSERT INTO t VALUES (6); INSERT INTO w VALUES (1); XA END 'c'; XA PREPARE 'c'"],
  ['c', "XA ROLLBACK 'c'"],
  ['plain', 'ALTER TABLE w ADD n INT FIRST; INSERT INTO w VALUES (7, 7)'],
  ['b', "XA COMMIT 'b'"],
  ['plain', 'INSERT INTO t VALUES (8)'],
  ['b', "XA START 'b'; INSERT INTO t VALUES (9); XA END 'b'; XA PREPARE 'b'"],
  ['plain', 'DELETE FROM t WHERE id = 1'],
  ['a', "XA COMMIT 'a'"],
  ['b', "XA COMMIT 'b'"],
  ['d', "XA START 'd'; INSERT INTO t VALUES (10); XA END 'd'; XA COMMIT 'd' ONE PHASE"],
  ['plain', 'INSERT INTO u VALUES (3, 3)'],
];
const EXPECTED = [
  't c 1',
  't c 4',
  'u c 1',
  'ALTER TABLE u ADD n INT',
  'u c 2 2',
  'ALTER TABLE w ADD n INT FIRST',
  'w c 7 7',
  't c 5',
  't u 50',
  't c 8',
  't d 1',
  't c 2',
  't c 3',
  't c 9',
  't c 10',
  'u c 3 3',
];

/** `kill`: whether the daemon ends behind the step, and goes on from what was durable. */
const KILLS: readonly (readonly [string, (step: number) => boolean])[] = [
  ['never', () => false],
  ['behind every step', () => true],
  ...STEPS.map((_, at) => [`behind step ${at}`, (step: number) => step === at] as const),
];

describe.each(SERVERS)('%s', (product, start) => {
  let server: MysqlServer;
  let databases = 0;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  async function database(): Promise<{ url: string; name: string }> {
    const name = `xa${databases++}`;
    await server.query(`CREATE DATABASE ${name}; USE ${name}; CREATE TABLE t (id INT PRIMARY KEY);
      CREATE TABLE u (id INT PRIMARY KEY); CREATE TABLE w (id INT PRIMARY KEY)`);
    return { url: server.urlFor({ database: name }), name };
  }

  async function sessions(url: string) {
    const open = new Map<string, mysql.Connection>();
    return {
      async run(who: string, sql: string): Promise<void> {
        let session = open.get(who);
        if (session === undefined)
          open.set(who, (session = await mysql.createConnection({ uri: url, multipleStatements: true })));
        await session.query(sql);
      },
      async [Symbol.asyncDispose]() {
        await Promise.all(Array.from(open.values(), (session) => session.end()));
      },
    };
  }

  test.each(KILLS)('killed %s', async (_, killed) => {
    const db = await database();
    await using sql = await sessions(db.url);
    let reader = makeReader(db);
    try {
      const { continuity, identity } = await openReader(reader);
      if (continuity.kind !== 'fresh') throw new Error('not fresh');
      let position = continuity.start;
      let state: ReadonlyMap<string, string> = new Map();
      const seen: string[] = [];
      for (const [i, [who, text]] of STEPS.entries()) {
        await sql.run(who, text);
        if (!killed(i) && i < STEPS.length - 1) continue;
        const read = await readToEnd(reader, position, { state });
        for (const change of read.changes) {
          if (change.kind === 'schema') seen.push(change.ddl ?? '');
          if (change.kind !== 'row') continue;
          const [row] = rowsOf([change]);
          seen.push(`${change.table.id.table} ${change.op} ${(row!.after ?? row!.before)!.join(' ')}`);
        }
        const { codec } = reader;
        await reader[Symbol.asyncDispose]();
        position = codec.decode(JSON.parse(JSON.stringify(codec.encode(read.position))));
        ({ state } = read);
        reader = makeReader(db);
        const opened = await openReader(reader, { stored: { position, identity }, state });
        expect(opened.continuity.kind).toBe('continuous');
      }
      expect(seen).toEqual(EXPECTED);
      expect(position.prepared).toBeNull();
    } finally {
      await reader[Symbol.asyncDispose]();
    }
  });

  test('what is forgotten after XA PREPARE holds nothing up, and is decided after the server has crashed', async () => {
    const db = await database();
    let stored: MysqlPosition;
    const first = makeReader(db);
    await using _ = first;
    const { continuity, identity } = await openReader(first);
    if (continuity.kind !== 'fresh') throw new Error('not fresh');
    {
      await using sql = await sessions(db.url);
      await sql.run(
        'x',
        `XA START '${db.name}'; INSERT INTO t VALUES (1); XA END '${db.name}'; XA PREPARE '${db.name}'`,
      );
      await sql.run('plain', 'INSERT INTO t VALUES (2)');
      const { changes, position } = await readToEnd(first, continuity.start);
      expect(rowsOf(changes).map(({ after }) => after)).toEqual([[2]]);
      stored = position;
    }
    await first[Symbol.asyncDispose]();
    await server.crash();
    await server.start();
    await using again = makeReader(db);
    await openReader(again, { stored: { position: stored, identity } });
    await server.query(`USE ${db.name}; INSERT INTO t VALUES (3); XA COMMIT '${db.name}'`);
    const { changes } = await readToEnd(again, stored);
    expect(rowsOf(changes).map(({ after }) => after)).toEqual([[3], [1]]);
  });

  test('rows that wait for it stay as they are, whatever is read and delivered meanwhile', async () => {
    const db = await database();
    await server.query(`USE ${db.name}; CREATE TABLE long_texts (id INT PRIMARY KEY, v LONGTEXT);
      CREATE TABLE kept (id INT PRIMARY KEY, v VARCHAR(100))`);
    await using sql = await sessions(db.url);
    await using reader = makeReader(db);
    const { continuity } = await openReader(reader);
    if (continuity.kind !== 'fresh') throw new Error('not fresh');
    await sql.run(
      'x',
      `XA START '${db.name}'; INSERT INTO kept VALUES (1, REPEAT('k', 50)); XA END '${db.name}'`,
    );
    await sql.run('x', `XA PREPARE '${db.name}'`);
    // More than is read at a time, and than is kept for the next read.
    for (let i = 0; i < 20; i++)
      await sql.run(
        'plain',
        `INSERT INTO long_texts VALUES (${i}, REPEAT('${'abcdefghij'[i % 10]}', 200000))`,
      );
    await sql.run('x', `XA COMMIT '${db.name}'`);
    const { changes, batches } = await readToEnd(reader, continuity.start);
    expect(batches.length).toBeGreaterThan(5);
    expect(rowsOf(changes.slice(-1)).map(({ after }) => after)).toEqual([[1, 'k'.repeat(50)]]);
  });

  test('where its log is purged before it is decided, that is a gap', async () => {
    const db = await database();
    await using sql = await sessions(db.url);
    await using reader = makeReader(db);
    const { continuity, identity } = await openReader(reader);
    if (continuity.kind !== 'fresh') throw new Error('not fresh');
    await sql.run(
      'x',
      `XA START '${db.name}'; INSERT INTO t VALUES (1); XA END '${db.name}'; XA PREPARE '${db.name}'`,
    );
    await server.query(`FLUSH BINARY LOGS; INSERT INTO ${db.name}.t VALUES (2); FLUSH BINARY LOGS`);
    const { position } = await readToEnd(reader, continuity.start);
    const logs = await server.query<{ Log_name: string }>('SHOW BINARY LOGS');
    const last = logs.at(-1)!.Log_name;
    for (let first = ''; first !== last;) {
      await server.query(`PURGE BINARY LOGS TO '${last}'`);
      first = (await server.query<{ Log_name: string }>('SHOW BINARY LOGS'))[0]!.Log_name;
    }
    await using late = makeReader(db);
    const opened = await openReader(late, { stored: { position, identity } });
    expect(opened.continuity.kind, product).toBe('gap');
    await sql.run('x', `XA ROLLBACK '${db.name}'`);
  });
});
