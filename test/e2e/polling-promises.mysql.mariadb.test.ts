/** What docs/polling.md promises, on MySQL and MariaDB. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testMariadb, testMysql } from '../support/servers.ts';
import { type Workspace, workspace } from './headwater.ts';
import { mysqlShop, type PolledShop } from './polled-shop.ts';
import { followDoctor, followLoad, followNulls, followOrder, followStatus } from './polling-promises.ts';

let files: Workspace;
beforeAll(async () => (files = await workspace()));
afterAll(() => files?.[Symbol.asyncDispose]());

const FILL = `WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 200),
  m AS (SELECT 200 * (a.i - 1) + b.i AS i FROM n a, n b WHERE a.i <= 100)
  SELECT i, repeat('x', 150), NULL, now(3) - INTERVAL i MINUTE FROM m`;
const SESSIONS =
  'SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE DB = database() AND ID <> connection_id()';
const SLOW = 'SELECT 1 AS id, sysdate(6) AS v, sleep(0.1) AS z';

describe.each([
  { connector: 'mysql' as const, open: () => testMysql() },
  { connector: 'mariadb' as const, open: () => testMariadb() },
])('$connector', ({ connector, open }) => {
  it.each<[string, (shop: PolledShop) => Promise<void>]>([
    ['looks at rows without a time', (shop) => followNulls(files, shop)],
    [
      'sees of an order what stands there at the poll, and the log all of it',
      (shop) => followOrder(files, shop),
    ],
    ['says what it is and what it misses', (shop) => followStatus(files, shop, 'int AUTO_INCREMENT')],
    ['names the index that is missing', (shop) => followDoctor(files, shop, FILL)],
    ['is no burden', (shop) => followLoad(files, shop, { sessions: SESSIONS, slow: SLOW })],
  ])('%s', async (_, follow) => {
    await using database = await open();
    expect.hasAssertions();
    await follow(mysqlShop(database, connector));
  });
});
