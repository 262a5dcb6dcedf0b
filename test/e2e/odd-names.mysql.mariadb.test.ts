/** Databases, tables and columns of whatever names, and servers that do not tell upper from lower case. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MysqlServer, startMariadb, startMysql } from '../support/servers.ts';
import { headwater, pipelineFile, runToEnd, type Workspace, workspace } from './headwater.ts';
import { type Delivered, readFiles } from './topic-records.ts';

type Start = (settings: Readonly<Record<string, string>>) => Promise<MysqlServer>;

const PRODUCTS: readonly [string, Start][] = [
  ['MySQL', (settings) => startMysql({ version: '9', settings })],
  ['MariaDB', (settings) => startMariadb({ version: '11.8', settings })],
];

let files: Workspace;
beforeAll(async () => {
  files = await workspace();
});
afterAll(() => files?.[Symbol.asyncDispose]());

const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;

/** `r {"id":1}` of rows, and the statements of the topic of schema changes. */
function shortly(records: readonly Delivered[], topic: string): readonly string[] {
  return records.map((record) => {
    const { value } = record;
    if (record.topic === topic) return (value as unknown as { ddl: string }).ddl;
    return value === null ? '-' : `${value.op} ${JSON.stringify(value.after ?? value.before)}`;
  });
}

describe.each(PRODUCTS)('%s', (product, start) => {
  // Beyond the characters of two bytes no server takes any.
  const database = 'da`ta "b\'a.s☕e';
  const table = 'ta`b"l\'e. ; -- €%_\\☃';
  const column = 'co`l"u\'mn. ☂ /* */';

  test.each(['FULL', product === 'MySQL' ? 'MINIMAL' : 'NO_LOG'])(
    'spaces, quotes, backticks, dots, symbols and reserved words, with metadata %s',
    async (metadata) => {
      await using server = await start({ 'binlog-row-metadata': metadata });
      const [d, t, c] = [quoted(database), quoted(table), quoted(column)];
      await server.query(`CREATE DATABASE ${d}; USE ${d}; CREATE TABLE ${t} (${c} VARCHAR(20) PRIMARY KEY, \`select\` INT);
        INSERT INTO ${t} VALUES ('a', 1), ('b', 2); CREATE TABLE \`table\` (\`from\` INT PRIMARY KEY)`);
      const name = `odd${metadata.toLowerCase().replace('_', '')}${product.toLowerCase()}`;
      const path = files.path(name);
      const file = await files.write(
        `${name}.yaml`,
        pipelineFile({ name, url: server.url, tables: [`${database}.${table}`, `${database}.tab?e`], path }),
      );
      const doctor = await headwater(['doctor', file]);
      expect(doctor.exit, doctor.stdout).toBe(0);
      expect((await runToEnd(file)).exit).toBe(0);
      const added = `ALTER TABLE ${t} ADD COLUMN \`order\` INT DEFAULT 5 AFTER ${c}, RENAME COLUMN \`select\` TO \`group\``;
      const other = quoted(`${table}2`);
      // The daemon is down, and the catalogue ahead of the log.
      await server.query(`USE ${d}; UPDATE ${t} SET \`select\` = 3 WHERE ${c} = 'a'; ${added};
        INSERT INTO ${t} VALUES ('c', 6, 7); INSERT INTO \`table\` VALUES (1);
        RENAME TABLE ${t} TO ${other}, ${other} TO ${t}; ALTER TABLE ${t} DROP COLUMN \`order\`;
        DELETE FROM ${d}.${t} WHERE ${c} = 'b'`);
      const { exit, stderr } = await runToEnd(file);
      expect(exit, stderr).toBe(0);
      const records = await readFiles(path);
      const key = (value: string): string => `{${JSON.stringify(column)}:"${value}"`;
      const said = shortly(records, name);
      expect(said).toEqual([
        `r ${key('a')},"select":1}`,
        `r ${key('b')},"select":2}`,
        `u ${key('a')},"select":3}`,
        added,
        `c ${key('c')},"order":6,"group":7}`,
        'c {"from":1}',
        expect.stringContaining('RENAME TABLE') as string,
        expect.stringContaining('DROP COLUMN') as string,
        `d ${key('b')},"group":2}`,
        '-',
      ]);
    },
  );

  test('where upper and lower case are one, tables are told by their names in lower case', async () => {
    await using server = await start({ 'lower-case-table-names': '1' });
    await server.query(`CREATE DATABASE Shop; CREATE TABLE Shop.Orders (Id INT PRIMARY KEY, N INT);
      INSERT INTO SHOP.ORDERS VALUES (1, 1)`);
    const name = `case${product.toLowerCase()}`;
    const path = files.path(name);
    const file = await files.write(
      `${name}.yaml`,
      pipelineFile({
        name,
        url: server.url,
        tables: ['shop.orders', 'shop.bills', 'gone.*'],
        path,
        emit: ['truncates: true'],
      }),
    );
    await server.query(
      'CREATE TABLE shop.Bills (Id INT PRIMARY KEY); CREATE DATABASE Gone; CREATE TABLE Gone.T (Id INT PRIMARY KEY)',
    );
    expect((await runToEnd(file)).exit).toBe(0);
    await server.query(`USE SHOP; ALTER TABLE Orders ADD COLUMN M INT; INSERT INTO ORDERS VALUES (2, 2, 2);
      TRUNCATE TABLE sHOP.oRDERS; RENAME TABLE Bills TO Receipts, RECEIPTS TO BILLS; INSERT INTO Bills VALUES (7);
      ALTER TABLE Bills CHANGE ID Number INT; INSERT INTO bills VALUES (8); DROP TABLE BILLS; DROP DATABASE GONE`);
    const { exit, stderr } = await runToEnd(file);
    expect(exit, stderr).toBe(0);
    const records = await readFiles(path);
    expect(new Set(records.map(({ topic }) => topic))).toEqual(
      new Set([name, `${name}.shop.orders`, `${name}.shop.bills`]),
    );
    expect(shortly(records, name)).toEqual([
      'r {"Id":1,"N":1}',
      'ALTER TABLE Orders ADD COLUMN M INT',
      'c {"Id":2,"N":2,"M":2}',
      't null',
      expect.stringContaining('RENAME TABLE') as string,
      'c {"Id":7}',
      'ALTER TABLE Bills CHANGE ID Number INT',
      'c {"Number":8}',
      'DROP TABLE `shop`.`bills`',
      'DROP DATABASE GONE',
    ]);
  });
});
