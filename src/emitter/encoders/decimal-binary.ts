/** Decimals as the unscaled integer in big-endian two's complement, for binary formats. */
import type { BinaryWriter } from './binary-writer.ts';
import { unscaled } from './decimal-bytes.ts';

/** Not NaN and not infinite: ends in a digit. */
export function isFiniteDecimal(text: string): boolean {
  return text.charCodeAt(text.length - 1) <= 57;
}

/** The fewest bytes, with their length in front; `shift` as in BinaryWriter. Finite text of that many fraction digits. */
export function writeUnscaled(text: string, scale: number, out: BinaryWriter, shift: 0 | 1): void {
  const digits = smallUnscaled(text, scale);
  if (digits === digits) out.twosComplement(digits, shift);
  else out.blob(bigBytes(unscaled(text, scale)), shift);
}

/** The text's value times ten to the `scale`, NaN where it is not of that scale or has more than 15 digits. */
function smallUnscaled(text: string, scale: number): number {
  const { length } = text;
  if (length > 15) return NaN;
  const negative = text.charCodeAt(0) === 45;
  let n = 0;
  let fraction = 0;
  let inFraction = 0;
  for (let i = negative ? 1 : 0; i < length; i++) {
    const c = text.charCodeAt(i);
    if (c === 46) {
      inFraction = 1;
    } else {
      n = n * 10 + (c - 48);
      fraction += inFraction;
    }
  }
  if (fraction !== scale) return NaN;
  return negative ? -n : n;
}

function bigBytes(n: bigint): Uint8Array {
  let length = 1;
  while (BigInt.asIntN(length * 8, n) !== n) length++;
  const hex = BigInt.asUintN(length * 8, n)
    .toString(16)
    .padStart(length * 2, '0');
  return Buffer.from(hex, 'hex');
}
