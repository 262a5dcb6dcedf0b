import type { TableId, TableSchema } from '../../../model/table.ts';
import type { Row } from '../../../model/value.ts';
import type { Decode } from '../types/decode-binlog.ts';
import type { BinlogRows } from './raw-rows.ts';

/** What rows of one table id are decoded with, until a table map says something else. */
export interface TableState {
  readonly tableId: number;
  readonly id: TableId;
  /** The table map's body: one with the same bytes means the same. Null: of a table that nobody wants. */
  readonly map: Buffer | null;
  /** Null where the table is not captured. */
  readonly captured: CapturedState | null;
}

export interface SystemVersions {
  /** How many columns the schema has. */
  readonly columns: number;
  /** Index of the column that says until when a row was true. */
  readonly end: number;
}

export interface CapturedState {
  readonly schema: TableSchema;
  /** One a column, in the order of the log, which is that of the schema; those of `versions` come last. */
  readonly decoders: readonly Decode[];
  /** How whole images stay as they are in the log (model/raw-row.ts); null where they have to be decoded. */
  readonly raw: BinlogRows | null;
  /** Which columns are JSON: what a partial update may hold differences of. */
  readonly json: readonly number[];
  /** What an INSERT gives a column that it leaves out (binlog_row_image = MINIMAL); ABSENT where that is not known. */
  readonly inserted: Row;
  /** The columns of MariaDB's system versions, which the schema has not, where the table keeps old rows. */
  readonly versions: SystemVersions | null;
  /** Why the table's rows cannot be read: they go to the dead-letter topic. */
  readonly unreadable: Error | null;
  /** Not even the lengths of values are known (a type of a later server): there are no decoders. */
  readonly undecodable: boolean;
}
