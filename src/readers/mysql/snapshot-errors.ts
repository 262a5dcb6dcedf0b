import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName } from '../../model/table.ts';
import { mapMysqlError } from './errors.ts';
import { MysqlError } from './wire/mysql-error.ts';
import { quoteTable } from './wire/quoting.ts';

/** ER_TABLE_DEF_CHANGED: altered, truncated or made again after the snapshot was taken. */
const DEFINITION_CHANGED = 1412;
/** Unknown column: altered since it was described. */
const NO_COLUMN = 1054;
/** No such table, unknown database, unknown table engine, crashed or corrupt. */
const TABLE_ERRORS: ReadonlySet<number> = new Set([
  1146, 1049, 1051, 1286, 126, 127, 144, 145, 1033, 1034, 1035, 1194, 1195, 1812,
]);
const DENIED: ReadonlySet<number> = new Set([1142, 1143, 1044]);

/** Whether the table is not as it was described, or not as the session's snapshot has it. */
export function isChanged(error: unknown): error is MysqlError {
  return error instanceof MysqlError && (error.errno === DEFINITION_CHANGED || error.errno === NO_COLUMN);
}

/** What was thrown while reading a table, as a HeadwaterError that says whether it concerns the table alone. */
export function tableError(error: unknown, id: TableId): unknown {
  const name = tableName(id);
  if (!(error instanceof MysqlError)) return mapMysqlError(error, `Reading the table ${name}`);
  const details = { table: name, errno: error.errno };
  if (DENIED.has(error.errno)) {
    return new HeadwaterError('snapshot.table-unreadable', `The user may not read the table ${name}.`, {
      details,
      fix: `GRANT SELECT ON ${quoteTable(id)} TO CURRENT_USER (with the user of source.url)`,
      cause: error,
    });
  }
  // Class 22 is data: a where condition that fails for some row.
  if (TABLE_ERRORS.has(error.errno) || error.sqlstate.startsWith('22')) {
    return new HeadwaterError(
      'snapshot.table-unreadable',
      `The table ${name} cannot be read (error ${error.errno}).`,
      { details, cause: error },
    );
  }
  return mapMysqlError(error, `Reading the table ${name}`);
}
