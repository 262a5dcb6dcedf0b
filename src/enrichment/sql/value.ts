import { canonicalText, compareDecimals, type Decimal } from './decimal.ts';
import type { SqlType } from './sql-type.ts';

/**
 * What an expression gives. The static type says which:
 *
 * | type | value |
 * | --- | --- |
 * | BOOLEAN | boolean |
 * | INTEGER | number |
 * | BIGINT | number where it is a safe integer, else bigint |
 * | DECIMAL | Decimal |
 * | DOUBLE | number |
 * | STRING | string |
 * | BYTES | Uint8Array |
 * | DATE | number, days since 1970-01-01 |
 * | TIME | number, milliseconds since midnight |
 * | TIMESTAMP | number, milliseconds since 1970 UTC |
 * | ARRAY | array |
 * | MAP | Map |
 * | STRUCT | array, in the order of the fields |
 */
export type SqlValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Decimal
  | readonly SqlValue[]
  | ReadonlyMap<SqlValue, SqlValue>;

const MIN_BIGINT = -(2n ** 63n);
const MAX_BIGINT = 2n ** 63n - 1n;

/** A BIGINT in its one form; null beyond 64 bits. */
export function bigintValue(n: bigint): number | bigint | null {
  if (n < MIN_BIGINT || n > MAX_BIGINT) return null;
  return n >= BigInt(Number.MIN_SAFE_INTEGER) && n <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(n) : n;
}

/** Negative, zero or positive. Neither is null; both are of `type`, which has an order. */
export function compareValues(type: SqlType, a: SqlValue, b: SqlValue): number {
  switch (type.kind) {
    case 'DECIMAL':
      return compareDecimals(a as Decimal, b as Decimal);
    case 'STRING': {
      const [x, y] = [a as string, b as string];
      return x < y ? -1 : x > y ? 1 : 0;
    }
    case 'BYTES':
      return Buffer.compare(a as Uint8Array, b as Uint8Array);
    case 'BOOLEAN':
      return Number(a) - Number(b);
    default: {
      const [x, y] = [a as number | bigint, b as number | bigint];
      return x < y ? -1 : x > y ? 1 : 0;
    }
  }
}

/** Equality of two values of one type, element-wise; NULL equals NULL inside of collections. */
export function equalValues(type: SqlType, a: SqlValue, b: SqlValue): boolean {
  if (a === null || b === null) return a === b;
  switch (type.kind) {
    case 'ARRAY': {
      const [x, y] = [a as readonly SqlValue[], b as readonly SqlValue[]];
      return x.length === y.length && x.every((item, i) => equalValues(type.element, item, y[i] ?? null));
    }
    case 'STRUCT': {
      const [x, y] = [a as readonly SqlValue[], b as readonly SqlValue[]];
      return type.fields.every((field, i) => equalValues(field.type, x[i] ?? null, y[i] ?? null));
    }
    case 'MAP': {
      const [x, y] = [a as ReadonlyMap<SqlValue, SqlValue>, b as ReadonlyMap<SqlValue, SqlValue>];
      return (
        x.size === y.size &&
        [...x].every(([key, value]) => y.has(key) && equalValues(type.value, value, y.get(key) ?? null))
      );
    }
    default:
      return compareValues(type, a, b) === 0;
  }
}

/** Two rows of the same columns. */
export function sameRow(types: readonly SqlType[], a: readonly SqlValue[], b: readonly SqlValue[]): boolean {
  return types.every((type, i) => equalValues(type, a[i] ?? null, b[i] ?? null));
}

export type KeyValue = boolean | number | bigint | string;

/** A value as the key of a Map, equal for equal values of one type. Not null. */
export function keyOf(type: SqlType, value: SqlValue): KeyValue {
  switch (type.kind) {
    case 'DECIMAL':
      return canonicalText(value as Decimal);
    case 'BYTES':
      return Buffer.from(value as Uint8Array).toString('latin1');
    case 'ARRAY':
    case 'MAP':
    case 'STRUCT':
      throw new TypeError(`A value of type ${type.kind} cannot be a key.`);
    default:
      return value as KeyValue;
  }
}
