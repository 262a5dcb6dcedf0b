import { Reader, readRecordsBatch } from '@platformatic/kafka';
import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import { decompressFrameSync } from 'lz4-napi';
import { describe, expect, it } from 'vitest';
import { compress } from '../../src/emitter/sinks/kafka/compression.ts';
import type { Compression } from '../../src/emitter/sinks/kafka/options.ts';
import { BufferPool, varintSize, writeVarint } from '../../src/emitter/sinks/kafka/record-batch.ts';
import { seal } from '../support/fetch-answers.ts';

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.string({ maxLength: 400 }).map((each) => each.repeat(20)),
);
const body = fc.oneof(text, fc.uint8Array({ maxLength: 300 }), fc.constant(null));
const recordOf = fc.record({
  key: body,
  value: body,
  headers: fc.option(fc.array(fc.tuple(text, fc.oneof(text, fc.uint8Array())), { maxLength: 3 })),
  timestamp: fc.oneof(fc.constant(1_700_000_000_000), fc.integer({ min: 0, max: 4_000_000_000_000 })),
});

function bytes(value: string | Uint8Array | null): Buffer | null {
  return value === null ? null : Buffer.from(value as string);
}

describe('record batch', () => {
  it('is read back by another decoder as it was written, in every compression', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(recordOf, { minLength: 1, maxLength: 20 }),
        fc.constantFrom<Compression>('none', 'gzip', 'snappy', 'lz4', 'zstd'),
        async (records, compression) => {
          const batch = await seal(records, compression);
          const read = readRecordsBatch(Reader.from(batch));
          expect(read.length).toBe(batch.length - 12);
          expect(read.crc).toBe(crc32c(batch.subarray(21)));
          expect([read.magic, read.producerId, read.producerEpoch, read.firstSequence]).toEqual([
            2,
            77n,
            3,
            2 ** 31 - 1,
          ]);
          expect(read.attributes & 0x10).toBe(0x10);
          expect(read.lastOffsetDelta).toBe(records.length - 1);
          expect(Number(read.maxTimestamp)).toBe(Math.max(...records.map((each) => each.timestamp)));
          const found = read.records.map((each) => ({
            key: each.key,
            value: each.value,
            headers: each.headers.map(([name, value]) => [name, value]),
            timestamp: Number(read.firstTimestamp + each.timestampDelta),
            delta: each.offsetDelta,
          }));
          expect(found).toEqual(
            records.map((each, delta) => ({
              key: bytes(each.key),
              value: bytes(each.value),
              headers: (each.headers ?? []).map(([name, value]) => [bytes(name), bytes(value)]),
              timestamp: each.timestamp,
              delta,
            })),
          );
        },
      ),
      { numRuns: 150 },
    );
  });

  it('survives compression on another thread, where batches are large', async () => {
    const records = Array.from({ length: 600 }, (_, i) => ({
      key: `${i}`,
      value: `{"n":${i},"x":"${'ab'.repeat(100)}"}`,
      headers: null,
      timestamp: i,
    }));
    for (const compression of ['gzip', 'snappy', 'lz4', 'zstd'] as const) {
      const batch = await seal(records, compression);
      expect(batch.length).toBeLessThan(60_000);
      const read = readRecordsBatch(Reader.from(batch));
      expect(read.records.map((each) => each.value?.toString())).toEqual(records.map((each) => each.value));
    }
  });

  it('makes lz4 frames of every block size that say so rightly', async () => {
    for (const limit of [64, 256, 1024, 4096]) {
      for (const length of [limit * 1024, limit * 1024 + 1]) {
        const data = Buffer.alloc(length, 'a change, and another one; ');
        const frame = await compress('lz4', data);
        // It checks the descriptor's own checksum.
        expect(decompressFrameSync(frame).equals(data)).toBe(true);
      }
    }
  });

  it('writes varints that read back', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.maxSafeInteger().filter((each) => Math.abs(each) < 2 ** 52),
          fc.integer(),
          fc.integer({ min: -200, max: 200 }),
        ),
        (value) => {
          const buffer = Buffer.alloc(12);
          const end = writeVarint(buffer, 0, value);
          expect(end).toBe(varintSize(value));
          expect(Number(Reader.from(buffer).readVarInt64())).toBe(value);
        },
      ),
    );
  });

  it('reuses buffers, and never two at once', () => {
    const pool = new BufferPool(8192);
    const first = pool.take(5000);
    const second = pool.take(5000);
    expect(second).not.toBe(first);
    pool.give(first);
    expect(pool.take(8000)).toBe(first);
    pool.give(second);
    pool.give(Buffer.alloc(8192)); // over the limit: let go
    expect(pool.take(8192)).toBe(second);
    expect(pool.take(8192)).not.toBe(second);
  });
});
