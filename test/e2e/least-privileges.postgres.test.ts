/** The role of docs/postgres.md, made by the very statements that stand there, is enough; and each of them is needed. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeBlocks } from '../support/markdown.ts';
import { postgresVersions, type TestDatabase, testDatabase } from '../support/servers.ts';
import { headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';
import { readFiles, summary } from './topic-records.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const PAGE = await readFile(resolve(ROOT, 'docs/postgres.md'), 'utf8');
const SQL = codeBlocks(PAGE).filter(({ language }) => language === 'sql');
const blockWith = (words: string): string => SQL.find(({ text }) => text.includes(words))!.text;
const ROLE = blockWith('CREATE ROLE');
const PUBLICATIONS = blockWith('CREATE PUBLICATION');
const REMOVAL = blockWith('DROP PUBLICATION');

let files: Workspace;
beforeAll(async () => {
  files = await workspace();
});
afterAll(() => files?.[Symbol.asyncDispose]());

/** A database with the shop of the page, whose tables belong to a role of its own. */
async function shop(version: (typeof postgresVersions)[number]) {
  const database = await testDatabase(version);
  const { name } = database;
  const role = `${name}_reader`;
  const owner = `${name}_owner`;
  await database.query(
    `CREATE ROLE ${owner}; CREATE TABLE orders (id int PRIMARY KEY); CREATE TABLE customers (id int PRIMARY KEY);
     ALTER TABLE orders OWNER TO ${owner}; ALTER TABLE customers OWNER TO ${owner};
     GRANT CREATE ON DATABASE ${name} TO ${owner}; INSERT INTO orders VALUES (1); INSERT INTO customers VALUES (2)`,
  );
  /** Names belong to the server, which other tests share. */
  const own = (sql: string): string =>
    sql
      .replaceAll(/\bheadwater\b/g, role)
      .replaceAll(/\bshop_owner\b/g, owner)
      .replaceAll('DATABASE shop', `DATABASE ${name}`)
      .replaceAll("'headwater_shop'", `'${name}'`)
      .replaceAll("PASSWORD '…'", "PASSWORD 'a-password-of-its-own'");
  const url = new URL(database.url);
  url.username = role;
  url.password = 'a-password-of-its-own';
  const file = await files.write(
    `${name}.yaml`,
    pipelineFile({
      name: 'shop',
      url: url.href,
      tables: ['public.orders', 'public.customers'],
      path: files.path(name),
      source: [`postgres: { slot: ${name} }`],
      http: 'off',
    }),
  );
  return {
    database,
    run: (sql: string) => database.query(own(sql)),
    file,
    dir: files.path(name),
    async [Symbol.asyncDispose]() {
      await database.drop();
      const server = await testDatabase(version);
      await server.query(`DROP ROLE IF EXISTS ${role}; DROP ROLE IF EXISTS ${owner}`);
      await server.drop();
    },
  };
}

/** Captures what is there and what changes, twice over. */
async function captures(database: TestDatabase, file: string, dir: string): Promise<void> {
  const { stdout, exit } = await headwater(['doctor', file]);
  expect([exit, stdout]).toEqual([0, expect.not.stringContaining('✗')]);
  const first = await runToEnd(file);
  expect([first.exit, first.stderr]).toEqual([0, expect.any(String)]);
  await database.query('INSERT INTO orders VALUES (3); UPDATE customers SET id = 4; TRUNCATE orders');
  const second = await runToEnd(file);
  expect([second.exit, second.stderr]).toEqual([0, expect.any(String)]);
  expect(summary(await readFiles(dir)).toSorted()).toEqual(['-', 'c:3', 'c:4', 'd:2', 'r:1', 'r:2']);
}

/** What can be asked of a server by single statements; the page's comments are for people. */
const statementsOf = (sql: string): readonly string[] =>
  sql
    .replaceAll(/--.*$/gm, '')
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');

describe.each(postgresVersions)('PostgreSQL %i', (version) => {
  test('a role that makes its publications itself', async () => {
    await using place = await shop(version);
    await place.run(ROLE);
    await place.run(/`(GRANT shop_owner [^`]*)`/.exec(PAGE)![1]!);
    await captures(place.database, place.file, place.dir);
    await place.run(REMOVAL);
  });

  test('a role for which the owner makes the publications', async () => {
    await using place = await shop(version);
    const without = statementsOf(ROLE).filter((statement) => !statement.includes('ON DATABASE'));
    expect(without).toHaveLength(statementsOf(ROLE).length - 1);
    for (const statement of without) await place.run(statement);
    const generated = version >= 18 ? ', publish_generated_columns = stored' : '';
    expect(PUBLICATIONS).toContain('on 18 also: publish_generated_columns = stored');
    await place.run(PUBLICATIONS.replaceAll('_root = true', `_root = true${generated}`));
    await captures(place.database, place.file, place.dir);
  });

  test('and without any one of them doctor says what is missing', async () => {
    const grants = statementsOf(ROLE).filter((statement) => statement.startsWith('GRANT'));
    expect(grants).toHaveLength(3);
    for (const grant of grants) {
      await using place = await shop(version);
      await place.run(ROLE);
      await place.run('REVOKE USAGE ON SCHEMA public FROM PUBLIC');
      await place.run(grant.replace('GRANT', 'REVOKE').replace(' TO ', ' FROM '));
      const { exit, stdout } = await headwater(['doctor', place.file]);
      expect([grant, exit]).toEqual([grant, 3]);
      expect(stdout).toMatch(/✗ .*\n.*GRANT/);
    }
    await using place = await shop(version);
    await place.run(ROLE.replace(' REPLICATION', ''));
    const { exit, stdout } = await headwater(['doctor', place.file]);
    expect([exit, stdout]).toEqual([3, expect.stringContaining('REPLICATION')]);
  });
});

test('the shop of docker/ has the same', async () => {
  const database = await testDatabase(18);
  const sql = await readFile(resolve(ROOT, 'docker/shop/postgres.sql'), 'utf8');
  const role = `${database.name}_reader`;
  await database.query(sql.replaceAll(/\bheadwater\b/g, role));
  const url = new URL(database.url);
  url.username = role;
  url.password = role;
  const settings = await files.write(
    'docker.yaml',
    pipelineFile({
      name: 'shop',
      url: url.href,
      tables: ['public.orders', 'public.customers'],
      path: files.path('docker'),
      source: [`postgres: { slot: ${database.name} }`],
      http: 'off',
    }),
  );
  const { exit, stderr } = await runToEnd(settings);
  expect([exit, stderr]).toEqual([0, expect.any(String)]);
  expect(summary(await readFiles(files.path('docker'))).toSorted()).toEqual(['r:1', 'r:1', 'r:2', 'r:2']);
  await database.drop();
});
