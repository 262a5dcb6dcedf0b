/** Dates and times as ISO 8601 text, the proleptic Gregorian calendar, astronomical years. */

import { sixDigits } from '../../schema/integer-text.ts';

const US_PER_DAY = 86_400_000_000;
const TWO: readonly string[] = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'));

/** `2016-11-04`; years past 9999 `+21016-11-04`, before 1 `-4713-11-24` or `0000-…` (java.time's ISO form). */
export function isoDate(days: number): string {
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const doe = z - era * 146_097;
  const yoe = Math.floor(
    (doe - Math.floor(doe / 1460) + Math.floor(doe / 36_524) - Math.floor(doe / 146_096)) / 365,
  );
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  const year = yoe + era * 400 + (month <= 2 ? 1 : 0);
  return `${isoYear(year)}-${TWO[month]}-${TWO[doy - Math.floor((153 * mp + 2) / 5) + 1]}`;
}

function isoYear(year: number): string {
  if (year > 9999) return `+${year}`;
  if (year < 0) return `-${String(-year).padStart(4, '0')}`;
  return String(year).padStart(4, '0');
}

/**
 * `13:51:30.123456`: with that many digits of the second, or (null) as many as it takes. Midnight's end is
 * 24:00:00.
 */
export function isoTime(us: number, digits: number | null): string {
  const seconds = Math.floor(us / 1_000_000);
  const rest = us - seconds * 1_000_000;
  const minutes = Math.floor(seconds / 60);
  const time = `${TWO[Math.floor(minutes / 60)]}:${TWO[minutes % 60]}:${TWO[seconds % 60]}`;
  if (digits === 0 || (rest === 0 && digits === null)) return time;
  const fraction = sixDigits(rest);
  if (digits === 6) return `${time}.${fraction}`;
  return `${time}.${digits === null ? fraction.replace(/0+$/, '') : fraction.slice(0, digits)}`;
}

/** Dates seen last, by the low bits of the day: neighbouring rows mostly share theirs. */
const KEPT = 64;
const keptDays = new Int32Array(KEPT).fill(-2_147_483_648);
const keptDates: string[] = Array.from({ length: KEPT }, () => '');

function keptDate(day: number): string {
  const slot = day & (KEPT - 1);
  if (keptDays[slot] !== day) {
    keptDays[slot] = day;
    keptDates[slot] = isoDate(day);
  }
  return keptDates[slot]!;
}

/** `2016-11-04T11:51:30.123456Z`, with that many digits of the second. */
export function isoTimestamp(us: number | bigint, digits: number): string {
  if (typeof us === 'number') {
    const day = Math.floor(us / US_PER_DAY);
    return `${keptDate(day)}T${isoTime(us - day * US_PER_DAY, digits)}Z`;
  }
  const perDay = BigInt(US_PER_DAY);
  const time = ((us % perDay) + perDay) % perDay;
  return `${keptDate(Number((us - time) / perDay))}T${isoTime(Number(time), digits)}Z`;
}

/** As isoTimestamp, of nanoseconds, with 7 to 9 digits of the second. */
export function isoTimestampNanos(ns: bigint, digits: number): string {
  const rest = ((ns % 1000n) + 1000n) % 1000n;
  const micros = isoTimestamp((ns - rest) / 1000n, 6);
  return `${micros.slice(0, -1)}${String(rest)
    .padStart(3, '0')
    .slice(0, digits - 6)}Z`;
}

/** `-838:59:59.000001`: hours may take more than two digits. */
export function isoDuration(us: number, digits: number): string {
  const size = Math.abs(us);
  const hours = Math.floor(size / 3_600_000_000);
  const text = `${TWO[hours] ?? hours}${isoTime(size - hours * 3_600_000_000, digits).slice(2)}`;
  return us < 0 ? `-${text}` : text;
}

/** `13:51:30.123789+02` (timetz as the server prints it) in UTC: `11:51:30.123789Z`. */
export function timetzToUtc(text: string): string {
  const match = /^(\d\d):(\d\d):(\d\d)(?:\.(\d+))?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?$/.exec(text);
  if (match === null) return text;
  const part = (i: number): number => Number(match[i] ?? 0);
  const sign = match[5] === '-' ? 1 : -1;
  const seconds = part(1) * 3600 + part(2) * 60 + part(3) + sign * (part(6) * 3600 + part(7) * 60 + part(8));
  const wrapped = ((seconds % 86_400) + 86_400) % 86_400;
  const us = Number((match[4] ?? '').padEnd(6, '0'));
  return `${isoTime(wrapped * 1_000_000 + us, null)}Z`;
}

/** A Value of `interval`. */
export type Interval = readonly [months: number, days: number, us: number | bigint, ns?: number];

/** `P1Y2M3DT4H5M6.78S`, as Debezium's io.debezium.time.Interval: all parts, always. */
export function isoInterval([months, days, us, ns = 0]: Interval): string {
  const signed = BigInt(us) * 1000n + BigInt(ns);
  const negative = signed < 0n;
  const total = negative ? -signed : signed;
  const sign = negative ? '-' : '';
  const seconds = total / 1_000_000_000n;
  const fraction = String(total % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const hours = seconds / 3600n;
  const s = `${sign}${seconds % 60n}${fraction === '' ? '' : `.${fraction}`}`;
  const minutes = (seconds / 60n) % 60n;
  return `P${Math.trunc(months / 12)}Y${months % 12}M${days}DT${sign}${hours}H${sign}${minutes}M${s}S`.replaceAll(
    /-0(?=[HMYD])/g,
    '0',
  );
}
