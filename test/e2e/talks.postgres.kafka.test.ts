/** The statements of the talks, with tables captured from PostgreSQL. */
import { it } from 'vitest';
import { testDatabase } from '../support/servers.ts';
import { runTalks, TABLES, Talks } from './talks.ts';

it('the statements of the talks run as they are printed, over HTTP, a crash in between', async () => {
  await using database = await testDatabase();
  for (const statement of TABLES) await database.query(statement);
  const { url, name } = database;
  await using talks = await Talks.start({
    url,
    schema: 'public',
    source: [`postgres: { slot: ${name}, publication: pub }`],
  });
  await runTalks(talks, 'public');
}, 240_000);
