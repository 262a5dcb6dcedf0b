/**
 * What a cell can hold on its way from a database log to a record. Values are independent of source and of
 * output format; the column's `ColumnType` says how to read them (see table.ts).
 */

/** The log says only that the value did not change (unchanged TOAST or LOB). */
export const UNCHANGED: unique symbol = Symbol('unchanged');

/** The value is not in the row image at all (a MINIMAL image; a key-only before image). */
export const ABSENT: unique symbol = Symbol('absent');

export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Value[]
  | typeof UNCHANGED
  | typeof ABSENT;

/** One row, positional, in the order of `TableSchema.columns`. */
export type Row = readonly Value[];
