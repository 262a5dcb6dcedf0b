/**
 * Patterns of java.time.format.DateTimeFormatter, as far as the functions of time know them: y u M d D E a H k K h m s
 * S X x Z z V, text in quotes, [optional] parts. A pattern is compiled once.
 */
import { civilOf, daysOf, isDate, MS_PER_DAY, pad, parseOffset, type Zone, zoneOf } from './civil-time.ts';

export interface TimePattern {
  format(utcMs: number, zone: Zone, zoneName: string): string;
  /** What the text says, or null where it does not follow the pattern or is no date. */
  parse(text: string): ParsedTime | null;
}

export interface ParsedTime {
  /** Days since 1970; null where the pattern holds no date. */
  readonly days: number | null;
  /** Milliseconds of the day, 0 where the pattern holds no time. */
  readonly time: number;
  /** The zone the text itself names. */
  readonly zone: Zone | null;
}

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const;
const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] as const;

interface Moment {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly days: number;
  /** Milliseconds of the day. */
  readonly time: number;
  readonly offset: number;
  readonly zoneName: string;
}

interface Fields {
  year?: number;
  month?: number;
  day?: number;
  dayOfYear?: number;
  hour?: number;
  halfDayHour?: number;
  afternoon?: boolean;
  minute?: number;
  second?: number;
  ms?: number;
  zone?: Zone;
}

interface Part {
  write(moment: Moment): string;
  /** Where the text goes on, or −1. */
  read(text: string, at: number, fields: Fields): number;
}

/** Null where the pattern holds a letter that means nothing, or a quote without an end. */
export function compilePattern(pattern: string): TimePattern | null {
  const parts = partsOf(pattern, 0, false);
  if (parts === null) return null;
  const all = sequence(parts.parts);
  return {
    format: (utcMs, zone, zoneName) => {
      const offset = zone.at(utcMs);
      const local = utcMs + offset;
      const days = Math.floor(local / MS_PER_DAY);
      return all.write({ ...civilOf(days), days, time: local - days * MS_PER_DAY, offset, zoneName });
    },
    parse: (text) => {
      const fields: Fields = {};
      return all.read(text, 0, fields) === text.length ? resolve(fields) : null;
    },
  };
}

function resolve(fields: Fields): ParsedTime | null {
  const { year, month, day, dayOfYear, minute = 0, second = 0, ms = 0 } = fields;
  let { hour } = fields;
  if (hour === undefined && fields.halfDayHour !== undefined)
    hour = (fields.halfDayHour % 12) + (fields.afternoon === true ? 12 : 0);
  hour ??= 0;
  if (hour > 23 || minute > 59 || second > 59) return null;
  const time = ((hour * 60 + minute) * 60 + second) * 1000 + ms;
  const zone = fields.zone ?? null;
  if (year === undefined && month === undefined && day === undefined && dayOfYear === undefined)
    return { days: null, time, zone };
  if (dayOfYear !== undefined) {
    const days = daysOf({ year: year ?? 1970, month: 1, day: 1 }) + dayOfYear - 1;
    return dayOfYear >= 1 && civilOf(days).year === (year ?? 1970) ? { days, time, zone } : null;
  }
  const date = { year: year ?? 1970, month: month ?? 1, day: day ?? 1 };
  return isDate(date) ? { days: daysOf(date), time, zone } : null;
}

function partsOf(
  pattern: string,
  from: number,
  inside: boolean,
): { readonly parts: Part[]; readonly end: number } | null {
  const parts: Part[] = [];
  let at = from;
  while (at < pattern.length) {
    const c = pattern.charAt(at);
    if (c === "'") {
      const quoted = quotedText(pattern, at);
      if (quoted === null) return null;
      parts.push(literal(quoted.text));
      at = quoted.end;
    } else if (c === '[') {
      const inner = inside ? null : partsOf(pattern, at + 1, true);
      if (inner === null) return null;
      parts.push(optional(sequence(inner.parts)));
      at = inner.end;
    } else if (c === ']') {
      return inside ? { parts, end: at + 1 } : null;
    } else if (/[A-Za-z]/.test(c)) {
      let end = at + 1;
      while (pattern.charAt(end) === c) end++;
      const next = pattern.charAt(end);
      const part = field(c, end - at, /[A-Za-z]/.test(next) && !'EazVXxZ'.includes(next));
      if (part === null) return null;
      parts.push(part);
      at = end;
    } else {
      parts.push(literal(c));
      at++;
    }
  }
  return inside ? null : { parts, end: at };
}

function quotedText(pattern: string, start: number): { text: string; end: number } | null {
  if (pattern.charAt(start + 1) === "'") return { text: "'", end: start + 2 };
  let text = '';
  for (let at = start + 1; at < pattern.length; at++) {
    if (pattern.charAt(at) !== "'") text += pattern.charAt(at);
    else if (pattern.charAt(at + 1) === "'") text += pattern.charAt(at++);
    else return { text, end: at + 1 };
  }
  return null;
}

function sequence(parts: readonly Part[]): Part {
  return {
    write: (moment) => {
      let text = '';
      for (const part of parts) text += part.write(moment);
      return text;
    },
    read: (text, from, fields) => {
      let at = from;
      for (const part of parts) {
        at = part.read(text, at, fields);
        if (at < 0) return -1;
      }
      return at;
    },
  };
}

function optional(part: Part): Part {
  return {
    write: (moment) => part.write(moment),
    read: (text, at, fields) => {
      const tried: Fields = { ...fields };
      const end = part.read(text, at, tried);
      if (end < 0) return at;
      Object.assign(fields, tried);
      return end;
    },
  };
}

function literal(value: string): Part {
  return {
    write: () => value,
    read: (text, at) => (text.startsWith(value, at) ? at + value.length : -1),
  };
}

/** `adjacent`: digits of another field follow at once, so that this one takes exactly `count` of them. */
function field(letter: string, count: number, adjacent: boolean): Part | null {
  switch (letter) {
    case 'y':
    case 'u':
      return yearPart(count, adjacent);
    case 'M':
    case 'L':
      return count <= 2
        ? digits(
            count,
            adjacent,
            (moment) => moment.month,
            (fields, n) => (fields.month = n),
          )
        : names(
            MONTHS,
            count,
            (moment) => moment.month - 1,
            (fields, n) => (fields.month = n + 1),
          );
    case 'd':
      return digits(
        count,
        adjacent,
        (moment) => moment.day,
        (fields, n) => (fields.day = n),
      );
    case 'D':
      return digits(
        count,
        adjacent,
        ({ days, year }) => days - daysOf({ year, month: 1, day: 1 }) + 1,
        (fields, n) => (fields.dayOfYear = n),
      );
    case 'E':
      return names(
        DAYS,
        count,
        ({ days }) => (((days + 3) % 7) + 7) % 7,
        () => undefined,
      );
    case 'a':
      return halfDay();
    case 'H':
      return digits(count, adjacent, hourOf, (fields, n) => (fields.hour = n));
    case 'k':
      return digits(
        count,
        adjacent,
        (moment) => hourOf(moment) || 24,
        (fields, n) => (fields.hour = n % 24),
      );
    case 'K':
      return digits(
        count,
        adjacent,
        (moment) => hourOf(moment) % 12,
        (fields, n) => (fields.halfDayHour = n),
      );
    case 'h':
      return digits(
        count,
        adjacent,
        (moment) => hourOf(moment) % 12 || 12,
        (fields, n) => (fields.halfDayHour = n),
      );
    case 'm':
      return digits(
        count,
        adjacent,
        ({ time }) => Math.floor(time / 60_000) % 60,
        (fields, n) => (fields.minute = n),
      );
    case 's':
      return digits(
        count,
        adjacent,
        ({ time }) => Math.floor(time / 1000) % 60,
        (fields, n) => (fields.second = n),
      );
    case 'S':
      return fraction(count);
    case 'X':
    case 'x':
    case 'Z':
      return offsetPart(letter, count);
    case 'z':
    case 'V':
      return zonePart();
    default:
      return null;
  }
}

function hourOf({ time }: Moment): number {
  return Math.floor(time / 3_600_000);
}

function readDigits(text: string, from: number, min: number, max: number): number {
  let end = from;
  while (end < from + max && end < text.length) {
    const c = text.charCodeAt(end);
    if (c < 48 || c > 57) break;
    end++;
  }
  return end - from < min ? -1 : end;
}

function digits(
  count: number,
  adjacent: boolean,
  get: (moment: Moment) => number,
  set: (fields: Fields, n: number) => unknown,
): Part {
  return {
    write: (moment) => pad(get(moment), count),
    read: (text, at, fields) => {
      const end = readDigits(text, at, count, adjacent || count > 1 ? count : 3);
      if (end >= 0) set(fields, Number(text.slice(at, end)));
      return end;
    },
  };
}

function yearPart(count: number, adjacent: boolean): Part {
  if (count === 2) {
    // Two digits are of this century, as in java.time.
    return {
      write: ({ year }) => pad(((year % 100) + 100) % 100, 2),
      read: (text, at, fields) => {
        const end = readDigits(text, at, 2, 2);
        if (end >= 0) fields.year = 2000 + Number(text.slice(at, end));
        return end;
      },
    };
  }
  return {
    write: ({ year }) => pad(year, count),
    read: (text, at, fields) => {
      const negative = text.charAt(at) === '-';
      const from = negative ? at + 1 : at;
      const end = readDigits(text, from, count, adjacent ? count : 9);
      if (end < 0) return -1;
      const year = Number(text.slice(from, end));
      fields.year = negative ? -year : year;
      return end;
    },
  };
}

function names(
  list: readonly string[],
  count: number,
  get: (moment: Moment) => number,
  set: (fields: Fields, n: number) => unknown,
): Part {
  const length = count <= 3 ? 3 : count === 5 ? 1 : Infinity;
  const shown = list.map((name) => name.slice(0, length));
  return {
    write: (moment) => shown[get(moment)] ?? '',
    read: (text, at, fields) => {
      const index = shown.findIndex((name) => text.startsWith(name, at));
      if (index < 0) return -1;
      set(fields, index);
      return at + (shown[index]?.length ?? 0);
    },
  };
}

function halfDay(): Part {
  return {
    write: (moment) => (hourOf(moment) < 12 ? 'AM' : 'PM'),
    read: (text, at, fields) => {
      const word = text.slice(at, at + 2).toUpperCase();
      if (word !== 'AM' && word !== 'PM') return -1;
      fields.afternoon = word === 'PM';
      return at + 2;
    },
  };
}

function fraction(count: number): Part {
  return {
    write: ({ time }) =>
      pad(time % 1000, 3)
        .padEnd(count, '0')
        .slice(0, count),
    read: (text, at, fields) => {
      const end = readDigits(text, at, count, count);
      if (end >= 0) fields.ms = Number(text.slice(at, end).padEnd(3, '0').slice(0, 3));
      return end;
    },
  };
}

/** `X` writes Z for zero, `x` and `Z` do not. */
function offsetPart(letter: string, count: number): Part {
  const colon = letter === 'Z' ? count === 5 : count === 3 || count === 5;
  const short = letter !== 'Z' && count === 1;
  const zulu = letter === 'X' || (letter === 'Z' && count === 5);
  return {
    write: ({ offset }) => {
      if (offset === 0 && zulu) return 'Z';
      const minutes = Math.floor(Math.abs(offset) / 60_000);
      const [hours, rest] = [pad(Math.floor(minutes / 60), 2), pad(minutes % 60, 2)];
      const sign = offset < 0 ? '-' : '+';
      return short && rest === '00' ? sign + hours : `${sign}${hours}${colon ? ':' : ''}${rest}`;
    },
    read: (text, at, fields) => {
      const match = /^(?:Z|[+-]\d{2}(?::?\d{2})?)/.exec(text.slice(at, at + 6));
      const offset = match === null ? null : parseOffset(match[0]);
      if (match === null || offset === null) return -1;
      fields.zone = { at: () => offset, local: () => offset };
      return at + match[0].length;
    },
  };
}

function zonePart(): Part {
  return {
    write: ({ zoneName }) => zoneName,
    read: (text, at, fields) => {
      const match = /^[A-Za-z][A-Za-z0-9_+:/-]*/.exec(text.slice(at));
      const zone = match === null ? null : zoneOf(match[0]);
      if (match === null || zone === null) return -1;
      fields.zone = zone;
      return at + match[0].length;
    },
  };
}
