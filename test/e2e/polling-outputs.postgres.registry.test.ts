/** Polled tables of PostgreSQL in the formats of a registry, transformed and joined, exactly once. */
import pg from 'pg';
import { expect, it } from 'vitest';
import { postgresVersions, testDatabase, testRegistry } from '../support/servers.ts';
import { workspace } from './headwater.ts';
import { followOutputs } from './polling-outputs.ts';

it.each(postgresVersions)('PostgreSQL %s', async (version) => {
  await using files = await workspace();
  await using database = await testDatabase(version);
  expect.hasAssertions();
  await followOutputs(
    files,
    {
      url: database.url,
      schema: 'public',
      moment: 'timestamptz',
      upsert: (columns) =>
        `ON CONFLICT (id) DO UPDATE SET ${Object.entries(columns)
          .map(([column, value]) => `${column} = ${value.replace('now(3)', 'now()')}`)
          .join(', ')}`,
      query: (sql) => database.query(sql.replaceAll('now(3)', 'now()')),
      async session() {
        const client = new pg.Client({ connectionString: database.url });
        await client.connect();
        return {
          query: (sql: string) => client.query(sql.replaceAll('now(3)', 'now()')),
          end: () => client.end(),
        };
      },
    },
    await testRegistry(),
  );
});
