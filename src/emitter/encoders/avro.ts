/**
 * Avro binary, compiled per table version: one writer a column, chosen by the column's type. What is rare goes
 * the long way, over the JSON form of the value (see connect-json.ts), and is the same in all formats therefore.
 */
import type { ColumnType } from '../../model/table.ts';
import { type Image, valuesOf } from '../../model/text-row.ts';
import type { Row } from '../../model/value.ts';
import type { Profile } from '../../schema/column-schema.ts';
import type { ConnectSchema } from '../../schema/connect-schema.ts';
import { nullComesFirst } from '../../schema/avro-schema.ts';
import type { BlockValue } from '../../schema/source-block.ts';
import {
  type BinaryField,
  usualForm,
  writeFields,
  type WriteJson,
  type WriteValue,
} from './binary-fields.ts';
import { BinaryWriter } from './binary-writer.ts';
import { bytesOf, floatOf, type JsonTree, parseExact, refuseNull } from './connect-json.ts';
import { BlockCache } from './block-cache.ts';
import { isFiniteDecimal, writeUnscaled } from './decimal-binary.ts';
import type { Envelope, Header, StructEncoder, TableEncoder } from './encoder.ts';
import { notedHeaders } from './json-form.ts';
import type { RowField, RowForm } from './row-fields.ts';

/** One record at a time is under way in the process. */
const keys = new BinaryWriter(1024);
const values = new BinaryWriter(16 * 1024);

/** Index of a branch of a two-branch union, as Avro writes it. */
const FIRST = 0;
const SECOND = 2;

/** What stands before each record: the magic byte and the id of its schema in the registry. */
export interface AvroPrefixes {
  readonly key: Uint8Array;
  /** Of the envelope, or of the row where records are unwrapped. */
  readonly value: Uint8Array;
}

export class AvroTableEncoder implements TableEncoder {
  readonly #form: RowForm;
  readonly #prefixes: AvroPrefixes;
  readonly #profile: Profile;
  readonly #row: readonly BinaryField[];
  readonly #key: readonly BinaryField[];
  readonly #source: BlockCache;
  /** ts_ms, ts_us and ts_ns of the last record: neighbours share them. */
  #times: Buffer = Buffer.alloc(0);
  #timeUs = NaN;

  constructor(form: RowForm, prefixes: AvroPrefixes, profile: Profile) {
    this.#form = form;
    this.#prefixes = prefixes;
    this.#profile = profile;
    this.#row = form.row.map((field) => this.#column(field));
    this.#key = form.key.map((field) => this.#column(field));
    const source = form.form.envelope.fields!.find(({ field }) => field === 'source')!;
    this.#source = new BlockCache((source.schema.fields ?? []).map(({ schema }) => blockWriter(schema)));
  }

  key(row: Image): Uint8Array | null {
    if (this.#key.length === 0) return null;
    keys.begin();
    keys.bytes(this.#prefixes.key);
    writeFields(this.#key, valuesOf(row), keys);
    return keys.end();
  }

  value(envelope: Envelope): Uint8Array {
    const out = values;
    out.begin();
    out.bytes(this.#prefixes.value);
    this.#image(valuesOf(envelope.before), out);
    this.#image(valuesOf(envelope.after), out);
    this.#source.write(envelope.sourceValues, out);
    const { place } = envelope;
    if (place === null) {
      out.byte(FIRST);
    } else {
      out.byte(SECOND);
      out.string(place.id, 1);
      out.zigzag(place.totalOrder);
      out.zigzag(place.collectionOrder);
    }
    out.byte(2); // a string of one byte
    out.byte(envelope.op.charCodeAt(0));
    if (envelope.timeUs !== this.#timeUs) this.#keepTimes(envelope.timeUs);
    out.bytes(this.#times);
    return out.end();
  }

  row(row: Image): Uint8Array {
    values.begin();
    values.bytes(this.#prefixes.value);
    writeFields(this.#row, valuesOf(row), values);
    return values.end();
  }

  takeHeaders(): readonly Header[] | null {
    return notedHeaders(this.#form.notes);
  }

  #image(row: Row | null, out: BinaryWriter): void {
    if (row === null) {
      out.byte(FIRST);
      return;
    }
    out.byte(SECOND);
    writeFields(this.#row, row, out);
  }

  #keepTimes(timeUs: number): void {
    const out = new BinaryWriter(64);
    out.begin();
    out.byte(SECOND);
    out.zigzag(Math.floor(timeUs / 1000));
    out.byte(SECOND);
    out.zigzag(timeUs);
    out.byte(SECOND);
    out.zigzagBig(BigInt(timeUs) * 1000n);
    this.#times = out.copyFrom(0);
    this.#timeUs = timeUs;
  }

  #column({ index, column, schema, json }: RowField): BinaryField {
    const rare = jsonWriter(schema, column.name);
    const other: WriteValue = (value, out) => rare(parseExact(json(value)), out);
    return { index, write: usualWriter(column.type, { profile: this.#profile, schema, other }) };
  }
}

/** Records that are not rows: their JSON form, parsed. */
export class AvroStructEncoder implements StructEncoder {
  readonly #prefix: Uint8Array;
  readonly #write: WriteJson;

  constructor(schema: ConnectSchema, prefix: Uint8Array) {
    this.#prefix = prefix;
    this.#write = jsonWriter(schema, schema.name ?? '');
  }

  encode(payload: string): Uint8Array {
    const out = new BinaryWriter(256);
    out.begin();
    out.bytes(this.#prefix);
    this.#write(parseExact(payload), out);
    return out.copyFrom(0);
  }
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
function jsonWriter(schema: ConnectSchema, place: string): WriteJson {
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

function blockWriter(schema: ConnectSchema): (value: BlockValue, out: BinaryWriter) => void {
  const rare = jsonWriter(schema, 'source');
  return (value, out) => rare(value, out);
}
