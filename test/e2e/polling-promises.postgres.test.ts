/** What docs/polling.md promises, on PostgreSQL. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postgresVersions, testDatabase } from '../support/servers.ts';
import { type Workspace, workspace } from './headwater.ts';
import { type PolledShop, postgresShop } from './polled-shop.ts';
import { followDoctor, followLoad, followNulls, followOrder, followStatus } from './polling-promises.ts';

let files: Workspace;
beforeAll(async () => (files = await workspace()));
afterAll(() => files?.[Symbol.asyncDispose]());

const FILL = `SELECT i, repeat('x', 150), NULL, now() - i * interval '1 minute' FROM generate_series(1, 20000) i`;
const SESSIONS = `SELECT count(*) AS n FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`;
const SLOW = 'SELECT 1 AS id, clock_timestamp() AS v, (SELECT 1 FROM pg_sleep(0.1)) AS z';

describe.each(postgresVersions)('PostgreSQL %s', (version) => {
  it.each<[string, (shop: PolledShop) => Promise<void>]>([
    ['looks at rows without a time', (shop) => followNulls(files, shop)],
    [
      'sees of an order what stands there at the poll, and the log all of it',
      (shop) => followOrder(files, shop),
    ],
    ['says what it is and what it misses', (shop) => followStatus(files, shop, 'serial')],
    ['names the index that is missing', (shop) => followDoctor(files, shop, FILL)],
    ['is no burden', (shop) => followLoad(files, shop, { sessions: SESSIONS, slow: SLOW })],
  ])('%s', async (_, follow) => {
    await using database = await testDatabase(version);
    expect.hasAssertions();
    await follow(postgresShop(database));
  });
});
