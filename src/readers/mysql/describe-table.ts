/** Tables as Debezium's schema-change topic describes them: the types are those of its MySQL parser. */
import type { ColumnDescription, TableDescription } from '../../model/change.ts';
import type { MysqlTable } from './catalogue.ts';
import type { MysqlColumn } from './types/mysql-column.ts';
import { quoteLiteral } from './wire/quoting.ts';

/** java.sql.Types; what is not here is OTHER. */
const JDBC_TYPES: Readonly<Record<string, number>> = {
  bit: -7,
  tinyint: 5,
  smallint: 5,
  mediumint: 4,
  int: 4,
  year: 4,
  bigint: -5,
  decimal: 3,
  float: 6,
  double: 8,
  date: 91,
  time: 92,
  datetime: 93,
  timestamp: 2014,
  char: 1,
  enum: 1,
  set: 1,
  varchar: 12,
  tinytext: 12,
  text: 12,
  mediumtext: 12,
  longtext: 12,
  binary: -2,
  varbinary: -3,
  tinyblob: 2004,
  blob: 2004,
  mediumblob: 2004,
  longblob: 2004,
};
const OTHER = 1111;

export function describeTable({ columns, key, charset, comment }: MysqlTable): TableDescription {
  return {
    defaultCharset: charset,
    key: key.map((i) => columns[i]!.name),
    comment,
    columns: columns.map(describeColumn),
  };
}

function describeColumn(column: MysqlColumn): ColumnDescription {
  const { name, dataType, columnType, charset, nullable, values } = column;
  const attributes =
    / unsigned zerofill$| unsigned$/i.exec(columnType ?? '')?.[0] ?? (column.unsigned ? ' unsigned' : '');
  return {
    name,
    jdbcType: JDBC_TYPES[dataType] ?? OTHER,
    typeName: (dataType + attributes).toUpperCase(),
    charset,
    length: lengthOf(column),
    scale: column.scale,
    optional: nullable,
    autoIncremented: column.autoIncrement,
    generated: column.generated !== null,
    comment: column.comment,
    defaultExpression:
      column.default === null
        ? null
        : 'literal' in column.default
          ? column.default.literal
          : column.default.expression,
    enumValues: values?.map(quoteLiteral) ?? null,
  };
}

/** As declared, display widths included; of ENUM one character, of SET all members and the commas between. */
function lengthOf({ dataType, columnType, length, fraction, values }: MysqlColumn): number | null {
  if (dataType === 'enum') return 1;
  if (dataType === 'set') return Math.max(0, (values?.length ?? 0) * 2 - 1);
  if (length !== null) return length;
  if (fraction !== null) return fraction === 0 ? null : fraction;
  const width = /\((\d+)\)/.exec(columnType ?? '')?.[1];
  return width === undefined ? null : Number(width);
}
