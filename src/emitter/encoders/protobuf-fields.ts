/**
 * Fields of Protobuf messages: one writer a column. What is rare goes the long way, over the JSON form of the value, as
 * in Avro.
 */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { ColumnType } from '../../model/table.ts';
import type { Profile } from '../../schema/column-schema.ts';
import type { ConnectSchema } from '../../schema/connect-schema.ts';
import { CONNECT_DECIMAL } from '../../schema/protobuf-schema.ts';
import { type BinaryField, usualForm, type WriteJson, type WriteValue } from './binary-fields.ts';
import { BinaryWriter } from './binary-writer.ts';
import { bytesOf, floatOf, type JsonTree, parseExact, refuseNull } from './connect-json.ts';
import { isFiniteDecimal, writeUnscaled } from './decimal-binary.ts';
import type { RowField } from './row-fields.ts';

/** Wire types, the low bits of a field's tag. */
export const VARINT = 0;
const FIXED64 = 1;
export const LENGTH = 2;
const FIXED32 = 5;

/** A field's number and wire type, which stand before it. */
export function tag(number: number, wire: number, out: BinaryWriter): void {
  const value = number * 8 + wire;
  if (value < 128) out.byte(value);
  else out.varint(value);
}

/** How a column is written into a row or key as the field with this number, compiled for its type. */
export function columnField(
  { index, column, schema, json }: RowField,
  number: number,
  profile: Profile,
): BinaryField {
  const rare = jsonField(schema, number, column.name);
  const other: WriteValue = (value, out) => rare(parseExact(json(value)), out);
  return { index, write: usualWriter(column.type, { profile, number, other }) };
}

interface ColumnContext {
  readonly profile: Profile;
  readonly number: number;
  /** Null, placeholders, specials. */
  readonly other: WriteValue;
}

/**
 * The usual value of the types that tables mostly consist of; all else goes to `other`. Zero and empty are written
 * also where a reader would take their absence for them.
 */
function usualWriter(type: ColumnType, { profile, number, other }: ColumnContext): WriteValue {
  const usual = usualForm(type, profile);
  switch (usual?.form) {
    case 'boolean':
      return (v, out) => {
        if (typeof v !== 'boolean') return other(v, out);
        tag(number, VARINT, out);
        out.byte(v ? 1 : 0);
      };
    case 'integer':
      return integerWriter(number, other);
    case 'float':
      return (v, out) => {
        if (typeof v !== 'number') return other(v, out);
        tag(number, FIXED32, out);
        out.float(v);
      };
    case 'double':
      return (v, out) => {
        if (typeof v !== 'number') return other(v, out);
        tag(number, FIXED64, out);
        out.double(v);
      };
    case 'string':
      return stringWriter(number, other);
    case 'bytes':
      return (v, out) => {
        if (!(v instanceof Uint8Array)) return other(v, out);
        tag(number, LENGTH, out);
        out.blob(v, 0);
      };
    case 'decimal':
      return decimalWriter(usual, number, other);
    case 'instant':
      return instantWriter(usual.digits, number, other);
    case undefined:
      return other;
  }
}

function integerWriter(number: number, other: WriteValue): WriteValue {
  return (v, out) => {
    if (typeof v !== 'number' || !Number.isFinite(v)) return other(v, out);
    tag(number, VARINT, out);
    out.varint(v);
  };
}

function stringWriter(number: number, other: WriteValue): WriteValue {
  return (v, out) => {
    if (typeof v !== 'string') return other(v, out);
    tag(number, LENGTH, out);
    out.string(v, 0);
  };
}

function instantWriter(digits: number, number: number, other: WriteValue): WriteValue {
  return (v, out) => {
    if (typeof v !== 'number' || !Number.isFinite(v)) return other(v, out);
    tag(number, LENGTH, out);
    out.instant(v, digits, 0);
  };
}

/** A field of `schema` from the JSON form of its value; nothing for null. */
export function jsonField(schema: ConnectSchema, number: number, place: string): WriteJson {
  if (schema.type === 'array') return repeatedField(schema, number, place);
  if (schema.type === 'map') return mapField(schema, number, place);
  const write = singleField(schema, number, place);
  return (json, out) => {
    if (json !== null) write(json, out);
    else if (!schema.optional) refuseNull(place, 'Protobuf');
  };
}

function singleField(schema: ConnectSchema, number: number, place: string): WriteJson {
  if (schema.name === CONNECT_DECIMAL) return decimalField(schema, number);
  switch (schema.type) {
    case 'boolean':
      return (json, out) => {
        tag(number, VARINT, out);
        out.byte(json === true ? 1 : 0);
      };
    case 'float':
      return (json, out) => {
        tag(number, FIXED32, out);
        out.float(floatOf(json));
      };
    case 'double':
      return (json, out) => {
        tag(number, FIXED64, out);
        out.double(floatOf(json));
      };
    case 'string':
      return (json, out) => {
        tag(number, LENGTH, out);
        out.string(json as string, 0);
      };
    case 'bytes':
      return (json, out) => {
        tag(number, LENGTH, out);
        out.blob(bytesOf(json), 0);
      };
    case 'struct': {
      const body = structBody(schema, place);
      return (json, out) => {
        tag(number, LENGTH, out);
        const start = out.at;
        body(json, out);
        out.prefix(start);
      };
    }
    default:
      return (json, out) => {
        tag(number, VARINT, out);
        if (typeof json === 'bigint') out.varintBig(json);
        else out.varint(json as number);
      };
  }
}

/** confluent.type.Decimal: the unscaled value, then precision and scale, which a column has always the same. */
function decimalEnd(precision: number | null, scale: number): Buffer {
  const out = new BinaryWriter(32);
  if (precision !== null) {
    tag(2, VARINT, out);
    out.varint(precision);
  }
  if (scale !== 0) {
    tag(3, VARINT, out);
    out.varint(scale);
  }
  return out.copyFrom(0);
}

function decimalWriter(
  type: { readonly precision: number | null; readonly scale: number },
  number: number,
  other: WriteValue,
): WriteValue {
  const { scale } = type;
  const end = decimalEnd(type.precision, scale);
  return (v, out) => {
    if (typeof v !== 'string' || !isFiniteDecimal(v)) return other(v, out);
    tag(number, LENGTH, out);
    const start = out.at;
    tag(1, LENGTH, out);
    writeUnscaled(v, scale, out, 0);
    out.bytes(end);
    out.prefix(start);
  };
}

function decimalField({ parameters = {} }: ConnectSchema, number: number): WriteJson {
  const precision = parameters['connect.decimal.precision'];
  const end = decimalEnd(
    precision === undefined ? null : Number(precision),
    Number(parameters['scale'] ?? 0),
  );
  return (json, out) => {
    tag(number, LENGTH, out);
    const start = out.at;
    tag(1, LENGTH, out);
    out.blob(bytesOf(json), 0);
    out.bytes(end);
    out.prefix(start);
  };
}

/** Elements one by one; a null array looks like an empty one, and an element cannot be null. */
function repeatedField(schema: ConnectSchema, number: number, place: string): WriteJson {
  const write = singleField(schema.items!, number, place);
  return (json, out) => {
    if (json === null) return;
    for (const item of json as readonly JsonTree[]) {
      if (item !== null) {
        write(item, out);
        continue;
      }
      throw new HeadwaterError(
        'schema.value-unrepresentable',
        `An array in the column ${place} has an element that is null, which Protobuf cannot say.`,
        { details: { column: place } },
      );
    }
  };
}

function mapField(schema: ConnectSchema, number: number, place: string): WriteJson {
  const write = singleField(schema.items!, 2, place);
  return (json, out) => {
    for (const [name, item] of Object.entries((json ?? {}) as { readonly [key: string]: JsonTree })) {
      tag(number, LENGTH, out);
      const start = out.at;
      tag(1, LENGTH, out);
      out.string(name, 0);
      write(item, out);
      out.prefix(start);
    }
  };
}

/** The fields of a message, numbered from 1. */
export function structBody(schema: ConnectSchema, place: string): WriteJson {
  const fields = (schema.fields ?? []).map(({ field, schema: type }, i) => ({
    field,
    write: jsonField(type, i + 1, place),
  }));
  return (json, out) => {
    const object = json as { readonly [key: string]: JsonTree };
    for (const { field, write } of fields) write(object[field] ?? null, out);
  };
}
