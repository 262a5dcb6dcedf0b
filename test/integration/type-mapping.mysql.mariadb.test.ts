/** docs/type-mapping/mysql.md, line by line, on real servers. */
import { describe, expect, test } from 'vitest';
import { emptySource } from '../../scripts/goldens/source.ts';
import { walkTypes } from '../../scripts/goldens/type-walk.ts';
import { documentedTypes, documentedWalk } from '../support/documented-types.ts';

const SQL_MODE = "sql_mode = 'ALLOW_INVALID_DATES'";
const PREAMBLE = ['CREATE DATABASE walk', `SET SESSION ${SQL_MODE}`, `SET GLOBAL ${SQL_MODE}`];

const documented = await documentedTypes('mysql');

const SERVERS = [
  { product: 'mysql', lines: documented.filter(({ section }) => section !== 'MariaDB alone') },
  { product: 'mariadb', lines: documented.filter(({ section }) => section !== 'MySQL alone') },
] as const;

describe.each(SERVERS)('$product', ({ product, lines }) => {
  test.each(['debezium', 'safe'] as const)(
    'profile %s is as documented, snapshot and stream',
    async (profile) => {
      await using source = await emptySource(product);
      const walked = await walkTypes(source, profile, { schema: 'walk', preamble: PREAMBLE, lines });
      const found = lines.map(({ type, example }, i) => ({ type, example, ...walked[i]! }));
      expect(found).toEqual(documentedWalk(lines, profile));
    },
  );
});

test('every type that the servers know is documented', () => {
  const names = new Set(documented.map(({ type }) => type.split(/[ (]/)[0]));
  // What information_schema calls types, aliases aside.
  const known = `tinyint smallint mediumint int bigint decimal float double bit year char varchar binary varbinary
    tinytext text mediumtext longtext tinyblob blob mediumblob longblob enum set date time datetime timestamp json
    geometry point linestring polygon multipoint multilinestring multipolygon geometrycollection vector uuid inet4 inet6`;
  expect(known.split(/\s+/).filter((name) => !names.has(name))).toEqual([]);
});
