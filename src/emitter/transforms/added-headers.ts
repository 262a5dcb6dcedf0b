import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableSchema, tableName } from '../../model/table.ts';
import type { Row } from '../../model/value.ts';
import type { Profile } from '../../schema/column-schema.ts';
import type { Header } from '../encoders/encoder.ts';
import { type ValueText, valueText } from './value-text.ts';

export interface ColumnHeader {
  readonly name: string;
  readonly column: number;
  readonly text: ValueText;
}

/** Throws `settings.column-missing`. `columns` is header → column. */
export function columnHeaders(
  table: TableSchema,
  columns: ReadonlyMap<string, string>,
  profile: Profile,
): readonly ColumnHeader[] {
  return [...columns].map(([name, columnName]) => {
    const column = columnIndex(table, columnName, 'A header');
    return { name, column, text: valueText(table.columns[column]!, profile) };
  });
}

/** Headers from a row; a column that is NULL or not there gives none. */
export function headersOf(columns: readonly ColumnHeader[], row: Row): readonly Header[] {
  const headers: Header[] = [];
  for (const { name, column, text } of columns) {
    const value = text(row[column]!);
    if (value !== null) headers.push([name, value]);
  }
  return headers;
}

/** `use` begins the sentence of the error: who needs the column. Throws `settings.column-missing`. */
export function columnIndex(table: TableSchema, column: string, use: string): number {
  const index = table.columns.findIndex(({ name }) => name === column);
  if (index >= 0) return index;
  throw new HeadwaterError(
    'settings.column-missing',
    `${use} in the settings needs the column ${column}, which ${tableName(table.id)} does not have.`,
    { details: { table: tableName(table.id), column } },
  );
}
