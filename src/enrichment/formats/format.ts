/** How keys and values of topics are written, and the readers and writers of each format. */
import { explicit } from '../sql/cast.ts';
import { type SqlType, STRING } from '../sql/sql-type.ts';
import type { SqlValue } from '../sql/value.ts';
import { AvroPart } from './avro-part.ts';
import { splitDelimited } from './delimited.ts';
import { parseJson } from '../sql/exact-json.ts';
import { isTimeNumber } from '../sql/civil-time.ts';
import { FlatJson } from './flat-json.ts';
import { base64Bytes, FieldReader, isObject, type JsonReader, jsonReader } from './json-values.ts';
import { kafkaValue } from './kafka-primitive.ts';
import type { SchemaReader } from './registry-access.ts';

export type Format = 'JSON' | 'AVRO' | 'DELIMITED' | 'KAFKA' | 'NONE';

export interface FormatColumn {
  readonly name: string;
  readonly type: SqlType;
}

/** Reads the key's, or the value's, columns of a record. */
export interface PartReader {
  /** Appends a value for each column; false where the bytes are not what the columns say. */
  read(bytes: Uint8Array, into: SqlValue[]): boolean;
  /**
   * Of formats with schemas: gets what the record needs to be read. Null where that is here; to be called, and awaited,
   * before `read`.
   */
  prepare?(bytes: Uint8Array): Promise<void> | null;
}

/** The registry, for formats with schemas; null where the settings name none. */
export interface ReadSchemas {
  readonly reader: SchemaReader | null;
  readonly signal: AbortSignal;
}

export interface FormatOptions {
  readonly format: Format;
  readonly delimiter: string;
  /** Whether one column alone stands there as it is, not as the field of an object. */
  readonly bare: boolean;
}

export function partReader(
  columns: readonly FormatColumn[],
  options: FormatOptions,
  { reader, signal }: ReadSchemas,
): PartReader {
  if (columns.length === 0) return { read: () => true };
  switch (options.format) {
    case 'JSON':
      return new JsonPart(columns, options.bare);
    case 'AVRO':
      if (reader === null) throw new TypeError('AVRO needs a registry.');
      return new AvroPart(columns, reader, signal);
    case 'DELIMITED':
      return new DelimitedPart(columns, options.delimiter);
    case 'KAFKA':
      return new KafkaPart(columns);
    case 'NONE':
      throw new TypeError('NONE holds no columns.');
  }
}

/** So many objects in a row that are not flat: nor will the next one be. */
const MOST_DECLINED = 100;
const BYTE_ORDER_MARK = 0xfeff;
const UTF8 = new TextDecoder('utf-8', { fatal: true });

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Null where it is none. */
function textOf(bytes: Uint8Array): string | null {
  const buffer = bufferOf(bytes);
  // What is no UTF-8 leaves replacement characters: only where there are some the exact way is gone, which is slow.
  const text = buffer.utf8Slice(0, buffer.length);
  if (!text.includes('\uFFFD')) return text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text;
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}

class JsonPart implements PartReader {
  readonly #fields: FieldReader;
  /** Null where objects are not what is expected, or hold others. */
  #flat: FlatJson | null;
  #declined = 0;
  /** Of the one column, where there is but one. */
  readonly #only: JsonReader | null;
  readonly #bare: boolean;

  constructor(columns: readonly FormatColumn[], bare: boolean) {
    this.#fields = new FieldReader(columns);
    const [first] = columns;
    this.#only = first === undefined || columns.length > 1 ? null : jsonReader(first.type);
    this.#bare = bare;
    const isFlat = columns.every(
      ({ type: { kind } }) => kind !== 'ARRAY' && kind !== 'MAP' && kind !== 'STRUCT',
    );
    this.#flat = isFlat && !bare ? new FlatJson(this.#fields) : null;
  }

  read(bytes: Uint8Array, into: SqlValue[]): boolean {
    if (this.#flat !== null && this.#readFlat(this.#flat, bytes, into)) return true;
    const text = textOf(bytes);
    if (text === null) return false;
    let json: unknown;
    try {
      json = parseJson(text);
    } catch {
      return false;
    }
    if (this.#only !== null && (this.#bare || !isObject(json))) return this.#readBare(json, this.#only, into);
    return isObject(json) && this.#fields.read(json, into);
  }

  #readFlat(flat: FlatJson, bytes: Uint8Array, into: SqlValue[]): boolean {
    const read = flat.read(bufferOf(bytes), into);
    this.#declined = read ? 0 : this.#declined + 1;
    if (this.#declined >= MOST_DECLINED) this.#flat = null;
    return read;
  }

  #readBare(json: unknown, read: JsonReader, into: SqlValue[]): boolean {
    const value = json === null ? null : read(json);
    if (value === undefined) return false;
    into.push(value);
    return true;
  }
}

class DelimitedPart implements PartReader {
  readonly #delimiter: string;
  readonly #converters: readonly ((text: string) => SqlValue | undefined)[];

  constructor(columns: readonly FormatColumn[], delimiter: string) {
    this.#delimiter = delimiter;
    this.#converters = columns.map(({ type }) => {
      if (type.kind === 'BYTES') return base64Bytes;
      const convert = explicit(STRING, type);
      if (type.kind === 'DOUBLE')
        return (text) => (/^(?:NaN|-?Infinity)$/.test(text) ? Number(text) : convert?.(text));
      // As they are written: days, and milliseconds.
      const { kind } = type;
      if (kind === 'DATE' || kind === 'TIME' || kind === 'TIMESTAMP')
        return (text) => {
          if (!/^-?[0-9]{1,16}$/.test(text)) return convert?.(text);
          return isTimeNumber(kind, Number(text)) ? Number(text) : undefined;
        };
      return (text) => convert?.(text);
    });
  }

  read(bytes: Uint8Array, into: SqlValue[]): boolean {
    const text = textOf(bytes);
    const fields = text === null ? null : splitDelimited(text, this.#delimiter);
    if (fields === null || fields.length !== this.#converters.length) return false;
    for (const [i, convert] of this.#converters.entries()) {
      const field = fields[i] ?? null;
      const value = field === null ? null : convert(field);
      if (value === undefined) return false;
      into.push(value);
    }
    return true;
  }
}

class KafkaPart implements PartReader {
  readonly #type: SqlType;

  constructor(columns: readonly FormatColumn[]) {
    const [only] = columns;
    if (only === undefined || columns.length !== 1) throw new TypeError('KAFKA holds one column.');
    this.#type = only.type;
  }

  read(bytes: Uint8Array, into: SqlValue[]): boolean {
    const value = kafkaValue(this.#type, bytes);
    if (value === undefined) return false;
    into.push(value);
    return true;
  }
}
