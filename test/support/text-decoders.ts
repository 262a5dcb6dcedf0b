/** All functions that read a text of PostgreSQL's, by their names: what holds for each is tested for all. */
import {
  decodeBits,
  decodeBytea,
  decodeEwkb,
  decodePoint,
  decodeVector,
} from '../../src/readers/postgres/types/decode-binary.ts';
import { arrayDecoder } from '../../src/readers/postgres/types/decode-array.ts';
import { decodeHstore } from '../../src/readers/postgres/types/decode-hstore.ts';
import {
  decodeBool,
  decodeFloat,
  decodeInt,
  decodeInt64,
  decodeMoney,
  decodeNumeric,
} from '../../src/readers/postgres/types/decode-scalar.ts';
import {
  decodeDate,
  decodeInterval,
  decodeTime,
  decodeTimestamp,
  decodeTimestamptz,
  decodeTimetz,
} from '../../src/readers/postgres/types/decode-temporal.ts';

export const TEXT_DECODERS: Readonly<Record<string, (text: string) => unknown>> = {
  decodeBool,
  decodeInt,
  decodeInt64,
  decodeFloat,
  decodeNumeric,
  decodeMoney,
  decodeDate,
  decodeTime,
  decodeTimetz,
  decodeTimestamp,
  decodeTimestamptz,
  decodeInterval,
  decodeBytea,
  decodeBits,
  decodeEwkb,
  decodePoint,
  decodeVector,
  decodeHstore,
  array: arrayDecoder(decodeInt, ','),
};
