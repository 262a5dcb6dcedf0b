/** Polled tables of PostgreSQL in the formats of a registry, transformed and joined, exactly once. */
import { expect, it } from 'vitest';
import { postgresVersions, testDatabase, testRegistry } from '../support/servers.ts';
import { workspace } from './headwater.ts';
import { postgresShop } from './polled-shop.ts';
import { followOutputs } from './polling-outputs.ts';

it.each(postgresVersions)('PostgreSQL %s', async (version) => {
  await using files = await workspace();
  await using database = await testDatabase(version);
  expect.hasAssertions();
  await followOutputs(files, postgresShop(database), await testRegistry());
});
