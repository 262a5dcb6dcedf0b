/** The statements of the talks, with tables captured from MySQL. */
import { it } from 'vitest';
import { testMysql } from '../support/servers.ts';
import { runTalks, TABLES, Talks } from './talks.ts';

it('the statements of the talks run as they are printed, over HTTP, a crash in between', async () => {
  await using database = await testMysql();
  for (const statement of TABLES) await database.query(statement);
  await using talks = await Talks.start({ url: database.url, schema: database.name, source: [] });
  await runTalks(talks, database.name);
}, 240_000);
