import type { Column } from '../../model/table.ts';
import { ABSENT, UNCHANGED, type Value } from '../../model/value.ts';
import type { Profile } from '../../schema/column-schema.ts';
import { valueWriter } from '../encoders/value-json.ts';

/** A column's value outside of a row: bytes as they are, anything else as JSON has it, without quotes. */
export type ValueText = (value: Value) => string | Uint8Array | null;

/** Null for NULL and for what is not there. */
export function valueText(column: Column, profile: Profile): ValueText {
  const notes = { absent: null, unavailable: null, special: null };
  const write = valueWriter(column, {
    profile,
    withSchema: false,
    optional: true,
    required: null,
    unavailable: 'null',
    notes,
  });
  return (value) => {
    if (value === null || value === UNCHANGED || value === ABSENT) return null;
    if (typeof value === 'string' || value instanceof Uint8Array) return value;
    const json = write(value);
    return json.startsWith('"') ? String(JSON.parse(json)) : json;
  };
}
