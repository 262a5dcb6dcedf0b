/**
 * Columns in Avro binary: one writer a column, chosen by the column's type. What is rare goes the long way, over the
 * JSON form of the value (see connect-json.ts), and is the same in all formats therefore.
 */
import type { ColumnType } from '../../model/table.ts';
import { nullComesFirst } from '../../schema/avro-schema.ts';
import type { Profile } from '../../schema/column-schema.ts';
import type { ConnectSchema } from '../../schema/connect-schema.ts';
import { type BinaryField, usualForm, type WriteJson, type WriteValue } from './binary-fields.ts';
import { bytesOf, floatOf, type JsonTree, parseExact, refuseNull } from './connect-json.ts';
import { isFiniteDecimal, writeUnscaled } from './decimal-binary.ts';
import type { RowField } from './row-fields.ts';

/** Index of a branch of a two-branch union, as Avro writes it. */
export const FIRST = 0;
export const SECOND = 2;

/** How a column is written into a row or key, compiled for its type. */
export function columnField({ index, column, schema, json }: RowField, profile: Profile): BinaryField {
  const rare = jsonWriter(schema, column.name);
  const other: WriteValue = (value, out) => rare(parseExact(json(value)), out);
  return { index, write: usualWriter(column.type, { profile, schema, other }) };
}

interface ColumnContext {
  readonly profile: Profile;
  readonly schema: ConnectSchema;
  /** Null, placeholders, specials. */
  readonly other: WriteValue;
}

/** The usual value of the types that tables mostly consist of; all else goes to `other`. */
function usualWriter(type: ColumnType, { profile, schema, other }: ColumnContext): WriteValue {
  const branch = schema.optional ? (nullComesFirst(schema) ? SECOND : FIRST) : null;
  const usual = usualForm(type, profile);
  switch (usual?.form) {
    case 'boolean':
      return (v, out) => {
        if (typeof v !== 'boolean') return other(v, out);
        if (branch !== null) out.byte(branch);
        out.byte(v ? 1 : 0);
      };
    case 'integer':
      return integerWriter(branch, other);
    case 'float':
      return (v, out) => {
        if (typeof v !== 'number') return other(v, out);
        if (branch !== null) out.byte(branch);
        out.float(v);
      };
    case 'double':
      return (v, out) => {
        if (typeof v !== 'number') return other(v, out);
        if (branch !== null) out.byte(branch);
        out.double(v);
      };
    case 'string':
      return stringWriter(branch, other);
    case 'bytes':
      return (v, out) => {
        if (!(v instanceof Uint8Array)) return other(v, out);
        if (branch !== null) out.byte(branch);
        out.blob(v, 1);
      };
    case 'decimal':
      return decimalWriter(usual.scale, branch, other);
    case 'instant':
      return instantWriter(usual.digits, branch, other);
    case undefined:
      return other;
  }
}

function integerWriter(branch: number | null, other: WriteValue): WriteValue {
  return (v, out) => {
    if (typeof v !== 'number' || !Number.isFinite(v)) return other(v, out);
    if (branch !== null) out.byte(branch);
    out.zigzag(v);
  };
}

function stringWriter(branch: number | null, other: WriteValue): WriteValue {
  return (v, out) => {
    if (typeof v !== 'string') return other(v, out);
    if (branch !== null) out.byte(branch);
    out.string(v, 1);
  };
}

function instantWriter(digits: number, branch: number | null, other: WriteValue): WriteValue {
  return (v, out) => {
    if (typeof v !== 'number' || !Number.isFinite(v)) return other(v, out);
    if (branch !== null) out.byte(branch);
    out.instant(v, digits, 1);
  };
}

function decimalWriter(scale: number, branch: number | null, other: WriteValue): WriteValue {
  return (v, out) => {
    if (typeof v !== 'string' || !isFiniteDecimal(v)) return other(v, out);
    if (branch !== null) out.byte(branch);
    writeUnscaled(v, scale, out, 1);
  };
}

/** A value of `schema` from its JSON form. `place` is said where the schema has no null. */
export function jsonWriter(schema: ConnectSchema, place: string): WriteJson {
  const write = requiredJsonWriter(schema, place);
  if (!schema.optional) {
    return (json, out) => (json === null ? refuseNull(place, 'Avro') : write(json, out));
  }
  const [nullBranch, branch] = nullComesFirst(schema) ? [FIRST, SECOND] : [SECOND, FIRST];
  return (json, out) => {
    out.byte(json === null ? nullBranch : branch);
    if (json !== null) write(json, out);
  };
}

function requiredJsonWriter(schema: ConnectSchema, place: string): WriteJson {
  switch (schema.type) {
    case 'boolean':
      return (json, out) => out.byte(json === true ? 1 : 0);
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
      return (json, out) => (typeof json === 'bigint' ? out.zigzagBig(json) : out.zigzag(json as number));
    case 'float':
      return (json, out) => out.float(floatOf(json));
    case 'double':
      return (json, out) => out.double(floatOf(json));
    case 'string':
      return (json, out) => out.string(json as string, 1);
    case 'bytes':
      return (json, out) => out.blob(bytesOf(json), 1);
    case 'array': {
      const write = jsonWriter(schema.items!, place);
      return (json, out) => {
        const items = json as readonly JsonTree[];
        if (items.length > 0) out.length(items.length, 1);
        for (const item of items) write(item, out);
        out.byte(0);
      };
    }
    case 'map': {
      const write = jsonWriter(schema.items!, place);
      return (json, out) => {
        const entries = Object.entries(json as { readonly [key: string]: JsonTree });
        if (entries.length > 0) out.length(entries.length, 1);
        for (const [name, item] of entries) {
          out.string(name, 1);
          write(item, out);
        }
        out.byte(0);
      };
    }
    case 'struct': {
      const fields = (schema.fields ?? []).map(({ field, schema: type }) => ({
        field,
        write: jsonWriter(type, place),
      }));
      return (json, out) => {
        const object = json as { readonly [key: string]: JsonTree };
        for (const { field, write } of fields) write(object[field] ?? null, out);
      };
    }
  }
}
