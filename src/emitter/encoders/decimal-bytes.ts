/**
 * Decimal text → the unscaled value as big-endian two's complement in the fewest bytes (java.math.BigInteger
 * .toByteArray), in base64: what Connect's Decimal is in JSON. Up to 15 digits go through a double, exactly.
 */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
/** Two base64 characters for each 12 bits. */
const PAIRS: readonly string[] = Array.from(
  { length: 4096 },
  (_, bits) => `${ALPHABET[bits >>> 6]}${ALPHABET[bits & 63]}`,
);

/** Base64 of an integer of at most 47 bits and its sign. */
function base64OfInteger(n: number): string {
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
  let text = '';
  if (length > 3) {
    const high = Math.floor(bits / 16_777_216);
    text = PAIRS[high >>> 12]! + PAIRS[high & 4095]!;
    bits -= high * 16_777_216;
  }
  if (padding === 0) return text + PAIRS[bits >>> 12]! + PAIRS[bits & 4095]!;
  if (padding === 1) return `${text}${PAIRS[bits >>> 12]!}${ALPHABET[(bits >>> 6) & 63]}=`;
  return `${text}${PAIRS[bits >>> 12]!}==`;
}

/** Base64 of the unscaled value of finite decimal text at `scale` fraction digits. */
export function decimalBase64(text: string, scale: number): string {
  const length = text.length;
  if (length <= 15) {
    const negative = text.charCodeAt(0) === 45;
    let n = 0;
    let fraction = 0;
    let inFraction = 0;
    for (let i = negative ? 1 : 0; i < length; i++) {
      const c = text.charCodeAt(i);
      if (c === 46) inFraction = 1;
      else {
        n = n * 10 + (c - 48);
        fraction += inFraction;
      }
    }
    if (fraction === scale && n < 140_737_488_355_328) return base64OfInteger(negative ? -n : n);
  }
  return base64OfBigInt(unscaled(text, scale));
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

function base64OfBigInt(n: bigint): string {
  let length = 1;
  while (BigInt.asIntN(length * 8, n) !== n) length++;
  const hex = BigInt.asUintN(length * 8, n)
    .toString(16)
    .padStart(length * 2, '0');
  return Buffer.from(hex, 'hex').toString('base64');
}
