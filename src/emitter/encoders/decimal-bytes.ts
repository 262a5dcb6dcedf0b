/**
 * Decimal text → the unscaled value as big-endian two's complement in the fewest bytes (java.math.BigInteger
 * .toByteArray), in base64: what Connect's Decimal is in JSON. Up to 15 digits go through a double, exactly.
 */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const CODES = Uint8Array.from(ALPHABET, (char) => char.charCodeAt(0));
const PAD = 61;
/** Room for what `writeBase64` writes. */
export const BASE64_ROOM = 8;
/** Integers up to here, of either sign, have 47 bits and their sign. */
const LIMIT = 140_737_488_355_328;
const scratch = Buffer.alloc(BASE64_ROOM);

/** Base64 of an integer of at most 47 bits and its sign, written at `at`; answers where it ends. */
export function writeBase64(n: number, buffer: Uint8Array, at: number): number {
  let length = 1;
  let limit = 128;
  while (n < -limit || n >= limit) {
    limit *= 256;
    length++;
  }
  let bits = n < 0 ? n + 2 * limit : n;
  const padding = (3 - (length % 3)) % 3;
  if (padding === 1) bits *= 256;
  else if (padding === 2) bits *= 65_536;
  let end = at;
  if (length > 3) {
    const high = Math.floor(bits / 16_777_216);
    end = writeTriple(high, buffer, end);
    bits -= high * 16_777_216;
  }
  end = writeTriple(bits, buffer, end);
  if (padding > 0) buffer[end - 1] = PAD;
  if (padding > 1) buffer[end - 2] = PAD;
  return end;
}

/** Three bytes as four characters. */
function writeTriple(bits: number, buffer: Uint8Array, at: number): number {
  buffer[at] = CODES[bits >>> 18]!;
  buffer[at + 1] = CODES[(bits >>> 12) & 63]!;
  buffer[at + 2] = CODES[(bits >>> 6) & 63]!;
  buffer[at + 3] = CODES[bits & 63]!;
  return at + 4;
}

/**
 * The unscaled value of decimal text, given as character codes, at `scale` fraction digits, where `writeBase64` can take it; NaN
 * otherwise.
 */
export function shortUnscaled(
  bytes: Uint8Array | Uint16Array,
  from: number,
  to: number,
  scale: number,
): number {
  const negative = bytes[from] === 45;
  const first = negative ? from + 1 : from;
  const point = scale > 0 ? to - scale - 1 : to;
  if (to - from > 15 || point <= first) return NaN;
  let n = 0;
  for (let i = first; i < to; i++) {
    const digit = bytes[i]! - 48;
    if (i === point ? digit !== -2 : digit >>> 0 > 9) return NaN;
    if (i !== point) n = n * 10 + digit;
  }
  return n < LIMIT ? (negative ? -n : n) : NaN;
}

/** The text's value times ten to the `scale`, NaN where it is not of that scale or has more than 15 digits. */
export function smallUnscaled(text: string, scale: number): number {
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

/** Base64 of the unscaled value of finite decimal text at `scale` fraction digits. */
export function decimalBase64(text: string, scale: number): string {
  const n = smallUnscaled(text, scale);
  if (n < LIMIT && n > -LIMIT) return scratch.latin1Slice(0, writeBase64(n, scratch, 0));
  return bigBytes(unscaled(text, scale)).toString('base64');
}

/** Fraction digits of decimal text without zeros at its end: the scale of a VariableScaleDecimal. */
export function significantScale(text: string): number {
  const point = text.indexOf('.');
  if (point < 0) return 0;
  let end = text.length;
  while (text.charCodeAt(end - 1) === 48) end--;
  return end - point - 1;
}

/** The text's value times ten to the `scale`. A negative scale drops zeros the server has put there. */
export function unscaled(text: string, scale: number): bigint {
  const point = text.indexOf('.');
  const digits = point < 0 ? text : text.slice(0, point) + text.slice(point + 1);
  const missing = scale - (point < 0 ? 0 : text.length - point - 1);
  if (missing >= 0) return BigInt(digits + '0'.repeat(missing));
  return BigInt(digits) / 10n ** BigInt(-missing); // zeros, unless the text is not of this scale
}

/** Big-endian two's complement in the fewest bytes. */
export function bigBytes(n: bigint): Buffer {
  let length = 1;
  while (BigInt.asIntN(length * 8, n) !== n) length++;
  const hex = BigInt.asUintN(length * 8, n)
    .toString(16)
    .padStart(length * 2, '0');
  return Buffer.from(hex, 'hex');
}
