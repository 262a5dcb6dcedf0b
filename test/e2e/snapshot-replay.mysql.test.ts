import { it } from 'vitest';
import { testMysql } from '../support/servers.ts';
import { replaysToTable } from './snapshot-replay.ts';

it('MySQL: snapshots on demand and random writes replay to the table', async () => {
  const seed = Date.now() % 1_000_000_007;
  await using database = await testMysql('9');
  await database.query('CREATE TABLE t (id INT PRIMARY KEY, text TEXT)');
  await replaysToTable(
    {
      url: database.url,
      table: `${database.name}.t`,
      source: [],
      query: (sql) => database.query(sql),
    },
    seed,
  );
});
