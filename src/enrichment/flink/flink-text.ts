/** Names, texts and types as Flink SQL 2.2 writes them, and what has no equal there. */
import type { Decimal } from '../sql/decimal.ts';
import type { DecimalType, SqlType } from '../sql/sql-type.ts';
import type { SqlValue } from '../sql/value.ts';

/** Thrown inside of an export and caught where the statement is told of: the message is the reason, a clause. */
export class NoEqual extends Error {}

/** Always quoted: Flink reserves several hundred words. */
export function flinkName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

export function flinkString(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Digits of a DECIMAL in Flink, and those behind the point where the type here does not say. */
const MAX_DIGITS = 38;
const FREE_SCALE = 18;

/**
 * DATE, TIME and TIMESTAMP are the whole numbers that records hold: days, milliseconds of the day, milliseconds
 * since 1970.
 */
export function flinkType(type: SqlType): string {
  switch (type.kind) {
    case 'INTEGER':
    case 'DATE':
    case 'TIME':
      return 'INT';
    case 'BIGINT':
    case 'TIMESTAMP':
      return 'BIGINT';
    case 'DECIMAL':
      return decimalText(type);
    case 'ARRAY':
      return `ARRAY<${flinkType(type.element)}>`;
    case 'MAP':
      return `MAP<${flinkType(type.key)}, ${flinkType(type.value)}>`;
    case 'STRUCT':
      return `ROW<${type.fields.map(({ name, type }) => `${flinkName(name)} ${flinkType(type)}`).join(', ')}>`;
    default:
      return type.kind;
  }
}

function decimalText({ precision, scale }: DecimalType): string {
  if (precision === null) return `DECIMAL(${MAX_DIGITS}, ${FREE_SCALE})`;
  return `DECIMAL(${Math.min(precision, MAX_DIGITS)}, ${Math.min(scale, MAX_DIGITS)})`;
}

/** Whether values of the type may have more digits than Flink keeps. */
export function losesDigits(type: SqlType): boolean {
  switch (type.kind) {
    case 'DECIMAL':
      return type.precision === null || type.precision > MAX_DIGITS;
    case 'ARRAY':
      return losesDigits(type.element);
    case 'MAP':
      return losesDigits(type.key) || losesDigits(type.value);
    case 'STRUCT':
      return type.fields.some((field) => losesDigits(field.type));
    default:
      return false;
  }
}

/** A value that a literal stands for. Static types make the cast sound. */
export function flinkLiteral(type: SqlType, value: SqlValue): string {
  if (value === null) return `CAST(NULL AS ${flinkType(type)})`;
  switch (type.kind) {
    case 'BOOLEAN':
      return value === true ? 'TRUE' : 'FALSE';
    case 'DECIMAL':
      return (value as Decimal).toString();
    case 'DOUBLE':
      return `CAST(${Number(value)} AS DOUBLE)`;
    case 'INTEGER':
    case 'BIGINT':
    case 'DATE':
    case 'TIME':
    case 'TIMESTAMP':
      if (typeof value === 'number' || typeof value === 'bigint') return String(value);
      throw new TypeError(`A value of ${type.kind} is a number.`);
    case 'STRING':
      return flinkString(value as string);
    default:
      throw new NoEqual(`a literal of type ${type.kind} cannot be written`);
  }
}

/** Milliseconds since 1970 of a TIMESTAMP without zone, which is UTC here. */
export function millisOf(timestamp: string): string {
  return `(UNIX_TIMESTAMP(DATE_FORMAT(${timestamp}, 'yyyy-MM-dd HH:mm:ss')) * 1000 + EXTRACT(MILLISECOND FROM ${timestamp}))`;
}

/** Milliseconds since 1970 of a text such as `2024-02-29T12:00:00.123456Z`. */
export function millisOfIso(text: string): string {
  const seconds = `UNIX_TIMESTAMP(REPLACE(SUBSTRING(${text}, 1, 19), 'T', ' '))`;
  const digits = `RPAD(REGEXP_EXTRACT(${text}, '[.]([0-9]{1,3})', 1), 3, '0')`;
  return `(${seconds} * 1000 + COALESCE(CAST(${digits} AS BIGINT), 0))`;
}

/** A whole number divided, towards minus infinity. */
export function floorDivided(number: string, by: number): string {
  return `((${number} - MOD(MOD(${number}, ${by}) + ${by}, ${by})) / ${by})`;
}

/** An INTERVAL of so many milliseconds. */
export function interval(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const rest = String(ms % 1000).padStart(3, '0');
  return `INTERVAL '${seconds}.${rest}' SECOND(${Math.max(2, String(seconds).length)}, 3)`;
}
