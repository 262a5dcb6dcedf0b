import { inflateRawSync, inflateSync } from 'node:zlib';
import type { Value } from '../../../model/value.ts';
import { isBeyondAscii } from '../../buffer-slices.ts';
import { type ByteCursor, misplaced } from '../binlog/byte-cursor.ts';
import { decimalBytes, decimalText } from '../binlog/decimal.ts';
import { TYPE } from '../binlog/event-types.ts';
import { jsonText } from '../binlog/json-binary.ts';
import type { LogColumn } from '../binlog/table-map.ts';
import { decoderOf, isAsciiSuperset } from './charsets.ts';
import { shortestFloat, vectorValue } from './float-values.ts';
import { geometryValue } from './geometry.ts';
import type { MysqlColumn } from './mysql-column.ts';
import { addressText, uuidText } from './mariadb-values.ts';
import { datetimeValue, dateValue, timestampValue } from './temporal-values.ts';

/** Reads one value at the cursor, in the form of model/table.ts, and leaves the cursor behind it. */
export type Decode = (cursor: ByteCursor) => Value;

/** `log` says where the bytes lie, `column` what they mean. Null for a type that is not known. */
export function binlogDecoder(column: MysqlColumn, log: LogColumn): Decode | null {
  const { unsigned } = column;
  const { meta } = log;
  switch (log.type) {
    case TYPE.tiny:
      return unsigned ? (c) => c.buffer[c.take(1)]! : (c) => c.buffer.readInt8(c.take(1));
    case TYPE.short:
      return unsigned ? (c) => c.buffer.readUInt16LE(c.take(2)) : (c) => c.buffer.readInt16LE(c.take(2));
    case TYPE.int24:
      return unsigned ? (c) => c.buffer.readUIntLE(c.take(3), 3) : (c) => c.buffer.readIntLE(c.take(3), 3);
    case TYPE.long:
      return unsigned ? (c) => c.buffer.readUInt32LE(c.take(4)) : (c) => c.buffer.readInt32LE(c.take(4));
    case TYPE.longlong:
      return unsigned ? readUint64 : readInt64;
    case TYPE.float:
      return column.scale === null
        ? (c) => shortestFloat(c.buffer.readFloatLE(c.take(4)))
        : (c) => c.buffer.readFloatLE(c.take(4));
    case TYPE.double:
      return (c) => c.buffer.readDoubleLE(c.take(8));
    case TYPE.newdecimal:
      return decimalDecoder(meta >> 8, meta & 0xff);
    case TYPE.bit:
      return bitDecoder(meta);
    case TYPE.year:
      return (c) => {
        const year = c.uint8();
        return year === 0 ? 0 : 1900 + year;
      };
    case TYPE.date:
    case TYPE.newdate:
      return (c) => {
        const packed = c.buffer.readUIntLE(c.take(3), 3);
        return dateValue(packed >> 9, (packed >> 5) & 15, packed & 31);
      };
    case TYPE.time:
      return readOldTime;
    case TYPE.time2:
      return time2Decoder(meta);
    case TYPE.datetime:
      return readOldDatetime;
    case TYPE.datetime2:
      return datetime2Decoder(meta);
    case TYPE.timestamp:
      return (c) => timestampValue(c.uint32(), 0, 0);
    case TYPE.timestamp2:
      return (c) => {
        const seconds = c.buffer.readUInt32BE(c.take(4));
        return timestampValue(seconds, readFraction(c, meta), meta);
      };
    case TYPE.enum:
      return enumDecoder(column.values ?? [], meta);
    case TYPE.set:
      return setDecoder(column.values ?? [], meta);
    case TYPE.string:
    case TYPE.varchar:
    case TYPE.varString:
      return stringDecoder(column, log);
    case TYPE.tinyBlob:
    case TYPE.blob:
    case TYPE.mediumBlob:
    case TYPE.longBlob:
      return prefixed(meta, content(column));
    case TYPE.varcharCompressed:
      return prefixed(meta > 255 ? 2 : 1, compressed(content(column)));
    case TYPE.blobCompressed:
      return prefixed(meta, compressed(content(column)));
    case TYPE.json:
      return prefixed(meta, jsonText);
    case TYPE.geometry:
      return prefixed(meta, (buffer, from, to) => geometryValue(column.dataType, buffer.subarray(from, to)));
    case TYPE.vector:
      return prefixed(meta, vectorValue);
    case TYPE.null:
      return () => null;
    default:
      return null;
  }
}

function readInt64(c: ByteCursor): Value {
  const at = c.take(8);
  const high = c.buffer.readInt32LE(at + 4);
  if (high >= -0x20_0000 && high < 0x20_0000) {
    const value = high * 0x1_0000_0000 + c.buffer.readUInt32LE(at);
    if (Number.isSafeInteger(value)) return value;
  }
  return c.buffer.readBigInt64LE(at);
}

function readUint64(c: ByteCursor): Value {
  const at = c.take(8);
  const high = c.buffer.readUInt32LE(at + 4);
  return high < 0x20_0000 ? high * 0x1_0000_0000 + c.buffer.readUInt32LE(at) : c.buffer.readBigUInt64LE(at);
}

function decimalDecoder(precision: number, scale: number): Decode {
  const form = { precision, scale };
  const bytes = decimalBytes(precision, scale);
  return (c) => {
    const from = c.take(bytes);
    return decimalText(c.buffer, from, from + bytes, form);
  };
}

/** Big-endian in the log; one bit is a boolean. */
function bitDecoder(bits: number): Decode {
  if (bits <= 1) return (c) => c.uint8() !== 0;
  const bytes = (bits + 7) >> 3;
  return (c) => {
    const from = c.take(bytes);
    return Uint8Array.from({ length: bytes }, (_, i) => c.buffer[from + bytes - 1 - i]!);
  };
}

const US: readonly number[] = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];

/** Microseconds of the (digits + 1) / 2 bytes behind a time. */
function readFraction(c: ByteCursor, digits: number): number {
  const bytes = (digits + 1) >> 1;
  return bytes === 0 ? 0 : c.buffer.readUIntBE(c.take(bytes), bytes) * US[bytes * 2]!;
}

function daytime(hms: number): number {
  return (((hms >> 12) * 60 + ((hms >> 6) & 63)) * 60 + (hms & 63)) * 1_000_000;
}

/** my_datetime_packed_from_binary: 40 bits, the first always set; 17 of time, 5 of day, the rest year × 13 + month. */
function datetime2Decoder(digits: number): Decode {
  return (c) => {
    const at = c.take(5);
    const high = c.buffer.readUInt16BE(at) & 0x7fff;
    const low = c.buffer.readUIntBE(at + 2, 3);
    const us = readFraction(c, digits);
    const days = high * 128 + (low >> 17);
    const months = days >> 5;
    const date = { year: Math.floor(months / 13), month: months % 13, day: days & 31 };
    return datetimeValue(date, daytime(low & 0x1_ffff) + us, digits);
  };
}

/** my_time_packed_from_binary: of negative times the whole number, fraction included, is the complement. */
function time2Decoder(digits: number): Decode {
  const bytes = 3 + ((digits + 1) >> 1);
  const half = 2 ** (bytes * 8 - 1);
  const unit = 2 ** ((bytes - 3) * 8);
  const scale = US[(bytes - 3) * 2]!;
  return (c) => {
    const packed = c.buffer.readUIntBE(c.take(bytes), bytes) - half;
    const positive = Math.abs(packed);
    const fraction = bytes === 3 ? 0 : (positive % unit) * scale;
    const us = daytime(Math.floor(positive / unit)) + fraction;
    return packed < 0 ? -us : us;
  };
}

/** Before 5.6: hhmmss as a decimal number. */
function readOldTime(c: ByteCursor): Value {
  const packed = c.buffer.readIntLE(c.take(3), 3);
  const value = Math.abs(packed);
  const us = ((Math.floor(value / 10_000) * 60 + (Math.floor(value / 100) % 100)) * 60 + (value % 100)) * 1e6;
  return packed < 0 ? -us : us;
}

/** Before 5.6: YYYYMMDDhhmmss as a decimal number. */
function readOldDatetime(c: ByteCursor): Value {
  const value = c.uint64();
  const time = value % 1_000_000;
  const day = Math.floor(value / 1_000_000);
  const us = ((Math.floor(time / 10_000) * 60 + (Math.floor(time / 100) % 100)) * 60 + (time % 100)) * 1e6;
  const date = { year: Math.floor(day / 10_000), month: Math.floor(day / 100) % 100, day: day % 100 };
  return datetimeValue(date, us, 0);
}

/** Index 0 is the empty text that the server stores for what is no label. */
function enumDecoder(labels: readonly string[], bytes: number): Decode {
  return (c) => {
    const index = bytes === 1 ? c.uint8() : c.uint16();
    if (index === 0) return '';
    const label = labels[index - 1];
    if (label === undefined) throw misplaced('an ENUM value that the column has not');
    return label;
  };
}

function setDecoder(members: readonly string[], bytes: number): Decode {
  return (c) => {
    const at = c.take(bytes);
    let text = '';
    for (let byte = 0; byte < bytes; byte++) {
      const bits = c.buffer[at + byte]!;
      for (let bit = 0; bit < 8; bit++) {
        if (((bits >> bit) & 1) === 0) continue;
        const member = members[byte * 8 + bit];
        if (member === undefined) throw misplaced('a SET value that the column has not');
        text += text === '' ? member : `,${member}`;
      }
    }
    return text;
  };
}

/** A value of the bytes from `from` to `to`. */
type Content = (buffer: Buffer, from: number, to: number) => Value;

/** CHAR and VARCHAR have two bytes of length where more than 255 bytes fit in. */
function stringDecoder(column: MysqlColumn, { type, meta }: LogColumn): Decode {
  const width = meta > 255 ? 2 : 1;
  if (type === TYPE.string) {
    // Trailing zeros are not in the log.
    switch (column.dataType) {
      case 'binary':
        return prefixed(width, padded(meta, copy));
      case 'uuid':
        return prefixed(width, padded(16, uuidText));
      case 'inet6':
        return prefixed(width, padded(16, addressText));
      case 'inet4':
        return prefixed(width, padded(4, addressText));
    }
  }
  if (column.charset === null) return prefixed(width, content(column));
  return textDecoder(column.charset, width);
}

function content(column: MysqlColumn): Content {
  if (column.dataType === 'vector') return vectorValue; // MariaDB's is a VARBINARY in the log
  return column.charset === null ? copy : decoderOf(column.charset);
}

/** Values of ASCII are slices of the cursor's text. */
function textDecoder(charset: string, width: number): Decode {
  const decode = decoderOf(charset);
  if (!isAsciiSuperset(charset)) return prefixed(width, decode);
  return (c) => {
    const length = width === 1 ? c.uint8() : c.uint16();
    const from = c.take(length);
    const to = from + length;
    const { buffer, textStart } = c;
    return textStart < 0 || isBeyondAscii(buffer, from, to)
      ? decode(buffer, from, to)
      : c.text.slice(from - textStart, to - textStart);
  };
}

function prefixed(width: number, read: Content): Decode {
  return (c) => {
    const length = c.buffer.readUIntLE(c.take(width), width);
    const from = c.take(length);
    return read(c.buffer, from, from + length);
  };
}

/** Of its own: a part would keep all that was read with it. */
function copy(buffer: Buffer, from: number, to: number): Uint8Array {
  return Uint8Array.prototype.slice.call(buffer, from, to);
}

function padded(length: number, read: Content): Content {
  return (buffer, from, to) => {
    if (to - from >= length) return read(buffer, from, to);
    const whole = Buffer.alloc(length);
    buffer.copy(whole, 0, from, to);
    return read(whole, 0, length);
  };
}

/**
 * MariaDB's COMPRESSED columns (Field_longstr::uncompress): 0 and the value; or method << 4 | with a zlib header << 3 |
 * bytes of the length, the length big-endian, and the deflated value.
 */
function compressed(read: Content): Content {
  return (buffer, from, to) => {
    if (from === to) return read(buffer, from, to);
    const head = buffer[from]!;
    if (head === 0) return read(buffer, from + 1, to);
    const width = head & 7;
    if (head >> 4 !== 8 || width < 1 || width > 4 || from + 1 + width > to) {
      throw misplaced('a compressed value that cannot be read');
    }
    const maxOutputLength = buffer.readUIntBE(from + 1, width);
    const packed = buffer.subarray(from + 1 + width, to);
    const inflate = (head & 8) === 0 ? inflateSync : inflateRawSync;
    const value = inflate(packed, { maxOutputLength: Math.max(1, maxOutputLength) });
    return read(value, 0, value.length);
  };
}
