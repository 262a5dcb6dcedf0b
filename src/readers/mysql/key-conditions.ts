/** Rows by the Values of their keys, as SQL. */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Row, Value } from '../../model/value.ts';
import type { MysqlColumn } from './types/mysql-column.ts';
import { quoteIdent, quoteLiteral } from './wire/quoting.ts';

/** That the columns have the key's values: only the server compares them (collations), by its index. */
export function keyCondition(columns: readonly MysqlColumn[], key: Row): string {
  return columns
    .map((column, i) => `${quoteIdent(column.name)} = ${valueLiteral(column, key[i] ?? null)}`)
    .join(' AND ');
}

function valueLiteral(column: MysqlColumn, value: Value): string {
  if (value instanceof Uint8Array) return bytesLiteral(column, value);
  switch (typeof value) {
    case 'boolean':
      return value ? '1' : '0';
    case 'string':
      return textLiteral(column, value);
    case 'number':
    case 'bigint':
      return numberLiteral(column, value);
    default:
      throw unusable(column);
  }
}

/** A BIT's bytes begin with the least. */
function bytesLiteral({ dataType }: MysqlColumn, bytes: Uint8Array): string {
  const hex = Buffer.from(dataType === 'bit' ? bytes.toReversed() : bytes).toString('hex');
  return dataType === 'bit' ? String(BigInt(`0x${hex}`)) : `X'${hex}'`;
}

/** Text, decimals, and dates that no calendar has. */
function textLiteral(column: MysqlColumn, text: string): string {
  switch (column.dataType) {
    case 'decimal':
      if (!/^-?\d+(?:\.\d+)?$/.test(text)) throw unusable(column);
      return text;
    case 'date':
    case 'datetime':
    case 'timestamp':
    case 'uuid':
    case 'inet4':
    case 'inet6':
      return quoteLiteral(text);
    default:
      return `_utf8mb4 X'${Buffer.from(text).toString('hex')}'`;
  }
}

/** The session's time zone is UTC. */
function numberLiteral({ dataType }: MysqlColumn, value: number | bigint): string {
  switch (dataType) {
    case 'date':
      return `CAST('1970-01-01' AS DATE) + INTERVAL ${value} DAY`;
    case 'datetime':
    case 'timestamp':
      return `CAST('1970-01-01' AS DATETIME(6)) + INTERVAL ${value} MICROSECOND`;
    case 'time':
      return `SEC_TO_TIME(${secondsText(Number(value))})`;
    case 'float':
      return Math.fround(Number(value)).toExponential();
    case 'double':
      return Number(value).toExponential();
    default:
      return String(value);
  }
}

/** A quotient of the server's own would have four digits behind the point. */
function secondsText(us: number): string {
  const positive = Math.abs(us);
  const fraction = String(positive % 1_000_000).padStart(6, '0');
  return `${us < 0 ? '-' : ''}${Math.floor(positive / 1_000_000)}.${fraction}`;
}

function unusable({ name }: MysqlColumn): HeadwaterError {
  return new HeadwaterError(
    'state.snapshot-invalid',
    `The stored key of a row is none of the key column ${name}.`,
    { details: { column: name } },
  );
}
