/** Columns of captured tables as SQL sees them: their types, and how a Value becomes a SqlValue. */
import type { Column, ColumnType, TableSchema, ZeroDates } from '../../model/table.ts';
import type { Value } from '../../model/value.ts';
import { canonicalText, Decimal, parseDecimal } from '../sql/decimal.ts';
import {
  ANY_DECIMAL,
  BIGINT,
  BOOLEAN,
  BYTES,
  DATE,
  decimal,
  DOUBLE,
  INTEGER,
  type SqlType,
  STRING,
  TIME,
  TIMESTAMP,
} from '../sql/sql-type.ts';
import type { SqlValue } from '../sql/value.ts';

/** One column of a table as its records show it: what the settings leave out is not there. */
export interface ShownColumn {
  /** Place in the table's rows. */
  readonly index: number;
  /** Name and type as shown. */
  readonly column: Column;
  /** What the settings do to its values; null: nothing. */
  readonly write: ((value: Value) => Value) | null;
}

export type ShownColumns = (table: TableSchema) => readonly ShownColumn[];

const POINT: SqlType = {
  kind: 'STRUCT',
  fields: [
    { name: 'X', type: DOUBLE },
    { name: 'Y', type: DOUBLE },
  ],
};

/** Of an unsigned number of 64 bits. */
const UINT64 = decimal(20, 0);

export function columnType(type: ColumnType): SqlType {
  switch (type.kind) {
    case 'boolean':
      return BOOLEAN;
    case 'int8':
    case 'int16':
    case 'int32':
    case 'year':
      return INTEGER;
    case 'int64':
    case 'duration': // microseconds: TIME is of a day, and MySQL's may be negative, or of 838 hours
      return BIGINT;
    case 'uint64':
      return UINT64;
    case 'float32':
    case 'float64':
      return DOUBLE;
    case 'decimal': {
      const { precision, scale } = type;
      // A negative scale, or one beyond the precision, is PostgreSQL's alone.
      if (precision === null || scale === null || scale < 0 || scale > precision) return ANY_DECIMAL;
      return decimal(precision, scale);
    }
    case 'bytes':
    case 'bits':
    case 'geometry':
    case 'geography':
      return BYTES;
    case 'date':
      return DATE;
    case 'time':
      return TIME;
    case 'timestamp':
    case 'timestamptz':
      return TIMESTAMP;
    case 'point':
      return POINT;
    case 'vector':
      return { kind: 'ARRAY', element: DOUBLE };
    case 'array':
      return { kind: 'ARRAY', element: columnType(type.element) };
    case 'string':
    case 'json':
    case 'xml':
    case 'uuid':
    case 'ltree':
    case 'tsvector':
    case 'hstore':
    case 'enum':
    case 'set':
    case 'timetz':
    case 'zonedtimestamp':
    case 'interval':
      return STRING;
  }
}

/**
 * Answers undefined where the value has no equal in SQL: NaN as a DECIMAL, infinity and dates that no calendar has,
 * an array of more dimensions than its type says. Whoever reads takes NULL for it, and notes that.
 */
export type ValueReader = (value: Value) => SqlValue | undefined;

export function valueReader(type: ColumnType): ValueReader {
  switch (type.kind) {
    case 'boolean':
      return (value) => (typeof value === 'boolean' ? value : undefined);
    case 'int8':
    case 'int16':
    case 'int32':
    case 'year':
    case 'float32':
    case 'float64':
      return (value) => (typeof value === 'number' ? value : undefined);
    case 'int64':
    case 'duration':
      return (value) => (typeof value === 'number' || typeof value === 'bigint' ? value : undefined);
    case 'uint64':
      return (value) =>
        typeof value === 'number' || typeof value === 'bigint' ? new Decimal(BigInt(value), 0) : undefined;
    case 'decimal':
      return (value) => (typeof value === 'string' ? (parseDecimal(value) ?? undefined) : undefined);
    case 'bytes':
    case 'bits':
      return (value) => (value instanceof Uint8Array ? value : undefined);
    case 'geometry':
    case 'geography':
      return (value) => (Array.isArray(value) && value[0] instanceof Uint8Array ? value[0] : undefined);
    case 'date': {
      const zero = zeroOf(type);
      return (value) => (Number.isInteger(value) ? Number(value) : zero(value));
    }
    case 'time':
      return (value) => milliseconds(value, 1_000);
    case 'timestamp':
    case 'timestamptz': {
      const units = (type.precision ?? 6) > 6 ? 1_000_000 : 1_000;
      const zero = zeroOf(type);
      return (value) => milliseconds(value, units) ?? zero(value);
    }
    case 'interval':
      return (value) => (Array.isArray(value) ? intervalText(value) : undefined);
    case 'point':
      // Behind x and y may stand the same as WKB.
      return (value) => (Array.isArray(value) ? numbers(value.slice(0, 2)) : undefined);
    case 'vector':
      return numbers;
    case 'array':
      return arrayReader(valueReader(type.element));
    case 'string':
    case 'json':
    case 'xml':
    case 'uuid':
    case 'ltree':
    case 'tsvector':
    case 'hstore':
    case 'enum':
    case 'set':
    case 'timetz':
    case 'zonedtimestamp':
      return (value) => (typeof value === 'string' ? value : undefined);
  }
}

/** Dates that no calendar has are text (`0000-00-00`); where the table's own records show the epoch, so do we. */
function zeroOf({ zero }: { readonly zero?: ZeroDates }): ValueReader {
  return zero === 'epoch' ? (value) => (typeof value === 'string' ? 0 : undefined) : () => undefined;
}

/** `units`: how many there are to a millisecond. */
function milliseconds(value: Value, units: number): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? Math.floor(value / units) : undefined;
  if (typeof value !== 'bigint') return undefined;
  const divisor = BigInt(units);
  return Number(value / divisor - (value < 0n && value % divisor !== 0n ? 1n : 0n));
}

function numbers(value: Value): SqlValue | undefined {
  if (!Array.isArray(value)) return undefined;
  const read: number[] = [];
  for (const item of value as readonly Value[]) {
    if (typeof item !== 'number') return undefined;
    read.push(item);
  }
  return read;
}

/** ISO 8601, as far as its fields are set. */
function intervalText([months, days, us, ns]: readonly Value[]): string {
  if (months === Infinity) return 'infinity';
  if (months === -Infinity) return '-infinity';
  const micros = typeof us === 'number' || typeof us === 'bigint' ? BigInt(us) : 0n;
  const nanos = micros * 1000n + (typeof ns === 'number' ? BigInt(ns) : 0n);
  const seconds = canonicalText(new Decimal(nanos, 9));
  return `P${String(months ?? 0)}M${String(days ?? 0)}DT${seconds}S`;
}

/** An array of more dimensions than its type says has no equal: its items are none of the element's values. */
function arrayReader(item: ValueReader): ValueReader {
  return (value) => {
    if (!Array.isArray(value)) return undefined;
    const read: SqlValue[] = [];
    for (const each of value as readonly Value[]) {
      const converted = each === null ? null : item(each);
      if (converted === undefined) return undefined;
      read.push(converted);
    }
    return read;
  };
}
