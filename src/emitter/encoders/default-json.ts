import type { Column } from '../../model/table.ts';
import { leftOutByDebezium, type Profile, typeSchema } from '../../schema/column-schema.ts';
import { zeroJson } from './placeholders.ts';
import { type RowNotes, valueWriter } from './value-json.ts';

/**
 * JSON text of the default that a column's schema shows, or undefined. Debezium puts a placeholder (zero, the
 * empty string, the epoch) where the database computes the default; `safe` shows constants only.
 */
export function columnDefaultJson(column: Column, profile: Profile): string | undefined {
  const schema = typeSchema(column.type, column.nativeType, profile);
  // Connect allows defaults on structs and arrays; Debezium has none there.
  if (schema.type === 'struct' || schema.type === 'array' || leftOutByDebezium(column)) return undefined;
  if (column.computedDefault) return profile === 'debezium' ? zeroJson(schema) : undefined;
  if (column.default === undefined) return undefined;
  const notes: RowNotes = { absent: null, special: null };
  const write = valueWriter(column, {
    profile,
    withSchema: true,
    required: null,
    unavailable: 'null',
    notes,
  });
  const text = write(column.default);
  return notes.special === null ? text : undefined;
}
