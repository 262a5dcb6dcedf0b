/**
 * A few bytes that say that gigabytes follow, or that there are billions of something: refused, and no memory is taken
 * for what is only announced. What a socket has brought so far is in unit/read-buffer.test.ts and in "packets of MySQL"
 * of hostile-bytes.property.test.ts.
 */
import { gzipSync, zstdCompressSync } from 'node:zlib';
import {
  describeConfigsV4,
  findCoordinatorV4,
  joinGroupV9,
  listOffsetsV7,
  metadataV12,
  Reader,
} from '@platformatic/kafka';
import fc from 'fast-check';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { describe, expect, test } from 'vitest';
import { Malformed } from '../../src/emitter/sinks/kafka/byte-cursor.ts';
import { decompress } from '../../src/emitter/sinks/kafka/decompression.ts';
import { KafkaFault } from '../../src/emitter/sinks/kafka/errors.ts';
import { AvroPart } from '../../src/enrichment/formats/avro-part.ts';
import { columnsOf, UnlikeSql } from '../../src/enrichment/formats/avro-columns.ts';
import { AvroSchemaError, parseAvro } from '../../src/enrichment/formats/avro-type.ts';
import { BIGINT, BYTES, decimal, type SqlType, STRING } from '../../src/enrichment/sql/sql-type.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { registeredPrefix } from '../../src/schema/registry/record-prefix.ts';
import { eventsOf, replay } from '../support/binlog-recording.ts';
import {
  batchAround,
  COMPRESSIONS,
  fetchAnswer,
  parsed,
  partOf,
  restamped,
  seal,
  taken,
} from '../support/fetch-answers.ts';
import { begin, insert, relation } from '../support/pgoutput-frames.ts';
import { chunkOf, decodeChunks, loadRecording } from '../support/pgoutput-recording.ts';

const MB = 1024 * 1024;
/** Lengths and counts, as large as 32 bits can say. */
const HUGE = [0x7fff_ffff, 0x7fff_fff0, 0x4000_0000, 0x1000_0000, 0xffff_ffff, 0x8000_0000];

/** What `decode` ends with, an error too; the test fails where it takes more memory than a few bytes need. */
async function frugal(decode: () => unknown): Promise<unknown> {
  const before = process.memoryUsage();
  const outcome = await Promise.resolve()
    .then(decode)
    .catch((error: unknown) => error);
  const after = process.memoryUsage();
  expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(64 * MB);
  expect(after.heapUsed - before.heapUsed).toBeLessThan(64 * MB);
  // As V8 says that there is no array, no text and no stack so large.
  if (outcome instanceof Error) expect(outcome.message).not.toMatch(/^(?:Invalid|Array buffer|Maximum)/);
  return outcome;
}

/** The bytes with four of them anywhere in `from`… replaced by each of those numbers. */
function* inflated(bytes: Buffer, from: number, endian: 'BE' | 'LE'): Generator<Buffer> {
  for (let at = from; at + 4 <= bytes.length; at++) {
    for (const length of HUGE) {
      const hostile = Buffer.from(bytes);
      if (endian === 'BE') hostile.writeUInt32BE(length, at);
      else hostile.writeUInt32LE(length, at);
      yield hostile;
    }
  }
}

test('pgoutput: of columns, values, names, anywhere in a message', async () => {
  const recording = loadRecording(18);
  const described = relation(7, 'orders', ['id', 'club'], [23, 25]);
  const row = insert(7, ['1', 'gold'], 600);
  const from = { lsn: 100, mid: null };
  const outcomes = { read: 0, refused: 0 };
  const attempt = async (frames: readonly Buffer[]): Promise<void> => {
    const outcome = await frugal(() => decodeChunks(recording, [chunkOf(frames)], { from }));
    if (outcome instanceof Error) expect(outcome).toBeInstanceOf(HeadwaterError);
    outcomes[outcome instanceof Error ? 'refused' : 'read']++;
  };
  // Behind the header of XLogData.
  for (const hostile of inflated(row, 25, 'BE')) await attempt([begin(900, 1, 500), described, hostile]);
  for (const hostile of inflated(described, 25, 'BE')) await attempt([begin(900, 1, 500), hostile, row]);
  expect(outcomes.refused).toBeGreaterThan(50);
});

test('the binary log: anywhere in each event', async () => {
  // Table map and rows of one row, with their headers: type at 4, length at 9.
  const event = (type: number, body: Buffer): Buffer => {
    const header = Buffer.alloc(19);
    header[4] = type;
    header.writeUInt32LE(19 + body.length, 9);
    return Buffer.concat([header, body]);
  };
  const name = (text: string): Buffer => Buffer.from(`${String.fromCharCode(text.length)}${text}\0`);
  const tableMap = event(
    19,
    // Table 7 of six bytes, flags; two columns: LONG, and VARCHAR of up to 20 bytes; both may be null.
    Buffer.concat([
      Buffer.from([7, 0, 0, 0, 0, 0, 1, 0]),
      name('d'),
      name('t'),
      Buffer.from([2, 3, 15, 2, 20, 0, 3]),
    ]),
  );
  const rows = event(
    30,
    Buffer.concat([
      Buffer.from([7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2, 3]),
      Buffer.from([0, 1, 0, 0, 0, 4]),
      Buffer.from('gold'),
    ]),
  );
  const attempt = async (events: readonly Buffer[]): Promise<unknown> => {
    const outcome = await frugal(() =>
      replay('mysql', eventsOf(Buffer.concat([Buffer.alloc(4), ...events]))),
    );
    if (outcome instanceof Error) expect(outcome).toBeInstanceOf(HeadwaterError);
    return outcome;
  };
  let refused = 0;
  for (const hostile of inflated(tableMap, 19, 'LE'))
    if ((await attempt([hostile, rows])) instanceof Error) refused++;
  for (const hostile of inflated(rows, 19, 'LE'))
    if ((await attempt([tableMap, hostile])) instanceof Error) refused++;
  for (const type of [2, 4, 15, 16, 33, 35, 36, 38, 39, 40, 160, 161, 162, 163, 164, 165, 166]) {
    const body = event(type, Buffer.alloc(45, 1));
    for (const hostile of inflated(body, 19, 'LE'))
      if ((await attempt([hostile])) instanceof Error) refused++;
  }
  expect(refused).toBeGreaterThan(50);
});

describe('Kafka', () => {
  const claims = [
    ...HUGE.map((length) => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(length);
      return bytes;
    }),
    // As a varint.
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07]),
    Buffer.from([0xfe, 0xff, 0xff, 0xff, 0x0f]),
  ];
  const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
    fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
  const body = fc
    .tuple(fc.oneof(bytes(20), fc.constant(Buffer.alloc(8))), fc.constantFrom(...claims), bytes(30))
    .map((parts) => Buffer.concat(parts));

  test.each([
    ['Metadata', metadataV12],
    ['FindCoordinator', findCoordinatorV4],
    ['JoinGroup', joinGroupV9],
    ['ListOffsets', listOffsetsV7],
    ['DescribeConfigs', describeConfigsV4],
  ] as const)('answers to %s', async (_name, { api, parseResponse }) => {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(body, async (answer) => {
        const outcome = await frugal(() => parseResponse(1, api.key, api.version, Reader.from(answer)));
        if (outcome instanceof Error) refused++;
      }),
      { numRuns: 200 },
    );
    expect(refused).toBeGreaterThan(50);
  });

  test.each([10, 11, 12])('answers to Fetch of version %i', async (version) => {
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(body, async (answer) => {
        const outcome = await frugal(() => parsed(answer, version));
        if (outcome instanceof Error) {
          expect(outcome).toBeInstanceOf(Malformed);
          refused++;
        }
      }),
      { numRuns: 200 },
    );
    expect(refused).toBeGreaterThan(50);
    const honest = fetchAnswer([partOf(Buffer.from('abc'), [{ producerId: 5n, firstOffset: 12 }])]);
    for (const hostile of inflated(honest, 0, 'BE')) await frugal(() => parsed(hostile, version));
  });

  const take = (bytes: Buffer): Promise<unknown> => frugal(() => taken(partOf(bytes)));
  const expectRefused = (outcome: unknown, sentence?: RegExp): void => {
    expect(outcome).toBeInstanceOf(KafkaFault);
    expect((outcome as KafkaFault).kind).toBe('records');
    if (sentence !== undefined) expect((outcome as KafkaFault).message).toMatch(sentence);
  };
  /** Length 12, and in it attributes, time, offset, key of 1 byte, value of 1 byte, one header of a byte each. */
  const record = Buffer.from([24, 0, 0, 0, 2, 65, 2, 66, 2, 2, 67, 2, 68]);

  test('batches of records, each length and count below nothing or as large as can be', async () => {
    const { records } = taken(partOf(batchAround(record)));
    expect(records).toHaveLength(1);
    // Of the record, key, value, headers, name of the header, its value.
    for (const at of [0, 4, 6, 8, 9, 11]) {
      for (const claim of VARINTS) {
        // A null is no lie, but leaves a byte over.
        const hostile = Buffer.concat([record.subarray(0, at), claim, record.subarray(at + 1)]);
        hostile[0] = at === 0 ? hostile[0]! : 24 + 2 * (claim.length - 1);
        expectRefused(await take(batchAround(hostile)));
      }
    }
    for (const count of HUGE) expectRefused(await take(batchAround(record, { count: count | 0 })));
    const batch = batchAround(record);
    for (const hostile of inflated(batch, 0, 'BE')) {
      await take(hostile);
      await take(restamped(hostile, { length: hostile.readInt32BE(8) }));
    }
    for (const length of [-1, -61, 0, 48, -0x8000_0000])
      expectRefused(await take(batchAround(record, { length })));
  });

  test('of compressed batches, what they say that they unpack to', async () => {
    const snappy = (size: Buffer): Buffer => Buffer.concat([size, Buffer.from([0, 65])]);
    const xerial = (length: number, block: Buffer): Buffer => {
      const head = Buffer.from([
        0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0,
      ]);
      head.writeInt32BE(length, 16);
      return Buffer.concat([head, block]);
    };
    for (const length of HUGE) {
      const size = Buffer.alloc(5);
      writeUnsigned(size, length);
      expectRefused(await take(batchAround(snappy(size), { attributes: 2 })), /said to unpack to|unpacked/);
      expectRefused(await take(batchAround(xerial(length | 0, Buffer.from([1, 0, 65])), { attributes: 2 })));
      expectRefused(await take(batchAround(xerial(8, snappy(size)), { attributes: 2 })));
    }
    for (const codec of COMPRESSIONS.slice(1)) {
      const batch = await seal([{ key: 'a', value: 'b', headers: null, timestamp: 0 }], codec);
      for (const hostile of inflated(batch, 61, 'LE')) await take(restamped(hostile, {}));
      for (const hostile of inflated(batch, 61, 'BE')) await take(restamped(hostile, {}));
    }
  });

  /** What unpacks to that many MiB, by the bits that say how it is compressed. */
  const bombs: readonly (readonly [string, number, (size: number) => Buffer])[] = [
    ['gzip', 1, (size) => gzipSync(Buffer.alloc(size), { level: 1 })],
    ['snappy', 2, (size) => compressSync(Buffer.alloc(size))],
    ['lz4', 3, (size) => compressFrameSync(Buffer.alloc(size))],
    ['zstd', 4, (size) => zstdCompressSync(Buffer.alloc(size))],
  ];

  test.each(bombs)('%s that unpacks to more than is taken', async (_name, codec, pack) => {
    const bomb = pack(257 * MB);
    expect(bomb.length).toBeLessThan(14 * MB);
    expectRefused(
      await Promise.resolve()
        .then(() => taken(partOf(batchAround(bomb, { attributes: codec }))))
        .catch((error: unknown) => error),
      /more than 256 MiB/,
    );
    // No more is made than the limit, whatever it is.
    const outcome = await frugal(() => decompress(codec, bomb, 8 * MB));
    expect(outcome).toBeInstanceOf(Malformed);
    expect(await frugal(() => decompress(codec, pack(8 * MB), 8 * MB))).toHaveLength(8 * MB);
  });

  test('frames of snappy-java that unpack to more than is taken, in blocks that do not', async () => {
    const block = compressSync(Buffer.alloc(16 * MB));
    const length = Buffer.alloc(4);
    length.writeInt32BE(block.length);
    const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    const frame = Buffer.concat([header, ...Array.from({ length: 17 }, () => [length, block]).flat()]);
    expectRefused(await take(batchAround(frame, { attributes: 2 })), /more than 256 MiB/);
  });
});

/** Zigzag: below nothing, and 2^31 - 1, 2^30 and 2^27; and a number without end. */
const VARINTS = [
  Buffer.from([0x03]),
  Buffer.from([0x0f]),
  Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]),
  Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07]),
  Buffer.from([0xfe, 0xff, 0xff, 0xff, 0x0f]),
  Buffer.from([0x80, 0x80, 0x80, 0x80, 0x08]),
  Buffer.from([0x80, 0x80, 0x80, 0x80, 0x01]),
  Buffer.alloc(5, 0xff),
];

function writeUnsigned(into: Buffer, value: number): void {
  for (let at = 0, rest = value; at < 5; at++, rest = Math.floor(rest / 128))
    into[at] = (rest % 128) | (at < 4 ? 0x80 : 0);
}

describe('Avro', () => {
  /** Zigzag varints of huge lengths and counts, negative ones, and one that has no end. */
  const claims = [
    Buffer.from([0xfe, 0xff, 0xff, 0xff, 0x0f]),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]),
    Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
    Buffer.alloc(60, 0xff),
    // So many items that take no bytes, in one block and in many.
    Buffer.from([0x80, 0x80, 0x80, 0x80, 0x08, 0]),
    Buffer.concat(Array.from({ length: 20 }, () => Buffer.from([0x80, 0x80, 0x04]))),
  ];
  const RECURSIVE = { type: 'record', name: 'Node', fields: [{ name: 'next', type: ['null', 'Node'] }] };
  const cases: readonly (readonly [string, unknown, SqlType])[] = [
    ['text', 'string', STRING],
    ['bytes', 'bytes', BYTES],
    ['a fixed', { type: 'fixed', name: 'F', size: 0x7fff_ffff }, BYTES],
    ['a decimal', { type: 'bytes', logicalType: 'decimal', precision: 10, scale: 2 }, decimal(10, 2)],
    [
      'a decimal of absurd size',
      { type: 'bytes', logicalType: 'decimal', precision: 1e9, scale: 1e9 },
      decimal(10, 2),
    ],
    ['an array', { type: 'array', items: 'long' }, { kind: 'ARRAY', element: BIGINT }],
    ['an array of nothing', { type: 'array', items: 'null' }, { kind: 'ARRAY', element: BIGINT }],
    ['a map', { type: 'map', values: 'long' }, { kind: 'MAP', key: STRING, value: BIGINT }],
    ['an array that is passed over', { type: 'array', items: 'null' }, STRING],
    ['a record within itself', RECURSIVE, STRING],
  ];

  /** A record whose one field is of that type, read into a column of the name or of another. */
  async function read(
    type: unknown,
    column: { readonly name: string; readonly type: SqlType },
    tail: Buffer,
  ): Promise<boolean> {
    const text = JSON.stringify({ type: 'record', name: 'R', fields: [{ name: 'A', type }] });
    const registry = {
      byId: () => Promise.resolve({ type: 'AVRO', text, references: [] } as const),
      latest: () => Promise.resolve(null),
      version: () => Promise.resolve(null),
    };
    const part = new AvroPart([column], registry, new AbortController().signal);
    const bytes = Buffer.concat([registeredPrefix(1), tail]);
    await part.prepare(bytes);
    const into: unknown[] = [];
    const understood = part.read(bytes, into as never);
    expect(into).toHaveLength(1);
    return understood;
  }

  test.each(cases)('%s', async (_name, type, sqlType) => {
    for (const name of ['A', 'B']) {
      for (const claim of claims)
        expect(await frugal(() => read(type, { name, type: sqlType }, claim))).toBe(false);
    }
  });

  /** Each record holds the next one twice: a short text, and more than a trillion of the last. */
  const doubling = (levels: number): Record<string, unknown> => {
    let inner: Record<string, unknown> = { type: 'record', name: 'L0', fields: [] };
    for (let level = 1; level <= levels; level++)
      inner = {
        type: 'record',
        name: `L${level}`,
        fields: [
          { name: 'x', type: inner },
          { name: 'y', type: `L${level - 1}` },
        ],
      };
    return inner;
  };

  test('records that hold each other many times over are not walked through forever', async () => {
    expect(await frugal(() => read(doubling(40), { name: 'B', type: STRING }, Buffer.from([2])))).toBe(false);
    expect(() => columnsOf(parseAvro(JSON.stringify(doubling(40))), 'ROWVAL')).toThrow(UnlikeSql);
  });

  test('types within types without end are no schema', () => {
    const text = (depth: number): string =>
      `${'{"type":"array","items":'.repeat(depth)}"int"${'}'.repeat(depth)}`;
    expect(() => parseAvro(text(100_000))).toThrow(AvroSchemaError);
    expect(() => parseAvro(text(200))).not.toThrow();
  });
});
