/**
 * Rows as bytes that tell their own types, exactly as they were. A row is a count (varint) and so many values; a value
 * is one byte and what that says:
 *
 * | byte | value |
 * | --- | --- |
 * | 0, 1, 2 | null, false, true |
 * | 3 to 6 | a whole number in 1, 2, 4 or 6 bytes, little-endian, two's complement |
 * | 7 | any other number: 8 bytes, IEEE 754, little-endian |
 * | 8 | a bigint, as decimal digits: length (varint), Latin-1 |
 * | 9 | a string: length in characters (varint), Latin-1 |
 * | 10 | a string with other characters: length (varint), UTF-16, little-endian |
 * | 11 | bytes: length (varint), bytes |
 * | 12 | a decimal as text: length (varint), Latin-1 |
 * | 13 | an array: a row |
 * | 14 | a map: a row of its keys and values in turn |
 * | 64 to 255 | a string of 0 to 191 Latin-1 characters |
 */
import { randomInt } from 'node:crypto';
import { Decimal, parseDecimal } from '../sql/decimal.ts';
import type { KeyValue, SqlValue } from '../sql/value.ts';
import type { StoredRow } from './table-store.ts';

const NULL = 0;
const FALSE = 1;
const TRUE = 2;
const INT8 = 3;
const INT16 = 4;
const INT32 = 5;
const INT48 = 6;
const NUMBER = 7;
const BIGINT = 8;
const TEXT = 9;
const WIDE_TEXT = 10;
const BYTES = 11;
const DECIMAL = 12;
const LIST = 13;
const MAP = 14;
const SHORT_TEXT = 64;
const SHORT_TEXT_MOST = 191;

const TWO_47 = 2 ** 47;
/** A NaN may have other bits, by where it came from; as a key they are all the same. */
const NAN_BYTES = Buffer.from('000000000000f87f', 'hex');

let scratch = Buffer.allocUnsafe(16 * 1024);
let at = 0;

/** The bytes are overwritten by the next call. */
export function encodeRow(row: StoredRow): Buffer {
  at = 0;
  writeList(row);
  return scratch.subarray(0, at);
}

/** Of what `encodeRow` made, from that offset on. */
export function decodeRow(bytes: Buffer, from = 0): SqlValue[] {
  at = from;
  return readList(bytes);
}

/** Of the key that `encodeKey` was called with last. */
let keyLength = 0;
/** Nobody can choose keys that all have one hash. */
const SEED = randomInt(2 ** 32) | 0;

/** A hash of 32 bits, with sign. The functions below go by the key until one of them encodes another value. */
export function encodeKey(key: KeyValue): number {
  at = 0;
  // A Map takes the two zeros for one key.
  writeValue(key === 0 ? 0 : key);
  keyLength = at;
  let hash = SEED;
  for (let i = 0; i < keyLength; i++) {
    hash = Math.imul(hash ^ scratch[i]!, 0x5bd1e995);
    hash ^= hash >>> 15;
  }
  return hash;
}

export function isEncodedKey(bytes: Buffer, from: number): boolean {
  for (let i = 0; i < keyLength; i++) if (bytes[from + i] !== scratch[i]) return false;
  return true;
}

/** The encoded key and the row. The bytes are overwritten by the next call. */
export function encodeBehindKey(row: StoredRow): Buffer {
  at = keyLength;
  writeList(row);
  return scratch.subarray(0, at);
}

/** The row behind the encoded key, where `isEncodedKey`. */
export function decodeBehindKey(bytes: Buffer, from: number): SqlValue[] {
  at = from + keyLength;
  return readList(bytes);
}

export function decodeKey(bytes: Buffer, from: number): KeyValue {
  at = from;
  return readValue(bytes) as KeyValue;
}

export function decodeEntry(bytes: Buffer, from: number): readonly [KeyValue, SqlValue[]] {
  return [decodeKey(bytes, from), readList(bytes)];
}

function reserve(length: number): void {
  if (at + length <= scratch.length) return;
  const larger = Buffer.allocUnsafe(Math.max(scratch.length * 2, at + length));
  scratch.copy(larger, 0, 0, at);
  scratch = larger;
}

function writeList(list: readonly SqlValue[]): void {
  writeVarint(list.length);
  for (let i = 0; i < list.length; i++) writeValue(list[i] ?? null);
}

function writeVarint(n: number): void {
  reserve(5);
  let rest = n;
  while (rest > 0x7f) {
    scratch[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  scratch[at++] = rest;
}

function writeValue(value: SqlValue): void {
  reserve(16);
  switch (typeof value) {
    case 'string':
      writeText(value);
      return;
    case 'number':
      writeNumber(value);
      return;
    case 'boolean':
      scratch[at++] = value ? TRUE : FALSE;
      return;
    case 'bigint':
      writeLatin1(BIGINT, String(value));
      return;
    default:
      writeObject(value);
  }
}

function writeObject(value: Exclude<SqlValue, string | number | boolean | bigint>): void {
  if (value === null) scratch[at++] = NULL;
  else if (value instanceof Decimal) writeLatin1(DECIMAL, value.toString());
  else if (value instanceof Uint8Array) {
    scratch[at++] = BYTES;
    writeVarint(value.length);
    reserve(value.length);
    scratch.set(value, at);
    at += value.length;
  } else if (value instanceof Map) {
    scratch[at++] = MAP;
    const entries: SqlValue[] = [];
    for (const [key, each] of value as ReadonlyMap<SqlValue, SqlValue>) entries.push(key, each);
    writeList(entries);
  } else {
    scratch[at++] = LIST;
    writeList(value as readonly SqlValue[]);
  }
}

function writeNumber(n: number): void {
  if (!Number.isInteger(n) || n >= TWO_47 || n < -TWO_47 || Object.is(n, -0)) {
    scratch[at++] = NUMBER;
    if (Number.isNaN(n)) at += NAN_BYTES.copy(scratch, at);
    else at = scratch.writeDoubleLE(n, at);
  } else if (n >= -0x80 && n < 0x80) {
    scratch[at++] = INT8;
    scratch[at++] = n & 0xff;
  } else if (n >= -0x8000 && n < 0x8000) {
    scratch[at++] = INT16;
    at = scratch.writeInt16LE(n, at);
  } else if (n >= -0x80000000 && n < 0x80000000) {
    scratch[at++] = INT32;
    at = scratch.writeInt32LE(n, at);
  } else {
    scratch[at++] = INT48;
    at = scratch.writeIntLE(n, at, 6);
  }
}

function writeText(text: string): void {
  const { length } = text;
  reserve(2 * length + 16);
  let latin1 = true;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) {
      latin1 = false;
      break;
    }
    // Of a short text, here it is to be; one by one they are written sooner than by a call.
    scratch[at + 1 + i] = code;
  }
  if (!latin1) {
    scratch[at++] = WIDE_TEXT;
    writeVarint(length);
    at += scratch.write(text, at, 'utf16le');
  } else if (length <= SHORT_TEXT_MOST) {
    scratch[at] = SHORT_TEXT + length;
    at += 1 + length;
  } else writeLatin1(TEXT, text);
}

function writeLatin1(tag: number, text: string): void {
  reserve(text.length + 8);
  scratch[at++] = tag;
  writeVarint(text.length);
  at += scratch.write(text, at, 'latin1');
}

function readList(bytes: Buffer): SqlValue[] {
  const count = readVarint(bytes);
  // Of that many and no more, as one that grows would have.
  const list = new Array<SqlValue>(count);
  for (let i = 0; i < count; i++) list[i] = readValue(bytes);
  return list;
}

function readVarint(bytes: Buffer): number {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]!;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value >>> 0;
  }
}

function readLatin1(bytes: Buffer): string {
  const length = readVarint(bytes);
  const text = bytes.latin1Slice(at, at + length);
  at += length;
  return text;
}

function readValue(bytes: Buffer): SqlValue {
  const tag = bytes[at++]!;
  if (tag >= SHORT_TEXT) {
    const from = at;
    at += tag - SHORT_TEXT;
    return bytes.latin1Slice(from, at);
  }
  switch (tag) {
    case NULL:
      return null;
    case FALSE:
      return false;
    case TRUE:
      return true;
    case INT8:
      return (bytes[at++]! << 24) >> 24;
    case INT16:
      at += 2;
      return bytes.readInt16LE(at - 2);
    case INT32:
      at += 4;
      return bytes.readInt32LE(at - 4);
    case INT48:
      at += 6;
      return bytes.readIntLE(at - 6, 6);
    case NUMBER:
      at += 8;
      return bytes.readDoubleLE(at - 8);
    case BIGINT:
      return BigInt(readLatin1(bytes));
    case TEXT:
      return readLatin1(bytes);
    case WIDE_TEXT: {
      const length = 2 * readVarint(bytes);
      at += length;
      return bytes.toString('utf16le', at - length, at);
    }
    case BYTES: {
      const length = readVarint(bytes);
      at += length;
      return new Uint8Array(bytes.subarray(at - length, at));
    }
    case DECIMAL:
      return parseDecimal(readLatin1(bytes));
    case LIST:
      return readList(bytes);
    case MAP:
      return mapOf(readList(bytes));
    default:
      throw new TypeError(`A kept row begins a value with ${tag}, which means nothing.`);
  }
}

function mapOf(entries: readonly SqlValue[]): ReadonlyMap<SqlValue, SqlValue> {
  const map = new Map<SqlValue, SqlValue>();
  for (let i = 0; i + 1 < entries.length; i += 2) map.set(entries[i] ?? null, entries[i + 1] ?? null);
  return map;
}
