/** A table as its records show it: what the settings leave of its columns, and what they add. */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type Column, type TableSchema, tableName } from '../../model/table.ts';
import type { Row, Value } from '../../model/value.ts';
import type { TableTopic } from '../topic-names.ts';
import { type ColumnRules, isIncluded, ruledColumn } from './column-rules.ts';

export interface TableShape {
  /** What the encoder is compiled for. The columns of the database keep their places; added ones follow. */
  readonly table: TableSchema;
  /** Indexes of the record key's columns. */
  readonly key: readonly number[];
  /** Indexes of the columns that rows show. */
  readonly fields: readonly number[];
  /** From a row of the database to one of `table`, without the added fields; null where they are the same. */
  readonly project: ((row: Row) => Row) | null;
}

export interface ShapeRules {
  /** Column names of the key, instead of the table's own; undefined: its own. */
  readonly key: readonly string[] | undefined;
  readonly columns: ColumnRules | undefined;
  /** Of masks by hash. */
  readonly hashKey: string | null;
  readonly keyField: TableTopic['keyField'];
  /** Fields that unwrapped records have behind the row's own. */
  readonly added: readonly Column[];
}

/** The table as its topic shows it. */
export function tableShape(table: TableSchema, rules: ShapeRules): TableShape {
  const { columns: columnRules, keyField, added } = rules;
  const key = keyColumns(table, rules.key);
  const own = table.columns.length;
  const ruled = table.columns.map((column) =>
    columnRules === undefined ? { column, write: null } : ruledColumn(column, columnRules, rules.hashKey),
  );
  const shown = table.columns.flatMap(({ name }, i) =>
    columnRules === undefined || isIncluded(columnRules, name) ? [i] : [],
  );
  const columns = ruled.map(({ column }) => column);
  // A table without a key does not get one that would be the same for all its rows.
  const extended = keyField !== null && key.length > 0;
  if (extended) columns.push(textField(keyField.name));
  const firstAdded = columns.length;
  columns.push(...added);
  refuseTwice(table, columns);
  const same = columns.length === own && ruled.every(({ column }, i) => column === table.columns[i]);
  return {
    table: same ? table : { ...table, columns },
    key: extended ? [...key, own] : key,
    fields: [...shown, ...added.map((_, i) => firstAdded + i)],
    project: projection(
      ruled.map(({ write }) => write),
      extended ? keyField.value : null,
    ),
  };
}

function refuseTwice(table: TableSchema, columns: readonly Column[]): void {
  const names = new Set<string>();
  for (const { name } of columns) {
    if (!names.has(name)) {
      names.add(name);
      continue;
    }
    throw new HeadwaterError(
      'settings.column-twice',
      `Two columns of ${tableName(table.id)} would be called ${name} in its records.`,
      { details: { table: tableName(table.id), column: name } },
    );
  }
}

/** A required field of text. */
function textField(name: string): Column {
  return {
    name,
    type: { kind: 'string' },
    nullable: false,
    default: undefined,
    nativeType: 'text',
    length: null,
    scale: null,
  };
}

function projection(
  writes: readonly (((value: Value) => Value) | null)[],
  appended: string | null,
): ((row: Row) => Row) | null {
  const written = writes.flatMap((write, i) => (write === null ? [] : [{ write, i }]));
  if (written.length === 0 && appended === null) return null;
  return (row) => {
    const projected = row.slice();
    for (const { write, i } of written) projected[i] = write(row[i]!);
    if (appended !== null) projected.push(appended);
    return projected;
  };
}

function keyColumns(table: TableSchema, key: readonly string[] | undefined): readonly number[] {
  if (key === undefined) return table.key;
  return key.map((column) => {
    const index = table.columns.findIndex(({ name }) => name === column);
    if (index >= 0) return index;
    throw new HeadwaterError(
      'settings.key-column-missing',
      `The key of ${tableName(table.id)} in the settings names the column ${column}, which the table does not have.`,
      { details: { table: tableName(table.id), column } },
    );
  });
}
