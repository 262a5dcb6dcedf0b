import { it } from 'vitest';
import { testDatabase } from '../support/servers.ts';
import { replaysToTable } from './snapshot-replay.ts';

it('PostgreSQL: snapshots on demand and random writes replay to the table', async () => {
  const seed = Date.now() % 1_000_000_007;
  await using database = await testDatabase();
  await database.query('CREATE TABLE t (id int PRIMARY KEY, text text)');
  await replaysToTable(
    {
      url: database.url,
      table: 'public.t',
      source: [`postgres: { slot: ${database.name} }`],
      query: (sql) => database.query(sql),
    },
    seed,
  );
});
