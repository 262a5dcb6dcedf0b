import { columnType, valueReader } from '../../src/enrichment/sources/captured-columns.ts';
import { typeText } from '../../src/enrichment/sql/sql-type.ts';
import type { RowChange } from '../../src/model/change.ts';
import { valuesOf } from '../../src/model/raw-row.ts';

/** Of rows whose column `v` is of the type at that place: the values that SQL of statements has no equal for. */
export function withoutEqual(
  rows: readonly Pick<RowChange, 'table' | 'after'>[],
  lines: readonly { readonly type: string; readonly example: string }[],
): readonly string[] {
  return rows.flatMap(({ table, after }) => {
    const place = Number(table.id.table.slice(1));
    const index = table.columns.findIndex(({ name }) => name === 'v');
    const column = table.columns[index];
    const value = valuesOf(after)?.[index];
    const line = lines[place];
    if (column === undefined || line === undefined || value === undefined)
      throw new Error(`${table.id.table} is none of the tables that were made.`);
    if (value === null || valueReader(column.type)(value) !== undefined) return [];
    return [`${line.type} ${line.example}: no ${typeText(columnType(column.type))}`];
  });
}
