/** docs/type-mapping/postgres.md, line by line, on real servers. */
import { describe, expect, test } from 'vitest';
import { postgresSource } from '../../scripts/goldens/source.ts';
import { walkTypes } from '../../scripts/goldens/type-walk.ts';
import { documentedTypes, documentedWalk } from '../support/documented-types.ts';
import { testDatabase } from '../support/servers.ts';

const OWN_TYPES = [
  "CREATE TYPE mood AS ENUM ('sad', 'a,b')",
  'CREATE TYPE pair AS (x int, label text)',
  'CREATE DOMAIN positive AS int CHECK (value > 0)',
  'CREATE DOMAIN price AS numeric(10,2)',
];
const EXTENSIONS = ['citext', 'ltree', 'hstore', 'isn'].map((name) => `CREATE EXTENSION ${name}`);

const documented = await documentedTypes('postgres');

/** Contrib comes with Debian's 15; what npm has of 18 is without. */
const SERVERS = [
  { version: 15, preamble: [...OWN_TYPES, ...EXTENSIONS], lines: documented },
  {
    version: 18,
    preamble: OWN_TYPES,
    lines: documented.filter(({ section }) => section !== 'Extensions'),
  },
] as const;

describe.each(SERVERS)('PostgreSQL $version', ({ version, preamble, lines }) => {
  test.each(['debezium', 'safe'] as const)(
    'profile %s is as documented, snapshot and stream',
    async (profile) => {
      await using database = await testDatabase(version);
      await using source = await postgresSource(database.url);
      const cast = lines.map(({ type, example }) => ({ type, example: `(${example})::${type}` }));
      const walked = await walkTypes(source, profile, { schema: 'public', preamble, lines: cast });
      const found = lines.map(({ type, example }, i) => ({ type, example, ...walked[i]! }));
      expect(found).toEqual(documentedWalk(lines, profile));
    },
  );
});

test('every base type of the server is documented', async () => {
  await using database = await testDatabase(15);
  const rows = await database.query<{ name: string }>(
    `SELECT format_type(oid, NULL) AS name FROM pg_type
     WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typname !~ '^_'
     AND typname !~ '^(gtsvector|pg_node_tree|pg_ndistinct|pg_dependencies|pg_mcv_list|pg_brin_.*)$'`,
  );
  // Names as the documentation has them; precision stands behind some.
  const names: Readonly<Record<string, string>> = {
    'character varying': 'varchar',
    character: 'char(5)',
    'bit varying': 'varbit',
    'time without time zone': 'time',
    'time with time zone': 'timetz',
    'timestamp without time zone': 'timestamp',
    'timestamp with time zone': 'timestamptz',
  };
  const types = new Set(documented.map(({ type }) => type));
  expect(rows.map(({ name }) => names[name] ?? name).filter((name) => !types.has(name))).toEqual([]);
});
