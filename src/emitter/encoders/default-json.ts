import type { Column } from '../../model/table.ts';
import { type Profile, typeSchema } from '../../schema/column-schema.ts';
import { computedDefaultJson } from './placeholders.ts';
import { type RowNotes, valueWriter } from './value-json.ts';

/** Native types whose defaults Debezium 3.2 puts into the schema (PostgresDefaultValueConverter), and enums. */
const SHOWN: ReadonlySet<string> = new Set([
  'bit',
  'varbit',
  'bool',
  'bpchar',
  'varchar',
  'text',
  'numeric',
  'float4',
  'float8',
  'int2',
  'int4',
  'int8',
  'json',
  'jsonb',
  'xml',
  'uuid',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'interval',
]);

/**
 * JSON text of the default that a column's schema shows, or undefined. In `debezium` that is what Debezium
 * shows, with a placeholder where the database computes the default; `safe` shows every constant, and no
 * placeholder.
 */
export function columnDefaultJson(column: Column, profile: Profile): string | undefined {
  const schema = typeSchema(column.type, column.nativeType, profile);
  // A struct cannot be a default in Connect.
  if (schema.type === 'struct' || schema.type === 'array') return undefined;
  if (profile === 'debezium' && column.type.kind !== 'enum' && !SHOWN.has(column.nativeType))
    return undefined;
  if (column.computedDefault) return profile === 'debezium' ? computedDefaultJson(schema) : undefined;
  if (column.default === undefined) return undefined;
  const notes: RowNotes = { absent: null, unavailable: null, special: null };
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
