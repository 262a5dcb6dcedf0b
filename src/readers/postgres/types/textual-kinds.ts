import type { ColumnType } from '../../../model/table.ts';

/**
 * Kinds of which any text is a value, or nearly so: nothing has to be decoded to know that the row can be read.
 * Encoders take the text as it is where it has the usual form (digits; `2016-11-04 11:51:30.123+00`; for the
 * kinds whose Value is a string, that string), and through the decoder where it has another.
 */
export function isTextual({ kind }: ColumnType): boolean {
  return TEXTUAL.has(kind);
}

const TEXTUAL: ReadonlySet<ColumnType['kind']> = new Set([
  'boolean',
  'int16',
  'int32',
  'int64',
  'float32',
  'float64',
  'decimal',
  'string',
  'json',
  'xml',
  'uuid',
  'enum',
  'ltree',
  'tsvector',
  'bytes',
  'date',
  'time',
  'timestamp',
  'timestamptz',
]);
