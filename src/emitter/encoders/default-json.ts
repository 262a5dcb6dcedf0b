import type { Column } from '../../model/table.ts';
import { type Profile, typeSchema } from '../../schema/column-schema.ts';
import { computedDefaultJson } from './placeholders.ts';
import { type RowNotes, valueWriter } from './value-json.ts';

/**
 * JSON text of the default that a column's schema shows, or undefined. In `debezium` that is what Debezium
 * shows, with a placeholder where the database computes the default; `safe` shows every constant, and no
 * placeholder.
 */
export function columnDefaultJson(column: Column, profile: Profile): string | undefined {
  const schema = typeSchema(column.type, profile);
  // A struct cannot be a default in Connect.
  if (schema.type === 'struct' || schema.type === 'array') return undefined;
  if (profile === 'debezium' && column.hiddenDefault) return undefined;
  if (profile === 'safe' && column.computedDefault) return undefined;
  if (column.default === undefined) return column.computedDefault ? computedDefaultJson(schema) : undefined;
  const notes: RowNotes = { absent: null, unavailable: null, special: null };
  const write = valueWriter(column, {
    profile,
    withSchema: true,
    optional: column.nullable,
    required: null,
    unavailable: 'null',
    notes,
  });
  const text = write(column.default);
  return notes.special === null ? text : undefined;
}
