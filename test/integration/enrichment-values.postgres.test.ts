/** Values of each documented type of PostgreSQL, as statements see them. */
import { expect, test } from 'vitest';
import { documentedTypes } from '../support/documented-types.ts';
import { makeReader, openReader, readToEnd } from '../support/postgres-reader.ts';
import { testDatabase } from '../support/servers.ts';
import { withoutEqual } from '../support/without-equal.ts';

test('no documented value gets lost but those that SQL has no equal for', async () => {
  const lines = (await documentedTypes('postgres')).filter(({ section }) => section !== 'Extensions');
  await using database = await testDatabase();
  await database.query(`
    CREATE TYPE mood AS ENUM ('sad', 'a,b');
    CREATE TYPE pair AS (x int, label text);
    CREATE DOMAIN positive AS int CHECK (value > 0);
    CREATE DOMAIN price AS numeric(10,2);
    ${lines.map(({ type }, i) => `CREATE TABLE t${i} (id int PRIMARY KEY, v ${type});`).join('\n')}`);
  await using reader = makeReader(database);
  const { continuity } = await openReader(reader);
  if (continuity.kind !== 'fresh') throw new Error(`The log is ${continuity.kind}.`);
  await database.query(
    lines.map(({ type, example }, i) => `INSERT INTO t${i} VALUES (1, (${example})::${type});`).join('\n'),
  );
  const { changes } = await readToEnd(reader, continuity.start);
  const rows = changes.filter((change) => change.kind === 'row');
  expect(rows).toHaveLength(lines.length);
  expect(withoutEqual(rows, lines)).toEqual([
    "date 'infinity': no DATE",
    "timestamp 'infinity': no TIMESTAMP",
    "timestamptz '-infinity': no TIMESTAMP",
    "integer[] '{{1,2},{3,4}}': no ARRAY<INTEGER>",
  ]);
});
