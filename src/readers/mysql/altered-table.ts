/** What a statement of the log makes of a table, as far as the statement alone tells. */
import { type TableId, tableName } from '../../model/table.ts';
import type { MysqlTable } from './catalogue.ts';
import { alteredColumns, createdColumns, type Definition, type StatedColumn } from './ddl/column-names.ts';
import type { Sql } from './ddl/tokens.ts';
import { openColumn } from './log-table.ts';
import type { MysqlColumn } from './types/mysql-column.ts';

/** CREATE TABLE with a list of columns; null where it is not understood. `present`: the table as it is now. */
export function createdTable(id: TableId, sql: Sql, present: MysqlTable | null): MysqlTable | null {
  const columns = createdColumns(sql);
  return columns === null ? null : tableOf(id, columns, { before: null, present });
}

/** ALTER TABLE on a table that was `before`, under the name that it has behind it; null where it is not understood. */
export function alteredTable(
  id: TableId,
  sql: Sql,
  { before, present }: { readonly before: MysqlTable; readonly present: MysqlTable | null },
): MysqlTable | null {
  const columns = alteredColumns(sql, namesOf(before));
  return columns === null ? null : tableOf(id, columns, { before, present });
}

/**
 * What each name stands for behind a statement that renames, one after the other; `unknown`: a table of which nothing
 * was heard. `shapeOf`: what it stood for before.
 */
export function renamedTables(
  pairs: readonly (readonly [from: TableId, to: TableId])[],
  query: Sql,
  shapeOf: (id: TableId) => MysqlTable | null,
): ReadonlyMap<string, MysqlTable | 'unknown' | 'gone'> {
  const names = new Map<string, MysqlTable | 'unknown' | 'gone'>();
  for (const [from, to] of pairs) {
    let shape = names.get(tableName(from)) ?? shapeOf(from) ?? 'unknown';
    if (shape === 'gone') shape = 'unknown';
    // ALTER TABLE … RENAME TO may change columns too.
    if (shape !== 'unknown' && /^\s*ALTER\b/i.test(query.sql))
      shape = alteredTable(to, query, { before: shape, present: null }) ?? 'unknown';
    names.set(tableName(from), 'gone');
    names.set(tableName(to), shape);
  }
  return names;
}

/**
 * Whether the catalogue knows another statement behind this one: by the names of the columns, and by what the log may
 * not say of their values.
 */
export function isAhead(present: MysqlTable, said: MysqlTable): boolean {
  return (
    !sameNames(present, namesOf(said)) ||
    said.columns.some((column, i) => meansOther(column, present.columns[i]!))
  );
}

function meansOther(said: MysqlColumn, present: MysqlColumn): boolean {
  const { values, dataType, unsigned, charset, columnType } = said;
  // Types that the log alone has told may be called otherwise, but for those of labels, text and integers.
  if (dataType !== present.dataType)
    return columnType !== null || values !== null || TEXTS.has(dataType) || INTEGERS.has(dataType);
  if (unsigned !== present.unsigned) return true;
  if (columnType === null && TEXTS.has(dataType) && charset !== present.charset) return true;
  return values?.some((value, n) => present.values?.[n] !== value) === true;
}

function sameNames({ columns }: MysqlTable, names: readonly string[]): boolean {
  return columns.length === names.length && columns.every(({ name }, i) => name === names[i]);
}

export function namesOf({ columns }: MysqlTable): readonly string[] {
  return columns.map(({ name }) => name);
}

const INTEGERS: ReadonlySet<string> = new Set(['tinyint', 'smallint', 'mediumint', 'int', 'bigint']);
/** Other words for them in statements ("Numeric Data Type Syntax" and "Using Data Types from Other Database Engines"). */
const INTEGER_WORDS: ReadonlyMap<string, string> = new Map([
  ['integer', 'int'],
  ['bool', 'tinyint'],
  ['boolean', 'tinyint'],
  ['int1', 'tinyint'],
  ['int2', 'smallint'],
  ['int3', 'mediumint'],
  ['middleint', 'mediumint'],
  ['int4', 'int'],
  ['int8', 'bigint'],
  ['serial', 'bigint'],
]);
/** Types of text that are called so in statements and in the catalogue alike. */
const TEXTS: ReadonlySet<string> = new Set(['char', 'varchar', 'tinytext', 'text', 'mediumtext', 'longtext']);

/**
 * What the log may not say, as the statement has it rather than the catalogue, which may be ahead. A column that is not
 * as the catalogue declares it has no declaration (`columnType`).
 */
function definedColumn(
  column: MysqlColumn,
  { type, values, unsigned, charset }: Definition,
  tableCharset: string | null,
): MysqlColumn {
  if (values !== null) return { ...column, dataType: type, values };
  // CHARACTER SET binary makes another type of it.
  if (TEXTS.has(type) && charset !== 'binary') {
    if (column.dataType !== type) {
      return { ...openColumn(column.name), dataType: type, charset: charset ?? tableCharset ?? 'utf8mb4' };
    }
    const other = charset !== null && charset !== column.charset;
    return other ? { ...column, charset, columnType: null } : column;
  }
  const integer = INTEGER_WORDS.get(type) ?? type;
  const sign = unsigned || type === 'serial';
  // The sign goes with the type: the catalogue may have made another column of that name since.
  if (INTEGERS.has(integer) && column.dataType !== integer) {
    return { ...openColumn(column.name), dataType: integer, unsigned: sign };
  }
  return { ...column, unsigned: sign };
}

/** Columns as a statement leaves them; of those that are gone by now the type is open until a table map says it. */
function tableOf(
  id: TableId,
  columns: readonly StatedColumn[],
  { before, present }: { readonly before: MysqlTable | null; readonly present: MysqlTable | null },
): MysqlTable {
  const base = present ?? before;
  const all = columns.map(({ name, was, definition }): MysqlColumn => {
    const old = before?.columns.find((column) => column.name === was);
    const now = present?.columns.find((column) => column.name === name);
    if (definition === null) return { ...(old ?? now ?? openColumn(name)), name };
    return definedColumn({ ...(now ?? old ?? openColumn(name)), name }, definition, base?.charset ?? null);
  });
  const keys = [present, before].map((table) =>
    table === null
      ? [-1]
      : table.key.map((i) => all.findIndex(({ name }) => name === table.columns[i]!.name)),
  );
  return {
    id,
    columns: all,
    key: keys.find((each) => !each.includes(-1)) ?? [],
    charset: base?.charset ?? null,
    comment: base?.comment ?? null,
  };
}
