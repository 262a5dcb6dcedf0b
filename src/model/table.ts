/**
 * The schema of a table as it was at one position of the log. A change carries its schema by reference, so
 * nothing downstream looks anything up, and encoders are cached per schema object.
 */

/**
 * The logical type of a column, and with it the form of its `Value`:
 *
 * | kind | Value |
 * | --- | --- |
 * | boolean | boolean |
 * | int8, int16, int32, year | number |
 * | int64, uint64 | number where it is a safe integer, else bigint |
 * | float32, float64 | number (NaN and infinities included) |
 * | decimal | string: canonical text with exactly `scale` fraction digits where a scale is declared; `NaN`, `Infinity`, `-Infinity` |
 * | string, json, xml, uuid, enum, ltree, tsvector | string |
 * | hstore | string, a JSON object |
 * | set | string: the members in the order of their declaration, apart by commas |
 * | bytes | Uint8Array |
 * | bits | Uint8Array, little-endian, ceil(length/8) bytes (as Debezium's io.debezium.data.Bits); a one-bit column is `boolean` |
 * | date | number: days since 1970-01-01; ±Infinity; string where the source holds a date that no calendar has (`0000-00-00`, `2004-00-31`) |
 * | time | number: microseconds past midnight (24:00 is 86,400,000,000) |
 * | duration | number: microseconds, negative too, of any number of hours (MySQL's TIME) |
 * | timetz | string as the server prints it (`04:05:06.789-08`) |
 * | timestamp | microseconds since 1970-01-01T00:00 without zone; number where safe, else bigint; ±Infinity; string as with date (`0000-00-00 00:00:00`). With a precision of 7 to 9 nanoseconds, as bigint |
 * | timestamptz | microseconds (nanoseconds) since the epoch, as timestamp |
 * | zonedtimestamp | string: ISO 8601 with the zone the value was written with (`2024-01-31T12:00:00.5+02:00`, UTC is `Z`) |
 * | interval | [months, days, microseconds], and behind them the nanoseconds (of the microseconds’ sign) where there are any |
 * | point | [x, y] numbers, or [x, y, wkb Uint8Array, srid number or null] |
 * | geometry, geography | [wkb Uint8Array, srid number or null] |
 * | vector | array of numbers; sparsevec: string |
 * | array | array of the element's values, nested for more dimensions |
 */
export type ColumnType =
  | {
      readonly kind:
        | 'boolean'
        | 'int8'
        | 'int16'
        | 'int32'
        | 'int64'
        | 'year'
        | 'float32'
        | 'float64'
        | 'string'
        | 'json'
        | 'xml'
        | 'uuid'
        | 'ltree'
        | 'tsvector'
        | 'hstore'
        | 'bytes'
        | 'point'
        | 'geometry'
        | 'geography'
        | 'zonedtimestamp';
    }
  | { readonly kind: 'interval' }
  | { readonly kind: 'uint64'; readonly overflow: UnsignedOverflow }
  | { readonly kind: 'vector'; readonly element: 'float32' | 'float64' }
  | { readonly kind: 'decimal'; readonly precision: number | null; readonly scale: number | null }
  /** `padded`: a record holds all bytes, also zeros at the end (as Debezium's for MySQL, not its for PostgreSQL). */
  | { readonly kind: 'bits'; readonly length: number | null; readonly padded?: true }
  | { readonly kind: 'date'; readonly zero?: ZeroDates }
  | { readonly kind: 'time' | 'timetz' | 'duration'; readonly precision: number | null }
  | {
      readonly kind: 'timestamp' | 'timestamptz';
      readonly precision: number | null;
      readonly zero?: ZeroDates;
    }
  /** `escaped`: Debezium's parameter `allowed` has a backslash before each comma within a value (MySQL). */
  | { readonly kind: 'enum' | 'set'; readonly values: readonly string[]; readonly escaped?: true }
  | { readonly kind: 'array'; readonly element: ColumnType };

/**
 * What a record holds for a value of `uint64` past 2^63-1: the row goes to the dead-letter topic; the column is
 * text (for all its values); or the same 64 bits as a signed integer.
 */
export type UnsignedOverflow = 'quarantine' | 'string' | 'wrap';

/**
 * What a record holds for a date that no calendar has: null, and the epoch where the column is NOT NULL; always
 * the epoch; or its text, where the record's form of dates is text, and a header has it elsewhere.
 */
export type ZeroDates = 'null' | 'epoch' | 'string';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
  /** The column's constant default as a Value of its type; undefined where there is none or it isn't constant. */
  readonly default: import('./value.ts').Value | undefined;
  /**
   * The default is computed by the database (a sequence, a function): Debezium writes a placeholder for it, which
   * is `default` where that is set.
   */
  readonly computedDefault?: true;
  /** Debezium leaves the default out of the schema. */
  readonly hiddenDefault?: true;
  /** The value is the database's text for a type that Debezium has nothing for and leaves out. */
  readonly opaque?: true;
  /** The type's name in the database without modifiers, e.g. `varchar`, `numeric`, `_int4`. */
  readonly nativeType: string;
  /** Declared length or precision, and scale, where the type has them. */
  readonly length: number | null;
  readonly scale: number | null;
}

export interface TableId {
  /** PostgreSQL schema; on MySQL the database. */
  readonly schema: string;
  readonly table: string;
}

export interface TableSchema {
  readonly id: TableId;
  /** Grows by one with every change of the table's shape. */
  readonly version: number;
  readonly columns: readonly Column[];
  /** Indexes into `columns`, in the order of the key's index; empty for a table without a key. */
  readonly key: readonly number[];
  /** What its columns are called is not known: only changes that cannot be read have it. */
  readonly nameless?: true;
}

/**
 * `schema.table`, for logs, settings, maps and the durable state: no two tables have one name. A schema that holds a dot
 * stands in double quotes (`"a.b".c`), so that it is not taken for the table `b.c` of the schema `a`.
 */
export function tableName({ schema, table }: TableId): string {
  if (!schema.includes('.') && !schema.startsWith('"')) return `${schema}.${table}`;
  return `"${schema.replaceAll('"', '""')}".${table}`;
}

/** The table that has this name, as `tableName` writes it; null where it is none. */
export function tableOfName(name: string): TableId | null {
  const [, quoted, plain, table] = /^(?:"((?:[^"]|"")+)"|([^".][^.]*))\.(.+)$/su.exec(name) ?? [];
  if (table === undefined) return null;
  return { schema: quoted?.replaceAll('""', '"') ?? plain!, table };
}

/** As Debezium writes it in records, and people do who know of no other table of that name: nothing is quoted. */
export function plainTableName({ schema, table }: TableId): string {
  return `${schema}.${table}`;
}
