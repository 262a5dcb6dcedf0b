import { UnreadableValue } from './unreadable-value.ts';

/** NUMBER reaches 10^126; a longer exponent is no number of Oracle's, and would be digits without end. */
const MAX_EXPONENT = 200;
const FORM = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/;

/**
 * Decimal text without exponent, plus sign, leading zeros or trailing fraction zeros; `-0` is `0`.
 * `scale`: exactly so many fraction digits, where the column declares them.
 */
export function decimalText(text: string, scale: number | null): string {
  if (isPlainInteger(text)) return scale === null || scale <= 0 ? text : `${text}.${'0'.repeat(scale)}`;
  if (isPlainFraction(text, scale)) return text;
  const match = FORM.exec(text);
  const [, sign = '', whole = '', part = '', exponentText = '0'] = match ?? [];
  if (match === null || whole.length + part.length === 0) throw new UnreadableValue('a number');
  const exponent = Number(exponentText);
  if (Math.abs(exponent) > MAX_EXPONENT) throw new UnreadableValue('a number up to 10^126');
  const digits = whole + part;
  const point = whole.length + exponent;
  let integer = point <= 0 ? '' : digits.slice(0, point).padEnd(point, '0');
  let fraction = point < 0 ? '0'.repeat(-point) + digits : digits.slice(point);
  integer = integer.replace(/^0+/, '') || '0';
  fraction = fraction.replace(/0+$/, '');
  const zero = integer === '0' && fraction === '';
  if (scale !== null && scale > 0) {
    if (fraction.length > scale) throw new UnreadableValue(`a number with ${scale} fraction digits`);
    fraction = fraction.padEnd(scale, '0');
  } else if (scale !== null && fraction !== '') {
    throw new UnreadableValue('a whole number');
  }
  return `${sign === '-' && !zero ? '-' : ''}${integer}${fraction === '' ? '' : `.${fraction}`}`;
}

/** A whole number of up to 18 digits: a number where that is exact, else a bigint. */
export function integerValue(text: string): number | bigint {
  const whole = isPlainInteger(text) ? text : decimalText(text, 0);
  const value = Number(whole);
  return Number.isSafeInteger(value) ? value : BigInt(whole);
}

/** BINARY_FLOAT and BINARY_DOUBLE: `Nan`, `Inf` and `-Inf`, also as other releases spell them. */
export function floatValue(text: string): number {
  switch (text.toLowerCase()) {
    case 'nan':
      return NaN;
    case 'inf':
    case '+inf':
    case 'infinity':
      return Infinity;
    case '-inf':
    case '-infinity':
      return -Infinity;
  }
  const value = FORM.test(text) && /\d/.test(text) ? Number(text) : NaN;
  if (Number.isNaN(value)) throw new UnreadableValue('a floating point number');
  return value;
}

/** `-?[1-9][0-9]*` or 0: as nearly all numbers are written. */
function isPlainInteger(text: string): boolean {
  let at = text.charCodeAt(0) === 45 ? 1 : 0;
  if (text.length === at) return false;
  if (text.charCodeAt(at) === 48) return text.length === 1;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 48 || code > 57) return false;
  }
  return true;
}

/** `-?[1-9][0-9]*` with just the fraction digits that the column has: a value that is written as it is kept. */
function isPlainFraction(text: string, scale: number | null): boolean {
  if (scale === null || scale < 1) return false;
  const point = text.length - scale - 1;
  const start = text.charCodeAt(0) === 45 ? 1 : 0;
  const first = text.charCodeAt(start);
  if (point <= start || first < 49 || first > 57 || text.charCodeAt(point) !== 46) return false;
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (at !== point && (code < 48 || code > 57)) return false;
  }
  return true;
}
