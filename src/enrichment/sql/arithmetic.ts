/** The operators on numbers and texts. Static types make the casts in here sound. */
import type { BinaryOperator } from './ast.ts';
import { add, Decimal, divide, fits, multiply, remainder, rescale, subtract } from './decimal.ts';
import type { Evaluate, Frame, Problem } from './frame.ts';
import {
  asDecimalType,
  commonType,
  decimalResult,
  DOUBLE,
  isNumeric,
  type SqlType,
  STRING,
} from './sql-type.ts';
import { bigintValue, type SqlValue } from './value.ts';

type Arithmetic = '+' | '-' | '*' | '/' | '%';

const MAX_INT = 2 ** 31 - 1;
const MIN_INT = -(2 ** 31);
/** Digits behind the point of a quotient of decimals without a declared size. */
const OPEN_QUOTIENT_DIGITS = 20;

/** The type of `left op right` and of both operands once they are widened; null where the operator has none. */
export function arithmeticTypes(
  op: BinaryOperator,
  left: SqlType,
  right: SqlType,
): { readonly operand: SqlType | null; readonly result: SqlType } | null {
  if (op === '||' || (op === '+' && left.kind === 'STRING' && right.kind === 'STRING'))
    return left.kind === 'STRING' && right.kind === 'STRING' ? { operand: STRING, result: STRING } : null;
  if (!isNumeric(left) || !isNumeric(right)) return null;
  if (left.kind === 'DOUBLE' || right.kind === 'DOUBLE') return { operand: DOUBLE, result: DOUBLE };
  if (left.kind === 'DECIMAL' || right.kind === 'DECIMAL') {
    // Each keeps the size of its own.
    return { operand: null, result: decimalResult(op, asDecimalType(left), asDecimalType(right)) };
  }
  const type = commonType(left, right);
  return type === null ? null : { operand: type, result: type };
}

export function arithmetic(op: BinaryOperator, result: SqlType, left: Evaluate, right: Evaluate): Evaluate {
  switch (result.kind) {
    case 'STRING':
      return both(left, right, (a, b) => (a as string) + (b as string));
    case 'DOUBLE':
      return doubles(op, left, right);
    case 'DECIMAL':
      return decimals(op, result, left, right);
    case 'INTEGER':
      return integers(op, left, right);
    default:
      return bigints(op, left, right);
  }
}

function both(
  left: Evaluate,
  right: Evaluate,
  combine: (a: SqlValue, b: SqlValue, frame: Frame) => SqlValue,
): Evaluate {
  return (frame) => {
    const a = left(frame);
    if (a === null) return null;
    const b = right(frame);
    return b === null ? null : combine(a, b, frame);
  };
}

function failed(frame: Frame, problem: Problem): null {
  frame.note(problem);
  return null;
}

function doubles(op: BinaryOperator, left: Evaluate, right: Evaluate): Evaluate {
  switch (op) {
    case '+':
      return both(left, right, (a, b) => (a as number) + (b as number));
    case '-':
      return both(left, right, (a, b) => (a as number) - (b as number));
    case '*':
      return both(left, right, (a, b) => (a as number) * (b as number));
    case '/':
      return both(left, right, (a, b, frame) =>
        b === 0 ? failed(frame, 'division-by-zero') : (a as number) / (b as number),
      );
    default:
      return both(left, right, (a, b, frame) =>
        b === 0 ? failed(frame, 'division-by-zero') : (a as number) % (b as number),
      );
  }
}

function integers(op: BinaryOperator, left: Evaluate, right: Evaluate): Evaluate {
  const compute = wholeNumbers(op);
  return both(left, right, (a, b, frame) => {
    // Products of two 32-bit numbers may be past 2^53; those are out of range anyway.
    const n = compute(a as number, b as number);
    if (n === null) return failed(frame, 'division-by-zero');
    return n > MAX_INT || n < MIN_INT ? failed(frame, 'overflow') : n;
  });
}

function wholeNumbers(op: BinaryOperator): (a: number, b: number) => number | null {
  switch (op) {
    case '+':
      return (a, b) => a + b;
    case '-':
      return (a, b) => a - b;
    case '*':
      // Adding 0 makes 0 of −0, which no whole number is.
      return (a, b) => a * b + 0;
    case '/':
      return (a, b) => (b === 0 ? null : Math.trunc(a / b) + 0);
    default:
      return (a, b) => (b === 0 ? null : (a % b) + 0);
  }
}

function bigints(op: BinaryOperator, left: Evaluate, right: Evaluate): Evaluate {
  const compute = wholeNumbers(op);
  return both(left, right, (a, b, frame) => {
    if (typeof a === 'number' && typeof b === 'number') {
      const n = compute(a, b);
      if (n === null) return failed(frame, 'division-by-zero');
      if (Number.isSafeInteger(n)) return n;
    }
    const [x, y] = [BigInt(a as number | bigint), BigInt(b as number | bigint)];
    if (y === 0n && (op === '/' || op === '%')) return failed(frame, 'division-by-zero');
    return bigintValue(wide(op, x, y)) ?? failed(frame, 'overflow');
  });
}

function wide(op: BinaryOperator, a: bigint, b: bigint): bigint {
  switch (op) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    default:
      return a % b;
  }
}

function decimals(
  op: BinaryOperator,
  result: SqlType & { readonly kind: 'DECIMAL' },
  left: Evaluate,
  right: Evaluate,
): Evaluate {
  return both(left, right, (a, b, frame) => {
    const value = computeDecimal(op as Arithmetic, a as Decimal, b as Decimal, result.scale);
    if (value === null) return failed(frame, 'division-by-zero');
    if (result.precision === null) return value;
    const scaled = rescale(value, result.scale);
    return fits(scaled, result.precision) ? scaled : failed(frame, 'overflow');
  });
}

function computeDecimal(op: Arithmetic, a: Decimal, b: Decimal, scale: number | null): Decimal | null {
  switch (op) {
    case '+':
      return add(a, b);
    case '-':
      return subtract(a, b);
    case '*':
      return multiply(a, b);
    case '/':
      return divide(a, b, scale ?? Math.max(a.scale, b.scale, OPEN_QUOTIENT_DIGITS));
    case '%':
      return remainder(a, b);
  }
}

/** `-x` */
export function negation(type: SqlType, operand: Evaluate): Evaluate {
  return (frame) => {
    const value = operand(frame);
    if (value === null) return null;
    if (value instanceof Decimal) return new Decimal(-value.coefficient, value.scale);
    if (type.kind === 'DOUBLE') return -(value as number);
    if (type.kind === 'INTEGER') {
      const n = 0 - (value as number);
      return n > MAX_INT ? failed(frame, 'overflow') : n;
    }
    return bigintValue(-BigInt(value as number | bigint)) ?? failed(frame, 'overflow');
  };
}
