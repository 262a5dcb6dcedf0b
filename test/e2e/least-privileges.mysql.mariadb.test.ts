/** The user of docs/mysql.md, made by the very statements that stand there, is enough; and each privilege is needed. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeBlocks } from '../support/markdown.ts';
import { testMariadb, type TestMysql, testMysql } from '../support/servers.ts';
import { headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';
import { readFiles, summary } from './topic-records.ts';

const PAGE = await readFile(resolve(import.meta.dirname, '../../docs/mysql.md'), 'utf8');
const USER = codeBlocks(PAGE).find(({ text }) => text.includes('CREATE USER'))!.text;

/** For each product the statements of the page: what a comment says of MariaDB takes the place of the privileges. */
function statementsFor(product: 'mysql' | 'mariadb'): readonly string[] {
  return USER.split('\n')
    .filter((line) => !line.startsWith('--'))
    .map((line) => {
      const [statement = '', mariadb] = line.split(/ *-- MariaDB: /);
      return product === 'mysql' || mariadb === undefined
        ? statement
        : statement.replace(/GRANT .* ON/, `GRANT ${mariadb} ON`);
    });
}

let files: Workspace;
beforeAll(async () => {
  files = await workspace();
});
afterAll(() => files?.[Symbol.asyncDispose]());

describe.each<['mysql' | 'mariadb', () => Promise<TestMysql>]>([
  ['mysql', () => testMysql()],
  ['mariadb', () => testMariadb()],
])('%s', (product, testServer) => {
  const place = async (suffix: string, without?: string) => {
    const db = await testServer();
    const user = `${db.name}_${suffix}`;
    await db.query('CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)');
    for (const statement of statementsFor(product)) {
      const own = statement
        .replaceAll("headwater@'10.0.0.%'", `${user}@'%'`)
        .replaceAll('shop.*', `${db.name}.*`)
        .replaceAll("'…'", "'a-password-of-its-own'");
      if (without === undefined || !own.startsWith('GRANT')) await db.query(own);
      else {
        const [, privileges = '', rest = ''] = /^GRANT (.*?)( ON .*)$/.exec(own) ?? [];
        const left = privileges.split(', ').filter((each) => each !== without);
        if (left.length > 0) await db.query(`GRANT ${left.join(', ')}${rest}`);
      }
    }
    const url = new URL(db.url);
    url.username = user;
    url.pathname = ''; // as the page has it
    url.password = 'a-password-of-its-own';
    const file = await files.write(
      `${user}.yaml`,
      pipelineFile({
        name: 'shop',
        url: url.href,
        tables: [`${db.name}.orders`],
        path: files.path(user),
        http: 'off',
      }),
    );
    return {
      db,
      file,
      dir: files.path(user),
      async [Symbol.asyncDispose]() {
        await db.query(`DROP USER ${user}@'%'`);
        await db.drop();
      },
    };
  };

  test('is enough', async () => {
    await using shop = await place('r');
    const { exit, stdout } = await headwater(['doctor', shop.file]);
    expect([exit, stdout]).toEqual([0, expect.not.stringContaining('✗')]);
    // The page names a further one that spares ALTER TABLE a wait; nothing else is missing.
    const missing = [...stdout.matchAll(/GRANT .*? ON/g)].map(([grant]) => grant);
    expect(missing).toEqual(product === 'mysql' ? [] : ['GRANT BINLOG ADMIN ON']);
    for (const grant of missing) expect(USER).toContain(grant);
    const first = await runToEnd(shop.file);
    expect([first.exit, first.stderr]).toEqual([0, expect.any(String)]);
    await shop.db.query('INSERT INTO orders VALUES (2); DELETE FROM orders WHERE id = 1');
    const second = await runToEnd(shop.file);
    expect([second.exit, second.stderr]).toEqual([0, expect.any(String)]);
    const records = (await readFiles(shop.dir)).filter(({ topic }) => topic !== 'shop');
    expect(summary(records)).toEqual(['r:1', 'c:2', 'd:1', '-']);
  });

  const privileges = statementsFor(product)
    .flatMap((statement) => /^GRANT (.*?) ON/.exec(statement)?.[1]?.split(', ') ?? [])
    .map((privilege, n) => [privilege, n] as const);

  test.each(privileges)('without %s doctor has something to say', async (privilege, n) => {
    await using shop = await place(`w${n}`, privilege);
    const { stdout } = await headwater(['doctor', shop.file]);
    expect(stdout).toMatch(new RegExp(`GRANT .*${privilege}`));
  });
});
