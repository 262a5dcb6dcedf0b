/**
 * Value → JSON text, one function per column type and profile, chosen when a table's encoder is compiled. They
 * are called for every cell, so the usual value is tested first; null, placeholders and what a format cannot
 * say go through `RowNotes.other`.
 */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Column, ColumnType } from '../../model/table.ts';
import { ABSENT, UNCHANGED, type Value } from '../../model/value.ts';
import { type Profile, unsignedAsText } from '../../schema/column-schema.ts';
import { integerWriter } from '../../schema/integer-text.ts';
import { decimalBase64, significantScale } from './decimal-bytes.ts';
import { floatJson, quote } from './json-text.ts';
import { temporalWriter } from './temporal-json.ts';
import type { TypeContext, WriteValue } from './write-value.ts';

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
  /** Whether the record's field may be null. */
  readonly optional: boolean;
  /** What a required column gets that the image does not hold; null for an optional one. */
  readonly required: string | null;
  readonly unavailable: string;
  readonly notes: RowNotes;
}

/** For one column of one table version; called for every cell of it. */
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
    column: name,
    profile: context.profile,
    withSchema: context.withSchema,
    optional: context.optional,
    other,
    special,
  });
}

function typeWriter(type: ColumnType, context: TypeContext): WriteValue {
  const { other } = context;
  switch (type.kind) {
    case 'boolean':
      return (v) => (v === true ? 'true' : v === false ? 'false' : other(v));
    case 'int8':
    case 'int16':
    case 'int32':
    case 'year':
      return (v) => (typeof v === 'number' ? String(v) : other(v));
    case 'int64':
      return int64Writer(other);
    case 'uint64':
      return uint64Writer(type, context);
    case 'float32':
    case 'float64':
      return (v) => (typeof v === 'number' ? floatJson(v) : other(v));
    case 'zonedtimestamp':
    case 'uuid': // never need escaping
      return (v) => (typeof v === 'string' ? `"${v}"` : other(v));
    case 'string':
    case 'xml':
    case 'enum':
    case 'set':
    case 'ltree':
    case 'tsvector':
      return (v) => (typeof v === 'string' ? quote(v) : other(v));
    case 'json':
    case 'hstore': // always needs escaping
      return (v) => (typeof v === 'string' ? JSON.stringify(v) : other(v));
    case 'bytes':
      return (v) => (v instanceof Uint8Array ? `"${base64(v)}"` : other(v));
    case 'bits':
      return type.padded === true
        ? (v) => (v instanceof Uint8Array ? `"${base64(v)}"` : other(v))
        : (v) => (v instanceof Uint8Array ? `"${base64(withoutTrailingZeros(v))}"` : other(v));
    case 'decimal':
      return decimalWriter(type.scale, context);
    case 'date':
    case 'time':
    case 'timetz':
    case 'duration':
    case 'timestamp':
    case 'timestamptz':
    case 'interval':
      return temporalWriter(type, context);
    case 'point':
      return (v) => (Array.isArray(v) ? pointJson(v as readonly Value[]) : other(v));
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

const MAX_INT64 = 9_223_372_036_854_775_807n;

function uint64Writer(type: ColumnType & { readonly kind: 'uint64' }, context: TypeContext): WriteValue {
  const { other, column } = context;
  const text = integerWriter();
  if (unsignedAsText(type, context.profile)) {
    return (v) => {
      if (typeof v === 'number') return `"${text(v)}"`;
      return typeof v === 'bigint' ? `"${v}"` : other(v);
    };
  }
  return (v) => {
    if (typeof v === 'number') return text(v);
    if (typeof v !== 'bigint') return other(v);
    if (v <= MAX_INT64) return String(v);
    if (type.overflow === 'wrap') return String(BigInt.asIntN(64, v));
    throw new HeadwaterError(
      'delivery.unsigned-overflow',
      `The unsigned column ${column} holds a number past 2^63-1, which an int64 cannot.`,
      { details: { column } },
    );
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

/** x, y and the point as little-endian WKB: the source's own, or made of them, as Debezium does. */
function pointJson(point: readonly Value[]): string {
  const [x, y, wkb = null, srid = null] = point as readonly [
    x: number,
    y: number,
    wkb?: Uint8Array,
    srid?: number | null,
  ];
  return `{"x":${floatJson(x)},"y":${floatJson(y)},"wkb":"${base64(wkb ?? pointWkb(x, y))}","srid":${srid}}`;
}

function pointWkb(x: number, y: number): Uint8Array {
  const wkb = Buffer.alloc(21);
  wkb[0] = 1;
  wkb.writeUInt32LE(1, 1);
  wkb.writeDoubleLE(x, 5);
  wkb.writeDoubleLE(y, 13);
  return wkb;
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
