/**
 * Dates and times in DateStyle ISO, IntervalStyle postgres → Value. The usual form (`2024-05-06 07:08:09.123`)
 * is read by char codes; BC, years past 9999 and infinities take a slower path.
 */
import { daysFromCivil } from '../../civil-days.ts';
import { unreadableValue } from '../../unreadable-value.ts';

const DASH = 45;
const COLON = 58;
const US_PER_DAY = 86_400_000_000;
/** Beyond this many days from 1970 microseconds no longer fit a double exactly. */
const SAFE_DAYS = 104_248;

function two(text: string, at: number): number {
  const high = text.charCodeAt(at) - 48;
  const low = text.charCodeAt(at + 1) - 48;
  if (high >>> 0 > 9 || low >>> 0 > 9) throw unreadableValue('date/time');
  return high * 10 + low;
}

/** Microseconds past midnight of `HH:MM:SS[.ffffff]` in [from, to). */
function timeOfDay(text: string, from: number, to: number): number {
  if (to - from < 8 || text.charCodeAt(from + 2) !== COLON || text.charCodeAt(from + 5) !== COLON) {
    throw unreadableValue('time');
  }
  let us = (two(text, from) * 3600 + two(text, from + 3) * 60 + two(text, from + 6)) * 1_000_000;
  if (to - from > 8) {
    if (text.charCodeAt(from + 8) !== 46 || to - from > 15) throw unreadableValue('time');
    let unit = 100_000;
    for (let i = from + 9; i < to; i++) {
      const digit = text.charCodeAt(i) - 48;
      if (digit >>> 0 > 9) throw unreadableValue('time');
      us += digit * unit;
      unit /= 10;
    }
  }
  return us;
}

/** Days since 1970-01-01; ±Infinity. */
export function decodeDate(text: string): number {
  if (text.length === 10 && text.charCodeAt(4) === DASH && text.charCodeAt(7) === DASH) {
    return daysFromCivil(two(text, 0) * 100 + two(text, 2), two(text, 5), two(text, 8));
  }
  if (text === 'infinity') return Infinity;
  if (text === '-infinity') return -Infinity;
  const match = /^(\d{4,7})-(\d\d)-(\d\d)( BC)?$/.exec(text);
  if (match === null) throw unreadableValue('date');
  return daysFromCivil(astronomical(match[1], match[4]), Number(match[2]), Number(match[3]));
}

/** Microseconds past midnight; 24:00:00 is 86,400,000,000. */
export function decodeTime(text: string): number {
  return timeOfDay(text, 0, text.length);
}

/** `04:05:06.789-08`, as the server prints it: see timetzUtc for its parts. */
export function decodeTimetz(text: string): string {
  if (!/^\d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d(:\d\d(:\d\d)?)?$/.test(text)) throw unreadableValue('timetz');
  return text;
}

/** Microseconds since 1970-01-01T00:00 without zone; number where exact, else bigint; ±Infinity. */
export function decodeTimestamp(text: string): number | bigint {
  const length = text.length;
  if (
    length >= 19 &&
    length <= 26 &&
    text.charCodeAt(4) === DASH &&
    text.charCodeAt(7) === DASH &&
    text.charCodeAt(10) === 32 &&
    text.charCodeAt(length - 1) !== 67 // C of BC
  ) {
    const days = daysFromCivil(two(text, 0) * 100 + two(text, 2), two(text, 5), two(text, 8));
    return microseconds(days, timeOfDay(text, 11, length));
  }
  return slowTimestamp(text, 'timestamp');
}

/** Microseconds since the epoch. The session's TimeZone is UTC, but any offset is understood. */
export function decodeTimestamptz(text: string): number | bigint {
  const length = text.length;
  if (
    length >= 22 &&
    length <= 29 &&
    text.charCodeAt(4) === DASH &&
    text.charCodeAt(7) === DASH &&
    text.charCodeAt(10) === 32 &&
    text.charCodeAt(length - 3) === 43 &&
    text.charCodeAt(length - 2) === 48 &&
    text.charCodeAt(length - 1) === 48
  ) {
    const days = daysFromCivil(two(text, 0) * 100 + two(text, 2), two(text, 5), two(text, 8));
    return microseconds(days, timeOfDay(text, 11, length - 3));
  }
  return slowTimestamp(text, 'timestamptz');
}

function microseconds(days: number, us: number): number | bigint {
  if (days > -SAFE_DAYS && days < SAFE_DAYS) return days * US_PER_DAY + us;
  return BigInt(days) * BigInt(US_PER_DAY) + BigInt(us);
}

const TIMESTAMP =
  /^(\d{4,7})-(\d\d)-(\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?( BC)?$/;

function slowTimestamp(text: string, type: 'timestamp' | 'timestamptz'): number | bigint {
  if (text === 'infinity') return Infinity;
  if (text === '-infinity') return -Infinity;
  const match = TIMESTAMP.exec(text);
  if (match === null || (match[5] !== undefined) !== (type === 'timestamptz')) throw unreadableValue(type);
  const days = daysFromCivil(astronomical(match[1], match[9]), Number(match[2]), Number(match[3]));
  const time = match[4] ?? '';
  const offset = Number(match[6] ?? 0) * 3600 + Number(match[7] ?? 0) * 60 + Number(match[8] ?? 0);
  const shift = (match[5] === '-' ? offset : -offset) * 1_000_000;
  const exact = BigInt(days) * BigInt(US_PER_DAY) + BigInt(timeOfDay(time, 0, time.length) + shift);
  const n = Number(exact);
  return Number.isSafeInteger(n) ? n : exact;
}

function astronomical(year: string | undefined, era: string | undefined): number {
  const y = Number(year);
  return era === undefined ? y : 1 - y;
}

const INTERVAL =
  /^(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?(?:([+-])?(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?$/;

/** [months, days, microseconds]; an infinite interval (PostgreSQL 17) is ±Infinity months. */
export function decodeInterval(text: string): readonly (number | bigint)[] {
  if (text === 'infinity') return [Infinity, 0, 0];
  if (text === '-infinity') return [-Infinity, 0, 0];
  const match = INTERVAL.exec(text);
  if (match === null || text === '') throw unreadableValue('interval');
  const months = Number(match[1] ?? 0) * 12 + Number(match[2] ?? 0);
  const seconds = Number(match[5] ?? 0) * 3600 + Number(match[6] ?? 0) * 60 + Number(match[7] ?? 0);
  const fraction = Number((match[8] ?? '').padEnd(6, '0'));
  const negative = match[4] === '-';
  const us = seconds * 1_000_000 + fraction;
  if (Number.isSafeInteger(us)) return [months, Number(match[3] ?? 0), negative && us !== 0 ? -us : us];
  const exact = BigInt(seconds) * 1_000_000n + BigInt(fraction);
  return [months, Number(match[3] ?? 0), negative ? -exact : exact];
}
