/** How Avro and Protobuf write the columns of a row: one writer a column, and which columns are usual. */
import type { ColumnType } from '../../model/table.ts';
import type { Row, Value } from '../../model/value.ts';
import type { Profile } from '../../schema/column-schema.ts';
import { BinaryWriter } from './binary-writer.ts';
import { type JsonTree, parseExact } from './connect-json.ts';
import type { StructEncoder } from './encoder.ts';
import { isShort } from './time-precision.ts';

export type WriteValue = (value: Value, out: BinaryWriter) => void;
export type WriteJson = (json: JsonTree, out: BinaryWriter) => void;

export interface BinaryField {
  readonly index: number;
  readonly write: WriteValue;
}

export function writeFields(fields: readonly BinaryField[], row: Row, out: BinaryWriter): void {
  const count = fields.length;
  for (let i = 0; i < count; i++) {
    const field = fields[i]!;
    field.write(row[field.index]!, out);
  }
}

/** Records that are not rows, over their JSON form. `prefix` stands before each. */
export function structEncoder(prefix: Uint8Array, write: WriteJson): StructEncoder {
  return {
    encode(payload) {
      const out = new BinaryWriter(256);
      out.bytes(prefix);
      write(parseExact(payload), out);
      return out.copyFrom(0);
    },
  };
}

/** What stands before the records of a table: the magic byte, the id of their schema, and what the format adds. */
export interface RecordPrefixes {
  readonly key: Uint8Array;
  /** Of the envelope, or of the row where records are unwrapped. */
  readonly value: Uint8Array;
}

/** The form of a column's usual value. */
export type UsualForm =
  | { readonly form: 'boolean' | 'integer' | 'float' | 'double' | 'string' | 'bytes' }
  | { readonly form: 'decimal'; readonly precision: number | null; readonly scale: number }
  | { readonly form: 'instant'; readonly digits: number };

const INTEGER: UsualForm = { form: 'integer' };
const STRING: UsualForm = { form: 'string' };

/** Of the types that tables mostly consist of; null for the others, which go over the JSON form of their values. */
export function usualForm(type: ColumnType, profile: Profile): UsualForm | null {
  const safe = profile === 'safe';
  switch (type.kind) {
    case 'boolean':
      return { form: 'boolean' };
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'year':
      return INTEGER;
    case 'float32':
      return { form: 'float' };
    case 'float64':
      return { form: 'double' };
    case 'string':
    case 'xml':
    case 'uuid':
    case 'zonedtimestamp':
    case 'enum':
    case 'set':
    case 'ltree':
    case 'tsvector':
    case 'json':
    case 'hstore':
      return STRING;
    case 'bytes':
      return { form: 'bytes' };
    case 'decimal':
      if (safe) return STRING;
      return type.scale === null ? null : { form: 'decimal', precision: type.precision, scale: type.scale };
    case 'date':
      return safe ? null : INTEGER;
    case 'time':
      return safe || isShort(type.precision) ? null : INTEGER;
    case 'timestamp':
      if (safe) return { form: 'instant', digits: type.precision ?? 6 };
      return isShort(type.precision) ? null : INTEGER;
    case 'timestamptz':
      return { form: 'instant', digits: type.precision ?? 6 };
    default:
      return null;
  }
}
