import type { Image } from './raw-row.ts';
import type { TableId, TableSchema } from './table.ts';

/** One source transaction. The object is shared by all its changes. */
export interface Tx {
  /** As Debezium's transaction id without the position part: PostgreSQL xid, MySQL GTID, Oracle xid. */
  readonly id: string;
  /** Microseconds since the epoch; null where it is not known before the transaction's end. */
  readonly commitTimeUs: number | null;
}

/** Debezium's `source.snapshot`. `incremental` is a row of a snapshot taken while the stream runs. */
export type SnapshotMarker =
  'first' | 'first_in_data_collection' | 'true' | 'last_in_data_collection' | 'last' | 'incremental';

/** The source's own block for one change; each reader extends it (lsn; file, pos, row; scn, rs_id). */
export interface SourceInfo {
  readonly connector: 'postgresql' | 'mysql' | 'mariadb' | 'oracle' | 'polling';
}

export interface RowChange<S extends SourceInfo = SourceInfo> {
  readonly kind: 'row';
  /** c create, u update, d delete, r read by a snapshot. */
  readonly op: 'c' | 'u' | 'd' | 'r';
  readonly table: TableSchema;
  /** Null where the log holds none. Columns that the log leaves out are ABSENT. */
  readonly before: Image | null;
  readonly after: Image | null;
  /** Null for snapshot rows. */
  readonly tx: Tx | null;
  /** Ordinal of this change within its transaction, from 0, counted over the captured tables' changes. */
  readonly seq: number;
  readonly at: S;
  readonly snapshot: SnapshotMarker | null;
  /**
   * Set where a value was not in the form of its type: the change is for the dead-letter topic. The images hold
   * what could be read, ABSENT elsewhere.
   */
  readonly unreadable?: Error;
}

/** A row that a snapshot has read; `at` is the snapshot's. */
export function readRow<S extends SourceInfo>(table: TableSchema, after: Image, at: S): RowChange<S> {
  return { kind: 'row', op: 'r', table, before: null, after, tx: null, seq: 0, at, snapshot: 'true' };
}

export interface TruncateChange<S extends SourceInfo = SourceInfo> {
  readonly kind: 'truncate';
  readonly table: TableSchema;
  readonly tx: Tx | null;
  readonly seq: number;
  readonly at: S;
}

/** A logical message (PostgreSQL pg_logical_emit_message). Transactional ones have a tx. */
export interface MessageChange<S extends SourceInfo = SourceInfo> {
  readonly kind: 'message';
  readonly prefix: string;
  readonly content: Uint8Array;
  readonly tx: Tx | null;
  readonly seq: number;
  readonly at: S;
}

/** A table as its database declares it, for the schema-change topic (Debezium's io.debezium.connector.schema.Table). */
export interface TableDescription {
  readonly defaultCharset: string | null;
  /** Columns of the primary key. */
  readonly key: readonly string[];
  readonly comment: string | null;
  readonly columns: readonly ColumnDescription[];
}

export interface ColumnDescription {
  readonly name: string;
  /** Of java.sql.Types. */
  readonly jdbcType: number;
  /** In capitals, with attributes: `INT UNSIGNED`. */
  readonly typeName: string;
  readonly charset: string | null;
  readonly length: number | null;
  readonly scale: number | null;
  readonly optional: boolean;
  readonly autoIncremented: boolean;
  readonly generated: boolean;
  readonly comment: string | null;
  readonly defaultExpression: string | null;
  /** As SQL literals: `'a'`. */
  readonly enumValues: readonly string[] | null;
}

/** A table has a new shape from here on; every later change of that table carries `table`. */
export interface SchemaChange<S extends SourceInfo = SourceInfo> {
  readonly kind: 'schema';
  readonly id: TableId;
  /** Null where the table was dropped. */
  readonly table: TableSchema | null;
  readonly previous: TableSchema | null;
  readonly ddl: string | null;
  /** Of `table`, from sources whose changes of tables are records too; left out by others. Null with it. */
  readonly description?: TableDescription | null;
  readonly tx: Tx | null;
  readonly at: S;
}

/** Begin and end of a source transaction; readers emit them only where transaction metadata is asked for. */
export interface TxMarker<S extends SourceInfo = SourceInfo> {
  readonly kind: 'begin' | 'end';
  readonly tx: Tx;
  readonly at: S;
}

export type Change<S extends SourceInfo = SourceInfo> =
  RowChange<S> | TruncateChange<S> | MessageChange<S> | SchemaChange<S> | TxMarker<S>;
