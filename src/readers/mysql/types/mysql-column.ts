/**
 * What is known of a MySQL or MariaDB column, wherever it comes from (information_schema, a table map's metadata,
 * a DDL statement, the stored schema history), and the model's Column made of it.
 */
import type { Column, ColumnType, UnsignedOverflow, ZeroDates } from '../../../model/table.ts';
import { columnDefault } from './column-default.ts';

/** Plain JSON: the schema history stores it as it is. */
export interface MysqlColumn {
  readonly name: string;
  /**
   * As information_schema.COLUMNS.DATA_TYPE has it: `int`, `varchar`, `datetime`, `geometry`, `point`, `vector`;
   * MariaDB's `uuid`, `inet6` …; never an alias (`integer`, `bool`, `numeric`, `nchar`, `real`, `serial`).
   */
  readonly dataType: string;
  /** COLUMN_TYPE (`int(10) unsigned zerofill`); null where only the log's metadata is known. */
  readonly columnType: string | null;
  /** Also where ZEROFILL says so. */
  readonly unsigned: boolean;
  /**
   * Characters of char and varchar, bytes of binary and varbinary, bits of bit, dimensions of vector, precision of
   * decimal and of FLOAT(M,D) and DOUBLE(M,D); else null.
   */
  readonly length: number | null;
  /** Of decimal, FLOAT(M,D) and DOUBLE(M,D). */
  readonly scale: number | null;
  /** Digits of the second of time, datetime and timestamp, 0 to 6; else null. */
  readonly fraction: number | null;
  /** Name of the character set (`utf8mb4`, `latin1`) of char, text, enum and set types; else null. */
  readonly charset: string | null;
  /** Its collation; null where there is no charset or the log's metadata is all there is. */
  readonly collation: string | null;
  /** Of enum and set, in the order of their declaration. */
  readonly values: readonly string[] | null;
  readonly nullable: boolean;
  readonly default: MysqlDefault | null;
  /** DEFAULT_GENERATED and ON UPDATE aside: whether AUTO_INCREMENT gives the value. */
  readonly autoIncrement: boolean;
  readonly generated: 'stored' | 'virtual' | null;
  readonly comment: string | null;
  /** Of geometry types with an SRID attribute. */
  readonly srid: number | null;
  readonly invisible: boolean;
}

/**
 * `literal`: the value without quotes and escapes (`abc`, `1.50`, `b'101'`, `0x4142`, `2018-01-01 00:00:00`);
 * `expression`: what the server computes (`CURRENT_TIMESTAMP(3)`, `uuid()`). DEFAULT NULL is no default.
 */
export type MysqlDefault = { readonly literal: string } | { readonly expression: string };

/** What the settings say about values that Kafka Connect's types cannot hold. */
export interface MysqlTypeOptions {
  readonly zeroDates: ZeroDates;
  readonly unsignedOverflow: UnsignedOverflow;
}

export function columnOf(column: MysqlColumn, options: MysqlTypeOptions): Column {
  const type = typeOf(column, options);
  return {
    name: column.name,
    type,
    nullable: column.nullable,
    ...columnDefault(column, type),
    ...(type.kind === 'string' && !TEXT_TYPES.has(column.dataType) ? { opaque: true as const } : {}),
    nativeType: column.dataType,
    length: column.length ?? column.fraction,
    scale: column.scale,
  };
}

/** The form of the column's values in the model; text for a type that is not known. */
function typeOf(column: MysqlColumn, options: MysqlTypeOptions): ColumnType {
  const { dataType, unsigned, length, scale, fraction } = column;
  switch (dataType) {
    case 'tinyint':
      return { kind: 'int16' };
    case 'smallint':
      return { kind: unsigned ? 'int32' : 'int16' };
    case 'mediumint':
      return { kind: 'int32' };
    case 'int':
      return { kind: unsigned ? 'int64' : 'int32' };
    case 'bigint':
      return unsigned ? { kind: 'uint64', overflow: options.unsignedOverflow } : { kind: 'int64' };
    case 'decimal':
      return { kind: 'decimal', precision: length ?? 10, scale: scale ?? 0 };
    case 'float': // FLOAT(M,D) is still four bytes, but Debezium writes a double
      return { kind: scale === null ? 'float32' : 'float64' };
    case 'double':
      return { kind: 'float64' };
    case 'bit':
      return length === null || length === 1 ? { kind: 'boolean' } : { kind: 'bits', length, padded: true };
    case 'year':
      return { kind: 'year' };
    case 'date':
      return { kind: 'date', zero: options.zeroDates };
    case 'time':
      return { kind: 'duration', precision: fraction ?? 0 };
    case 'datetime':
      return { kind: 'timestamp', precision: fraction ?? 0, zero: options.zeroDates };
    case 'timestamp':
      return { kind: 'timestamptz', precision: fraction ?? 0, zero: options.zeroDates };
    case 'binary':
    case 'varbinary':
    case 'tinyblob':
    case 'blob':
    case 'mediumblob':
    case 'longblob':
      return { kind: 'bytes' };
    case 'enum':
    case 'set':
      return { kind: dataType, values: column.values ?? [], escaped: true };
    case 'json':
      return { kind: 'json' };
    case 'point':
      return { kind: 'point' };
    case 'geometry':
    case 'linestring':
    case 'polygon':
    case 'multipoint':
    case 'multilinestring':
    case 'multipolygon':
    case 'geomcollection':
    case 'geometrycollection':
      return { kind: 'geometry' };
    case 'vector':
      return { kind: 'vector', element: 'float32' };
    case 'uuid':
      return { kind: 'uuid' };
    default:
      return { kind: 'string' };
  }
}

const TEXT_TYPES: ReadonlySet<string> = new Set([
  'char',
  'varchar',
  'tinytext',
  'text',
  'mediumtext',
  'longtext',
]);
