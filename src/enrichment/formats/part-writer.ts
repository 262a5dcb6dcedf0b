/** The key, or the value, of records as each format writes it. */
import { BinaryWriter } from '../../emitter/encoders/binary-writer.ts';
import type { Sink } from '../../emitter/sink.ts';
import { Utf8Writer } from '../../emitter/encoders/utf8-writer.ts';
import { valueText } from '../sql/cast.ts';
import type { SqlType } from '../sql/sql-type.ts';
import type { SqlValue } from '../sql/value.ts';
import { jsonBytes, jsonWriter, type Spelling } from './value-json.ts';
import { optionalWriter, requiredWriter } from './avro-writer.ts';
import { joinDelimited } from './delimited.ts';
import type { Format } from './format.ts';
import { kafkaWriter } from './kafka-primitive.ts';

const NULL = Buffer.from('null');
const CLOSE = Buffer.from('}');

export interface WrittenColumn {
  /** Place in the row. */
  readonly index: number;
  /** As the field is called. */
  readonly label: string;
  readonly type: SqlType;
}

/** Of a row the part's bytes, which are valid until the next call, or JSON as text; null for a part that is not there. */
export type WritePart = (row: readonly SqlValue[]) => string | Uint8Array | null;

export interface PartOptions {
  readonly format: Format;
  readonly delimiter: string;
  /** One column stands there as it is, not as the field of an object. */
  readonly bare: boolean;
  /** Of names inside of values. */
  readonly spelling: Spelling;
  /** What objects of JSON are made as; text where it is left out. */
  readonly json?: Sink['json'];
  /** What the registry's formats begin with. */
  readonly prefix: Uint8Array | null;
}

export function partWriter(columns: readonly WrittenColumn[], options: PartOptions): WritePart {
  const [first] = columns;
  const only = options.bare && columns.length === 1 && first !== undefined ? first : null;
  switch (options.format) {
    case 'NONE':
      return () => null;
    case 'KAFKA': {
      if (first === undefined) return () => null;
      const { index, type } = first;
      const write = kafkaWriter(type);
      return (row) => {
        const value = row[index] ?? null;
        return value === null ? null : write(value);
      };
    }
    case 'DELIMITED':
      return delimitedWriter(columns, options.delimiter);
    case 'AVRO':
      if (options.prefix === null) throw new TypeError('AVRO has the id of its schema in front.');
      return only === null ? avroRecordWriter(columns, options.prefix) : avroBareWriter(only, options.prefix);
    case 'JSON': {
      if (only === null)
        return options.json === 'bytes'
          ? jsonBytesWriter(columns, options.spelling)
          : jsonObjectWriter(columns, options.spelling);
      const write = jsonWriter(only.type, options.spelling);
      return (row) => write(row[only.index] ?? null);
    }
  }
}

function jsonObjectWriter(columns: readonly WrittenColumn[], spelling: Spelling): WritePart {
  const fields = columns.map(({ index, label, type }, i) => ({
    index,
    lead: `${i === 0 ? '{' : ','}${JSON.stringify(label)}:`,
    write: jsonWriter(type, spelling),
  }));
  if (fields.length === 0) return () => '{}';
  return (row) => {
    let text = '';
    for (const { index, lead, write } of fields) text += lead + write(row[index] ?? null);
    return `${text}}`;
  };
}

/** The same: no text is put together that would only be written and thrown away. */
function jsonBytesWriter(columns: readonly WrittenColumn[], spelling: Spelling): WritePart {
  const out = new Utf8Writer(1024);
  const fields = columns.map(({ index, label, type }, i) => ({
    index,
    lead: Buffer.from(`${i === 0 ? '{' : ','}${JSON.stringify(label)}:`),
    write: jsonBytes(type, spelling),
  }));
  if (fields.length === 0) return () => '{}';
  return (row) => {
    out.begin();
    for (const { index, lead, write } of fields) {
      out.bytes(lead);
      const value = row[index] ?? null;
      if (value === null) out.bytes(NULL);
      else write(value, out);
    }
    out.bytes(CLOSE);
    return out.end();
  };
}

function delimitedWriter(columns: readonly WrittenColumn[], delimiter: string): WritePart {
  const texts = columns.map(({ type }) => delimitedText(type));
  return (row) => {
    const fields = columns.map(({ index }, i) => {
      const value = row[index] ?? null;
      return value === null ? null : (texts[i]?.(value) ?? null);
    });
    return Buffer.from(joinDelimited(fields, delimiter));
  };
}

/** Dates and times as numbers, as ksqlDB writes them. */
function delimitedText(type: SqlType): (value: SqlValue) => string {
  switch (type.kind) {
    case 'DATE':
    case 'TIME':
    case 'TIMESTAMP':
      return String;
    case 'BYTES':
      return (value) => Buffer.from(value as Uint8Array).toString('base64');
    default:
      return (value) => valueText(type, value);
  }
}

function avroRecordWriter(columns: readonly WrittenColumn[], prefix: Uint8Array): WritePart {
  const out = new BinaryWriter(1024);
  const fields = columns.map(({ index, type }) => ({ index, write: optionalWriter(type) }));
  return (row) => {
    out.begin();
    out.bytes(prefix);
    for (const { index, write } of fields) write(row[index] ?? null, out);
    return out.end();
  };
}

function avroBareWriter({ index, type }: WrittenColumn, prefix: Uint8Array): WritePart {
  const out = new BinaryWriter(64);
  const write = requiredWriter(type);
  return (row) => {
    const value = row[index] ?? null;
    if (value === null) return null;
    out.begin();
    out.bytes(prefix);
    write(value, out);
    return out.end();
  };
}
