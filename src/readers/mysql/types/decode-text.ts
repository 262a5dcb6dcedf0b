/**
 * Values of the text protocol → Value, the same as the binlog's (INV-5). The session's sql_mode, time zone (UTC)
 * and character set of results (none: bytes as they are stored) are those of wire/connection.ts and
 * wire/row-session.ts.
 */
import '../../buffer-slices.ts';
import type { Value } from '../../../model/value.ts';
import { unreadableValue } from '../../unreadable-value.ts';
import { quoteIdent } from '../wire/quoting.ts';
import { decoderOf } from './charsets.ts';
import { shortestFloat, vectorValue } from './float-values.ts';
import { geometryValue } from './geometry.ts';
import type { MysqlColumn } from './mysql-column.ts';
import { dateValue, datetimeValue } from './temporal-values.ts';

/** The value in [start, end) of a packet. Throws `source.value-unreadable`. */
export type DecodeCell = (buffer: Buffer, start: number, end: number) => Value;

/** What to select a column by. FLOAT is printed with six digits, so that its bytes would be lost. */
export function selectItem({ name, dataType }: MysqlColumn): string {
  return dataType === 'float' ? `${quoteIdent(name)}*1e0` : quoteIdent(name);
}

export function cellDecoder(column: MysqlColumn): DecodeCell {
  const { dataType, charset, scale } = column;
  switch (dataType) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'year':
      return decodeSmallInteger;
    case 'bigint':
      return decodeBigInteger;
    case 'decimal':
      return decodeDecimal;
    case 'float':
      return scale === null
        ? (buffer, start, end) => shortestFloat(Math.fround(decodeDouble(buffer, start, end)))
        : (buffer, start, end) => Math.fround(decodeDouble(buffer, start, end));
    case 'double':
      return decodeDouble;
    case 'bit':
      return column.length === null || column.length <= 1 ? decodeBit : decodeBits;
    case 'date':
      return decodeDate;
    case 'datetime':
    case 'timestamp':
      return datetimeDecoder(column.fraction ?? 0);
    case 'time':
      return decodeDuration;
    case 'vector':
      return vectorValue;
    case 'json':
      return decoderOf('utf8mb4');
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return copyBytes;
    case 'point':
    case 'geometry':
    case 'linestring':
    case 'polygon':
    case 'multipoint':
    case 'multilinestring':
    case 'multipolygon':
    case 'geomcollection':
    case 'geometrycollection':
      return (buffer, start, end) => geometryValue(dataType, buffer.subarray(start, end));
    default:
      return decoderOf(charset);
  }
}

function decodeSmallInteger(buffer: Buffer, start: number, end: number): number {
  const negative = buffer[start] === 45;
  let n = 0;
  for (let i = negative ? start + 1 : start; i < end; i++) {
    const digit = buffer[i]! - 48;
    if (digit >>> 0 > 9) throw unreadableValue('integer');
    n = n * 10 + digit;
  }
  return negative ? -n : n;
}

function decodeBigInteger(buffer: Buffer, start: number, end: number): number | bigint {
  // 15 digits and a sign are safe.
  if (end - start <= 15) return decodeSmallInteger(buffer, start, end);
  const text = buffer.latin1Slice(start, end);
  if (!/^-?\d{1,20}$/.test(text)) throw unreadableValue('bigint');
  const exact = BigInt(text);
  const n = Number(exact);
  return Number.isSafeInteger(n) ? n : exact;
}

/** ZEROFILL puts zeros in front. */
function decodeDecimal(buffer: Buffer, start: number, end: number): string {
  let from = start;
  while (from + 1 < end && buffer[from] === 48 && buffer[from + 1] !== 46) from++;
  const text = buffer.latin1Slice(from, end);
  return text.charCodeAt(0) === 45 && !/[1-9]/.test(text) ? text.slice(1) : text;
}

function decodeDouble(buffer: Buffer, start: number, end: number): number {
  const n = Number(buffer.latin1Slice(start, end));
  if (n !== n) throw unreadableValue('double');
  return n;
}

function decodeBit(buffer: Buffer, _: number, end: number): boolean {
  return buffer[end - 1] !== 0;
}

/** Big-endian on the wire. */
function decodeBits(buffer: Buffer, start: number, end: number): Uint8Array {
  return Uint8Array.prototype.slice.call(buffer, start, end).toReversed();
}

/** Of its own: a part would keep all that was read with it. */
function copyBytes(buffer: Buffer, start: number, end: number): Uint8Array {
  return Uint8Array.prototype.slice.call(buffer, start, end);
}

function two(buffer: Buffer, at: number): number {
  const high = buffer[at]! - 48;
  const low = buffer[at + 1]! - 48;
  if (high >>> 0 > 9 || low >>> 0 > 9) throw unreadableValue('date/time');
  return high * 10 + low;
}

/** Digits behind the point at `at` as microseconds. */
function fractionOf(buffer: Buffer, at: number, end: number): number {
  if (at >= end) return 0;
  if (buffer[at] !== 46 || end - at > 7) throw unreadableValue('date/time');
  let us = 0;
  let unit = 100_000;
  for (let i = at + 1; i < end; i++) {
    const digit = buffer[i]! - 48;
    if (digit >>> 0 > 9) throw unreadableValue('date/time');
    us += digit * unit;
    unit /= 10;
  }
  return us;
}

function decodeDate(buffer: Buffer, start: number, end: number): number | string {
  if (end - start !== 10) throw unreadableValue('date');
  return dateValue(
    two(buffer, start) * 100 + two(buffer, start + 2),
    two(buffer, start + 5),
    two(buffer, start + 8),
  );
}

/** `2024-05-06 07:08:09.123`; of a TIMESTAMP in UTC. */
function datetimeDecoder(fraction: number): DecodeCell {
  return (buffer, start, end) => {
    if (end - start < 19) throw unreadableValue('datetime');
    const date = {
      year: two(buffer, start) * 100 + two(buffer, start + 2),
      month: two(buffer, start + 5),
      day: two(buffer, start + 8),
    };
    const seconds = two(buffer, start + 11) * 3600 + two(buffer, start + 14) * 60 + two(buffer, start + 17);
    return datetimeValue(date, seconds * 1_000_000 + fractionOf(buffer, start + 19, end), fraction);
  };
}

/** `-838:59:59.000000`: two or three digits of hours. */
function decodeDuration(buffer: Buffer, start: number, end: number): number {
  const negative = buffer[start] === 45;
  const from = negative ? start + 1 : start;
  const three = buffer[from + 3] === 58;
  const at = three ? from + 3 : from + 2;
  if (end - at < 6 || buffer[at] !== 58) throw unreadableValue('time');
  const hours = three ? (buffer[from]! - 48) * 100 + two(buffer, from + 1) : two(buffer, from);
  const seconds = hours * 3600 + two(buffer, at + 1) * 60 + two(buffer, at + 4);
  const us = seconds * 1_000_000 + fractionOf(buffer, at + 6, end);
  return negative && us !== 0 ? -us : us;
}
