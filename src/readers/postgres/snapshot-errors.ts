import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, tableName } from '../../model/table.ts';
import { mapPgError } from './errors.ts';
import { PgError } from './wire/pg-error.ts';
import { quoteTable } from './wire/quoting.ts';

/** What concerns this table alone: it is gone, may not be read, or its pages cannot be. */
const TABLE_STATES = new Set(['42P01', '3F000', '42809', 'XX001', 'XX002']);
const PRIVILEGE = '42501';
/** lock_timeout has passed. */
const LOCK_NOT_AVAILABLE = '55P03';
/** undefined_column, datatype_mismatch …: the table is not what the catalogue said a moment ago. */
export const CHANGED_STATES: ReadonlySet<string> = new Set(['42703', '42883', '42804', '42704', '0A000']);

/** What was thrown while reading a table, as a HeadwaterError that says whether it concerns the table alone. */
export function tableError(error: unknown, id: TableId): unknown {
  const name = tableName(id);
  if (!(error instanceof PgError)) return mapPgError(error, `Reading the table ${name}`);
  const details = { table: name, sqlstate: error.sqlstate };
  if (error.sqlstate === PRIVILEGE) {
    return new HeadwaterError('snapshot.table-unreadable', `The role may not read the table ${name}.`, {
      details,
      fix: `GRANT USAGE ON SCHEMA ${quoteTable(id).split('.')[0]!} TO CURRENT_USER; GRANT SELECT ON ${quoteTable(id)} TO CURRENT_USER (with the role of source.url)`,
      cause: error,
    });
  }
  if (error.sqlstate === LOCK_NOT_AVAILABLE) {
    return new HeadwaterError('snapshot.table-locked', `The table ${name} is locked.`, {
      details,
      cause: error,
    });
  }
  // Class 22 is data: a where condition or a value's own output function that fails.
  if (TABLE_STATES.has(error.sqlstate) || error.sqlstate.startsWith('22')) {
    return new HeadwaterError(
      'snapshot.table-unreadable',
      `The table ${name} cannot be read (SQLSTATE ${error.sqlstate}).`,
      { details, cause: error },
    );
  }
  return mapPgError(error, `Reading the table ${name}`);
}

/** Whether the server answered with one of these SQLSTATEs. */
export function isState(error: unknown, states: ReadonlySet<string>): error is PgError {
  return error instanceof PgError && states.has(error.sqlstate);
}
