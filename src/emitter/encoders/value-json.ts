/**
 * Value → JSON text, one function per column type and profile, chosen when a table's encoder is compiled. They
 * are called for every cell, so the usual value is tested first; null, placeholders and what a format cannot
 * say go through `RowNotes.other`.
 */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Column, ColumnType } from '../../model/table.ts';
import { ABSENT, UNCHANGED, type Value } from '../../model/value.ts';
import type { Profile } from '../../schema/column-schema.ts';
import { integerWriter } from '../../schema/integer-text.ts';
import { decimalBase64, significantScale } from './decimal-bytes.ts';
import { isoDate, isoInterval, isoTime, isoTimestamp, timetzToUtc } from './iso-time.ts';
import { floatJson, quote } from './json-text.ts';

export type WriteValue = (value: Value) => string;

/**
 * What a row's encoding had to leave out, for the record's headers. Collected while a row is written; rare, so
 * the fields stay null.
 */
export interface RowNotes {
  /** Required columns that the image does not hold. */
  absent: string[] | null;
  /** Columns that did not change and that the log leaves out. */
  unavailable: string[] | null;
  /** Column → text of a value its schema cannot hold (numeric NaN, infinite dates). */
  special: Record<string, string> | null;
}

export interface WriterContext {
  readonly profile: Profile;
  /** Whether the record carries a schema, so that nesting has to be as declared. */
  readonly withSchema: boolean;
  /** What a required column gets that the image does not hold; null for an optional one. */
  readonly required: string | null;
  readonly unavailable: string;
  readonly notes: RowNotes;
}

export function valueWriter(column: Column, context: WriterContext): WriteValue {
  const { notes, required, unavailable } = context;
  const name = column.name;
  const other = (value: Value): string => {
    if (value === null) return 'null';
    if (value === UNCHANGED) {
      (notes.unavailable ??= []).push(name);
      return unavailable;
    }
    if (value === ABSENT) {
      if (required === null) return 'null';
      (notes.absent ??= []).push(name);
      return required;
    }
    throw new HeadwaterError('internal.bug', `Column ${name} holds a value that its type does not have.`, {
      details: { column: name, kind: column.type.kind, valueType: typeof value },
    });
  };
  const special = (text: string): string => {
    (notes.special ??= {})[name] = text;
    return required ?? 'null';
  };
  return typeWriter(column.type, {
    profile: context.profile,
    withSchema: context.withSchema,
    other,
    special,
  });
}

interface TypeContext {
  readonly profile: Profile;
  readonly withSchema: boolean;
  /** null, UNCHANGED, ABSENT; throws for anything else. */
  readonly other: WriteValue;
  /** For what the schema cannot hold. */
  readonly special: (text: string) => string;
}

function typeWriter(type: ColumnType, context: TypeContext): WriteValue {
  const { other } = context;
  switch (type.kind) {
    case 'boolean':
      return (v) => (v === true ? 'true' : v === false ? 'false' : other(v));
    case 'int16':
    case 'int32':
      return (v) => (typeof v === 'number' ? String(v) : other(v));
    case 'int64':
      return int64Writer(other);
    case 'float32':
    case 'float64':
      return (v) => (typeof v === 'number' ? floatJson(v) : other(v));
    case 'uuid': // never needs escaping
      return (v) => (typeof v === 'string' ? `"${v}"` : other(v));
    case 'string':
    case 'xml':
    case 'enum':
    case 'ltree':
    case 'tsvector':
      return (v) => (typeof v === 'string' ? quote(v) : other(v));
    case 'json':
    case 'hstore': // always needs escaping
      return (v) => (typeof v === 'string' ? JSON.stringify(v) : other(v));
    case 'bytes':
      return (v) => (v instanceof Uint8Array ? `"${base64(v)}"` : other(v));
    case 'bits':
      return (v) => (v instanceof Uint8Array ? `"${base64(withoutTrailingZeros(v))}"` : other(v));
    case 'decimal':
      return decimalWriter(type.scale, context);
    case 'date':
    case 'time':
    case 'timetz':
    case 'timestamp':
    case 'timestamptz':
    case 'interval':
      return context.profile === 'safe'
        ? isoWriter(type.kind, 'precision' in type ? type.precision : null, other)
        : temporalWriter(type.kind, 'precision' in type ? type.precision : null, context);
    case 'point':
      return (v) => (Array.isArray(v) ? pointJson(v as readonly number[]) : other(v));
    case 'geometry':
    case 'geography':
      return (v) => (Array.isArray(v) ? geometryJson(v) : other(v));
    case 'vector':
      return (v) => (Array.isArray(v) ? `[${(v as number[]).map(floatJson).join(',')}]` : other(v));
    case 'array':
      return arrayWriter(type, context);
  }
}

function int64Writer(other: WriteValue): WriteValue {
  const text = integerWriter();
  return (v) => {
    if (typeof v === 'number') return text(v);
    return typeof v === 'bigint' ? String(v) : other(v);
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** Debezium's Bits are java.util.BitSet.toByteArray: little-endian without zero bytes at the end. */
function withoutTrailingZeros(bytes: Uint8Array): Uint8Array {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0) length--;
  return length === bytes.length ? bytes : bytes.subarray(0, length);
}

function decimalWriter(scale: number | null, { profile, other, special }: TypeContext): WriteValue {
  if (profile === 'safe') return (v) => (typeof v === 'string' ? `"${v}"` : other(v));
  if (scale === null) {
    return (v) => {
      if (typeof v !== 'string') return other(v);
      if (!isFinite(v)) return special(v);
      const digits = significantScale(v);
      return `{"scale":${digits},"value":"${decimalBase64(v, digits)}"}`;
    };
  }
  return (v) => {
    if (typeof v !== 'string') return other(v);
    return isFinite(v) ? `"${decimalBase64(v, scale)}"` : special(v);
  };
}

/** Not NaN and not infinite: ends in a digit. */
function isFinite(decimal: string): boolean {
  return decimal.charCodeAt(decimal.length - 1) <= 57;
}

type Temporal = 'date' | 'time' | 'timetz' | 'timestamp' | 'timestamptz' | 'interval';

/** pgjdbc's stand-ins for infinite timestamps, in microseconds, which Debezium passes on. */
const TIMESTAMP_INFINITY = 9_223_372_036_825_200_000n;
const TIMESTAMP_MINUS_INFINITY = -9_223_372_036_832_400_000n;

function temporalWriter(kind: Temporal, precision: number | null, context: TypeContext): WriteValue {
  const { other, special } = context;
  const milliseconds = precision !== null && precision <= 3;
  switch (kind) {
    case 'date':
      return (v) => {
        if (typeof v !== 'number') return other(v);
        return Number.isFinite(v) ? String(v) : special(infinityText(v));
      };
    case 'time':
      return milliseconds
        ? (v) => (typeof v === 'number' ? String(Math.floor(v / 1000)) : other(v))
        : (v) => (typeof v === 'number' ? String(v) : other(v));
    case 'timetz':
      return (v) => (typeof v === 'string' ? `"${timetzToUtc(v)}"` : other(v));
    case 'timestamp':
      return timestampWriter(milliseconds, context);
    case 'timestamptz':
      return instantWriter(precision, other);
    case 'interval':
      return (v) => {
        if (!Array.isArray(v)) return other(v);
        const [months, days, us] = v as unknown as readonly [number, number, number | bigint];
        if (!Number.isFinite(months)) return special(infinityText(months));
        const duration = microDuration(months, days, us);
        return fitsInt64(duration) ? String(duration) : special(isoInterval(months, days, us));
      };
  }
}

function timestampWriter(milliseconds: boolean, { other, special }: TypeContext): WriteValue {
  const text = integerWriter();
  const unit = milliseconds ? 1000n : 1n;
  const infinity = String(TIMESTAMP_INFINITY / unit);
  const minusInfinity = String(TIMESTAMP_MINUS_INFINITY / unit);
  return (v) => {
    if (typeof v === 'number') {
      if (v === Infinity) return infinity;
      if (v === -Infinity) return minusInfinity;
      return text(milliseconds ? Math.floor(v / 1000) : v);
    }
    if (typeof v !== 'bigint') return other(v);
    const scaled = floorDiv(v, unit);
    // The last 30 years PostgreSQL knows are past 2^63 microseconds from 1970.
    return fitsInt64(scaled) ? String(scaled) : special(isoTimestamp(v, 6));
  };
}

/** As many digits of the second as the column declares. */
function instantWriter(precision: number | null, other: WriteValue): WriteValue {
  const digits = precision ?? 6;
  return (v) => (typeof v === 'number' || typeof v === 'bigint' ? instantJson(v, digits) : other(v));
}

function fitsInt64(n: bigint): boolean {
  return BigInt.asIntN(64, n) === n;
}

function isoWriter(kind: Temporal, precision: number | null, other: WriteValue): WriteValue {
  switch (kind) {
    case 'date':
      return (v) => {
        if (typeof v !== 'number') return other(v);
        return Number.isFinite(v) ? `"${isoDate(v)}"` : `"${infinityText(v)}"`;
      };
    case 'time':
      return (v) => (typeof v === 'number' ? `"${isoTime(v, precision ?? 6)}"` : other(v));
    case 'timetz':
      return (v) => (typeof v === 'string' ? `"${v.replace(/([+-]\d\d)$/, '$1:00')}"` : other(v));
    case 'timestamp':
    case 'timestamptz':
      return instantWriter(precision, other);
    case 'interval':
      return (v) => {
        if (!Array.isArray(v)) return other(v);
        const [months, days, us] = v as unknown as readonly [number, number, number | bigint];
        return Number.isFinite(months) ? `"${isoInterval(months, days, us)}"` : `"${infinityText(months)}"`;
      };
  }
}

function infinityText(n: number): string {
  return n > 0 ? 'infinity' : '-infinity';
}

function instantJson(us: number | bigint, digits: number): string {
  if (us === Infinity) return '"infinity"';
  if (us === -Infinity) return '"-infinity"';
  return `"${isoTimestamp(us, digits)}"`;
}

function floorDiv(n: bigint, by: bigint): bigint {
  const quotient = n / by;
  return n < 0n && quotient * by !== n ? quotient - 1n : quotient;
}

/** A month is a twelfth of 365.25 days, as Debezium counts. */
const US_PER_MONTH = 2_629_800_000_000n;

function microDuration(months: number, days: number, us: number | bigint): bigint {
  return BigInt(months) * US_PER_MONTH + BigInt(days) * 86_400_000_000n + BigInt(us);
}

/** x, y and the point as little-endian WKB, which is what Debezium adds. */
function pointJson(point: readonly number[]): string {
  const [x = 0, y = 0] = point;
  const wkb = Buffer.alloc(21);
  wkb[0] = 1;
  wkb.writeUInt32LE(1, 1);
  wkb.writeDoubleLE(x, 5);
  wkb.writeDoubleLE(y, 13);
  return `{"x":${floatJson(x)},"y":${floatJson(y)},"wkb":"${wkb.toString('base64')}","srid":null}`;
}

function geometryJson(value: readonly Value[]): string {
  const [wkb, srid] = value as readonly [Uint8Array, number | null];
  return `{"wkb":"${base64(wkb)}","srid":${srid}}`;
}

function arrayWriter(type: ColumnType & { kind: 'array' }, context: TypeContext): WriteValue {
  let depth = 1;
  let leaf: ColumnType = type.element;
  for (; leaf.kind === 'array'; leaf = leaf.element) depth++;
  // Elements may always be null, whatever the column.
  const special = (text: string): string => (context.special(text), 'null');
  const writeLeaf = typeWriter(leaf, { ...context, special });
  const leafIsArray = ARRAY_VALUED.has(leaf.kind);
  const isLeaf = (v: Value): boolean => !Array.isArray(v) || (leafIsArray && !isNested(v));
  const write = (v: Value): string => (isLeaf(v) ? writeLeaf(v) : `[${(v as Value[]).map(write).join(',')}]`);
  return (v) => {
    if (!Array.isArray(v)) return context.other(v);
    // PostgreSQL does not hold an array to its declared dimensions, a schema does.
    const shaped = context.withSchema
      ? toDepth(v as readonly Value[], depth, isLeaf)
      : (v as readonly Value[]);
    return `[${shaped.map(write).join(',')}]`;
  };
}

const ARRAY_VALUED: ReadonlySet<ColumnType['kind']> = new Set([
  'point',
  'interval',
  'geometry',
  'geography',
  'vector',
]);

function isNested(v: readonly Value[]): boolean {
  return v.length === 0 || v[0] === null || Array.isArray(v[0]);
}

/** Too deep: flattened in row order; too shallow: wrapped. */
function toDepth(values: readonly Value[], depth: number, isLeaf: (v: Value) => boolean): readonly Value[] {
  let shaped = values;
  let has = 1;
  for (let v: Value = values[0] ?? null; !isLeaf(v); v = (v as Value[])[0] ?? null) has++;
  if (shaped.length === 0) return shaped;
  for (; has > depth; has--) shaped = shaped.flatMap((v) => (Array.isArray(v) ? (v as Value[]) : [v]));
  for (; has < depth; has++) shaped = [shaped];
  return shaped;
}
