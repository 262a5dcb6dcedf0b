/**
 * Reads a topic as a read_committed consumer does, straight from the broker's Fetch response (version 11; the
 * layouts are those of Kafka's protocol guide). The benchmark counts records by their batch headers, so that
 * the measuring costs next to nothing on a machine it shares with what it measures.
 */
import { connect, type Socket } from 'node:net';
import { decompressFrameSync } from 'lz4-napi';
import { gunzipSync } from 'node:zlib';

export interface TopicReaderOptions {
  /** host:port of the only broker. */
  readonly broker: string;
  readonly topic: string;
  readonly partitions: number;
  /** The broker answers when so many bytes are there … */
  readonly minBytes: number;
  /** … or after so long, whichever comes first. */
  readonly maxWaitMs: number;
}

/** One record batch of a committed transaction, or of none. */
export interface FetchedBatch {
  readonly partition: number;
  readonly baseOffset: number;
  readonly records: number;
  readonly attributes: number;
  readonly baseTimestamp: number;
  /** The records section as it came, perhaps compressed. */
  readonly body: Buffer;
}

export interface FetchedRecord {
  readonly partition: number;
  readonly timestamp: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

const FETCH = 1;
const HEADER_BYTES = 61;
const TRANSACTIONAL = 0x10;
const CONTROL = 0x20;
/** UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER: a topic that has just been made. */
const NOT_YET = new Set([3, 5, 6]);
const NOT_YET_PAUSE_MS = 20;
const MAX_BYTES = 16 * 1024 * 1024;

export interface FetchAnswer {
  readonly batches: readonly FetchedBatch[];
  /** When it came, milliseconds since the epoch. */
  readonly at: number;
  /** Whether there was anything new, be it only the marks that end a transaction. */
  readonly advanced: boolean;
}

/** Yields what each answer held, from the topic's beginning. Ends with `signal`. */
export async function* readTopic(
  options: TopicReaderOptions,
  signal: AbortSignal,
): AsyncGenerator<FetchAnswer> {
  const connection = await open(options.broker, signal);
  let offsets: number[] = Array.from({ length: options.partitions }, () => 0);
  const aborting = new Set<string>();
  try {
    while (!signal.aborted) {
      const response = await connection.request(fetchRequest(options, offsets));
      if (response === null) return;
      const at = performance.timeOrigin + performance.now();
      const next = [...offsets];
      const batches = parseResponse(response, next, aborting);
      if (batches === null) {
        await new Promise((resolve) => setTimeout(resolve, NOT_YET_PAUSE_MS));
        continue;
      }
      const advanced = sum(next) > sum(offsets);
      offsets = next;
      yield { batches, at, advanced };
    }
  } finally {
    connection.close();
  }
}

/** The records of a batch. */
export function recordsOf(batch: FetchedBatch): FetchedRecord[] {
  const compression = batch.attributes & 7;
  let body = batch.body;
  if (compression === 1) body = gunzipSync(body);
  else if (compression === 3) body = decompressFrameSync(body);
  else if (compression !== 0) throw new Error(`The benchmark does not read compression ${compression}`);
  const cursor = new Cursor(body);
  const records: FetchedRecord[] = [];
  for (let i = 0; i < batch.records; i++) {
    const end = cursor.varint() + cursor.at;
    cursor.at += 1; // attributes
    const timestamp = batch.baseTimestamp + cursor.varint();
    cursor.varint(); // offset delta
    const key = cursor.bytes(cursor.varint());
    const value = cursor.bytes(cursor.varint());
    records.push({ partition: batch.partition, timestamp, key, value });
    cursor.at = end;
  }
  return records;
}

function sum(numbers: readonly number[]): number {
  let total = 0;
  for (const each of numbers) total += each;
  return total;
}

class Cursor {
  at = 0;
  readonly buffer: Buffer;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  int8(): number {
    return this.buffer.readInt8(this.at++);
  }

  int16(): number {
    this.at += 2;
    return this.buffer.readInt16BE(this.at - 2);
  }

  int32(): number {
    this.at += 4;
    return this.buffer.readInt32BE(this.at - 4);
  }

  int64(): number {
    this.at += 8;
    return Number(this.buffer.readBigInt64BE(this.at - 8));
  }

  /** Zigzag; exact to 2^53. */
  varint(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.buffer[this.at++];
      if (byte === undefined) throw new RangeError('A record ends in the middle of a number');
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      factor *= 128;
    }
  }

  bytes(length: number): Buffer | null {
    if (length < 0) return null;
    this.at += length;
    return this.buffer.subarray(this.at - length, this.at);
  }

  text(): string {
    return this.bytes(this.int16())?.toString() ?? '';
  }
}

function fetchRequest(
  { topic, maxWaitMs, minBytes }: TopicReaderOptions,
  offsets: readonly number[],
): Buffer {
  const name = Buffer.from(topic);
  const request = Buffer.alloc(64 + name.length + offsets.length * 28);
  let at = 4;
  const int8 = (value: number): void => void (at = request.writeInt8(value, at));
  const int16 = (value: number): void => void (at = request.writeInt16BE(value, at));
  const int32 = (value: number): void => void (at = request.writeInt32BE(value, at));
  const int64 = (value: number): void => void (at = request.writeBigInt64BE(BigInt(value), at));
  int16(FETCH);
  int16(11);
  int32(0); // correlation id: one request at a time
  int16(-1); // no client id
  int32(-1); // not a replica
  int32(maxWaitMs);
  int32(minBytes);
  int32(MAX_BYTES);
  int8(1); // read_committed
  int32(0); // no fetch session …
  int32(-1);
  int32(1);
  int16(name.length);
  at += name.copy(request, at);
  int32(offsets.length);
  for (const [partition, offset] of offsets.entries()) {
    int32(partition);
    int32(-1);
    int64(offset);
    int64(-1);
    int32(MAX_BYTES);
  }
  int32(0); // nothing forgotten
  int16(0); // no rack
  request.writeInt32BE(at - 4, 0);
  return request.subarray(0, at);
}

/** Null where a partition isn't there yet; the others' batches are then fetched again. */
function parseResponse(response: Buffer, offsets: number[], aborting: Set<string>): FetchedBatch[] | null {
  const cursor = new Cursor(response);
  cursor.at = 4 + 4; // correlation id, throttle time
  const error = cursor.int16();
  if (error !== 0) throw new Error(`The broker answered a fetch with error ${error}`);
  cursor.int32(); // session
  const batches: FetchedBatch[] = [];
  let waiting = false;
  for (let topics = cursor.int32(); topics > 0; topics--) {
    cursor.text();
    for (let partitions = cursor.int32(); partitions > 0; partitions--) {
      const partition = cursor.int32();
      const failure = cursor.int16();
      cursor.at += 24; // high watermark, last stable offset, start of the log
      for (let aborted = cursor.int32(); aborted > 0; aborted--) {
        const producer = cursor.int64();
        aborting.add(`${partition}/${producer}/${cursor.int64()}`);
      }
      cursor.int32(); // preferred replica
      const records = cursor.bytes(cursor.int32());
      if (NOT_YET.has(failure)) {
        waiting = true;
        continue;
      }
      if (failure !== 0) throw new Error(`Partition ${partition} of the fetch failed with error ${failure}`);
      if (records !== null) parseBatches({ partition, records, offsets, aborting }, batches);
    }
  }
  return waiting ? null : batches;
}

interface PartitionRecords {
  readonly partition: number;
  readonly records: Buffer;
  readonly offsets: number[];
  /** `partition/producer/first offset` of transactions that were aborted and whose marker is still to come. */
  readonly aborting: Set<string>;
}

function parseBatches(
  { partition, records, offsets, aborting }: PartitionRecords,
  out: FetchedBatch[],
): void {
  for (let at = 0; at + HEADER_BYTES <= records.length;) {
    const end = at + 12 + records.readInt32BE(at + 8);
    if (end > records.length) return; // the last batch may be cut
    const baseOffset = Number(records.readBigInt64BE(at));
    const attributes = records.readInt16BE(at + 21);
    const next = baseOffset + records.readInt32BE(at + 23) + 1;
    const producer = records.readBigInt64BE(at + 43);
    // The broker answers with the whole batch an offset lies in.
    if (next > offsets[partition]!) {
      offsets[partition] = next;
      if ((attributes & CONTROL) !== 0) {
        for (const key of aborting) {
          const [ofPartition, ofProducer, first] = key.split('/');
          if (
            Number(ofPartition) === partition &&
            ofProducer === String(producer) &&
            Number(first) <= baseOffset
          ) {
            aborting.delete(key);
          }
        }
      } else if (
        (attributes & TRANSACTIONAL) === 0 ||
        !isAborted(aborting, partition, producer, baseOffset)
      ) {
        out.push({
          partition,
          baseOffset,
          records: records.readInt32BE(at + 57),
          attributes,
          baseTimestamp: Number(records.readBigInt64BE(at + 27)),
          body: records.subarray(at + HEADER_BYTES, end),
        });
      }
    }
    at = end;
  }
}

function isAborted(aborting: Set<string>, partition: number, producer: bigint, offset: number): boolean {
  for (const key of aborting) {
    const [ofPartition, ofProducer, first] = key.split('/');
    if (Number(ofPartition) === partition && ofProducer === String(producer) && Number(first) <= offset)
      return true;
  }
  return false;
}

interface BrokerConnection {
  /** The answer without its size; null when the signal ended the connection. */
  request(bytes: Buffer): Promise<Buffer | null>;
  close(): void;
}

async function open(broker: string, signal: AbortSignal): Promise<BrokerConnection> {
  const at = broker.lastIndexOf(':');
  const socket: Socket = connect({
    host: broker.slice(0, at),
    port: Number(broker.slice(at + 1)),
    noDelay: true,
  });
  let chunks: Buffer[] = [];
  let held = 0;
  let size = -1;
  let waiter: { resolve: (answer: Buffer | null) => void; reject: (error: Error) => void } | null = null;
  let lost: Error | null = null;
  const fail = (error: Error): void => {
    lost ??= error;
    const waiting = waiter;
    waiter = null;
    if (signal.aborted) waiting?.resolve(null);
    else waiting?.reject(lost);
  };
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    held += chunk.length;
    if (size < 0 && held >= 4) {
      chunks = [Buffer.concat(chunks)];
      size = chunks[0]!.readInt32BE(0);
    }
    if (size >= 0 && held >= size + 4) {
      const answer = Buffer.concat(chunks).subarray(4, size + 4);
      chunks = [];
      held = 0;
      size = -1;
      const waiting = waiter;
      waiter = null;
      waiting?.resolve(answer);
    }
  });
  socket.on('error', fail);
  socket.on('close', () => fail(new Error(`${broker} closed the connection`)));
  const abort = (): void => void socket.destroy();
  signal.addEventListener('abort', abort, { once: true });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', () => resolve());
    socket.once('error', reject);
  });
  return {
    request: (bytes) =>
      new Promise((resolve, reject) => {
        if (lost !== null) {
          if (signal.aborted) resolve(null);
          else reject(lost);
          return;
        }
        waiter = { resolve, reject };
        socket.write(bytes);
      }),
    close: () => {
      signal.removeEventListener('abort', abort);
      socket.destroy();
    },
  };
}
