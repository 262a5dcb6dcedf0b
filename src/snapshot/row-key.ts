import { asHeadwaterError } from '../errors/headwater-error.ts';
import type { Column, TableSchema } from '../model/table.ts';
import { type Image, valueOf } from '../model/text-row.ts';
import { ABSENT, UNCHANGED, type Value } from '../model/value.ts';

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
    if (value === undefined || value === UNCHANGED || value === ABSENT) return undefined;
    return typeof value === 'object' && value !== null ? textOf(value) : value;
  }
  const parts: Value[] = [];
  for (const index of key) {
    const value = valueOf(row, index);
    if (value === undefined || value === UNCHANGED || value === ABSENT) return undefined;
    parts.push(value);
  }
  return textOf(parts);
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
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === 'bigint') return { n: String(part) };
    if (typeof part === 'number' && !Number.isFinite(part)) return { n: String(part) };
    if (part instanceof Uint8Array) return { b: Buffer.from(part).toString('hex') };
    return part;
  });
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
