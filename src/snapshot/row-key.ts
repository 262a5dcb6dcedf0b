import { asHeadwaterError, HeadwaterError } from '../errors/headwater-error.ts';
import type { Column, TableSchema } from '../model/table.ts';
import type { RowChange } from '../model/change.ts';
import { type Image, RawRow, valueOf } from '../model/raw-row.ts';
import { ABSENT, type Row, UNCHANGED, type Value } from '../model/value.ts';

/** Something a Map can be keyed by: the value itself where it is a primitive, else a text made of it. */
export type RowKey = string | number | bigint | boolean | null;

/**
 * The key of a row, for comparison with other rows of the same table; undefined where the image does not hold
 * it. Keys are compared as the database printed them, not by the type's own equality: what replaces or removes
 * a row version always carries that version's very key (PostgreSQL compares the bytes of key columns to decide
 * whether the old key is logged), and two live versions cannot differ in print alone, since the index is
 * unique. So citext, `1.0` and `1.00`, or nondeterministic collations need nothing special.
 */
export function rowKey(row: Image, key: readonly number[]): RowKey | undefined {
  if (key.length === 1) {
    const value = valueOf(row, key[0]!);
    if (value === undefined || isLeftOut(value)) return undefined;
    return typeof value === 'object' && value !== null ? textOf(value) : value;
  }
  const parts: Value[] = [];
  for (const index of key) {
    const value = valueOf(row, index);
    if (value === undefined || isLeftOut(value)) return undefined;
    parts.push(value);
  }
  return textOf(parts);
}

/** The key of a row as text that `keyValues` takes back; undefined where the image does not hold it. */
export function keyText(row: Image, key: readonly number[]): string | undefined {
  const parts = key.map((index) => valueOf(row, index));
  return parts.some((value) => value === undefined || isLeftOut(value)) ? undefined : textOf(parts);
}

/** What `keyText` was made of. Throws `state.snapshot-invalid` for anything else. */
export function keyValues(text: string): Row {
  const values: unknown = JSON.parse(text, (_, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    if ('b' in part && typeof part.b === 'string') return new Uint8Array(Buffer.from(part.b, 'hex'));
    if (!('n' in part) || typeof part.n !== 'string') return undefined;
    return /^-?\d+$/.test(part.n) ? BigInt(part.n) : Number(part.n);
  });
  if (isRow(values)) return values;
  throw new HeadwaterError(
    'state.snapshot-invalid',
    'The stored key of a row is not one this version can read.',
  );
}

function isRow(values: unknown): values is Row {
  return (
    Array.isArray(values) &&
    values.every(
      (value) =>
        value === null ||
        value instanceof Uint8Array ||
        ['string', 'number', 'bigint', 'boolean'].includes(typeof value) ||
        isRow(value),
    )
  );
}

/**
 * The key (`keyText`) under which a row lies behind the change, where that is another one than before and the log has left
 * columns out of the row. Undefined for all other changes.
 */
export function movedKey({ table, before, after, unreadable }: RowChange): string | undefined {
  if (before === null || after === null || after instanceof RawRow || unreadable !== undefined)
    return undefined;
  if (!after.some(isLeftOut)) return undefined;
  const was = keyText(before, table.key);
  const is = keyText(
    after.map((value, i) => (isLeftOut(value) ? valueOf(before, i) : value)),
    table.key,
  );
  return is === was ? undefined : is;
}

/** Whether the image of a row does not hold the value. */
export function isLeftOut(value: Value): value is typeof UNCHANGED | typeof ABSENT {
  return value === UNCHANGED || value === ABSENT;
}

/** In place of a key whose text is not in the form of its column's type. */
export const UNREADABLE_KEY = Symbol('unreadable key');

/** As `rowKey`, for rows that nobody has looked at yet. */
export function readableKey(row: Image, key: readonly number[]): RowKey | typeof UNREADABLE_KEY | undefined {
  try {
    return rowKey(row, key);
  } catch (error) {
    if (asHeadwaterError(error).code !== 'source.value-unreadable') throw error;
    return UNREADABLE_KEY;
  }
}

function textOf(value: Value): string {
  return JSON.stringify(plain(value));
}

/** What JSON has no form for in one of its own, bytes also where they are a Buffer's. */
function plain(value: Value): unknown {
  if (typeof value === 'bigint') return { n: String(value) };
  if (typeof value === 'number' && !Number.isFinite(value)) return { n: String(value) };
  if (value instanceof Uint8Array) return { b: Buffer.from(value).toString('hex') };
  return Array.isArray(value) ? (value as readonly Value[]).map(plain) : value;
}

/** Where the columns named by `key` of one schema stand in another; null where one is missing. */
export function keyIn(
  schema: TableSchema,
  key: readonly number[],
  of: TableSchema,
): readonly number[] | null {
  if (schema === of) return key;
  const indexes = key.map((index) =>
    schema.columns.findIndex((column) => column.name === of.columns[index]?.name),
  );
  return indexes.includes(-1) ? null : indexes;
}

/** Whether rows of the two look alike: nullability, defaults and version aside. */
export function sameShape(a: TableSchema, b: TableSchema): boolean {
  return (
    a === b ||
    (a.columns.length === b.columns.length &&
      a.columns.every((column, i) => sameColumn(column, b.columns[i]!)))
  );
}

function sameColumn(a: Column, b: Column): boolean {
  return a.name === b.name && a.nativeType === b.nativeType && a.length === b.length && a.scale === b.scale;
}
