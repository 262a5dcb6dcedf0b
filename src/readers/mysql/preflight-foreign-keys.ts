import { tableName } from '../../model/table.ts';
import { warning } from '../finding.ts';
import type { Finding } from '../reader.ts';
import type { ListedTable, Query } from './catalogue.ts';

/** What foreign keys do to a table's rows: InnoDB by itself, past the log, unless the server does it instead. */
const CASCADES = `SELECT DISTINCT CONSTRAINT_SCHEMA, TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS
  WHERE UPDATE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT') OR DELETE_RULE IN ('CASCADE', 'SET NULL', 'SET DEFAULT')
  ORDER BY CONSTRAINT_SCHEMA, TABLE_NAME`;

/** From 9.6 on MySQL itself checks foreign keys, and logs what they do, unless it is told to leave that to InnoDB. */
const IN_SERVER = "SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'";

/** Null where there is nothing to say. */
export async function checkForeignKeys(
  query: Query,
  tables: readonly ListedTable[],
): Promise<Finding | null> {
  const captured = new Set(tables.map(({ id }) => tableName(id)));
  const names = (await query(CASCADES))
    .map(([schema, table]) => tableName({ schema: schema ?? '', table: table ?? '' }))
    .filter((name) => captured.has(name));
  if (names.length === 0) return null;
  const [native] = await query(IN_SERVER);
  if (native?.[1]?.toUpperCase() === 'OFF') return null;
  const list = `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
  return warning(
    'foreign keys',
    `What ON DELETE and ON UPDATE of foreign keys do to rows of ${list} is not in the server's log.`,
    'Let the application or triggers do it, or read the tables again (headwater resync) when their topics have to agree.',
  );
}
