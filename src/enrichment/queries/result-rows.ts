import type { OutputColumn } from '../plan/projection.ts';
import type { SqlValue } from '../sql/value.ts';
import { jsonWriter } from '../formats/value-json.ts';

/** One row for the client. */
export interface ResultRow {
  /** JSON array of the columns' values: BIGINT and DECIMAL with all digits, dates and times as text. */
  readonly text: string;
  /** The row of a table is gone; only columns of its key have values. */
  readonly tombstone: boolean;
}

/** A row as JSON text, by the columns' types. */
export function rowText(columns: readonly OutputColumn[]): (row: readonly SqlValue[]) => string {
  const writers = columns.map(({ type }) => jsonWriter(type, (name) => name, 'text'));
  return (row) => `[${writers.map((write, i) => write(row[i] ?? null)).join(',')}]`;
}
