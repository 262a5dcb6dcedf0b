/** Batches of records, as they are fetched: read as they were written, and refused where they are cut or changed. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KafkaFault } from '../../src/emitter/sinks/kafka/errors.ts';
import type { KafkaRecord } from '../../src/emitter/sinks/kafka/fetched-batches.ts';
import type { SinkRecord } from '../../src/emitter/sink.ts';
import { BATCH_HEADER_BYTES } from '../../src/emitter/sinks/kafka/batch-layout.ts';
import { COMPRESSIONS, partOf, restamped, seal, taken } from '../support/fetch-answers.ts';

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.string({ maxLength: 400 }).map((each) => each.repeat(20)),
);
const body = fc.oneof(text, fc.uint8Array({ maxLength: 300 }), fc.constant(null));
const records: fc.Arbitrary<readonly SinkRecord[]> = fc.array(
  fc.record({
    key: body,
    value: body,
    headers: fc.option(fc.array(fc.tuple(text, fc.oneof(text, fc.uint8Array())), { maxLength: 3 })),
    timestamp: fc.oneof(fc.constant(1_700_000_000_000), fc.integer({ min: 0, max: 4_000_000_000_000 })),
  }),
  { minLength: 1, maxLength: 20 },
);
const compression = fc.constantFrom(...COMPRESSIONS);

const bytes = (value: string | Uint8Array | null): Buffer | null =>
  value === null ? null : Buffer.from(value as string);

function take(batch: Buffer, position: number): readonly KafkaRecord[] {
  return taken(partOf(batch), { position }).records;
}

/** Whether it is taken; the test fails where anything is thrown but that it cannot be read. */
function attempt(batch: Buffer, position: number): boolean {
  try {
    take(batch, position);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(KafkaFault);
    expect((error as KafkaFault).kind).toBe('records');
    return false;
  }
}

test('a batch is read as it was written, from any of its offsets on', async () => {
  await fc.assert(
    fc.asyncProperty(
      records,
      compression,
      fc.nat(2 ** 40),
      fc.nat(25),
      async (written, codec, offset, skip) => {
        const batch = restamped(await seal(written, codec), { offset });
        const expected = written.map(({ key, value, headers, timestamp }, i) => ({
          offset: offset + i,
          key: bytes(key),
          value: bytes(value),
          headers: (headers ?? []).map(([name, each]) => [Buffer.from(name).toString(), bytes(each)]),
          timestamp,
        }));
        expect(take(batch, offset + skip)).toEqual(expected.slice(skip));
      },
    ),
    { numRuns: 200 },
  );
});

test('a batch whose body ends early, though its header has been made to fit, is refused', async () => {
  await fc.assert(
    fc.asyncProperty(records, compression, fc.nat(), async (written, codec, cut) => {
      const batch = await seal(written, codec);
      const length = BATCH_HEADER_BYTES + (cut % (batch.length - BATCH_HEADER_BYTES));
      expect(attempt(restamped(batch.subarray(0, length), {}), 0)).toBe(false);
    }),
    { numRuns: 300 },
  );
});

test('a batch in which some bytes are others is read or refused, and refused where its checksum is as it was', async () => {
  const change = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 }));
  await fc.assert(
    fc.asyncProperty(
      records,
      compression,
      fc.array(change, { minLength: 1, maxLength: 4 }),
      async (written, codec, changes) => {
        const batch = await seal(written, codec);
        const changed = Buffer.from(batch);
        const at = (index: number): number => 21 + (index % (batch.length - 21));
        for (const [index, mask] of changes) changed[at(index)]! ^= mask;
        attempt(restamped(changed, {}), 0);
        const left = at(changes[0]![0]);
        changed.set(batch);
        changed[left]! ^= changes[0]![1];
        expect(attempt(changed, 0)).toBe(false);
      },
    ),
    { numRuns: 300 },
  );
});
