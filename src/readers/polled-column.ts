import { HeadwaterError } from '../errors/headwater-error.ts';
import { type TableId, tableName } from '../model/table.ts';

/** Where a column that source.poll names stands in its table. Throws `settings.column-missing`. */
export function columnIndex(
  { id, columns }: { readonly id: TableId; readonly columns: readonly { readonly name: string }[] },
  column: string,
): number {
  const index = columns.findIndex(({ name }) => name === column);
  if (index >= 0) return index;
  const table = tableName(id);
  throw new HeadwaterError(
    'settings.column-missing',
    `source.poll names the column ${column} of ${table}, which has none of that name.`,
    { fix: `It has ${columns.map(({ name }) => name).join(', ')}.`, details: { table, column } },
  );
}
