/** Days, times and zones without Date: all arithmetic is on whole numbers. */

export const MS_PER_DAY = 86_400_000;
/** Where calendars with zones end, ms since 1970 in either direction (ECMA-262, 21.4.1.1). */
export const MAX_ZONED_MS = 8.64e15;
/** Days of a DATE are a 32-bit number in Avro. */
const MAX_DAYS = 2 ** 31 - 1;

/** Whether the number is days of a DATE, ms of a day's TIME (24:00 is one), or ms of a TIMESTAMP. */
export function isTimeNumber(kind: 'DATE' | 'TIME' | 'TIMESTAMP', n: number): boolean {
  if (kind === 'TIMESTAMP') return Number.isSafeInteger(n);
  if (kind === 'DATE') return Number.isInteger(n) && Math.abs(n) <= MAX_DAYS;
  return Number.isInteger(n) && n >= 0 && n <= MS_PER_DAY;
}

export interface CivilDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}

/** Days since 1970-01-01 of the proleptic Gregorian calendar. */
export function daysOf({ year, month, day }: CivilDate): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

export function civilOf(days: number): CivilDate {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {
    year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0),
    month,
    day: dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1,
  };
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

export function isDate({ year, month, day }: CivilDate): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
}

export function pad(n: number, digits: number): string {
  return n < 0 ? `-${String(-n).padStart(digits, '0')}` : String(n).padStart(digits, '0');
}

/** `2016-11-04` */
export function dateText(days: number): string {
  const { year, month, day } = civilOf(days);
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
}

/** As java.time.LocalTime prints it: `11:51`, `11:51:30`, `11:51:30.123`. */
export function timeText(ms: number): string {
  const text = clockText(ms);
  const rest = ms % 1000;
  if (rest !== 0) return `${text}.${pad(rest, 3)}`;
  return text.endsWith(':00') ? text.slice(0, -3) : text;
}

/** `11:51:30` */
function clockText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${pad(Math.floor(seconds / 3600), 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}`;
}

/** `2016-11-04T11:51:30.123` */
export function timestampText(ms: number): string {
  const days = Math.floor(ms / MS_PER_DAY);
  const time = ms - days * MS_PER_DAY;
  const rest = pad(time % 1000, 3);
  return `${dateText(days)}T${clockText(time)}.${rest}`;
}

const DATE = /^([+-]?\d{4,9})-(\d{2})-(\d{2})$/;
const TIME = /^(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?$/;

/** Days; null for what is no date. */
export function parseDate(text: string): number | null {
  const match = DATE.exec(text.trim());
  if (match === null) return null;
  const date = { year: Number(match[1]), month: Number(match[2]), day: Number(match[3]) };
  const days = daysOf(date);
  return isDate(date) && isTimeNumber('DATE', days) ? days : null;
}

/** Milliseconds of the day; null for what is no time. */
export function parseTime(text: string): number | null {
  const match = TIME.exec(text.trim());
  if (match === null) return null;
  const [hour, minute, second] = [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
  if (hour > 23 || minute > 59 || second > 59) return null;
  const ms = Number((match[4] ?? '').padEnd(3, '0').slice(0, 3));
  return ((hour * 60 + minute) * 60 + second) * 1000 + ms;
}

/** Milliseconds since 1970 UTC, of `2016-11-04T11:51:30.123Z` and its shorter forms; null for others. */
export function parseTimestamp(text: string): number | null {
  const match = /^([+-]?\d{4,9}-\d{2}-\d{2})(?:[T ]([^Z+-]*)(Z|[+-]\d{2}(?::?\d{2})?)?)?$/.exec(text.trim());
  if (match === null) return null;
  const days = parseDate(match[1] ?? '');
  const time = match[2] === undefined ? 0 : parseTime(match[2]);
  const offset = parseOffset(match[3] ?? 'Z');
  if (days === null || time === null || offset === null) return null;
  const ms = days * MS_PER_DAY + time - offset;
  return isTimeNumber('TIMESTAMP', ms) ? ms : null;
}

const PARTIAL =
  /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(?:(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d{1,3})?))?)?)?(Z|[+-]\d\d(?::?\d\d)?)?)?)?)?$/;

/**
 * Milliseconds since 1970 of the beginning of what the text names: `2020`, `2020-02`, `2020-02-29`, `2020-02-29T13`, … up to
 * `2020-02-29T13:59:58.123+0100`, with a zone, which is UTC otherwise, behind any that has a `T`; null for others.
 */
export function parsePartialTimestamp(text: string): number | null {
  const match = PARTIAL.exec(text);
  if (match === null) return null;
  const [, year, month = '01', day = '01', hour = '00', minute = '00', second = '00', zone = 'Z'] = match;
  return parseTimestamp(`${year}-${month}-${day}T${hour}:${minute}:${second}${zone}`);
}

/** Milliseconds east of Greenwich of `Z`, `+01`, `+0130`, `+01:30`; null for others. */
export function parseOffset(text: string): number | null {
  if (text === 'Z') return 0;
  const match = /^([+-])(\d{2}):?(\d{2})?$/.exec(text);
  if (match === null) return null;
  const minutes = Number(match[2]) * 60 + Number(match[3] ?? 0);
  if (minutes > 18 * 60 || Number(match[3] ?? 0) > 59) return null;
  return (match[1] === '-' ? -minutes : minutes) * 60_000;
}

/** A zone's offset at moments; null for a name that is no zone. */
export function zoneOf(name: string): Zone | null {
  const known = ZONES.get(name);
  if (known !== undefined) return known;
  const offset = /^(?:UTC|GMT|Z)$/.test(name) ? 0 : parseOffset(name.replace(/^(?:UTC|GMT)(?=[+-])/, ''));
  const zone = offset === null ? namedZone(name) : { at: () => offset, local: () => offset };
  if (zone !== null && ZONES.size < 1_000) ZONES.set(name, zone);
  return zone;
}

export interface Zone {
  /** Milliseconds east of Greenwich at that moment (ms since 1970 UTC). */
  at(utcMs: number): number;
  /** The same for a local time (ms as if it were UTC); in a gap or overlap of the clocks the earlier offset. */
  local(localMs: number): number;
}

const ZONES = new Map<string, Zone>();

function namedZone(name: string): Zone | null {
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      calendar: 'gregory',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
      era: 'short',
    });
  } catch {
    return null;
  }
  // Offsets change on the hour at the earliest, nearly always: neighbouring events share theirs.
  let lastQuarter = NaN;
  let lastOffset = 0;
  const at = (utcMs: number): number => {
    // Behind the end of the calendar the offset is that of its end.
    const quarter = Math.floor(Math.min(Math.max(utcMs, -MAX_ZONED_MS), MAX_ZONED_MS) / 900_000);
    if (quarter === lastQuarter) return lastOffset;
    const parts = new Map(format.formatToParts(quarter * 900_000).map(({ type, value }) => [type, value]));
    const part = (type: Intl.DateTimeFormatPartTypes): number => Number(parts.get(type));
    const year = parts.get('era') === 'BC' ? 1 - part('year') : part('year');
    const days = daysOf({ year, month: part('month'), day: part('day') });
    const local = days * MS_PER_DAY + ((part('hour') * 60 + part('minute')) * 60 + part('second')) * 1000;
    lastQuarter = quarter;
    lastOffset = local - quarter * 900_000;
    return lastOffset;
  };
  return {
    at,
    local(localMs) {
      const before = at(localMs - MS_PER_DAY);
      if (at(localMs - before) === before) return before;
      const after = at(localMs + MS_PER_DAY);
      return at(localMs - after) === after ? after : before;
    },
  };
}
