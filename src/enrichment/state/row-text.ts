/** Rows of captured columns as JSON, for files of our own. Static types make the casts in here sound. */
import { type Decimal, parseDecimal } from '../sql/decimal.ts';
import type { SqlType } from '../sql/sql-type.ts';
import type { KeyValue, SqlValue } from '../sql/value.ts';

type Json = null | boolean | number | string | readonly Json[];

export interface RowCodec {
  encode(row: readonly SqlValue[]): Json;
  /** Of what `encode` made. */
  decode(json: unknown): SqlValue[];
}

export function rowCodec(types: readonly SqlType[]): RowCodec {
  return {
    encode: (row) => types.map((type, i) => encode(type, row[i] ?? null)),
    decode: (json) => {
      const list = Array.isArray(json) ? (json as readonly unknown[]) : [];
      return types.map((type, i) => decode(type, list[i] ?? null));
    },
  };
}

function encode(type: SqlType, value: SqlValue): Json {
  if (value === null) return null;
  switch (type.kind) {
    case 'DECIMAL':
      return (value as Decimal).toString();
    case 'BIGINT':
      return typeof value === 'bigint' ? String(value) : (value as number);
    case 'DOUBLE':
      // What JSON has no number for is kept as text.
      return Number.isFinite(value) && !Object.is(value, -0)
        ? (value as number)
        : doubleName(value as number);
    case 'BYTES':
      return Buffer.from(value as Uint8Array).toString('base64');
    case 'ARRAY':
      return (value as readonly SqlValue[]).map((item) => encode(type.element, item));
    case 'STRUCT':
      return type.fields.map((field, i) => encode(field.type, (value as readonly SqlValue[])[i] ?? null));
    case 'MAP':
      return [...(value as ReadonlyMap<SqlValue, SqlValue>)].map(([key, item]) => [
        encode(type.key, key),
        encode(type.value, item),
      ]);
    default:
      return value as boolean | number | string;
  }
}

function doubleName(n: number): string {
  return Object.is(n, -0) ? '-0' : String(n);
}

function decode(type: SqlType, json: unknown): SqlValue {
  if (json === null) return null;
  switch (type.kind) {
    case 'DECIMAL':
      return parseDecimal(json as string);
    case 'BIGINT':
      return typeof json === 'string' ? BigInt(json) : (json as number);
    case 'DOUBLE':
      return Number(json);
    case 'BYTES':
      return Buffer.from(json as string, 'base64');
    case 'ARRAY':
      return (json as readonly unknown[]).map((item) => decode(type.element, item));
    case 'STRUCT':
      return type.fields.map((field, i) => decode(field.type, (json as readonly unknown[])[i] ?? null));
    case 'MAP':
      return new Map(
        (json as readonly (readonly [unknown, unknown])[]).map(([key, item]) => [
          decode(type.key, key),
          decode(type.value, item),
        ]),
      );
    default:
      return json as boolean | number | string;
  }
}

/** Keys are primitives; a bigint is the one that JSON has not. */
export function encodeKey(key: KeyValue): Json {
  return typeof key === 'bigint' ? [String(key)] : key;
}

export function decodeKey(json: unknown): KeyValue {
  return Array.isArray(json)
    ? BigInt((json as readonly string[])[0] ?? 0)
    : (json as boolean | number | string);
}
