import type { Evaluate, Typed } from '../frame.ts';
import { Decimal, powerOfTen } from '../decimal.ts';
import { BIGINT, decimal, DOUBLE, INTEGER, isNumeric, type SqlType } from '../sql-type.ts';
import { bigintValue, type SqlValue } from '../value.ts';
import {
  argument,
  type Call,
  type FunctionDefinition,
  scalarFunction,
  signature,
  wrongArgument,
  wrongCount,
} from './definition.ts';

export const NUMBER_FUNCTIONS: readonly FunctionDefinition[] = [
  numeric('ABS', (type) => type, {
    double: Math.abs,
    whole: (n) => (typeof n === 'bigint' ? (n < 0n ? -n : n) : Math.abs(n)),
    decimal: ({ coefficient, scale }) => new Decimal(coefficient < 0n ? -coefficient : coefficient, scale),
  }),
  numeric('CEIL', wholeOf, {
    double: (n) => Math.ceil(n) + 0,
    whole: (n) => n,
    decimal: (n) => new Decimal(-floorOf(-n.coefficient, n.scale), 0),
  }),
  numeric('FLOOR', wholeOf, {
    double: Math.floor,
    whole: (n) => n,
    decimal: (n) => new Decimal(floorOf(n.coefficient, n.scale), 0),
  }),
  numeric('SIGN', () => INTEGER, {
    // NaN has none, and no whole number is NaN.
    double: (n) => (Number.isNaN(n) ? null : Math.sign(n) + 0),
    whole: (n) => (n > 0 ? 1 : n < 0 ? -1 : 0),
    decimal: ({ coefficient }) => (coefficient > 0n ? 1 : coefficient < 0n ? -1 : 0),
  }),
  scalarFunction('SQRT', 'SQRT(number)', [signature(['DOUBLE'], DOUBLE, (n) => Math.sqrt(n))]),
  { name: 'ROUND', usage: 'ROUND(number [, digits])', bind: round },
];

interface Forms {
  readonly double: (n: number) => number | null;
  readonly whole: (n: number | bigint) => number | bigint;
  readonly decimal: (n: Decimal) => SqlValue;
}

function numeric(name: string, typeOf: (type: SqlType) => SqlType, forms: Forms): FunctionDefinition {
  const usage = `${name}(number)`;
  return {
    name,
    usage,
    bind: (call) => {
      if (call.args.length !== 1) throw wrongCount(call, usage);
      const { type, run } = numberArgument(call);
      const compute = formFor(type, forms);
      return {
        type: typeOf(type),
        at: call.at,
        run: (frame) => {
          const value = run(frame);
          if (value === null) return null;
          const result = compute(value);
          if (result !== null) return result;
          frame.note('overflow');
          return null;
        },
      };
    },
  };
}

/** The static type makes the casts sound. */
function formFor(type: SqlType, { double, whole, decimal }: Forms): (value: SqlValue) => SqlValue {
  switch (type.kind) {
    case 'DOUBLE':
      return (value) => double(value as number);
    case 'DECIMAL':
      return (value) => decimal(value as Decimal);
    case 'INTEGER':
      return (value) => {
        const n = whole(value as number);
        return n > 2 ** 31 - 1 ? null : n;
      };
    default:
      return (value) => bigintValue(BigInt(whole(value as number | bigint)));
  }
}

function numberArgument(call: Call): Typed & { readonly type: SqlType } {
  const value = call.args[0];
  if (value === undefined) throw wrongCount(call, `${call.name}(number)`);
  const { type } = value;
  if (type === null) return { ...value, type: DOUBLE };
  if (!isNumeric(type)) throw wrongArgument(call, 0, 'a number');
  return { ...value, type };
}

/** A DECIMAL without its fraction may have one digit more in front of the point. */
function wholeOf(type: SqlType): SqlType {
  if (type.kind !== 'DECIMAL' || type.precision === null) return type;
  return decimal(type.precision - type.scale + 1, 0);
}

function floorOf(coefficient: bigint, scale: number): bigint {
  const by = powerOfTen(scale);
  const quotient = coefficient / by;
  return coefficient < 0n && quotient * by !== coefficient ? quotient - 1n : quotient;
}

/** Ties go towards positive infinity. */
function round(call: Call): Typed {
  if (call.args.length < 1 || call.args.length > 2) throw wrongCount(call, 'ROUND(number [, digits])');
  const { type, run } = numberArgument(call);
  const digits = call.args.length === 2 ? argument(call, 1, INTEGER).run : null;
  const { at } = call;
  switch (type.kind) {
    case 'INTEGER':
    case 'BIGINT':
      return { type, run: digits === null ? run : roundedWhole(type.kind, run, digits), at };
    case 'DECIMAL':
      if (digits === null) {
        return {
          type: wholeOf(type),
          at,
          run: (frame) => {
            const value = run(frame);
            return value === null ? null : roundDecimal(value as Decimal, 0);
          },
        };
      }
      return {
        // As many digits in front of the point as before, and one more.
        type: type.precision === null ? type : decimal(type.precision + 1, type.scale),
        at,
        run: (frame) => {
          const value = run(frame);
          const count = digits(frame);
          if (value === null || count === null) return null;
          const { scale } = value as Decimal;
          const kept = keptDigits(value as Decimal, count as number);
          const rounded = roundDecimal(value as Decimal, kept);
          return new Decimal(rounded.coefficient * powerOfTen(scale - kept), scale);
        },
      };
    default:
      if (digits === null) {
        return {
          type: BIGINT,
          at,
          run: (frame) => {
            const value = run(frame);
            if (value === null) return null;
            const n = Number.isFinite(value) ? bigintValue(BigInt(Math.round(value as number))) : null;
            if (n === null) frame.note('overflow');
            return n;
          },
        };
      }
      return {
        type: DOUBLE,
        at,
        run: (frame) => {
          const value = run(frame);
          const count = digits(frame);
          if (value === null || count === null) return null;
          const factor = 10 ** (count as number);
          const scaled = (value as number) * factor;
          return Number.isFinite(scaled) && factor > 0 ? Math.round(scaled) / factor + 0 : value;
        },
      };
  }
}

/** `count`, but no more digits than there are, and no further in front of the point than where all is rounded away. */
function keptDigits({ coefficient, scale }: Decimal, count: number): number {
  return count >= 0 ? Math.min(count, scale) : Math.max(count, -String(coefficient).length - 1);
}

/** Only negative digits change a whole number. */
function roundedWhole(kind: 'INTEGER' | 'BIGINT', run: Evaluate, digits: Evaluate): Evaluate {
  return (frame) => {
    const value = run(frame);
    const count = digits(frame);
    if (value === null || count === null) return null;
    if ((count as number) >= 0) return value;
    const exact = new Decimal(BigInt(value as number | bigint), 0);
    const kept = keptDigits(exact, count as number);
    const { coefficient } = roundDecimal(exact, kept);
    const rounded = bigintValue(coefficient * powerOfTen(-kept));
    if (rounded !== null && (kind === 'BIGINT' || (rounded >= -(2 ** 31) && rounded <= 2 ** 31 - 1)))
      return rounded;
    frame.note('overflow');
    return null;
  };
}

/** `kept`: digits behind the point; negative in front of it. The coefficient is of units of the last one. */
function roundDecimal({ coefficient, scale }: Decimal, kept: number): Decimal {
  if (kept >= scale) return new Decimal(coefficient, scale);
  const half = powerOfTen(scale - kept) / 2n;
  return new Decimal(floorOf(coefficient + half, scale - kept), kept);
}
