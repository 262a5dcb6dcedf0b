/** Columns of captured tables as SQL sees them: their types, and how a Value becomes a SqlValue. */
import type { Column, ColumnType, TableSchema } from '../../model/table.ts';
import type { Value } from '../../model/value.ts';
import { parseDecimal } from '../sql/decimal.ts';
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

export function columnType(type: ColumnType): SqlType {
  switch (type.kind) {
    case 'boolean':
      return BOOLEAN;
    case 'int16':
    case 'int32':
      return INTEGER;
    case 'int64':
      return BIGINT;
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
    default:
      return STRING;
  }
}

/** Answers undefined where the value has no equal in SQL: NaN as a DECIMAL, infinity as a date. */
export type ValueReader = (value: Value) => SqlValue | undefined;

export function valueReader(type: ColumnType): ValueReader {
  switch (type.kind) {
    case 'boolean':
      return (value) => (typeof value === 'boolean' ? value : undefined);
    case 'int16':
    case 'int32':
    case 'float32':
    case 'float64':
      return (value) => (typeof value === 'number' ? value : undefined);
    case 'int64':
      return (value) => (typeof value === 'number' || typeof value === 'bigint' ? value : undefined);
    case 'decimal':
      return (value) => (typeof value === 'string' ? (parseDecimal(value) ?? undefined) : undefined);
    case 'bytes':
    case 'bits':
      return (value) => (value instanceof Uint8Array ? value : undefined);
    case 'geometry':
    case 'geography':
      return (value) => (Array.isArray(value) && value[0] instanceof Uint8Array ? value[0] : undefined);
    case 'date':
      return (value) => (Number.isInteger(value) ? Number(value) : undefined);
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return milliseconds;
    case 'interval':
      return (value) => (Array.isArray(value) ? intervalText(value) : undefined);
    case 'point':
    case 'vector':
      return (value) => numbers(value);
    case 'array':
      return arrayReader(valueReader(type.element));
    default:
      return (value) => (typeof value === 'string' ? value : undefined);
  }
}

function milliseconds(value: Value): SqlValue | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? Math.floor(value / 1000) : undefined;
  if (typeof value !== 'bigint') return undefined;
  const ms = value / 1000n - (value < 0n && value % 1000n !== 0n ? 1n : 0n);
  return Number(ms);
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
function intervalText(value: readonly Value[]): string {
  const [months, days, us] = value.map(Number);
  const seconds = (us ?? 0) / 1_000_000;
  return `P${months ?? 0}M${days ?? 0}DT${seconds}S`;
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
