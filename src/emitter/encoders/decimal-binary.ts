/** Decimals as the unscaled integer in big-endian two's complement, for binary formats. */
import type { BinaryWriter } from './binary-writer.ts';
import { bigBytes, smallUnscaled, unscaled } from './decimal-bytes.ts';

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
