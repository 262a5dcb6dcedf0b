import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseExact } from '../../src/emitter/encoders/connect-json.ts';
import type { Envelope } from '../../src/emitter/encoders/encoder.ts';
import { jsonEncoding } from '../../src/emitter/encoders/json.ts';
import { registeredEncoding } from '../../src/emitter/encoders/registered.ts';
import { tableFormOf } from '../../src/emitter/encoders/row-fields.ts';
import { ABSENT, type Row, UNCHANGED, type Value } from '../../src/model/value.ts';
import { postgresSourceBlock } from '../../src/readers/postgres/source-block.ts';
import type { PostgresSource, PostgresTx } from '../../src/readers/postgres/source-info.ts';
import { placeJson } from '../../src/emitter/transaction-order.ts';
import { avscType, type Tree, treeOfAvro, treeOfJson } from '../support/connect-trees.ts';
import { EVERY_KIND, rows } from '../support/table-arbitraries.ts';

const ID = 0x01_02_83_04;
const block = postgresSourceBlock('shop', 'shopdb');

function payloadOf(json: string | Uint8Array | null): string {
  const whole = String(json);
  return whole.slice(whole.indexOf(',"payload":') + ',"payload":'.length, -1);
}

const txs: readonly PostgresTx[] = [7, 8].map((xid) => ({
  id: String(xid),
  xid,
  commitTimeUs: 1_700_000_000_123_456 + xid,
  commitLsn: 900,
  beginLsn: 500,
  lastCommitLsn: 400,
}));

describe.each(['debezium', 'safe'] as const)('Avro, profile %s', (profile) => {
  const options = {
    table: EVERY_KIND,
    key: EVERY_KIND.key,
    fields: EVERY_KIND.columns.map((_, i) => i),
    topic: 'shop.public.kinds',
    source: block.schema,
    envelope: 'full' as const,
  };
  const form = tableFormOf(options, { profile, names: 'none' });
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

  test('an independent reader finds in it what the JSON says', async () => {
    const texts = new Map<string, string>();
    const encoding = registeredEncoding({
      format: 'avro',
      profile,
      names: 'none',
      idOf: ({ part }, { text }) => {
        texts.set(part, text);
        return Promise.resolve(ID);
      },
    });
    const encoder = await encoding.table(options);
    const json = jsonEncoding({ profile, withSchema: true }).table(options);
    const keyType = avscType(texts.get('key')!);
    const valueType = avscType(texts.get('value')!);
    const values = block.valuesForTable(EVERY_KIND.id);
    const sourceText = block.forTable(EVERY_KIND.id);
    const read = (bytes: string | Uint8Array | null, type: typeof keyType): unknown => {
      const buffer = Buffer.from(bytes as Uint8Array);
      expect(buffer.readUInt8(0)).toBe(0);
      expect(buffer.readUInt32BE(1)).toBe(ID);
      return type.fromBuffer(buffer.subarray(5));
    };
    const keyTree = (row: Row): Tree => treeOfAvro(form.key!, read(encoder.key(row), keyType));

    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        json.takeHeaders();
        encoder.takeHeaders();
        for (const { tx, lsn, place, ...each } of changes) {
          const at: PostgresSource = { connector: 'postgresql', lsn, tx: txs[tx]! };
          const envelope: Envelope = {
            ...each,
            source: sourceText(at, null),
            sourceValues: values(at, null),
            transaction: placeJson(place),
            place,
          };
          const expected = treeOfJson(form.envelope, parseExact(payloadOf(json.value(envelope))));
          const headers = json.takeHeaders();
          expect(treeOfAvro(form.envelope, read(encoder.value(envelope), valueType))).toEqual(expected);
          expect(encoder.takeHeaders()).toEqual(headers);
          if (each.after === null) continue;
          expect(keyTree(each.after)).toEqual(
            treeOfJson(form.key!, parseExact(payloadOf(json.key(each.after)))),
          );
          json.takeHeaders();
          encoder.takeHeaders();
        }
      }),
      { numRuns: 150 },
    );
  });
});
