/**
 * Text output of PostgreSQL's scalar types → Value. These run once per cell: char codes instead of patterns.
 * All of them refuse what the server cannot have sent rather than guess.
 */
import type { Value } from '../../../model/value.ts';
import { unreadableValue } from '../../unreadable-value.ts';

export type Decode = (text: string) => Value;

const MINUS = 45;
const ZERO = 48;

export function decodeText(text: string): string {
  return text;
}

export function decodeBool(text: string): boolean {
  if (text === 't') return true;
  if (text === 'f') return false;
  throw unreadableValue('bool');
}

/** int2, int4, and int8 of at most 15 digits: exact in a double. */
export function decodeInt(text: string): number {
  const length = text.length;
  const negative = text.charCodeAt(0) === MINUS;
  let i = negative ? 1 : 0;
  if (i === length || length > 16) throw unreadableValue('integer');
  let n = 0;
  for (; i < length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit >>> 0 > 9) throw unreadableValue('integer');
    n = n * 10 + digit;
  }
  return negative ? -n : n;
}

export function decodeInt64(text: string): number | bigint {
  if (text.length <= 15) return decodeInt(text);
  for (let i = text.charCodeAt(0) === MINUS ? 1 : 0; i < text.length; i++) {
    if ((text.charCodeAt(i) - ZERO) >>> 0 > 9) throw unreadableValue('int8');
  }
  if (text.length > 20) throw unreadableValue('int8');
  const n = Number(text);
  return Number.isSafeInteger(n) ? n : BigInt(text);
}

/** float4 and float8. The text is the shortest that reads back the same (extra_float_digits ≥ 1). */
export function decodeFloat(text: string): number {
  if (text === 'NaN') return NaN;
  const n = text.length === 0 ? NaN : Number(text);
  if (n !== n) throw unreadableValue('float');
  return n;
}

/** The server's text is canonical: exactly the declared scale, no exponent, `NaN`, `Infinity`, `-Infinity`. */
export function decodeNumeric(text: string): string {
  const first = text.charCodeAt(0);
  if ((first - ZERO) >>> 0 <= 9) return text;
  if (first === MINUS && ((text.charCodeAt(1) - ZERO) >>> 0 <= 9 || text === '-Infinity')) return text;
  if (text === 'NaN' || text === 'Infinity') return text;
  throw unreadableValue('numeric');
}

/**
 * money in any lc_monetary (`$1,234.11`, `-$1,234.11`, `(1.234,11 €)`) → decimal text of scale 2. The session
 * asks for C; a decimal mark is a point or comma that has exactly two digits after it and no more.
 */
export function decodeMoney(text: string): string {
  let digits = '';
  let negative = false;
  let mark = -1;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if ((c - ZERO) >>> 0 <= 9) digits += text[i];
    else if (c === MINUS || c === 40 /* ( */) negative = true;
    else if ((c === 46 || c === 44) && digits !== '') mark = digits.length;
  }
  if (digits === '') throw unreadableValue('money');
  const fraction = mark >= 0 ? digits.length - mark : 0;
  const whole = fraction === 2 ? digits.slice(0, mark) : digits;
  return `${negative ? '-' : ''}${whole}.${fraction === 2 ? digits.slice(mark) : '00'}`;
}

/** Decimal text brought to `scale` fraction digits, where that loses nothing; else unchanged. */
export function rescaleDecimal(text: string, scale: number): string {
  const point = text.indexOf('.');
  if (scale <= 0 || !/^-?[0-9]*\.?[0-9]*$/.test(text)) return text;
  if (point < 0) return `${text}.${'0'.repeat(scale)}`;
  const missing = scale - (text.length - point - 1);
  return missing > 0 ? text + '0'.repeat(missing) : text;
}
