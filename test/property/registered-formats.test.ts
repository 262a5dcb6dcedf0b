import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseExact } from '../../src/emitter/encoders/connect-json.ts';
import type { Encoding, Envelope, StructEncoder } from '../../src/emitter/encoders/encoder.ts';
import { jsonEncoding } from '../../src/emitter/encoders/json.ts';
import { registeredEncoding, type RegisteredOptions } from '../../src/emitter/encoders/registered.ts';
import { tableFormOf } from '../../src/emitter/encoders/row-fields.ts';
import { placeJson } from '../../src/emitter/transaction-order.ts';
import type { SourceInfo } from '../../src/model/change.ts';
import { ABSENT, type Row, UNCHANGED, type Value } from '../../src/model/value.ts';
import { postgresSourceBlock } from '../../src/readers/postgres/source-block.ts';
import type { PostgresSource, PostgresTx } from '../../src/readers/postgres/source-info.ts';
import { type ConnectSchema, INT64, STRING, struct } from '../../src/schema/connect-schema.ts';
import type { WriteBlock } from '../../src/schema/source-block.ts';
import { type Tree, treeOfJson } from '../support/connect-trees.ts';
import { readerOf } from '../support/format-readers.ts';
import { EVERY_KIND, rows } from '../support/table-arbitraries.ts';

const ID = 0x01_02_83_04;
const block = postgresSourceBlock('shop', 'shopdb');

const writeSource: WriteBlock<SourceInfo> = (at, snapshot, out) =>
  out.text(block.forTable(EVERY_KIND.id)(at as PostgresSource, snapshot));

const options = {
  table: EVERY_KIND,
  key: EVERY_KIND.key,
  fields: EVERY_KIND.columns.map((_, i) => i),
  topic: 'shop.public.kinds',
  source: block.schema,
  writeSource,
  envelope: 'full' as const,
};

const txs: readonly PostgresTx[] = [7, 8].map((xid) => ({
  id: String(xid),
  xid,
  commitTimeUs: 1_700_000_000_123_456 + xid,
  commitLsn: 900,
  beginLsn: 500,
  lastCommitLsn: 400,
}));

const row = rows(fc.constantFrom<Value>(null, UNCHANGED, ABSENT));
const change = fc.record({
  op: fc.constantFrom('c', 'u', 'd', 'r'),
  before: fc.option(row),
  after: fc.option(row),
  tx: fc.nat(1),
  lsn: fc.maxSafeNat(),
  place: fc.option(fc.record({ id: fc.string(), totalOrder: fc.nat(), collectionOrder: fc.nat() })),
  timeUs: fc.constantFrom(1_700_000_000_000_000, 1_700_000_000_000_123),
});

/** Protobuf has no null in an array. */
function withoutNullElements(row: Row): Row {
  return row.map((value, i) => {
    const { type } = EVERY_KIND.columns[i]!;
    if (type.kind !== 'array' || !Array.isArray(value)) return value;
    return (value as readonly Value[]).filter((item) => item !== null);
  });
}

function payloadOf(json: string | Uint8Array | null): string {
  const whole = String(json);
  return whole.slice(whole.indexOf(',"payload":') + ',"payload":'.length, -1);
}

/** The encoding, and the texts of the schemas it registers. */
function encodingOf(
  format: RegisteredOptions['format'],
  profile: RegisteredOptions['profile'],
): { readonly encoding: Encoding; readonly texts: ReadonlyMap<string, string> } {
  const texts = new Map<string, string>();
  const encoding = registeredEncoding({
    format,
    profile,
    names: 'none',
    references: false,
    registrar: {
      id: ({ part }, { text }) => {
        texts.set(part, text);
        return Promise.resolve(ID);
      },
      reference: () => Promise.reject(new Error('no references were asked for')),
      takeChanged: () => undefined,
    },
  });
  return { encoding, texts };
}

const FORMATS = ['avro', 'protobuf', 'json-schema'] as const;
const CASES = FORMATS.flatMap((format) =>
  (['debezium', 'safe'] as const).map((profile) => [format, profile] as const),
);

describe.each(CASES)('%s, profile %s', (format, profile) => {
  const form = tableFormOf(options, { profile, names: 'none' });

  test('an independent reader finds in it what the JSON says', async () => {
    const { encoding, texts } = encodingOf(format, profile);
    const encoder = await encoding.table(options);
    const json = jsonEncoding({ profile, withSchema: true }).table(options);
    const read = (part: 'key' | 'value', schema: ConnectSchema) => {
      const reader = readerOf(format, texts.get(part)!, schema);
      return (bytes: string | Uint8Array | null): Tree => {
        const buffer = Buffer.from(bytes as Uint8Array);
        expect(buffer.readUInt8(0)).toBe(0);
        expect(buffer.readUInt32BE(1)).toBe(ID);
        return reader(buffer.subarray(5));
      };
    };
    const readKey = read('key', form.key!);
    const readValue = read('value', form.envelope);
    const values = block.valuesForTable(EVERY_KIND.id);
    const sourceText = block.forTable(EVERY_KIND.id);
    const image = (each: Row | null): Row | null =>
      each !== null && format === 'protobuf' ? withoutNullElements(each) : each;

    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        json.takeHeaders();
        encoder.takeHeaders();
        for (const { tx, lsn, place, ...each } of changes) {
          const at: PostgresSource = { connector: 'postgresql', lsn, tx: txs[tx]! };
          const after = image(each.after);
          const envelope: Envelope = {
            ...each,
            before: image(each.before),
            after,
            source: sourceText(at, null),
            sourceValues: values(at, null),
            at,
            snapshot: null,
            transaction: placeJson(place),
            place,
          };
          const expected = treeOfJson(form.envelope, parseExact(payloadOf(json.value(envelope))));
          const headers = json.takeHeaders();
          const value = readValue(encoder.value(envelope));
          expect(value).toEqual(format === 'protobuf' ? withEmptyArrays(form.envelope, expected) : expected);
          expect(encoder.takeHeaders()).toEqual(headers);
          if (after === null) continue;
          expect(readKey(encoder.key(after))).toEqual(
            treeOfJson(form.key!, parseExact(payloadOf(json.key(after)))),
          );
          json.takeHeaders();
          encoder.takeHeaders();
        }
      }),
      { numRuns: 100 },
    );
  });

  test('records that are not rows are read back', async () => {
    const schema = struct({ name: 'a.b.Side', version: 1 }, [
      ['id', STRING],
      ['ts_ns', INT64],
      ['counts', { type: 'array', optional: true, items: struct({ name: 'a.b.Count' }, [['n', INT64]]) }],
      ['data', { type: 'map', optional: true, items: STRING }],
      ['content', { type: 'bytes', optional: true }],
    ]);
    const { encoding, texts } = encodingOf(format, profile);
    const encoder: StructEncoder = await encoding.struct(schema, { topic: 't', part: 'value' });
    const read = readerOf(format, texts.get('value')!, schema);
    const payload =
      '{"id":"a \\"é","ts_ns":1700000000123456789,"counts":[{"n":1},{"n":-2}],"data":{"k":"v"},"content":"AAH/"}';
    const bytes = Buffer.from(encoder.encode(payload));
    expect(read(bytes.subarray(5))).toEqual(treeOfJson(schema, parseExact(payload)));
  });
});

/** Protobuf does not tell no array from an empty one. */
function withEmptyArrays(schema: ConnectSchema, tree: Tree): Tree {
  if (schema.type === 'array') return tree ?? [];
  if (schema.type !== 'struct' || tree === null) return tree;
  const fields = tree as { readonly [field: string]: Tree };
  return Object.fromEntries(
    (schema.fields ?? []).map(({ field, schema: type }) => [field, withEmptyArrays(type, fields[field]!)]),
  );
}
