/** Polled tables of MySQL and MariaDB in the formats of a registry, transformed and joined, exactly once. */
import { expect, it } from 'vitest';
import { testMariadb, testMysql, testRegistry } from '../support/servers.ts';
import { workspace } from './headwater.ts';
import { mysqlShop } from './polled-shop.ts';
import { followOutputs } from './polling-outputs.ts';

it.each([
  { connector: 'mysql' as const, open: () => testMysql() },
  { connector: 'mariadb' as const, open: () => testMariadb() },
])('$connector', async ({ connector, open }) => {
  await using files = await workspace();
  await using database = await open();
  expect.hasAssertions();
  await followOutputs(files, mysqlShop(database, connector), await testRegistry());
});
