/**
 * From one type to another. The static types make the casts of TypeScript in here sound: a converter is only
 * made for, and only called with, values of its source type.
 */
import {
  dateText,
  MS_PER_DAY,
  parseDate,
  parseTime,
  parseTimestamp,
  timestampText,
  timeText,
  isTimeNumber,
} from './civil-time.ts';
import { canonicalText, Decimal, fits, parseDecimal, rescale } from './decimal.ts';
import { type DecimalType, sameType, type SqlType } from './sql-type.ts';
import { bigintValue, type SqlValue } from './value.ts';

/** Answers undefined where the value cannot be converted. Never called with null. */
export type Converter = (value: SqlValue) => SqlValue | undefined;

const same: Converter = (value) => value;

/** What happens by itself: INTEGER → BIGINT → DECIMAL → DOUBLE, element-wise. Null where nothing does. */
export function widening(from: SqlType, to: SqlType): Converter | null {
  if (sameType(from, to)) return same;
  switch (from.kind) {
    case 'INTEGER':
    case 'BIGINT':
      if (to.kind === 'BIGINT' && from.kind === 'INTEGER') return same;
      if (to.kind === 'DECIMAL' || to.kind === 'DOUBLE') return explicit(from, to);
      return null;
    case 'DECIMAL':
      return to.kind === 'DECIMAL' || to.kind === 'DOUBLE' ? explicit(from, to) : null;
    default:
      return collection(from, to, widening);
  }
}

/** What CAST does. Null where the two types have nothing to do with each other. */
export function explicit(from: SqlType, to: SqlType): Converter | null {
  if (sameType(from, to)) return same;
  switch (to.kind) {
    case 'STRING':
      return from.kind === 'BYTES' ? null : (value) => valueText(from, value);
    case 'INTEGER':
      return toWhole(from, -(2n ** 31n), 2n ** 31n - 1n);
    case 'BIGINT':
      return toWhole(from, -(2n ** 63n), 2n ** 63n - 1n);
    case 'DECIMAL':
      return toDecimal(from, to);
    case 'DOUBLE':
      return toDouble(from);
    case 'BOOLEAN':
      return from.kind === 'STRING' ? (value) => booleanOf(value as string) : null;
    case 'DATE':
      if (from.kind === 'STRING') return (value) => parseDate(value as string) ?? undefined;
      return from.kind === 'TIMESTAMP' ? (value) => Math.floor((value as number) / MS_PER_DAY) : null;
    case 'TIME':
      if (from.kind === 'STRING') return (value) => parseTime(value as string) ?? undefined;
      return from.kind === 'TIMESTAMP' ? (value) => modulo(value as number, MS_PER_DAY) : null;
    case 'TIMESTAMP':
      if (from.kind === 'STRING') return (value) => parseTimestamp(value as string) ?? undefined;
      if (from.kind !== 'DATE') return null;
      return (value) => {
        const ms = (value as number) * MS_PER_DAY;
        return isTimeNumber('TIMESTAMP', ms) ? ms : undefined;
      };
    default:
      return collection(from, to, explicit);
  }
}

function modulo(n: number, by: number): number {
  return ((n % by) + by) % by;
}

function booleanOf(text: string): boolean | undefined {
  const word = text.trim().toLowerCase();
  if (word === 'true' || word === 't' || word === 'yes' || word === 'y') return true;
  if (word === 'false' || word === 'f' || word === 'no' || word === 'n') return false;
  return undefined;
}

/** A double holds any whole number of so many digits. */
const EXACT_DIGITS = 15;

/** Fractions are cut off, as in Java. */
function toWhole(from: SqlType, min: bigint, max: bigint): Converter | null {
  const ranged = (n: bigint): SqlValue | undefined =>
    n < min || n > max ? undefined : (bigintValue(n) ?? undefined);
  switch (from.kind) {
    case 'INTEGER':
    case 'BIGINT':
      return (value) => ranged(BigInt(value as number | bigint));
    case 'DOUBLE':
      return (value) => (Number.isFinite(value) ? ranged(BigInt(Math.trunc(value as number))) : undefined);
    case 'DECIMAL':
      return (value) => ranged(truncated(value as Decimal));
    case 'STRING':
      return (value) => {
        const text = (value as string).trim();
        if (!/^[+-]?[0-9]{1,40}$/.test(text)) return undefined;
        if (text.length > EXACT_DIGITS) return ranged(BigInt(text.replace(/^\+/, '')));
        const n = Number(text) + 0; // there is no −0 among whole numbers
        return n >= Number(min) && n <= Number(max) ? n : undefined;
      };
    default:
      return null;
  }
}

function truncated({ coefficient, scale }: Decimal): bigint {
  return scale === 0 ? coefficient : coefficient / 10n ** BigInt(scale);
}

function toDecimal(from: SqlType, to: DecimalType): Converter | null {
  const sized = (value: Decimal): Decimal | undefined => {
    if (to.precision === null) return value;
    const scaled = rescale(value, to.scale);
    return fits(scaled, to.precision) ? scaled : undefined;
  };
  switch (from.kind) {
    case 'INTEGER':
    case 'BIGINT':
      return (value) => sized(new Decimal(BigInt(value as number | bigint), 0));
    case 'DECIMAL':
      return (value) => sized(value as Decimal);
    case 'DOUBLE':
    case 'STRING':
      return (value) => {
        const text = value as string | number;
        const parsed = parseDecimal(String(text));
        return parsed === null ? undefined : sized(parsed);
      };
    default:
      return null;
  }
}

function toDouble(from: SqlType): Converter | null {
  switch (from.kind) {
    case 'INTEGER':
    case 'BIGINT':
      return (value) => Number(value);
    case 'DECIMAL':
      return (value) => (value as Decimal).toNumber();
    case 'STRING':
      return (value) => {
        const text = (value as string).trim();
        return /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(text)
          ? Number(text)
          : undefined;
      };
    default:
      return null;
  }
}

function collection(
  from: SqlType,
  to: SqlType,
  by: (from: SqlType, to: SqlType) => Converter | null,
): Converter | null {
  if (from.kind === 'ARRAY' && to.kind === 'ARRAY') {
    const element = by(from.element, to.element);
    return element === null ? null : (value) => each(value as readonly SqlValue[], () => element);
  }
  if (from.kind === 'MAP' && to.kind === 'MAP') {
    if (!sameType(from.key, to.key)) return null;
    const convert = by(from.value, to.value);
    if (convert === null) return null;
    return (value) => {
      const result = new Map<SqlValue, SqlValue>();
      for (const [key, item] of value as ReadonlyMap<SqlValue, SqlValue>) {
        const converted = item === null ? null : convert(item);
        if (converted === undefined) return undefined;
        result.set(key, converted);
      }
      return result;
    };
  }
  if (from.kind === 'STRUCT' && to.kind === 'STRUCT') {
    const sources: { readonly index: number; readonly convert: Converter }[] = [];
    for (const field of to.fields) {
      const index = from.fields.findIndex(({ name }) => name === field.name);
      const found = from.fields[index];
      const convert = found === undefined ? null : by(found.type, field.type);
      if (convert === null) return null;
      sources.push({ index, convert });
    }
    return (value) => {
      const fields = value as readonly SqlValue[];
      return each(
        sources.map(({ index }) => fields[index] ?? null),
        (i) => sources[i]?.convert ?? same,
      );
    };
  }
  return null;
}

function each(items: readonly SqlValue[], by: (index: number) => Converter): SqlValue[] | undefined {
  const result: SqlValue[] = [];
  for (const [i, item] of items.entries()) {
    const converted = item === null ? null : by(i)(item);
    if (converted === undefined) return undefined;
    result.push(converted);
  }
  return result;
}

/** A DOUBLE as Java prints the common ones: a whole one keeps its `.0`. */
export function doubleText(n: number): string {
  return Number.isInteger(n) && Math.abs(n) < 1e15 ? `${Object.is(n, -0) ? '-0' : n}.0` : String(n);
}

/** As CAST to STRING gives it. Not null. */
export function valueText(type: SqlType, value: SqlValue): string {
  switch (type.kind) {
    case 'DOUBLE':
      return doubleText(value as number);
    case 'DECIMAL':
      return type.precision === null ? canonicalText(value as Decimal) : (value as Decimal).toString();
    case 'DATE':
      return dateText(value as number);
    case 'TIME':
      return timeText(value as number);
    case 'TIMESTAMP':
      return timestampText(value as number);
    case 'BYTES':
      return Buffer.from(value as Uint8Array).toString('base64');
    case 'ARRAY': {
      const items = (value as readonly SqlValue[]).map((item) => innerText(type.element, item));
      return `[${items.join(', ')}]`;
    }
    case 'MAP': {
      const entries = [...(value as ReadonlyMap<SqlValue, SqlValue>)].map(
        ([key, item]) => `${innerText(type.key, key)}=${innerText(type.value, item)}`,
      );
      return `{${entries.join(', ')}}`;
    }
    case 'STRUCT': {
      const fields = value as readonly SqlValue[];
      const list = type.fields.map(({ name, type }, i) => `${name}=${innerText(type, fields[i] ?? null)}`);
      return `Struct{${list.join(',')}}`;
    }
    default:
      return primitiveText(value as string | boolean | number | bigint);
  }
}

function primitiveText(value: string | boolean | number | bigint): string {
  return String(value);
}

function innerText(type: SqlType, value: SqlValue): string {
  return value === null ? 'null' : valueText(type, value);
}
