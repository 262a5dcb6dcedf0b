/**
 * MySQL sends a statement's log on while its commit is under way, and information_schema does not wait for it. A commit
 * that waits for a replica that never answers holds that moment open.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeReader, type MysqlChange, openReader, readToEnd } from '../support/mysql-reader.ts';
import { type MysqlServer, startMysql } from '../support/servers.ts';

const never = new AbortController().signal;

let server: MysqlServer;
let databases = 0;

beforeAll(async () => {
  server = await startMysql({ version: '9' });
  await server.query(`INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so';
    SET GLOBAL rpl_semi_sync_source_timeout = 3600000`);
});
afterAll(() => server?.[Symbol.asyncDispose]());

async function until(what: string, seen: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (await seen()) return;
    await sleep(50);
  }
  throw new Error(`There was no ${what} within 600 attempts`);
}

/** Runs it, and lets it be committed when `seen` says so. */
async function held(statement: string, what: string, seen: () => Promise<boolean>): Promise<void> {
  await server.query('SET GLOBAL rpl_semi_sync_source_enabled = ON');
  const running = server.query(statement);
  try {
    await until(what, seen);
  } finally {
    await server.query('SET GLOBAL rpl_semi_sync_source_enabled = OFF');
    await running;
  }
}

async function someoneWaits(): Promise<boolean> {
  const waiting = await server.query(
    `SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting for table metadata lock%' AND INFO LIKE 'SHOW CREATE%'`,
  );
  return waiting.length > 0;
}

/** What is read while `act` runs: its schema changes, and the first column of its rows. */
async function readWhile(
  setUp: string,
  act: (seen: (count: number) => Promise<boolean>, database: string) => Promise<void>,
): Promise<readonly string[]> {
  const name = `late${databases++}`;
  await server.query(`CREATE DATABASE ${name}; USE ${name}; ${setUp}`);
  await using reader = makeReader({ url: server.url, name });
  const { continuity } = await openReader(reader);
  if (continuity.kind !== 'fresh') throw new Error('not fresh');
  let end: typeof continuity.start | null = null;
  let read: readonly MysqlChange[] = [];
  const acting = act(async (count) => read.length >= count, name).then(async () => {
    end = (await reader.head(never)).position;
    reader.nudge();
  });
  const { changes } = await readToEnd(reader, continuity.start, {
    done: (at, some) => {
      read = [...some];
      return end !== null && (reader.codec.compare(at, end) ?? -1) >= 0;
    },
  });
  await acting;
  return changes.map((change) =>
    change.kind === 'schema'
      ? `${change.id.table}(${change.description?.columns.map((column) => column.name).join() ?? 'gone'})`
      : change.kind === 'row'
        ? `row of ${change.table.id.table}(${change.table.columns.map((column) => column.name).join()})`
        : change.kind,
  );
}

test('a statement is told when it is visible, not with the next row', async () => {
  const told = await readWhile('CREATE TABLE t (id INT PRIMARY KEY)', async (_, database) => {
    for (const statement of [
      'ALTER TABLE t ADD a INT',
      'ALTER TABLE t ADD b INT, ALGORITHM=COPY',
      'RENAME TABLE t TO u',
      'CREATE TABLE n (id INT PRIMARY KEY, x INT)',
    ]) {
      await held(`USE ${database}; ${statement}`, `wait for ${statement}`, someoneWaits);
    }
  });
  expect(told).toEqual(['t(id,a)', 't(id,a,b)', 't(gone)', 'u(id,a,b)', 'n(id,x)']);
});

test('one that stays invisible does not hold the others up, and is told with its first row', async () => {
  const setUp = 'CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE other (id INT PRIMARY KEY)';
  const told = await readWhile(setUp, async (seen, database) => {
    const inserted: Promise<unknown>[] = [];
    await held(`USE ${database}; ALTER TABLE t ADD a INT`, 'row behind the statement', async () => {
      if (inserted.length === 0 && (await someoneWaits()))
        inserted.push(server.query(`INSERT INTO ${database}.other VALUES (1)`));
      return seen(1);
    });
    await Promise.all(inserted);
    await server.query(`INSERT INTO ${database}.t VALUES (1, 2)`);
  });
  expect(told).toEqual(['row of other(id)', 't(id,a)', 'row of t(id,a)']);
});
