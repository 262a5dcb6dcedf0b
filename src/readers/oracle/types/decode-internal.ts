/**
 * Oracle's internal encodings, as HEXTORAW shows them where LogMiner lacks the dictionary (STATUS = 2). Oracle
 * Call Interface Programmer's Guide, "Data Types": NUMBER, DATE, TIMESTAMP, INTERVAL; IEEE 754 with the order of
 * the bytes made sortable for BINARY_FLOAT and BINARY_DOUBLE.
 */
import { daysOf, type DayTime, dayTime, type Moment, secondsOf } from './decode-temporal.ts';
import { UnreadableValue } from './unreadable-value.ts';

/** Text as `decimalText` takes it. */
export function internalNumber(bytes: Uint8Array): string {
  const first = bytes[0];
  if (first === undefined || bytes.length > 22) throw new UnreadableValue('an internal number');
  if (first === 0x80) {
    if (bytes.length !== 1) throw new UnreadableValue('an internal number');
    return '0';
  }
  const positive = first > 0x80;
  const exponent = positive ? first - 193 : 62 - first;
  const end = !positive && bytes[bytes.length - 1] === 0x66 ? bytes.length - 1 : bytes.length;
  let digits = '';
  for (let i = 1; i < end; i++) {
    const digit = positive ? bytes[i]! - 1 : 101 - bytes[i]!;
    if (digit < 0 || digit > 99) throw new UnreadableValue('an internal number');
    digits += String(digit).padStart(2, '0');
  }
  if (digits === '') throw new UnreadableValue('an internal number');
  // digits are d0 d1 … of base 100; the value is their sum, d_i · 100^(exponent - i).
  return `${positive ? '' : '-'}${digits}e${2 * (exponent + 1) - digits.length}`;
}

/** DATE (7 bytes), TIMESTAMP (7 or 11), TIMESTAMP WITH TIME ZONE (13, in UTC with its zone behind). */
export function internalMoment(bytes: Uint8Array, zoned: boolean): Moment {
  if (bytes.length !== 7 && bytes.length !== 11 && bytes.length !== 13) {
    throw new UnreadableValue('an internal date');
  }
  const [century = 0, year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = bytes;
  const seconds =
    daysOf((century - 100) * 100 + (year - 100), month, day) * 86_400 +
    secondsOf(unsigned(hour - 1), unsigned(minute - 1), unsigned(second - 1));
  const nanos = bytes.length > 7 ? view(bytes).getUint32(7) : 0;
  if (nanos > 999_999_999) throw new UnreadableValue('an internal date');
  if (bytes.length !== 13 || !zoned) {
    return { seconds, nanos, offsetMinutes: zoned ? 0 : null, foreignForm: false };
  }
  // The high bit marks a named region, whose number only the server can look up: the moment stays, in UTC.
  if ((bytes[11]! & 0x80) !== 0) return { seconds, nanos, offsetMinutes: 0, foreignForm: false };
  const offsetMinutes = (bytes[11]! - 20) * 60 + (bytes[12]! - 60);
  if (Math.abs(offsetMinutes) > 15 * 60) throw new UnreadableValue('an internal time zone');
  return { seconds: seconds + offsetMinutes * 60, nanos, offsetMinutes, foreignForm: false };
}

export function internalMonths(bytes: Uint8Array): number {
  if (bytes.length !== 5) throw new UnreadableValue('an internal interval of years and months');
  return (view(bytes).getUint32(0) - 0x8000_0000) * 12 + (bytes[4]! - 60);
}

export function internalDayTime(bytes: Uint8Array): DayTime {
  if (bytes.length !== 11) throw new UnreadableValue('an internal interval of days and seconds');
  const days = view(bytes).getUint32(0) - 0x8000_0000;
  const seconds = (bytes[4]! - 60) * 3600 + (bytes[5]! - 60) * 60 + (bytes[6]! - 60);
  const nanos = view(bytes).getUint32(7) - 0x8000_0000;
  return dayTime(days, seconds, nanos);
}

export function internalFloat(bytes: Uint8Array): number {
  if (bytes.length !== 4 && bytes.length !== 8) throw new UnreadableValue('an internal binary float');
  const copy = Uint8Array.from(bytes);
  if ((copy[0]! & 0x80) !== 0) copy[0]! &= 0x7f;
  else for (let i = 0; i < copy.length; i++) copy[i] = ~copy[i]!;
  return copy.length === 4 ? view(copy).getFloat32(0) : view(copy).getFloat64(0);
}

function unsigned(n: number): number {
  if (n < 0) throw new UnreadableValue('an internal time of day');
  return n;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
