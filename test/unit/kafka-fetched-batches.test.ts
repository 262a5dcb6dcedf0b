import { createRequire } from 'node:module';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { describe, expect, it, test } from 'vitest';
import { KafkaFault } from '../../src/emitter/sinks/kafka/errors.ts';
import type { KafkaRecord } from '../../src/emitter/sinks/kafka/fetched-batches.ts';
import { writeVarint } from '../../src/emitter/sinks/kafka/record-batch.ts';
import {
  batchAround,
  batchOf,
  COMPRESSIONS,
  fetchAnswer,
  parsed,
  partOf,
  restamped,
  seal,
  taken,
} from '../support/fetch-answers.ts';

type Taken = ReturnType<typeof taken>;

function take(
  bytes: Buffer,
  { position = 0, committed = true, aborted = [] as readonly Aborted[] } = {},
): Taken {
  return taken(partOf(bytes, aborted), { position, committed });
}
interface Aborted {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

function faultOf(action: () => unknown): KafkaFault {
  try {
    action();
  } catch (error) {
    if (error instanceof KafkaFault) return error;
    throw error;
  }
  throw new Error('Nothing was thrown');
}

const text = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString();
const plain = ({ offset, key, value, headers, timestamp }: KafkaRecord): unknown => [
  offset,
  text(key),
  text(value),
  headers.map(([name, each]) => [name, text(each)]),
  timestamp,
];

const RECORDS = [
  { key: 'a', value: '{"id":1}', headers: null, timestamp: 1_700_000_000_000 },
  {
    key: null,
    value: '',
    headers: [['trace', 'x'] as const, ['Grüße', null] as const],
    timestamp: 1_699_999_999_000,
  },
  { key: 'c', value: null, headers: [], timestamp: 1_700_000_003_000 },
];
const READ = [
  [40, 'a', '{"id":1}', [], 1_700_000_000_000],
  [
    41,
    null,
    '',
    [
      ['trace', 'x'],
      ['Grüße', null],
    ],
    1_699_999_999_000,
  ],
  [42, 'c', null, [], 1_700_000_003_000],
];

/** It has no headers without a value. */
const READ_OF_KAFKAJS = READ.with(1, [41, null, '', [['trace', 'x']], 1_699_999_999_000]);

describe('what is fetched of a partition', () => {
  test.each(COMPRESSIONS)('holds what our producer wrote, compressed by %s', async (compression) => {
    const batch = restamped(await seal(RECORDS, compression), { offset: 40 });
    const { records, position } = take(batch, { position: 40 });
    expect(records.map(plain)).toEqual(READ);
    expect(position).toBe(43);
  });

  test.each(['none', 'gzip', 'snappy', 'xerial', 'lz4', 'zstd'])(
    'holds what kafkajs wrote, compressed by %s',
    async (compression) => {
      const { records } = take(await writtenByKafkajs(compression), { position: 40 });
      expect(records.map(plain)).toEqual(READ_OF_KAFKAJS);
    },
  );

  it('is read from the position on, in the middle of a batch', async () => {
    const batch = restamped(await seal(RECORDS, 'gzip'), { offset: 40 });
    expect(take(batch, { position: 42 }).records.map(plain)).toEqual(READ.slice(2));
    expect(take(batch, { position: 50 })).toEqual({ records: [], position: 50 });
  });

  it('ends before a batch that is cut, wherever that is', async () => {
    const batch = restamped(await seal(RECORDS, 'none'), { offset: 40 });
    const next = restamped(batch, { offset: 43 });
    for (let length = 0; length < next.length; length++) {
      const { records, position } = take(Buffer.concat([batch, next.subarray(0, length)]), { position: 40 });
      expect(records).toHaveLength(3);
      expect(position).toBe(43);
    }
    expect(take(Buffer.concat([batch, next]), { position: 40 }).position).toBe(46);
    // What is no batch but the first, no broker cuts since Kafka 0.10.1.
    expect(faultOf(() => take(batch.subarray(0, 70), { position: 40 })).message).toMatch('its beginning');
  });

  it('leaves out what was aborted, and markers, for readers of what is committed', async () => {
    const one = [RECORDS[0]!];
    const marker = { attributes: 0x30, offset: 2 };
    const batch = (offset: number, producerId: bigint, attributes = 0x10): Promise<Buffer> =>
      seal(one, 'none').then((sealed) => restamped(sealed, { offset, producerId, attributes }));
    const bytes = Buffer.concat([
      await batch(0, 7n),
      await batch(1, 8n),
      await batch(2, 7n, marker.attributes),
      await batch(3, 7n),
      await batch(4, 7n, 0),
    ]);
    const aborted = [{ producerId: 7n, firstOffset: 0 }];
    const offsets = ({ records }: Taken): number[] => records.map(({ offset }) => offset);
    expect(offsets(take(bytes, { aborted }))).toEqual([1, 3, 4]);
    expect(offsets(take(bytes, { committed: false }))).toEqual([0, 1, 3, 4]);
    expect(take(bytes, { aborted }).position).toBe(5);
    // From its second record on too.
    expect(offsets(take(bytes, { aborted: [{ producerId: 7n, firstOffset: 3 }, ...aborted] }))).toEqual([
      1, 4,
    ]);
  });

  it('has the time of the broker where the topic is to have that', async () => {
    const batch = await seal(RECORDS, 'none');
    const appended = restamped(batch, { attributes: 0x08, maxTimestamp: 1_800_000_000_000 });
    expect(new Set(take(appended).records.map(({ timestamp }) => timestamp))).toEqual(
      new Set([1_800_000_000_000]),
    );
  });

  it('may have lost its records to compaction, or some of them', async () => {
    const empty = batchAround(Buffer.alloc(0), { count: 0, lastOffsetDelta: 9 });
    expect(take(empty)).toEqual({ records: [], position: 10 });
    const thinned = restamped(await seal(RECORDS, 'zstd'), { lastOffsetDelta: 9 });
    expect(take(thinned).position).toBe(10);
    expect(take(thinned).records).toHaveLength(3);
  });

  it('is handed over up to what cannot be read, and then that is said', async () => {
    const good = await seal(RECORDS, 'none');
    const bad = restamped(good, { offset: 3 });
    bad[80]! ^= 1;
    const bytes = Buffer.concat([good, bad]);
    expect(take(bytes).records).toHaveLength(3);
    expect(take(bytes).position).toBe(3);
    const fault = faultOf(() => take(bad, { position: 3 }));
    expect(fault.message).toBe(
      'the batch of records at offset 3 of shop.orders-3 cannot be read: its checksum does not match',
    );
    expect(fault.retriable).toBe(false);
  });

  test.each([
    [{ magic: 1 }, /format of before Kafka 0\.11 \(magic 1\), which is not read/],
    [{ magic: 3 }, /in a format \(3\)/],
    [{ length: -1 }, /of -1 bytes/],
    [{ length: 48 }, /of 48 bytes/],
    [{ lastOffsetDelta: -1 }, /offsets below/],
    [{ offset: -5 }, /offsets below/],
    [{ attributes: 5 }, /compressed in a way \(5\)/],
    [{ count: 2 }, /more than its records/],
    [{ count: 4 }, /announced where 0 are left|a number has no end/],
    [{ count: -1 }, /-1 records/],
    [{ count: 0 }, /more than its records/],
    [{ count: 0x7fff_ffff }, /2147483647 records are announced/],
    [{ lastOffsetDelta: 1 }, /outside of the offsets/],
    [{ attributes: 1 }, /cannot be unpacked/],
    [{ attributes: 2 }, /cannot be unpacked/],
    [{ attributes: 3 }, /no frame of lz4/],
    [{ attributes: 4 }, /cannot be unpacked/],
  ])('is refused where its header says %o', async (fields, sentence) => {
    const batch = await seal(RECORDS, 'none');
    const fault = faultOf(() => take(restamped(batch, fields)));
    expect(fault.kind).toBe('records');
    expect(fault.message).toMatch(sentence);
  });

  it('counts headers as records, and takes up to 100,000 of one', () => {
    const record = (delta: number, count: number): Buffer => {
      const inner = Buffer.alloc(9 + 2 * count);
      // Attributes and time; no key and no value; names of no length, and no values.
      inner.set([0, 0, 2 * delta, 1, 1]);
      const at = writeVarint(inner, 5, count);
      for (let i = 0; i < count; i++) inner[at + 2 * i + 1] = 1;
      const end = at + 2 * count;
      const outer = Buffer.alloc(5);
      const start = writeVarint(outer, 0, end);
      return Buffer.concat([outer.subarray(0, start), inner.subarray(0, end)]);
    };
    const records = Array.from({ length: 7 }, (_, delta) => record(delta, 100_000));
    const many = batchAround(Buffer.concat(records), { count: 7, lastOffsetDelta: 6 });
    expect(take(many).records).toHaveLength(5);
    expect(take(many, { position: 5 }).records.map(({ offset }) => offset)).toEqual([5, 6]);
    const more = batchAround(record(0, 100_001));
    expect(faultOf(() => take(more)).message).toMatch('more than 100000 headers');
  });

  it('is in the order of its offsets, and comes once', async () => {
    const batch = await seal(RECORDS, 'none');
    expect(take(Buffer.concat([batch, batch])).records).toHaveLength(3);
    const twice = Buffer.from([12, 0, 0, 0, 1, 1, 0, 12, 0, 0, 0, 1, 1, 0]);
    expect(faultOf(() => take(batchAround(twice, { count: 2, lastOffsetDelta: 1 }))).message).toMatch(
      'their order',
    );
  });

  it('is handed over in portions where its records are too many, none of them twice', () => {
    const count = 1_200_000;
    const batch = batchOf(count);
    const sizes: number[] = [];
    let position = 0;
    while (position < count) {
      const taken = take(batch, { position });
      expect(taken.records[0]?.offset).toBe(position);
      expect(taken.records.at(-1)?.offset).toBe(taken.position - 1);
      sizes.push(taken.records.length);
      position = taken.position;
    }
    expect(sizes).toEqual([500_000, 500_000, 200_000]);
  });
});

describe('an answer to Fetch', () => {
  it('is read in its oldest version', async () => {
    const parts = [
      {
        ...partOf(Buffer.from('abc'), [{ producerId: 5n, firstOffset: 12 }]),
        lastStableOffset: 9,
        logStartOffset: 4,
      },
      { ...partOf(Buffer.alloc(0)), partition: 4, code: 1 },
    ];
    expect(await parsed(fetchAnswer(parts), 10)).toEqual({ code: 0, parts });
    expect(await parsed(fetchAnswer([], 71), 10)).toEqual({ code: 71, parts: [] });
  });
});

/** RECORDS at offset 40 as kafkajs writes them; it has no codec but gzip's of its own. */
async function writtenByKafkajs(compression: string): Promise<Buffer> {
  const require = createRequire(import.meta.url);
  const { RecordBatch } = require('kafkajs/src/protocol/recordBatch/v0');
  const Record = require('kafkajs/src/protocol/recordBatch/record/v0');
  const { Types, Codecs } = require('kafkajs/src/protocol/message/compression');
  type Encoded = { readonly buffer: Buffer };
  const codec = (compress: (bytes: Buffer) => Buffer) => () => ({
    compress: ({ buffer }: Encoded) => Promise.resolve(compress(buffer)),
  });
  const xerial = (bytes: Buffer): Buffer => {
    const magic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    const blocks = [bytes.subarray(0, 20), bytes.subarray(20)].flatMap((block) => {
      const packed = compressSync(block);
      const length = Buffer.alloc(4);
      length.writeInt32BE(packed.length);
      return [length, packed];
    });
    return Buffer.concat([magic, ...blocks]);
  };
  Codecs[Types.Snappy] = codec(compression === 'xerial' ? xerial : compressSync);
  Codecs[Types.LZ4] = codec((bytes) =>
    compressFrameSync(bytes, { contentChecksum: true, blockChecksums: true }),
  );
  Codecs[Types.ZSTD] = codec((bytes) => zstdCompressSync(bytes));
  Codecs[Types.GZIP] = codec((bytes) => gzipSync(bytes));
  const types: Record<string, number> = {
    none: Types.None,
    gzip: Types.GZIP,
    snappy: Types.Snappy,
    xerial: Types.Snappy,
    lz4: Types.LZ4,
    zstd: Types.ZSTD,
  };
  const base = RECORDS[0]!.timestamp;
  const records = RECORDS.map(({ key, value, headers, timestamp }, offsetDelta) =>
    Record({
      offsetDelta,
      timestampDelta: timestamp - base,
      key,
      value,
      headers: Object.fromEntries((headers ?? []).filter(([, each]) => each !== null)),
    }),
  );
  const batch: Encoded = await RecordBatch({
    compression: types[compression],
    firstOffset: 40,
    firstTimestamp: base,
    maxTimestamp: base + 3000,
    lastOffsetDelta: 2,
    records,
  });
  return batch.buffer;
}
