import { truncated } from './byte-cursor.ts';

/** Bytes of the digits that do not make up a group of nine. */
const BYTES: readonly number[] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

export function decimalBytes(precision: number, scale: number): number {
  const whole = precision - scale;
  return Math.floor(whole / 9) * 4 + BYTES[whole % 9]! + Math.floor(scale / 9) * 4 + BYTES[scale % 9]!;
}

/**
 * NEWDECIMAL (strings/decimal.cc, decimal2bin): big-endian groups of nine digits, the odd digits in as few bytes as
 * hold them, before the whole groups of the integer part and behind those of the fraction; the first bit inverted,
 * and all bits of negative numbers. Exactly `scale` digits of fraction, no negative zero.
 */
export function decimalText(
  buffer: Buffer,
  start: number,
  end: number,
  { precision, scale }: { readonly precision: number; readonly scale: number },
): string {
  const whole = precision - scale;
  if (whole < 0 || start + decimalBytes(precision, scale) > end) throw truncated();
  const negative = (buffer[start]! & 0x80) === 0;
  let at = start;
  let first = true;
  const group = (bytes: number): number => {
    let value = 0;
    for (let i = 0; i < bytes; i++) {
      let byte = buffer[at++]!;
      if (first) {
        byte ^= 0x80;
        first = false;
      }
      value = value * 256 + (negative ? byte ^ 0xff : byte);
    }
    return value;
  };
  let text = '';
  const odd = whole % 9;
  if (odd > 0) text = String(group(BYTES[odd]!));
  for (let i = Math.floor(whole / 9); i > 0; i--) {
    const value = group(4);
    text = text === '' || text === '0' ? String(value) : text + String(value).padStart(9, '0');
  }
  if (text === '') text = '0';
  let zero = text === '0';
  if (scale > 0) {
    text += '.';
    for (let i = Math.floor(scale / 9); i > 0; i--) {
      const value = group(4);
      zero &&= value === 0;
      text += String(value).padStart(9, '0');
    }
    const rest = scale % 9;
    if (rest > 0) {
      const value = group(BYTES[rest]!);
      zero &&= value === 0;
      text += String(value).padStart(rest, '0');
    }
  }
  return negative && !zero ? `-${text}` : text;
}
