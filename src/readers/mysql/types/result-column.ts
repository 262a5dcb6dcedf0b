import type { ResultColumn } from '../wire/result-columns.ts';
import { charsetOfCollation } from './collations.ts';
import type { MysqlColumn } from './mysql-column.ts';

const BINARY = 63;
const NOT_NULL = 1;
const UNSIGNED = 32;
const ENUM = 256;
const SET = 2048;
const UNDECLARED = 31;

/** enum_field_types: those that say all of the column's type. */
const PLAIN: Readonly<Record<number, string>> = {
  1: 'tinyint',
  2: 'smallint',
  3: 'int',
  4: 'float',
  5: 'double',
  7: 'timestamp',
  8: 'bigint',
  9: 'mediumint',
  10: 'date',
  11: 'time',
  12: 'datetime',
  13: 'year',
  16: 'bit',
  242: 'vector',
  245: 'json',
  246: 'decimal',
  255: 'geometry',
};
/** Texts, or bytes where their character set is binary. */
const STRINGS: Readonly<Record<number, readonly [text: string, bytes: string]>> = {
  249: ['tinytext', 'tinyblob'],
  250: ['mediumtext', 'mediumblob'],
  251: ['longtext', 'longblob'],
  252: ['text', 'blob'],
  253: ['varchar', 'varbinary'],
  254: ['char', 'binary'],
};

/**
 * A column of a query's result. The protocol says less than the catalogue: nothing of defaults, and of an enumeration
 * only that it is one, which is why it counts as text.
 */
export function columnOfResult(column: ResultColumn): MysqlColumn {
  const { name, type, flags, length, decimals } = column;
  const charset = column.collation === BINARY ? null : charsetOfCollation(column.collation);
  const [text, bytes] = STRINGS[type] ?? ['varchar', 'varbinary'];
  const dataType = PLAIN[type] ?? (charset === null ? bytes : text);
  const unsigned = (flags & UNSIGNED) !== 0;
  const isText = PLAIN[type] === undefined && charset !== null;
  return {
    name,
    dataType,
    columnType: null,
    unsigned,
    ...lengthOf(dataType, { length, decimals, unsigned }),
    fraction: ['time', 'datetime', 'timestamp'].includes(dataType) ? Math.min(decimals, 6) : null,
    charset: isText ? charset : null,
    collation: null,
    values: null,
    nullable: (flags & NOT_NULL) === 0,
    default: null,
    autoIncrement: false,
    generated: null,
    comment: null,
    srid: null,
    invisible: false,
  };
}

/** Its values are put in order by their number, and compared by their text. */
export function isEnumeration({ flags }: ResultColumn): boolean {
  return (flags & (ENUM | SET)) !== 0;
}

function lengthOf(
  dataType: string,
  { length, decimals, unsigned }: Pick<ResultColumn, 'length' | 'decimals'> & { readonly unsigned: boolean },
): Pick<MysqlColumn, 'length' | 'scale'> {
  switch (dataType) {
    case 'decimal': // a sign and a point are counted
      return { length: length - (unsigned ? 0 : 1) - (decimals > 0 ? 1 : 0), scale: decimals };
    case 'float':
    case 'double':
      return decimals >= UNDECLARED ? { length: null, scale: null } : { length, scale: decimals };
    case 'bit':
    case 'binary':
    case 'varbinary':
      return { length, scale: null };
    case 'vector':
      return { length: length / 4, scale: null };
    default:
      return { length: null, scale: null };
  }
}
