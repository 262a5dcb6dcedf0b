/** A column's default → what its schema shows, as Debezium 3.2 reads it (BinlogDefaultValueConverter). */
import type { Column, ColumnType } from '../../../model/table.ts';
import type { Value } from '../../../model/value.ts';
import { shortestFloat } from './float-values.ts';
import type { MysqlColumn } from './mysql-column.ts';
import { dateValue, datetimeValue } from './temporal-values.ts';

type Default = Pick<Column, 'default' | 'computedDefault'>;

const NONE: Default = { default: undefined };

/** `CURRENT_TIMESTAMP(3)`, MariaDB's `current_timestamp()`, `now()` and the other names of it. */
const NOW = /^(?:current_timestamp|now|localtime|localtimestamp)\b/i;

export function columnDefault(column: MysqlColumn, type: ColumnType): Default {
  const { default: found, nullable } = column;
  if (found === null) return NONE;
  if ('expression' in found) {
    if (!NOW.test(found.expression)) return NONE;
    // The epoch stands for it; of a nullable TIMESTAMP Debezium takes that for no default.
    if (type.kind === 'timestamp') return { default: 0, computedDefault: true };
    return type.kind === 'timestamptz' && !nullable ? { default: 0, computedDefault: true } : NONE;
  }
  const value = literalValue(found.literal, type, column);
  if (value === undefined || value === null) return NONE;
  // A zero date: none where the column may be NULL, else the epoch.
  if (typeof value === 'string' && 'zero' in type) return nullable ? NONE : { default: 0 };
  return { default: value };
}

/**
 * What an INSERT that leaves the column out puts into it, as a row's Value; undefined where that is not known: of a
 * column of which the log alone has told, and where an expression is the default.
 */
export function insertedDefault(column: MysqlColumn, type: ColumnType): Value | undefined {
  const { default: found, nullable, columnType, generated } = column;
  if (columnType === null || generated !== null) return undefined;
  if (found !== null && 'expression' in found) return undefined;
  const value = found === null ? null : literalValue(found.literal, type, column);
  return value === null && !nullable ? undefined : value;
}

/** Undefined where the text is none of the type's, or Debezium shows none of that type. */
function literalValue(literal: string, type: ColumnType, column: MysqlColumn): Value | undefined {
  const text =
    type.kind === 'string' || type.kind === 'enum' || type.kind === 'set' ? literal : literal.trim();
  switch (type.kind) {
    case 'int16':
    case 'int32':
    case 'int64':
    case 'uint64':
      return integerValue(text);
    case 'float32':
    case 'float64': {
      const n = Number(booleanText(text));
      if (text === '' || Number.isNaN(n)) return undefined;
      return type.kind === 'float32' ? shortestFloat(Math.fround(n)) : n;
    }
    case 'decimal':
      return decimalValue(booleanText(text), type.scale ?? 0);
    case 'boolean':
      return bitsOf(text) !== 0n;
    case 'bits':
      return littleEndian(bitsOf(text), type.length ?? 1);
    case 'year':
      return yearValue(text);
    case 'date':
    case 'timestamp':
    case 'timestamptz':
      return dateTimeValue(text, type);
    case 'duration':
      return durationValue(text);
    case 'string':
    case 'enum':
    case 'set':
      return text;
    case 'bytes':
      return binaryValue(text, column);
    default:
      return undefined;
  }
}

function booleanText(text: string): string {
  if (/^true$/i.test(text)) return '1';
  return /^false$/i.test(text) ? '0' : text;
}

/** Decimals are rounded, as the server does. */
function integerValue(literal: string): number | bigint | undefined {
  const text = booleanText(literal);
  if (/^[+-]?\d+$/.test(text)) {
    const exact = BigInt(text);
    const n = Number(exact);
    return Number.isSafeInteger(n) ? n : exact;
  }
  const n = text === '' ? NaN : Math.round(Number(text));
  return Number.isSafeInteger(n) ? n : undefined;
}

function decimalValue(text: string, scale: number): string | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text);
  if (match === null || (match[2] === '' && (match[3] ?? '') === '')) return undefined;
  const fraction = match[3] ?? '';
  const digits = BigInt(`${match[2]}${fraction}`);
  // value = digits × 10^exponent; wanted: units of 10^-scale, half up.
  const shift = Number(match[4] ?? 0) - fraction.length + scale;
  let unscaled: bigint;
  if (shift >= 0) {
    unscaled = digits * 10n ** BigInt(shift);
  } else {
    const by = 10n ** BigInt(-shift);
    unscaled = (digits + by / 2n) / by;
  }
  const all = String(unscaled).padStart(scale + 1, '0');
  const sign = match[1] === '-' && unscaled !== 0n ? '-' : '';
  return scale === 0 ? sign + all : `${sign}${all.slice(0, -scale)}.${all.slice(-scale)}`;
}

/** `b'101'`, `0x2a`, `x'2a'`, a number, true or false. */
function bitsOf(literal: string): bigint {
  const text = booleanText(literal);
  const binary = /^b'([01]*)'$/i.exec(text);
  if (binary !== null) return BigInt(`0b0${binary[1]}`);
  const hex = /^(?:0x([0-9a-f]*)|x'([0-9a-f]*)')$/i.exec(text);
  if (hex !== null) return BigInt(`0x0${hex[1] ?? hex[2]}`);
  return /^\d+$/.test(text) ? BigInt(text) : 0n;
}

function littleEndian(bits: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array((length + 7) >> 3);
  let rest = bits;
  for (let i = 0; i < bytes.length; i++, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

/** One or two digits are 1970 to 2069, as for values. */
function yearValue(text: string): number | undefined {
  if (!/^\d{1,4}$/.test(text)) return undefined;
  const n = Number(text);
  if (n >= 100 || text.length > 2 || (n === 0 && text.length < 2)) return n;
  return n < 70 ? 2000 + n : 1900 + n;
}

const DATE_TIME = /^(\d{4})-(\d\d?)-(\d\d?)(?:[ T](\d\d?)(?::(\d\d?)(?::(\d\d?)(?:\.(\d{1,6}))?)?)?)?$/;

function dateTimeValue(
  text: string,
  type: ColumnType & { readonly kind: 'date' | 'timestamp' | 'timestamptz' },
): number | bigint | string | undefined {
  if (text === '0') return '0000-00-00';
  const match = DATE_TIME.exec(text);
  if (match === null) return undefined;
  const part = (i: number): number => Number(match[i] ?? 0);
  const date = { year: part(1), month: part(2), day: part(3) };
  if (type.kind === 'date') return dateValue(date.year, date.month, date.day);
  const us = (part(4) * 3600 + part(5) * 60 + part(6)) * 1_000_000 + Number((match[7] ?? '').padEnd(6, '0'));
  return datetimeValue(date, us, type.precision ?? 0);
}

/** `-838:59:59.000001`; of a whole date and time its time. */
function durationValue(literal: string): number | undefined {
  const text = literal.replace(/^\d+-\d+-\d+ /, '');
  const match = /^(-?)(\d{1,3}):(\d\d?)(?::(\d\d?)(?:\.(\d{1,6}))?)?$/.exec(text);
  if (match === null) return undefined;
  const part = (i: number): number => Number(match[i] ?? 0);
  const us = (part(2) * 3600 + part(3) * 60 + part(4)) * 1_000_000 + Number((match[5] ?? '').padEnd(6, '0'));
  return match[1] === '-' && us !== 0 ? -us : us;
}

/** Bytes are shown as they are stored: BINARY is filled up with zeros. */
function binaryValue(text: string, { dataType, length }: MysqlColumn): Uint8Array {
  const hex = /^(?:0x((?:[0-9a-f]{2})*)|x'((?:[0-9a-f]{2})*)')$/i.exec(text);
  const bytes = hex === null ? Buffer.from(text, 'utf8') : Buffer.from(hex[1] ?? hex[2] ?? '', 'hex');
  if (dataType !== 'binary' || length === null || bytes.length >= length) return bytes;
  return Buffer.concat([bytes], length);
}
