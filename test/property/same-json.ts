import { expect } from 'vitest';
import type { Envelope } from '../../src/emitter/encoders/encoder.ts';
import { jsonEncoding } from '../../src/emitter/encoders/json.ts';
import type { TableSchema } from '../../src/model/table.ts';
import { type RawRow, valuesOf } from '../../src/model/raw-row.ts';
import type { Profile } from '../../src/schema/column-schema.ts';
import { STRING, struct } from '../../src/schema/connect-schema.ts';

const ENVELOPE: Envelope = {
  op: 'u',
  before: null,
  after: null,
  source: '',
  sourceValues: [],
  at: null,
  snapshot: null,
  transaction: 'null',
  place: null,
  timeUs: 1_700_000_000_000_123,
};

/** Expects that rows as they came become the very JSON of their Values: key, envelope and row, and the headers. */
export function jsonOfValues(
  table: TableSchema,
  form: { readonly profile: Profile; readonly withSchema: boolean },
): (before: RawRow, after: RawRow) => void {
  const options = {
    table,
    key: table.key,
    fields: table.columns.map((_, i) => i),
    topic: 'a.s.t',
    source: struct({ name: 'source', version: 1 }, [['name', STRING]]),
    writeSource: () => {},
    envelope: 'full' as const,
  };
  const asText = jsonEncoding(form).table(options);
  const asBytes = jsonEncoding({ ...form, rows: 'bytes' }).table(options);
  const shown = (encode: () => string | Uint8Array | null): string => {
    try {
      return Buffer.from(encode() ?? 'null').toString();
    } catch (error) {
      // A value that no record can hold, as the settings want it.
      return String(error);
    }
  };
  return (before, after) => {
    const values = { ...ENVELOPE, before: valuesOf(before), after: valuesOf(after) };
    expect(shown(() => asBytes.value({ ...ENVELOPE, before, after }))).toBe(
      shown(() => asText.value(values)),
    );
    expect(asBytes.takeHeaders()).toEqual(asText.takeHeaders());
    expect(shown(() => asBytes.key(after))).toBe(shown(() => asText.key(values.after)));
    expect(shown(() => asBytes.row(before))).toBe(shown(() => asText.row(values.before)));
    asBytes.takeHeaders();
    asText.takeHeaders();
  };
}
