/** Polled tables of MySQL and MariaDB in the formats of a registry, transformed and joined, exactly once. */
import mysql from 'mysql2/promise';
import { expect, it } from 'vitest';
import { mariadbVersions, mysqlVersions, testMariadb, testMysql, testRegistry } from '../support/servers.ts';
import { workspace } from './headwater.ts';
import { followOutputs } from './polling-outputs.ts';

const SERVERS = [
  ...mysqlVersions.map((version) => ({ name: `MySQL ${version}`, open: () => testMysql(version) })),
  ...mariadbVersions.map((version) => ({ name: `MariaDB ${version}`, open: () => testMariadb(version) })),
];

it.each(SERVERS)('$name', async ({ open }) => {
  await using files = await workspace();
  await using database = await open();
  expect.hasAssertions();
  await followOutputs(
    files,
    {
      url: database.url,
      schema: database.name,
      moment: 'timestamp(3) NULL',
      upsert: (columns) =>
        `ON DUPLICATE KEY UPDATE ${Object.entries(columns)
          .map(([column, value]) => `${column} = ${value}`)
          .join(', ')}`,
      query: (sql) => database.query(sql),
      async session() {
        const connection = await mysql.createConnection({ uri: database.url });
        return { query: (sql: string) => connection.query(sql), end: () => connection.end() };
      },
    },
    await testRegistry(),
  );
});
