/**
 * Bounds of chunks: JSON arrays of texts, one for each key column, or of the first of them. A text is what the
 * server gave, in a form that it takes back exactly: numbers and times as it prints them, strings as the hex of
 * their bytes. Only the server compares them (collations).
 */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { ChunkRange } from '../../snapshot/snapshot-source.ts';
import type { MysqlColumn } from './types/mysql-column.ts';
import { quoteIdent, quoteLiteral } from './wire/quoting.ts';

/** `index`: enum, set and bit order by a number that has to be selected beside them. */
type KeyKind = 'integer' | 'decimal' | 'double' | 'text' | 'bytes' | 'quoted' | 'index';

const KINDS: Readonly<Record<string, KeyKind>> = {
  tinyint: 'integer',
  smallint: 'integer',
  mediumint: 'integer',
  int: 'integer',
  bigint: 'integer',
  year: 'decimal',
  decimal: 'decimal',
  float: 'double',
  double: 'double',
  enum: 'index',
  set: 'index',
  bit: 'index',
  binary: 'bytes',
  varbinary: 'bytes',
  tinyblob: 'bytes',
  blob: 'bytes',
  mediumblob: 'bytes',
  longblob: 'bytes',
  date: 'quoted',
  datetime: 'quoted',
  timestamp: 'quoted',
  time: 'quoted',
  uuid: 'quoted',
  inet4: 'quoted',
  inet6: 'quoted',
};

function kindOf({ dataType, charset }: MysqlColumn): KeyKind | null {
  return KINDS[dataType] ?? (charset === null ? null : 'text');
}

/** Whether rows can be put in order by the column, and its values taken back by the server. */
export function isOrderable(column: MysqlColumn): boolean {
  return kindOf(column) !== null;
}

export function isIntegerKey(column: MysqlColumn | undefined): boolean {
  return column !== undefined && kindOf(column) === 'integer';
}

/** What to select for the key's bound: null where the column itself will do. */
export function boundItem(column: MysqlColumn): string | null {
  return kindOf(column) === 'index' ? `${quoteIdent(column.name)}+0` : null;
}

/** The bound of a key whose cells are these bytes. */
export function boundOf(columns: readonly MysqlColumn[], cells: readonly Buffer[]): string {
  return JSON.stringify(columns.map((column, i) => boundText(column, cells[i]!)));
}

/** One text of a bound. */
export function boundText(column: MysqlColumn, cell: Buffer): string {
  const kind = kindOf(column);
  return kind === 'text' || kind === 'bytes'
    ? cell.hexSlice(0, cell.length)
    : cell.latin1Slice(0, cell.length);
}

const NUMBER = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i;
const HEX = /^(?:[0-9a-f]{2})*$/;

/** What `boundText` gave, as SQL. */
export function boundLiteral(column: MysqlColumn, text: string): string {
  switch (kindOf(column)) {
    case 'integer':
    case 'decimal':
    case 'index':
      if (!NUMBER.test(text)) throw unusable(column);
      return text;
    case 'double':
      if (!NUMBER.test(text)) throw unusable(column);
      return /e/i.test(text) ? text : `${text}e0`;
    case 'text':
      if (!HEX.test(text)) throw unusable(column);
      return `_${column.charset} X'${text}'`;
    case 'bytes':
      if (!HEX.test(text)) throw unusable(column);
      return `X'${text}'`;
    case 'quoted':
      return quoteLiteral(text);
    case null:
      throw unusable(column);
  }
}

function unusable({ name }: MysqlColumn): HeadwaterError {
  return new HeadwaterError(
    'state.snapshot-invalid',
    `The stored bound of a chunk is none of the key column ${name}.`,
    { details: { column: name } },
  );
}

/** Conditions of a range of the key, in the expanded form for which indexes are used. */
export function rangeConditions(
  columns: readonly MysqlColumn[],
  { from, to }: ChunkRange,
): readonly string[] {
  const conditions: string[] = [];
  if (from !== null) conditions.push(comparison(columns, from, '>'));
  if (to !== null) conditions.push(comparison(columns, to, '<='));
  return conditions;
}

function comparison(columns: readonly MysqlColumn[], bound: string, operator: '>' | '<='): string {
  const literals = parseBound(columns, bound).map((text, i) => boundLiteral(columns[i]!, text));
  return tupleComparison(
    columns.map(({ name }) => quoteIdent(name)),
    literals,
    operator,
  );
}

/** Expressions against as many literals or fewer, first ones first, in the form for which indexes are used. */
export function tupleComparison(
  expressions: readonly string[],
  literals: readonly string[],
  operator: '>' | '<=',
): string {
  const strict = operator === '>' ? '>' : '<';
  const terms = literals.map((value, i) => {
    const equal = literals.slice(0, i).map((before, j) => `${expressions[j]} = ${before}`);
    const last = i === literals.length - 1 ? operator : strict;
    return [...equal, `${expressions[i]} ${last} ${value}`].join(' AND ');
  });
  return terms.length === 1 ? terms[0]! : `(${terms.map((term) => `(${term})`).join(' OR ')})`;
}

function parseBound(columns: readonly MysqlColumn[], text: string): readonly string[] {
  const parsed: unknown = JSON.parse(text);
  if (
    !Array.isArray(parsed) ||
    parsed.length === 0 ||
    parsed.length > columns.length ||
    !parsed.every((part): part is string => typeof part === 'string')
  ) {
    throw unusable(columns[0]!);
  }
  return parsed;
}
