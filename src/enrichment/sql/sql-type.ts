import { nameText } from './words.ts';

export type ScalarKind =
  'BOOLEAN' | 'INTEGER' | 'BIGINT' | 'DOUBLE' | 'STRING' | 'BYTES' | 'DATE' | 'TIME' | 'TIMESTAMP';

/**
 * The type of a column or an expression. How values look is told by value.ts. A DECIMAL whose precision is null
 * holds any number of digits, each value with a scale of its own (PostgreSQL's numeric without a declaration).
 */
export type SqlType =
  | { readonly kind: ScalarKind }
  | DecimalType
  | { readonly kind: 'ARRAY'; readonly element: SqlType }
  | { readonly kind: 'MAP'; readonly key: SqlType; readonly value: SqlType }
  | StructType;

export type DecimalType =
  | { readonly kind: 'DECIMAL'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'DECIMAL'; readonly precision: null; readonly scale: null };

export interface StructType {
  readonly kind: 'STRUCT';
  readonly fields: readonly StructField[];
}

export interface StructField {
  readonly name: string;
  readonly type: SqlType;
}

const scalar = <K extends ScalarKind>(kind: K): { readonly kind: K } => ({ kind });

export const BOOLEAN = scalar('BOOLEAN');
export const INTEGER = scalar('INTEGER');
export const BIGINT = scalar('BIGINT');
export const DOUBLE = scalar('DOUBLE');
export const STRING = scalar('STRING');
export const BYTES = scalar('BYTES');
export const DATE = scalar('DATE');
export const TIME = scalar('TIME');
export const TIMESTAMP = scalar('TIMESTAMP');
export const ANY_DECIMAL: DecimalType = { kind: 'DECIMAL', precision: null, scale: null };

/** The names types are declared by. */
export const SCALAR_NAMES: ReadonlyMap<string, SqlType> = new Map<string, SqlType>([
  ['BOOLEAN', BOOLEAN],
  ['INTEGER', INTEGER],
  ['INT', INTEGER],
  ['BIGINT', BIGINT],
  ['DOUBLE', DOUBLE],
  ['VARCHAR', STRING],
  ['STRING', STRING],
  ['BYTES', BYTES],
  ['DATE', DATE],
  ['TIME', TIME],
  ['TIMESTAMP', TIMESTAMP],
]);

export function decimal(precision: number, scale: number): DecimalType {
  return { kind: 'DECIMAL', precision, scale };
}

/** As it is declared, and as the API spells it: `DECIMAL(4, 2)`, `ARRAY<STRING>`, ``STRUCT<`F` STRING>``. */
export function typeText(type: SqlType, quote: (name: string) => string = nameText): string {
  switch (type.kind) {
    case 'DECIMAL':
      return type.precision === null ? 'DECIMAL' : `DECIMAL(${type.precision}, ${type.scale})`;
    case 'ARRAY':
      return `ARRAY<${typeText(type.element, quote)}>`;
    case 'MAP':
      return `MAP<${typeText(type.key, quote)}, ${typeText(type.value, quote)}>`;
    case 'STRUCT':
      return `STRUCT<${type.fields.map(({ name, type }) => `${quote(name)} ${typeText(type, quote)}`).join(', ')}>`;
    default:
      return type.kind;
  }
}

export function sameType(a: SqlType, b: SqlType): boolean {
  switch (a.kind) {
    case 'DECIMAL':
      return b.kind === 'DECIMAL' && a.precision === b.precision && a.scale === b.scale;
    case 'ARRAY':
      return b.kind === 'ARRAY' && sameType(a.element, b.element);
    case 'MAP':
      return b.kind === 'MAP' && sameType(a.key, b.key) && sameType(a.value, b.value);
    case 'STRUCT':
      return (
        b.kind === 'STRUCT' &&
        a.fields.length === b.fields.length &&
        a.fields.every((field, i) => {
          const other = b.fields[i];
          return other !== undefined && field.name === other.name && sameType(field.type, other.type);
        })
      );
    default:
      return a.kind === b.kind;
  }
}

export function isNumeric(type: SqlType): boolean {
  return rankOf(type) !== null;
}

/** INTEGER → BIGINT → DECIMAL → DOUBLE. */
function rankOf(type: SqlType): number | null {
  const rank = ['INTEGER', 'BIGINT', 'DECIMAL', 'DOUBLE'].indexOf(type.kind);
  return rank < 0 ? null : rank;
}

/** A whole number as the DECIMAL that holds all of its type. */
export function asDecimalType(type: SqlType): DecimalType {
  if (type.kind === 'DECIMAL') return type;
  return decimal(type.kind === 'INTEGER' ? 10 : 19, 0);
}

/** The type both widen to, or null where there is none. */
export function commonType(a: SqlType, b: SqlType): SqlType | null {
  if (sameType(a, b)) return a;
  const [rankA, rankB] = [rankOf(a), rankOf(b)];
  if (rankA !== null && rankB !== null) {
    const wider = rankA >= rankB ? a : b;
    return wider.kind === 'DECIMAL' ? widerDecimal(asDecimalType(a), asDecimalType(b)) : wider;
  }
  if (a.kind === 'ARRAY' && b.kind === 'ARRAY') {
    const element = commonType(a.element, b.element);
    return element === null ? null : { kind: 'ARRAY', element };
  }
  if (a.kind === 'MAP' && b.kind === 'MAP') {
    const key = commonType(a.key, b.key);
    const value = commonType(a.value, b.value);
    return key === null || value === null ? null : { kind: 'MAP', key, value };
  }
  if (a.kind === 'STRUCT' && b.kind === 'STRUCT' && a.fields.length === b.fields.length) {
    const fields: StructField[] = [];
    for (const [i, field] of a.fields.entries()) {
      const other = b.fields[i];
      const type = other?.name === field.name ? commonType(field.type, other.type) : null;
      if (type === null) return null;
      fields.push({ name: field.name, type });
    }
    return { kind: 'STRUCT', fields };
  }
  return null;
}

function widerDecimal(a: DecimalType, b: DecimalType): DecimalType {
  if (a.precision === null || b.precision === null) return ANY_DECIMAL;
  const scale = Math.max(a.scale, b.scale);
  return decimal(Math.max(a.precision - a.scale, b.precision - b.scale) + scale, scale);
}

/** The type of `a op b`; a DECIMAL of no declared size makes the result one too. */
export function decimalResult(op: '+' | '-' | '*' | '/' | '%', a: DecimalType, b: DecimalType): DecimalType {
  if (a.precision === null || b.precision === null) return ANY_DECIMAL;
  const [p1, s1, p2, s2] = [a.precision, a.scale, b.precision, b.scale];
  switch (op) {
    case '+':
    case '-': {
      const scale = Math.max(s1, s2);
      return decimal(scale + Math.max(p1 - s1, p2 - s2) + 1, scale);
    }
    case '*':
      return decimal(p1 + p2 + 1, s1 + s2);
    case '/': {
      const scale = Math.max(6, s1 + p2 + 1);
      return decimal(p1 - s1 + s2 + scale, scale);
    }
    case '%': {
      const scale = Math.max(s1, s2);
      return decimal(Math.min(p1 - s1, p2 - s2) + scale, scale);
    }
  }
}
