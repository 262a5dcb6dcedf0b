/** The base types that are read as something better than their text, by `pg_type.typname`. */
import type { ColumnType } from '../../../model/table.ts';
import {
  decodeBit,
  decodeBits,
  decodeBytea,
  decodeEwkb,
  decodePoint,
  decodeVector,
} from './decode-binary.ts';
import { decodeHstore } from './decode-hstore.ts';
import {
  type Decode,
  decodeBool,
  decodeFloat,
  decodeInt,
  decodeInt64,
  decodeMoney,
  decodeNumeric,
  decodeText,
} from './decode-scalar.ts';
import {
  decodeDate,
  decodeInterval,
  decodeTime,
  decodeTimestamp,
  decodeTimestamptz,
  decodeTimetz,
} from './decode-temporal.ts';

export interface ScalarType {
  readonly type: ColumnType;
  readonly length: number | null;
  readonly scale: number | null;
  readonly decode: Decode;
}

function plain(type: ColumnType, decode: Decode): ScalarType {
  return { type, length: null, scale: null, decode };
}

const PLAIN: ReadonlyMap<string, ScalarType> = new Map([
  ['bool', plain({ kind: 'boolean' }, decodeBool)],
  ['int2', plain({ kind: 'int16' }, decodeInt)],
  ['int4', plain({ kind: 'int32' }, decodeInt)],
  ['int8', plain({ kind: 'int64' }, decodeInt64)],
  ['oid', plain({ kind: 'int64' }, decodeInt)],
  ['float4', plain({ kind: 'float32' }, decodeFloat)],
  ['float8', plain({ kind: 'float64' }, decodeFloat)],
  ['money', plain({ kind: 'decimal', precision: null, scale: 2 }, decodeMoney)],
  ['bytea', plain({ kind: 'bytes' }, decodeBytea)],
  ['date', plain({ kind: 'date' }, decodeDate)],
  ['interval', plain({ kind: 'interval' }, decodeInterval)],
  ['json', plain({ kind: 'json' }, decodeText)],
  ['jsonb', plain({ kind: 'json' }, decodeText)],
  ['xml', plain({ kind: 'xml' }, decodeText)],
  ['uuid', plain({ kind: 'uuid' }, decodeText)],
  ['tsvector', plain({ kind: 'tsvector' }, decodeText)],
  ['point', plain({ kind: 'point' }, decodePoint)],
  ['hstore', plain({ kind: 'hstore' }, decodeHstore)],
  ['ltree', plain({ kind: 'ltree' }, decodeText)],
  ['geometry', plain({ kind: 'geometry' }, decodeEwkb)],
  ['geography', plain({ kind: 'geography' }, decodeEwkb)],
  ['vector', plain({ kind: 'vector', element: 'float64' }, decodeVector)],
  ['halfvec', plain({ kind: 'vector', element: 'float32' }, decodeVector)],
]);

/** What a base type of this name and modifier is; null where its text is all there is to it. */
export function builtinType(name: string, typmod: number): ScalarType | null {
  switch (name) {
    case 'numeric': {
      if (typmod < 4) return plain({ kind: 'decimal', precision: null, scale: null }, decodeNumeric);
      const precision = ((typmod - 4) >> 16) & 0xffff;
      const scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024; // 11 bits, signed since PostgreSQL 15
      return { type: { kind: 'decimal', precision, scale }, length: precision, scale, decode: decodeNumeric };
    }
    case 'varchar':
    case 'bpchar':
      return { ...plain({ kind: 'string' }, decodeText), length: typmod < 4 ? null : typmod - 4 };
    case 'bit':
    case 'varbit': {
      const length = typmod < 0 ? null : typmod;
      if (length === 1) return { ...plain({ kind: 'boolean' }, decodeBit), length };
      return { ...plain({ kind: 'bits', length }, decodeBits), length };
    }
    case 'time':
      return withPrecision('time', typmod, decodeTime);
    case 'timetz':
      return withPrecision('timetz', typmod, decodeTimetz);
    case 'timestamp':
      return withPrecision('timestamp', typmod, decodeTimestamp);
    case 'timestamptz':
      return withPrecision('timestamptz', typmod, decodeTimestamptz);
    default:
      return PLAIN.get(name) ?? null;
  }
}

function withPrecision(
  kind: 'time' | 'timetz' | 'timestamp' | 'timestamptz',
  typmod: number,
  decode: Decode,
): ScalarType {
  const precision = typmod < 0 ? null : typmod;
  return { type: { kind, precision }, length: precision, scale: null, decode };
}

/** Types whose text is what they are; of all other types the text stands in for something Debezium leaves out. */
const PLAIN_TEXT: ReadonlySet<string> = new Set([
  'text',
  'varchar',
  'bpchar',
  'char',
  'name',
  'citext',
  'inet',
  'cidr',
  'macaddr',
  'macaddr8',
  'int4range',
  'int8range',
  'numrange',
  'tsrange',
  'tstzrange',
  'daterange',
  'isbn',
]);

export function isPlainText(name: string): boolean {
  return PLAIN_TEXT.has(name);
}
