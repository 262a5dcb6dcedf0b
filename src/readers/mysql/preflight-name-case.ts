import { type TableId, tableName } from '../../model/table.ts';
import { warning } from '../finding.ts';
import type { Finding } from '../reader.ts';

/**
 * With `lower_case_table_names` 2 (where the data lie on a file system that does not tell upper from lower case, as
 * macOS's) the catalogue has names as they were written, and the server works with them in lower case: a table that is
 * spelled otherwise cannot be relied on to be found by the names in the log. Null where there is nothing to say.
 */
export function nameCaseFinding(
  lowerCaseTableNames: string | undefined,
  tables: readonly { readonly id: TableId }[],
): Finding | null {
  if (lowerCaseTableNames !== '2') return null;
  const names = tables.map(({ id }) => tableName(id)).filter((name) => name !== name.toLowerCase());
  if (names.length === 0) return null;
  const listed = `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`;
  return warning(
    'names',
    `The server has lower_case_table_names 2, which Headwater has not been tried with: changes of ${listed} may not be recognised in its log.`,
    'Rename them to lower case, or run the server with lower_case_table_names 0 or 1.',
  );
}
