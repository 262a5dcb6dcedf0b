/** An exact decimal number: `coefficient` × 10^−`scale`. Two objects of the same number may differ in scale. */
export class Decimal {
  readonly coefficient: bigint;
  readonly scale: number;

  constructor(coefficient: bigint, scale: number) {
    this.coefficient = coefficient;
    this.scale = scale;
  }

  toString(): string {
    const { coefficient, scale } = this;
    if (scale === 0) return String(coefficient);
    const negative = coefficient < 0n;
    const digits = String(negative ? -coefficient : coefficient).padStart(scale + 1, '0');
    const point = digits.length - scale;
    return `${negative ? '-' : ''}${digits.slice(0, point)}.${digits.slice(point)}`;
  }

  toNumber(): number {
    return Number(this.toString());
  }
}

const POWERS: bigint[] = [];
/** No declared scale is larger, and text that asks for more digits is no number anybody meant. */
const MAX_DIGITS = 20_000;

export function powerOfTen(exponent: number): bigint {
  return (POWERS[exponent] ??= 10n ** BigInt(exponent));
}

/** Decimal text with or without an exponent; null where it is none, or has an absurd number of digits. */
export function parseDecimal(text: string): Decimal | null {
  const match = /^([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?[0-9]{1,6}))?$/.exec(text.trim());
  if (match === null) return null;
  const [, sign, whole = '', fraction = '', exponent = '0'] = match;
  if (whole === '' && fraction === '') return null;
  const scale = fraction.length - Number(exponent);
  if (whole.length + fraction.length > MAX_DIGITS || Math.abs(scale) > MAX_DIGITS) return null;
  let coefficient = BigInt(whole + fraction);
  if (sign === '-') coefficient = -coefficient;
  return scale >= 0 ? new Decimal(coefficient, scale) : new Decimal(coefficient * powerOfTen(-scale), 0);
}

/** The same number, or the nearest one, with that scale; ties go away from zero. */
export function rescale(value: Decimal, scale: number): Decimal {
  if (scale === value.scale) return value;
  if (scale > value.scale) return new Decimal(value.coefficient * powerOfTen(scale - value.scale), scale);
  return new Decimal(divideHalfUp(value.coefficient, powerOfTen(value.scale - scale)), scale);
}

export function add(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return new Decimal(unscaled(a, scale) + unscaled(b, scale), scale);
}

export function subtract(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return new Decimal(unscaled(a, scale) - unscaled(b, scale), scale);
}

export function multiply(a: Decimal, b: Decimal): Decimal {
  return new Decimal(a.coefficient * b.coefficient, a.scale + b.scale);
}

/** Null for a division by zero. */
export function divide(a: Decimal, b: Decimal, scale: number): Decimal | null {
  if (b.coefficient === 0n) return null;
  const shift = scale + b.scale - a.scale;
  const numerator = shift >= 0 ? a.coefficient * powerOfTen(shift) : a.coefficient;
  const denominator = shift >= 0 ? b.coefficient : b.coefficient * powerOfTen(-shift);
  return new Decimal(divideHalfUp(numerator, denominator), scale);
}

/** With the sign of `a`; null for a division by zero. */
export function remainder(a: Decimal, b: Decimal): Decimal | null {
  if (b.coefficient === 0n) return null;
  const scale = Math.max(a.scale, b.scale);
  return new Decimal(unscaled(a, scale) % unscaled(b, scale), scale);
}

export function compareDecimals(a: Decimal, b: Decimal): number {
  const scale = Math.max(a.scale, b.scale);
  const [x, y] = [unscaled(a, scale), unscaled(b, scale)];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Whether the number has at most that many digits in front of the point, given its scale. */
export function fits(value: Decimal, precision: number): boolean {
  const limit = powerOfTen(precision);
  return value.coefficient < limit && value.coefficient > -limit;
}

/** Without zeros at the end, so that equal numbers have equal text. */
export function canonicalText(value: Decimal): string {
  const text = value.toString();
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

function unscaled(value: Decimal, scale: number): bigint {
  return value.scale === scale ? value.coefficient : value.coefficient * powerOfTen(scale - value.scale);
}

function divideHalfUp(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const rest = numerator % denominator;
  const twice = (rest < 0n ? -rest : rest) * 2n;
  const size = denominator < 0n ? -denominator : denominator;
  if (twice < size) return quotient;
  return numerator < 0n === denominator < 0n ? quotient + 1n : quotient - 1n;
}
