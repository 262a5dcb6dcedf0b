/** Values of each documented type of MySQL and MariaDB, as statements see them. */
import { expect, test } from 'vitest';
import { documentedTypes } from '../support/documented-types.ts';
import { changesOf } from '../support/mysql-reader.ts';
import { testMariadb, testMysql } from '../support/servers.ts';
import { withoutEqual } from '../support/without-equal.ts';

test.each([
  ['MySQL', testMysql, 'MariaDB alone'],
  ['MariaDB', testMariadb, 'MySQL alone'],
])('no documented value of %s gets lost but those that SQL has no equal for', async (_, open, others) => {
  const lines = (await documentedTypes('mysql')).filter(({ section }) => section !== others);
  await using database = await open();
  await database.query(
    lines.map(({ type }, i) => `CREATE TABLE t${i} (id int PRIMARY KEY, v ${type});`).join('\n'),
  );
  const inserts = lines.map(({ example }, i) => `INSERT INTO t${i} VALUES (1, ${example});`);
  const { changes } = await changesOf(database, () =>
    database.query(["SET SESSION sql_mode = 'ALLOW_INVALID_DATES';", ...inserts].join('\n')),
  );
  const rows = changes.filter((change) => change.kind === 'row');
  expect(rows).toHaveLength(lines.length);
  expect(withoutEqual(rows, lines)).toEqual([
    "date '0000-00-00': no DATE",
    "date '2004-00-12': no DATE",
    "datetime '0000-00-00 00:00:00': no TIMESTAMP",
    "timestamp NULL '0000-00-00 00:00:00': no TIMESTAMP",
    "datetime NOT NULL '0000-00-00 00:00:00': no TIMESTAMP",
  ]);
});
