import { crc32c } from '@node-rs/crc32';
import type { TableId } from '../../../model/table.ts';
import type { SinkRecord } from '../../sink.ts';
import {
  AT_ATTRIBUTES,
  AT_BASE_TIMESTAMP,
  AT_COUNT,
  AT_CRC,
  AT_LAST_OFFSET,
  AT_LEADER_EPOCH,
  AT_LENGTH,
  AT_MAGIC,
  AT_MAX_TIMESTAMP,
  AT_PRODUCER_EPOCH,
  AT_PRODUCER_ID,
  AT_SEQUENCE,
  BATCH_HEADER_BYTES,
  TRANSACTIONAL,
} from './batch-layout.ts';
import { COMPRESSION_BITS } from './compression.ts';
import type { Compression } from './options.ts';
import type { Utf8Buffer } from './utf8.ts';

/** Record batches of magic 2, written straight into one growing buffer. */

/** Attributes and the four varints of a record cannot take more. */
const RECORD_OVERHEAD = 32;

/** Buffers for batches, by powers of two, kept for reuse up to a limit. */
export class BufferPool {
  readonly #free = new Map<number, Buffer[]>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** At least `bytes` long; contents undefined. */
  take(bytes: number): Buffer {
    const size = Math.max(4096, 2 ** Math.ceil(Math.log2(bytes)));
    const found = this.#free.get(size)?.pop();
    if (found === undefined) return Buffer.allocUnsafeSlow(size);
    this.#bytes -= size;
    return found;
  }

  give(buffer: Buffer): void {
    if (this.#bytes + buffer.length > this.#maxBytes) return;
    const list = this.#free.get(buffer.length);
    if (list === undefined) this.#free.set(buffer.length, [buffer]);
    else list.push(buffer);
    this.#bytes += buffer.length;
  }
}

/** One batch being filled. The first 61 bytes are left for the header. */
export class BatchBuilder {
  readonly #pool: BufferPool;
  #buffer: Buffer;
  #at = BATCH_HEADER_BYTES;
  #count = 0;
  #baseTimestamp = 0;
  #maxTimestamp = 0;
  /** Of the record before, and where they stand: results that were joined with one state of a table share theirs. */
  #headers: Headers | null = null;
  #headersAt = 0;
  #headersEnd = 0;
  /** Of the first record: see SinkRecord. */
  origin: TableId | null = null;

  constructor(pool: BufferPool) {
    this.#pool = pool;
    this.#buffer = pool.take(4096);
  }

  /** Bytes so far, before compression, header included. */
  get bytes(): number {
    return this.#at;
  }

  get count(): number {
    return this.#count;
  }

  get baseTimestamp(): number {
    return this.#baseTimestamp;
  }

  get maxTimestamp(): number {
    return this.#maxTimestamp;
  }

  /** The records; valid until `release`. */
  get records(): Buffer {
    return this.#buffer.subarray(BATCH_HEADER_BYTES, this.#at);
  }

  /** The whole batch with room for its header; valid until `release`. */
  get whole(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  release(): void {
    this.#pool.give(this.#buffer);
  }

  append(record: SinkRecord): void {
    const { key, value, headers, timestamp } = record;
    if (this.#count === 0) {
      this.#baseTimestamp = timestamp;
      this.#maxTimestamp = timestamp;
    } else if (timestamp > this.#maxTimestamp) this.#maxTimestamp = timestamp;
    // UTF-8 takes at most three bytes for a UTF-16 unit. What isn't known before writing is whether a string
    // is all ASCII; nearly all are, so that is assumed and the lengths are set right where it isn't.
    const keyRoom = key === null ? 0 : typeof key === 'string' ? key.length * 3 : key.length;
    const valueRoom = value === null ? 0 : typeof value === 'string' ? value.length * 3 : value.length;
    const headerBytes =
      headers === null
        ? 1
        : headers === this.#headers
          ? this.#headersEnd - this.#headersAt
          : headersSize(headers);
    this.#reserve(keyRoom + valueRoom + RECORD_OVERHEAD + headerBytes);
    const start = this.#at;
    const delta = timestamp - this.#baseTimestamp;
    let keyBytes = key === null ? -1 : key.length;
    let valueBytes = value === null ? -1 : value.length;
    for (;;) {
      const end = this.#write(record, start, delta, keyBytes, valueBytes, headerBytes);
      if (end >= 0) {
        this.#at = end;
        break;
      }
      keyBytes = key === null ? -1 : typeof key === 'string' ? Buffer.byteLength(key) : key.length;
      valueBytes = value === null ? -1 : typeof value === 'string' ? Buffer.byteLength(value) : value.length;
    }
    if (headers === null) this.#buffer[this.#at++] = 0;
    else this.#addHeaders(headers);
    this.#count++;
  }

  #addHeaders(headers: Headers): void {
    const at = this.#at;
    if (headers === this.#headers) {
      this.#buffer.copyWithin(at, this.#headersAt, this.#headersEnd);
      this.#at += this.#headersEnd - this.#headersAt;
      return;
    }
    this.#at = writeHeaders(this.#buffer as Utf8Buffer, at, headers);
    this.#headers = headers;
    this.#headersAt = at;
    this.#headersEnd = this.#at;
  }

  /** Writes all but the headers. Returns where it ends, or -1 where a string took other lengths than given. */
  #write(
    record: SinkRecord,
    start: number,
    delta: number,
    keyBytes: number,
    valueBytes: number,
    headerBytes: number,
  ): number {
    const buffer = this.#buffer as Utf8Buffer;
    const { key, value } = record;
    const length =
      1 +
      varintSize(delta) +
      varintSize(this.#count) +
      varintSize(keyBytes) +
      Math.max(keyBytes, 0) +
      varintSize(valueBytes) +
      Math.max(valueBytes, 0) +
      headerBytes;
    let at = writeVarint(buffer, start, length);
    buffer[at++] = 0;
    at = writeVarint(buffer, at, delta);
    at = writeVarint(buffer, at, this.#count);
    at = writeVarint(buffer, at, keyBytes);
    if (key !== null) {
      if (typeof key === 'string') {
        if (buffer.utf8Write(key, at) !== keyBytes) return -1;
      } else buffer.set(key, at);
      at += keyBytes;
    }
    at = writeVarint(buffer, at, valueBytes);
    if (value !== null) {
      if (typeof value === 'string') {
        if (buffer.utf8Write(value, at) !== valueBytes) return -1;
      } else buffer.set(value, at);
      at += valueBytes;
    }
    return at;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = this.#pool.take(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#pool.give(this.#buffer);
    this.#buffer = larger;
  }
}

type Headers = NonNullable<SinkRecord['headers']>;

function headersSize(headers: Headers): number {
  let size = varintSize(headers.length);
  for (const [name, value] of headers) {
    const nameBytes = Buffer.byteLength(name);
    size += varintSize(nameBytes) + nameBytes;
    const valueBytes = value === null ? -1 : bytesOf(value);
    size += varintSize(valueBytes) + Math.max(valueBytes, 0);
  }
  return size;
}

/** Returns where they end. */
function writeHeaders(buffer: Utf8Buffer, start: number, headers: Headers): number {
  let at = writeVarint(buffer, start, headers.length);
  for (const [name, value] of headers) {
    at = writeVarint(buffer, at, Buffer.byteLength(name));
    at += buffer.utf8Write(name, at);
    at = writeVarint(buffer, at, value === null ? -1 : bytesOf(value));
    if (value === null) continue;
    if (typeof value === 'string') at += buffer.utf8Write(value, at);
    else {
      buffer.set(value, at);
      at += value.length;
    }
  }
  return at;
}

function bytesOf(value: string | Uint8Array): number {
  return typeof value === 'string' ? Buffer.byteLength(value) : value.length;
}

export interface BatchMeta {
  readonly count: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  readonly compression: Compression;
}

export interface ProducerStamp {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly sequence: number;
  readonly transactional: boolean;
}

/** Fills in the header of a batch whose records already stand after it, the CRC last. Can be done again. */
export function stampBatch(batch: Buffer, meta: BatchMeta, stamp: ProducerStamp): void {
  batch.writeBigInt64BE(0n, 0);
  batch.writeInt32BE(batch.length - AT_LEADER_EPOCH, AT_LENGTH);
  batch.writeInt32BE(-1, AT_LEADER_EPOCH);
  batch[AT_MAGIC] = 2;
  batch.writeInt16BE(
    COMPRESSION_BITS[meta.compression] | (stamp.transactional ? TRANSACTIONAL : 0),
    AT_ATTRIBUTES,
  );
  batch.writeInt32BE(meta.count - 1, AT_LAST_OFFSET);
  writeInt64(batch, AT_BASE_TIMESTAMP, meta.baseTimestamp);
  writeInt64(batch, AT_MAX_TIMESTAMP, meta.maxTimestamp);
  batch.writeBigInt64BE(stamp.producerId, AT_PRODUCER_ID);
  batch.writeInt16BE(stamp.producerEpoch, AT_PRODUCER_EPOCH);
  batch.writeInt32BE(stamp.sequence, AT_SEQUENCE);
  batch.writeInt32BE(meta.count, AT_COUNT);
  batch.writeUInt32BE(crc32c(batch.subarray(AT_ATTRIBUTES)), AT_CRC);
}

function writeInt64(buffer: Buffer, at: number, value: number): void {
  buffer.writeInt32BE(Math.floor(value / 4294967296), at);
  buffer.writeUInt32BE(value >>> 0, at + 4);
}

/** Zigzag, seven bits a byte. Exact for safe integers. */
export function varintSize(value: number): number {
  let rest = value >= 0 ? value * 2 : -value * 2 - 1;
  let size = 1;
  while (rest >= 128) {
    rest = Math.floor(rest / 128);
    size++;
  }
  return size;
}

export function writeVarint(buffer: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value >= 0 ? value * 2 : -value * 2 - 1;
  while (rest > 0x7fffffff) {
    buffer[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 128) {
    buffer[at++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  buffer[at++] = rest;
  return at;
}
