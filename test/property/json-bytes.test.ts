import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonEncoding } from '../../src/emitter/encoders/json.ts';
import { Utf8Writer } from '../../src/emitter/encoders/utf8-writer.ts';
import { isoTimestamp } from '../../src/emitter/encoders/iso-time.ts';
import type { Column, ColumnType, TableSchema } from '../../src/model/table.ts';
import { ABSENT, type Row, UNCHANGED, type Value } from '../../src/model/value.ts';
import type { SourceInfo } from '../../src/model/change.ts';
import { STRING, struct } from '../../src/schema/connect-schema.ts';
import type { WriteBlock } from '../../src/schema/source-block.ts';

const text = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 120 }),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({
    unit: fc.constantFrom('a', '"', '\\', '\n', '\u007f', '\u0080', 'é', '€', '\ud83d', '\ude00'),
  }),
);
const integer = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer(),
  fc.constantFrom(0, -0, 999_999_999, 1_000_000_000, -1e15),
);
const micros = fc.oneof(
  fc.integer({ min: -8_000_000_000_000_000, max: 8_000_000_000_000_000 }),
  fc.constantFrom(0, -1, Infinity, -Infinity, 86_399_999_999),
  fc.bigInt({ min: -200_000_000_000_000_000n, max: 9_200_000_000_000_000_000n }),
);

const nanos = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const zeroDate = fc.constantFrom('0000-00-00', '2004-00-12 10:00:00.50');

const kinds: readonly (readonly [ColumnType, fc.Arbitrary<Value>])[] = [
  [{ kind: 'int32' }, fc.integer()],
  [{ kind: 'int64' }, fc.oneof(integer, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))],
  [{ kind: 'string' }, text],
  [{ kind: 'json' }, text],
  [{ kind: 'boolean' }, fc.boolean()],
  [{ kind: 'float64' }, fc.double()],
  [{ kind: 'decimal', precision: 10, scale: 2 }, fc.constantFrom('0.00', '-1.25', '99999999.99', 'NaN')],
  [{ kind: 'bytes' }, fc.uint8Array({ maxLength: 80 })],
  [{ kind: 'timestamp', precision: null }, micros],
  [{ kind: 'timestamp', precision: 3 }, micros],
  [{ kind: 'timestamptz', precision: null }, micros],
  [{ kind: 'timestamptz', precision: 0 }, micros],
  [{ kind: 'timestamptz', precision: 3 }, micros],
  [{ kind: 'int8' }, fc.integer({ min: -128, max: 127 })],
  [{ kind: 'year' }, fc.integer({ min: 0, max: 2155 })],
  [{ kind: 'uint64', overflow: 'wrap' }, fc.oneof(integer, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }))],
  [{ kind: 'set', values: ['a', 'b'], escaped: true }, fc.constantFrom('', 'a', 'a,b')],
  [{ kind: 'bits', length: 12, padded: true }, fc.uint8Array({ minLength: 2, maxLength: 2 })],
  [{ kind: 'duration', precision: 6 }, fc.integer({ min: -3_020_399_999_999, max: 3_020_399_999_999 })],
  [{ kind: 'date', zero: 'string' }, fc.oneof(fc.integer({ min: -719_162, max: 2_932_896 }), zeroDate)],
  [{ kind: 'timestamp', precision: 0, zero: 'null' }, fc.oneof(micros, zeroDate)],
  [{ kind: 'timestamptz', precision: 2, zero: 'epoch' }, fc.oneof(micros, zeroDate)],
  [{ kind: 'timestamp', precision: 9 }, nanos],
  [{ kind: 'timestamptz', precision: 7 }, nanos],
];

const columns: readonly Column[] = kinds.map(([type], i) => ({
  name: `c${i}${i === 2 ? ' "é' : ''}`,
  type,
  nativeType: 'text',
  nullable: true,
  defaultValue: null,
})) as unknown as readonly Column[];

const table = {
  id: { database: 'd', schema: 's', table: 't' },
  version: 1,
  columns,
  key: [1, 2],
} as unknown as TableSchema;

const row: fc.Arbitrary<Row> = fc.tuple(
  ...kinds.map(([, value]) =>
    fc.oneof({ weight: 8, arbitrary: value }, fc.constantFrom(null, UNCHANGED, ABSENT)),
  ),
);

const source = struct({ name: 'source', version: 1 }, [['name', STRING]]);
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The bytes have the source block from its writer, the text from the envelope. */
interface Origin extends SourceInfo {
  readonly json: string;
}
const origins: readonly Origin[] = ['x', 'y', '€'].map((name) => ({
  connector: 'polling',
  json: JSON.stringify({ name }),
}));
const writeSource: WriteBlock<SourceInfo> = (at, snapshot, out) =>
  out.text(`${(at as Origin).json}${snapshot ?? ''}`);

describe.each([
  ['debezium', false],
  ['debezium', true],
  ['safe', false],
] as const)('JSON as bytes, profile %s, schema %s', (profile, withSchema) => {
  test('is the JSON as text', () => {
    const options = {
      table,
      key: [1, 2],
      fields: table.columns.map((_, i) => i),
      topic: 'a.s.t',
      source,
      writeSource,
      envelope: 'full' as const,
    };
    const asText = jsonEncoding({ profile, withSchema }).table(options);
    const asBytes = jsonEncoding({ profile, withSchema, rows: 'bytes' }).table(options);
    const same = (bytes: string | Uint8Array | null, expected: string | Uint8Array | null): void => {
      expect(bytes).toBeInstanceOf(Uint8Array);
      expect(utf8.decode(bytes as Uint8Array)).toBe(Buffer.from(expected as string).toString());
    };
    const envelope = fc.record({
      at: fc.constantFrom(...origins),
      snapshot: fc.constantFrom(null, 'true' as const),
      op: fc.constantFrom('c', 'u', 'd', 'r'),
      before: fc.option(row),
      after: fc.option(row),
      transaction: fc.constantFrom('null', '{"id":"1"}'),
      timeUs: fc.constantFrom(1_700_000_000_000_000, 1_700_000_000_000_123),
      sourceValues: fc.constant([]),
      place: fc.constant(null),
    });
    fc.assert(
      fc.property(fc.array(envelope, { minLength: 1, maxLength: 8 }), row, (envelopes, alone) => {
        // The encoder remembers the record before, so they come in rows.
        for (const each of envelopes) {
          const source = `${each.at.json}${each.snapshot ?? ''}`;
          same(asBytes.value({ ...each, source: '' }), asText.value({ ...each, source }));
          expect(asBytes.takeHeaders()).toEqual(asText.takeHeaders());
        }
        same(asBytes.row(alone), asText.row(alone));
        const value = asBytes.row(alone);
        same(asBytes.key(alone), asText.key(alone));
        // A key does not write over a value.
        same(value, asText.row(alone));
        asBytes.takeHeaders();
        asText.takeHeaders();
      }),
      { numRuns: 300 },
    );
  });
});

describe('Utf8Writer', () => {
  const written = (write: (out: Utf8Writer) => void): string => {
    const out = new Utf8Writer(1);
    out.begin();
    write(out);
    return Buffer.from(out.end()).toString();
  };

  test('writes integers', () => {
    fc.assert(
      fc.property(integer, (n) => {
        expect(written((out) => out.integer(n))).toBe(String(n));
      }),
      { numRuns: 2000 },
    );
    for (let n = 1; n <= Number.MAX_SAFE_INTEGER; n *= 10) {
      for (const each of [n - 1, n, n + 1, -n, 1 - n])
        expect(written((out) => out.integer(each))).toBe(String(each));
    }
  });

  test('writes instants', () => {
    const day = fc.integer({ min: -8_000_000_000_000_000, max: 8_000_000_000_000_000 });
    fc.assert(
      fc.property(day, fc.integer({ min: 0, max: 6 }), (us, digits) => {
        expect(written((out) => out.instant(us, digits))).toBe(`"${isoTimestamp(us, digits)}"`);
      }),
      { numRuns: 2000 },
    );
  });

  test('grows, and forgets the views of its old buffer', () => {
    const out = new Utf8Writer(8);
    out.begin();
    out.text('abc');
    expect(out.end().toString()).toBe('abc');
    out.begin();
    out.text('x'.repeat(10_000));
    out.quoted('y'.repeat(49));
    expect(out.end().toString()).toBe(`${'x'.repeat(10_000)}"${'y'.repeat(49)}"`);
    out.begin();
    out.text('dé€');
    expect(out.end().toString()).toBe('dé€');
    out.begin();
    out.text('abc');
    expect(out.end().toString()).toBe('abc');
  });
});
