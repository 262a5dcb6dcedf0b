/**
 * Dates and times as LogMiner and TO_CHAR write them. Inside, a moment is whole seconds since 1970-01-01T00:00 of
 * its own clock, nanoseconds and the minutes its zone is ahead of UTC.
 */
import { daysFromCivil } from '../../civil-days.ts';
import { UnreadableValue } from './unreadable-value.ts';

export interface Moment {
  readonly seconds: number;
  readonly nanos: number;
  /** Null where the text has no zone. */
  readonly offsetMinutes: number | null;
  /** Written as a session without Headwater's NLS settings would: they were lost. */
  readonly foreignForm: boolean;
}

const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{0,9}))?)?(?: ?([+-])(\d\d):(\d\d)| ?(Z))?$/;
const NLS =
  /^(\d{1,2})-([A-Z]{3})-(\d{4}|\d{2})(?: (\d{1,2})[.:](\d\d)[.:](\d\d)(?:\.(\d{0,9}))? (AM|PM)(?: ([+-])(\d\d):(\d\d))?)?$/i;
const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const SECONDS_A_DAY = 86_400;

export function parseMoment(text: string): Moment {
  const plain = parsePlain(text);
  if (plain !== null) return plain;
  const iso = ISO.exec(text);
  if (iso !== null) {
    const offsetMinutes =
      iso[11] === 'Z'
        ? 0
        : iso[8] === undefined
          ? null
          : (iso[8] === '-' ? -1 : 1) * minutesOf(Number(iso[9]), Number(iso[10]));
    return {
      seconds:
        daysOf(Number(iso[1]), Number(iso[2]), Number(iso[3])) * SECONDS_A_DAY +
        secondsOf(Number(iso[4] ?? 0), Number(iso[5] ?? 0), Number(iso[6] ?? 0)),
      nanos: nanosOf(iso[7]),
      offsetMinutes,
      foreignForm: false,
    };
  }
  const nls = NLS.exec(text);
  if (nls === null) throw new UnreadableValue('a date such as 2024-01-31 12:00:00');
  const month = MONTHS.indexOf(nls[2]!.toUpperCase()) + 1;
  let year = Number(nls[3]);
  if (nls[3]!.length === 2) year += year < 50 ? 2000 : 1900; // RR
  const hour = nls[4] === undefined ? 0 : Number(nls[4]);
  if (nls[4] !== undefined && (hour < 1 || hour > 12)) throw new UnreadableValue('an hour from 1 to 12');
  return {
    seconds:
      daysOf(year, month, Number(nls[1])) * SECONDS_A_DAY +
      secondsOf(
        nls[4] === undefined ? 0 : (hour % 12) + (nls[8]!.toUpperCase() === 'PM' ? 12 : 0),
        Number(nls[5] ?? 0),
        Number(nls[6] ?? 0),
      ),
    nanos: nanosOf(nls[7]),
    offsetMinutes:
      nls[9] === undefined ? null : (nls[9] === '-' ? -1 : 1) * minutesOf(Number(nls[10]), Number(nls[11])),
    foreignForm: true,
  };
}

/** `YYYY-MM-DD HH24:MI:SS` with up to nine fraction digits, as nearly all are written; null for any other form. */
function parsePlain(text: string): Moment | null {
  if (text.length < 19 || text.length > 29) return null;
  if (text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45) return null;
  const between = text.charCodeAt(10);
  if ((between !== 32 && between !== 84) || text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58) {
    return null;
  }
  let nanos = 0;
  if (text.length > 19) {
    if (text.charCodeAt(19) !== 46) return null;
    nanos = digitsAt(text, 20, text.length);
    for (let i = text.length; i < 29; i++) nanos *= 10;
  }
  const year = digitsAt(text, 0, 4);
  const month = digitsAt(text, 5, 7);
  const day = digitsAt(text, 8, 10);
  const hour = digitsAt(text, 11, 13);
  const minute = digitsAt(text, 14, 16);
  const second = digitsAt(text, 17, 19);
  // One that is none makes the sum so.
  if (Number.isNaN(nanos + year + month + day + hour + minute + second)) return null;
  return {
    seconds: daysOf(year, month, day) * SECONDS_A_DAY + secondsOf(hour, minute, second),
    nanos,
    offsetMinutes: null,
    foreignForm: false,
  };
}

/** NaN where one of them is no digit. */
function digitsAt(text: string, from: number, to: number): number {
  let n = 0;
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return NaN;
    n = n * 10 + digit;
  }
  return n;
}

/**
 * The Value of `timestamp` and `timestamptz`: microseconds, a number where exact; with a precision past 6
 * nanoseconds as bigint. A zone, where the text has one, is taken off.
 */
export function timestampValue(moment: Moment, precision: number): number | bigint {
  const seconds = moment.seconds - (moment.offsetMinutes ?? 0) * 60;
  if (precision > 6) return BigInt(seconds) * 1_000_000_000n + BigInt(moment.nanos);
  const micros = seconds * 1_000_000 + Math.floor(moment.nanos / 1000);
  if (Number.isSafeInteger(micros)) return micros;
  return BigInt(seconds) * 1_000_000n + BigInt(Math.floor(moment.nanos / 1000));
}

/** ISO 8601 with the column's fraction digits and the zone the value was written with; UTC is `Z`. */
export function zonedText(moment: Moment, precision: number): string {
  const offset = moment.offsetMinutes ?? 0;
  const fraction = precision === 0 ? '' : `.${String(moment.nanos).padStart(9, '0').slice(0, precision)}`;
  const sign = offset < 0 ? '-' : '+';
  const zone =
    offset === 0 ? 'Z' : `${sign}${two(Math.trunc(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${isoSeconds(moment.seconds)}${fraction}${zone}`;
}

/** Days since 1970-01-01, proleptic Gregorian. */
export function daysOf(year: number, month: number, day: number): number {
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) {
    throw new UnreadableValue('a date of the calendar');
  }
  return daysFromCivil(year, month, day);
}

export function secondsOf(hour: number, minute: number, second: number): number {
  if (hour > 23 || minute > 59 || second > 59) throw new UnreadableValue('a time of day');
  return hour * 3600 + minute * 60 + second;
}

const YEAR_TO_MONTH = /^([+-]?)(\d{1,9})-(\d{1,2})$/;
const DAY_TO_SECOND = /^([+-]?)(\d{1,9}) (\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{0,9}))?$/;

/** `+02-03` → months. */
export function monthsOf(text: string): number {
  const match = YEAR_TO_MONTH.exec(text.trim());
  if (match === null || Number(match[3]) > 11) throw new UnreadableValue('an interval of years and months');
  return signed(match[1], Number(match[2]) * 12 + Number(match[3]));
}

/** Behind the microseconds what is finer, where there is anything. */
export type DayTime =
  readonly [days: number, micros: number] | readonly [days: number, micros: number, nanos: number];

export function dayTime(days: number, seconds: number, nanos: number): DayTime {
  const micros = seconds * 1_000_000 + Math.trunc(nanos / 1000);
  const finer = nanos % 1000;
  return finer === 0 ? [days, micros] : [days, micros, finer];
}

/** `+01 02:03:04.000000` → whole days, and the time of day. */
export function dayTimeOf(text: string): DayTime {
  const match = DAY_TO_SECOND.exec(text.trim());
  if (match === null) throw new UnreadableValue('an interval of days and seconds');
  const seconds = secondsOf(Number(match[3]), Number(match[4]), Number(match[5]));
  return dayTime(
    signed(match[1], Number(match[2])),
    signed(match[1], seconds),
    signed(match[1], nanosOf(match[6])),
  );
}

function signed(sign: string | undefined, n: number): number {
  return sign === '-' && n !== 0 ? -n : n;
}

function nanosOf(digits: string | undefined): number {
  return digits === undefined || digits === '' ? 0 : Number(digits.padEnd(9, '0'));
}

function minutesOf(hours: number, minutes: number): number {
  if (hours > 15 || minutes > 59) throw new UnreadableValue('a time zone');
  return hours * 60 + minutes;
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** `2024-01-31T12:00:00`. Years from 0 to 9999 are all that Oracle prints. */
function isoSeconds(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, -5);
}

function two(n: number): string {
  return String(n).padStart(2, '0');
}
