/** Record batches, and answers to Fetch that hold them, as a broker sends them. */
import { zstdCompressSync } from 'node:zlib';
import { crc32c } from '@node-rs/crc32';
import { Reader } from '@platformatic/kafka';
import { BATCH_HEADER_BYTES } from '../../src/emitter/sinks/kafka/batch-layout.ts';
import { compress } from '../../src/emitter/sinks/kafka/compression.ts';
import { type FetchedPart, fetchRequest } from '../../src/emitter/sinks/kafka/fetch-request.ts';
import { FetchedRecords, type KafkaRecord, Room } from '../../src/emitter/sinks/kafka/fetched-batches.ts';
import type { Compression } from '../../src/emitter/sinks/kafka/options.ts';
import {
  BatchBuilder,
  BufferPool,
  stampBatch,
  varintSize,
  writeVarint,
} from '../../src/emitter/sinks/kafka/record-batch.ts';
import type { SinkRecord } from '../../src/emitter/sink.ts';

export const COMPRESSIONS: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

/** A batch as our producer makes it. */
export async function seal(records: readonly SinkRecord[], compression: Compression): Promise<Buffer> {
  const builder = new BatchBuilder(new BufferPool(1 << 20));
  for (const record of records) builder.append(record);
  let batch: Buffer = builder.whole;
  if (compression !== 'none') {
    const compressed = await compress(compression, builder.records);
    batch = Buffer.concat([Buffer.alloc(BATCH_HEADER_BYTES), compressed]);
  }
  const { count, baseTimestamp, maxTimestamp } = builder;
  stampBatch(
    batch,
    { count, baseTimestamp, maxTimestamp, compression },
    { producerId: 77n, producerEpoch: 3, sequence: 2 ** 31 - 1, transactional: true },
  );
  return batch;
}

/** Fields of a batch's header that a broker, or an attacker, has set; the checksum is right again unless told. */
export interface Restamped {
  readonly offset?: number;
  readonly length?: number;
  readonly magic?: number;
  readonly attributes?: number;
  readonly lastOffsetDelta?: number;
  readonly maxTimestamp?: number;
  readonly producerId?: bigint;
  readonly count?: number;
}

export function restamped(batch: Buffer, fields: Restamped): Buffer {
  const copy = Buffer.from(batch);
  copy.writeInt32BE(fields.length ?? copy.length - 12, 8);
  if (fields.offset !== undefined) copy.writeBigInt64BE(BigInt(fields.offset), 0);
  if (fields.magic !== undefined) copy[16] = fields.magic;
  if (fields.attributes !== undefined) copy.writeInt16BE(fields.attributes, 21);
  if (fields.lastOffsetDelta !== undefined) copy.writeInt32BE(fields.lastOffsetDelta, 23);
  if (fields.maxTimestamp !== undefined) copy.writeBigInt64BE(BigInt(fields.maxTimestamp), 35);
  if (fields.producerId !== undefined) copy.writeBigInt64BE(fields.producerId, 43);
  if (fields.count !== undefined) copy.writeInt32BE(fields.count, 57);
  copy.writeUInt32BE(crc32c(copy.subarray(21)), 17);
  return copy;
}

/** A batch of nothing but this as its records. */
export function batchAround(body: Buffer, fields: Restamped = {}): Buffer {
  const header = Buffer.alloc(BATCH_HEADER_BYTES);
  return restamped(Buffer.concat([header, body]), { magic: 2, count: 1, ...fields });
}

/** Of so many records without keys and values, by zstd. */
export function batchOf(count: number, offset = 0): Buffer {
  const body = Buffer.alloc(count * 12);
  let end = 0;
  for (let i = 0; i < count; i++) {
    end = writeVarint(body, end, 5 + varintSize(i));
    end = writeVarint(body, end + 2, i);
    end += Buffer.from([1, 1, 0]).copy(body, end);
  }
  const packed = zstdCompressSync(body.subarray(0, end));
  return batchAround(packed, { offset, attributes: 4, count, lastOffsetDelta: count - 1 });
}

/** What has been fetched of partition 3 of `shop.orders`. */
export function partOf(bytes: Buffer, aborted: FetchedPart['aborted'] = []): FetchedPart {
  return {
    topic: 'shop.orders',
    partition: 3,
    code: 0,
    lastStableOffset: 0,
    logStartOffset: 0,
    aborted,
    bytes,
  };
}

/** The body of an answer to Fetch in version 10, of one topic without tagged fields. */
export function fetchAnswer(parts: readonly FetchedPart[], code = 0): Buffer {
  const numbers = (...all: readonly (readonly [bits: 16 | 32 | 64, value: number | bigint])[]): Buffer => {
    const bytes = Buffer.alloc(all.reduce((sum, [bits]) => sum + bits / 8, 0));
    let at = 0;
    for (const [bits, value] of all) {
      if (bits === 64) at = bytes.writeBigInt64BE(BigInt(value), at);
      else at = bits === 32 ? bytes.writeInt32BE(Number(value), at) : bytes.writeInt16BE(Number(value), at);
    }
    return bytes;
  };
  const topic = Buffer.from(parts[0]?.topic ?? '');
  return Buffer.concat([
    numbers([32, 0], [16, code], [32, 0], [32, parts.length === 0 ? 0 : 1]),
    ...(parts.length === 0 ? [] : [numbers([16, topic.length]), topic, numbers([32, parts.length])]),
    ...parts.flatMap((part) => [
      numbers([32, part.partition], [16, part.code], [64, 0]),
      numbers([64, part.lastStableOffset], [64, part.logStartOffset], [32, part.aborted.length]),
      ...part.aborted.map(({ producerId, firstOffset }) => numbers([64, producerId], [64, firstOffset])),
      numbers([32, part.bytes.length]),
      part.bytes,
    ]),
  ]);
}

/** What Fetch in that version makes of the body of an answer. */
export async function parsed(
  body: Buffer,
  version: number,
): Promise<{ readonly code: number; readonly parts: readonly FetchedPart[] }> {
  const request = fetchRequest(version, {
    topic: 't',
    partitions: [],
    committed: true,
    maxWaitMs: 0,
    maxBytes: 1,
    partitionMaxBytes: 1,
  });
  return request.parse(1, request.apiKey, version, Reader.from(body));
}

const ROOM = { bytes: 128 * 1024 * 1024, items: 500_000 };

/** Of what has been fetched as many records as there is room for at a time, and the offset behind them. */
export function taken(
  part: FetchedPart,
  { position = 0, committed = true } = {},
): { readonly records: readonly KafkaRecord[]; readonly position: number } {
  const fetched = new FetchedRecords(part, { position, committed });
  return { records: fetched.take(new Room(ROOM)), position: fetched.position };
}
