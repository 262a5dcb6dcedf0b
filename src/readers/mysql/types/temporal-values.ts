/**
 * Dates and times from their parts: the text protocol and the binlog hold them differently, and both must come to
 * the same Value (INV-5).
 */
import { daysFromCivil } from '../../civil-days.ts';

const US_PER_DAY = 86_400_000_000;
/** Beyond so many days from 1970 microseconds do not fit a double exactly: the years before 1685 and after 2255. */
const SAFE_DAYS = 104_248;
const TWO: readonly string[] = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'));
const DAYS_IN_MONTH: readonly number[] = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** Whether no calendar has the date: a part is zero, or the month has no such day (ALLOW_INVALID_DATES). */
function isZeroDate(year: number, month: number, day: number): boolean {
  if (year === 0 || month === 0 || day === 0 || month > 12 || day > DAYS_IN_MONTH[month]!) return true;
  return month === 2 && day === 29 && (year % 4 !== 0 || (year % 100 === 0 && year % 400 !== 0));
}

function dateText(year: number, month: number, day: number): string {
  return `${String(year).padStart(4, '0')}-${TWO[month]}-${TWO[day]}`;
}

/** Days since 1970-01-01, or the date's text where no calendar has it. */
export function dateValue(year: number, month: number, day: number): number | string {
  return isZeroDate(year, month, day) ? dateText(year, month, day) : daysFromCivil(year, month, day);
}

/**
 * Microseconds since 1970-01-01T00:00 (a bigint where a number is not exact), or the text (with `fraction` digits of the second) where no calendar has
 * the date. `us` is the time of the day.
 */
export function datetimeValue(
  date: { readonly year: number; readonly month: number; readonly day: number },
  us: number,
  fraction: number,
): number | bigint | string {
  const { year, month, day } = date;
  if (isZeroDate(year, month, day)) return `${dateText(year, month, day)} ${timeText(us, fraction)}`;
  const days = daysFromCivil(year, month, day);
  if (days > -SAFE_DAYS && days < SAFE_DAYS) return days * US_PER_DAY + us;
  return BigInt(days) * BigInt(US_PER_DAY) + BigInt(us);
}

/** A TIMESTAMP of second 0 is MySQL's zero. */
export function timestampValue(seconds: number, us: number, fraction: number): number | string {
  if (seconds === 0 && us === 0) return `0000-00-00 ${timeText(0, fraction)}`;
  return seconds * 1_000_000 + us;
}

function timeText(us: number, fraction: number): string {
  const seconds = Math.floor(us / 1_000_000);
  const minutes = Math.floor(seconds / 60);
  const text = `${TWO[Math.floor(minutes / 60)]}:${TWO[minutes % 60]}:${TWO[seconds % 60]}`;
  if (fraction === 0) return text;
  return `${text}.${String(us - seconds * 1_000_000)
    .padStart(6, '0')
    .slice(0, fraction)}`;
}
