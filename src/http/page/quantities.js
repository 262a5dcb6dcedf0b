/** Figures as the page shows them: short, since they change. */

const COUNT = new Intl.NumberFormat('en');
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });

/** @param {number} value */
export function count(value) {
  return COUNT.format(Math.round(value));
}

/** @param {number} value */
export function short(value) {
  return SHORT.format(value);
}

/**
 * Decimal units, as disks have them.
 * @param {number} value
 */
export function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  const power = value < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return `${Number((value / 1000 ** power).toPrecision(3))} ${units[power]}`;
}

/** @param {number} ms */
export function duration(ms) {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/**
 * How long ago, in whole seconds; a dash where it never was.
 * @param {string | null} time
 * @param {number} now
 */
export function since(time, now) {
  return time === null
    ? '–'
    : duration(Math.max(0, Math.floor((now - Date.parse(time)) / 1_000) * 1_000 || 0));
}
