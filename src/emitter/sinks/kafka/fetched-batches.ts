import { crc32c } from '@node-rs/crc32';
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
  AT_PRODUCER_ID,
  BATCH_HEADER_BYTES,
  TRANSACTIONAL,
} from './batch-layout.ts';
import { ByteCursor, Malformed } from './byte-cursor.ts';
import { decompress } from './decompression.ts';
import { KafkaFault } from './errors.ts';
import type { FetchedPart } from './fetch-request.ts';

const COMPRESSION = 7;
/** All records have the time at which the broker took them, the batch's largest. */
const LOG_APPEND_TIME = 1 << 3;
const CONTROL = 1 << 5;
/** Length, attributes, time, offset, key, value, headers: a byte each. */
const LEAST_RECORD_BYTES = 7;
const NO_HEADERS: KafkaRecord['headers'] = [];
/** Of a record, which is read whole: Kafka has no limit of its own. */
const MOST_HEADERS = 100_000;

export interface KafkaRecord {
  /** Exact up to 2^53. */
  readonly offset: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly (readonly [name: string, value: Uint8Array | null])[];
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
}

/**
 * How much is taken at a time. What a few bytes hold can be a thousand times as
 * much, and a record or a header takes some two hundred bytes here however small it is.
 */
export class Room {
  #bytes: number;
  /** Records and headers. */
  #items: number;

  constructor({ bytes, items }: { readonly bytes: number; readonly items: number }) {
    this.#bytes = bytes;
    this.#items = items;
  }

  get items(): number {
    return this.#items;
  }

  get full(): boolean {
    return this.#bytes <= 0 || this.#items <= 0;
  }

  use(bytes: number, items: number): void {
    this.#bytes -= bytes;
    this.#items -= items;
  }
}

/**
 * The records of a partition's part of an answer, from an offset on. Keys, values and headers are views into the answer's
 * memory, or into that of what it unpacked to.
 */
export class FetchedRecords {
  readonly #part: FetchedPart;
  readonly #committed: boolean;
  readonly #from: number;
  #position: number;
  readonly #aborted: FetchedPart['aborted'];
  readonly #aborting = new Set<bigint>();
  /** Of the aborted transactions, the first that is still to come. */
  #next = 0;
  /** Where the next batch begins. */
  #at = 0;
  /** Of which there is more to take. */
  #batch: Batch | null = null;

  constructor(
    part: FetchedPart,
    { position, committed }: { readonly position: number; readonly committed: boolean },
  ) {
    this.#part = part;
    this.#committed = committed;
    this.#from = position;
    this.#position = position;
    this.#aborted = part.aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  }

  /** Offset behind what has been taken. */
  get position(): number {
    return this.#position;
  }

  /** Offset behind all of it, as its batches say. */
  get end(): number {
    const { bytes } = this.#part;
    let end = this.#batch === null ? this.#position : this.#batch.header.last + 1;
    for (let at = this.#at; bytes.length - at >= BATCH_HEADER_BYTES;) {
      const next = at + AT_LEADER_EPOCH + bytes.readInt32BE(at + AT_LENGTH);
      const last = Number(bytes.readBigInt64BE(at)) + bytes.readInt32BE(at + AT_LAST_OFFSET);
      if (next <= at || next > bytes.length || !Number.isSafeInteger(last)) break;
      end = Math.max(end, last + 1);
      at = next;
    }
    return end;
  }

  /** Whether there is nothing more to take: what comes next has to be fetched. */
  get done(): boolean {
    return this.#batch === null && this.#at >= this.#part.bytes.length;
  }

  /**
   * As many as there is room for, in their order. Throws KafkaFault where the first batch cannot be read; where another
   * cannot, it ends before that one.
   */
  take(room: Room): readonly KafkaRecord[] {
    const records: KafkaRecord[] = [];
    while (!this.done && !room.full) {
      const [count, position] = [records.length, this.#position];
      try {
        const batch = this.#batch ?? this.#nextBatch(room);
        if (batch === null) continue;
        this.#position = readRecords(batch, { position, room, into: records });
        this.#batch = batch.left > 0 ? batch : null;
      } catch (error) {
        if (!(error instanceof Malformed)) throw error;
        this.#end();
        if (position === this.#from) throw this.#fault(error);
        records.length = count;
        this.#position = position;
      }
    }
    return records;
  }

  /** Null where nothing of it is asked for. */
  #nextBatch(room: Room): Batch | null {
    const header = headerAt(this.#part.bytes, this.#at);
    if (header === null) {
      if (this.#at === 0) throw new Malformed('the broker has sent no more than its beginning');
      // Cut where the answer is full: the next begins with it.
      this.#end();
      return null;
    }
    const { last, attributes, producerId } = header;
    this.#at = header.end;
    while (this.#next < this.#aborted.length && this.#aborted[this.#next]!.firstOffset <= last)
      this.#aborting.add(this.#aborted[this.#next++]!.producerId);
    const isControl = (attributes & CONTROL) !== 0;
    if (isControl) this.#aborting.delete(producerId);
    const isAborted = this.#committed && (attributes & TRANSACTIONAL) !== 0 && this.#aborting.has(producerId);
    if (!isControl && !isAborted && last >= this.#position) {
      const batch = openBatch(this.#part.bytes, header);
      room.use(batch.cursor.bytes.length, 0);
      return batch;
    }
    if (last >= this.#position) this.#position = last + 1;
    return null;
  }

  #end(): void {
    this.#batch = null;
    this.#at = this.#part.bytes.length;
  }

  #fault(error: Malformed): KafkaFault {
    const where = `${this.#part.topic}-${this.#part.partition}`;
    return new KafkaFault(
      'records',
      0,
      `the batch of records at offset ${this.#from} of ${where} cannot be read: ${error.message}`,
      error,
    );
  }
}

interface BatchHeader {
  /** Offsets of its first record and of its last one. */
  readonly first: number;
  readonly last: number;
  readonly attributes: number;
  readonly producerId: bigint;
  /** Where it lies. */
  readonly start: number;
  readonly end: number;
}

/** A batch of which records have been read, or none yet. */
interface Batch {
  readonly header: BatchHeader;
  /** Over its records. */
  readonly cursor: ByteCursor;
  /** Records that are left. */
  left: number;
  /** Offset of the record before. */
  previous: number;
  /** Time of all of its records; null: each has its own, as a difference to `baseTimestamp`. */
  readonly appended: number | null;
  readonly baseTimestamp: number;
}

/** Null where its end has not been fetched. */
function headerAt(bytes: Buffer, start: number): BatchHeader | null {
  if (bytes.length - start <= AT_MAGIC) return null;
  const magic = bytes[start + AT_MAGIC]!;
  if (magic < 2)
    throw new Malformed(
      `it is in the format of before Kafka 0.11 (magic ${magic}), which is not read; have its records written anew by a client of today`,
    );
  if (magic > 2) throw new Malformed(`it is in a format (${magic}) that is not known`);
  const length = bytes.readInt32BE(start + AT_LENGTH);
  if (length < BATCH_HEADER_BYTES - AT_LEADER_EPOCH)
    throw new Malformed(`it is said to be of ${length} bytes`);
  const end = start + AT_LEADER_EPOCH + length;
  if (end > bytes.length) return null;
  if (crc32c(bytes.subarray(start + AT_ATTRIBUTES, end)) !== bytes.readUInt32BE(start + AT_CRC))
    throw new Malformed('its checksum does not match');
  const first = Number(bytes.readBigInt64BE(start));
  const delta = bytes.readInt32BE(start + AT_LAST_OFFSET);
  if (first < 0 || delta < 0) throw new Malformed('it has offsets below nothing');
  return {
    first,
    last: first + delta,
    attributes: bytes.readInt16BE(start + AT_ATTRIBUTES),
    producerId: bytes.readBigInt64BE(start + AT_PRODUCER_ID),
    start,
    end,
  };
}

function openBatch(bytes: Buffer, header: BatchHeader): Batch {
  const { start, end, first, attributes } = header;
  const count = bytes.readInt32BE(start + AT_COUNT);
  // Compaction leaves the offsets of a batch without any of its records.
  const isEmpty = count === 0 && end - start === BATCH_HEADER_BYTES;
  const packed = bytes.subarray(start + BATCH_HEADER_BYTES, end);
  const body = isEmpty ? packed : decompress(attributes & COMPRESSION, packed);
  if (count < 0 || count > body.length / LEAST_RECORD_BYTES)
    throw new Malformed(`${count} records are announced in ${body.length} bytes`);
  if (count === 0 && body.length > 0) throw new Malformed('it holds more than its records');
  return {
    header,
    cursor: new ByteCursor(body),
    left: count,
    previous: first - 1,
    appended: (attributes & LOG_APPEND_TIME) === 0 ? null : int64(bytes, start + AT_MAX_TIMESTAMP),
    baseTimestamp: int64(bytes, start + AT_BASE_TIMESTAMP),
  };
}

/** The offset behind what there was room for. */
function readRecords(
  batch: Batch,
  { position, room, into }: { readonly position: number; readonly room: Room; readonly into: KafkaRecord[] },
): number {
  const { cursor, appended, baseTimestamp } = batch;
  const { first, last } = batch.header;
  const { bytes } = cursor;
  const most = room.items;
  let items = 0;
  for (; batch.left > 0 && items < most; batch.left--) {
    const length = cursor.varint();
    const recordEnd = cursor.at + length;
    if (length < LEAST_RECORD_BYTES - 1 || recordEnd > bytes.length)
      throw new Malformed(`a record of ${length} bytes is announced where ${cursor.left} are left`);
    cursor.end = recordEnd;
    cursor.at++; // attributes, of which there are none
    const timestampDelta = cursor.varlong();
    const offset = first + cursor.varint();
    if (offset <= batch.previous || offset > last)
      throw new Malformed('a record lies outside of the offsets of its batch, or of their order');
    batch.previous = offset;
    if (offset < position) cursor.at = recordEnd;
    else {
      const key = cursor.varintBytes();
      const value = cursor.varintBytes();
      const headers = readHeaders(cursor);
      if (cursor.at !== recordEnd) throw new Malformed('a record is shorter than it says');
      into.push({ offset, key, value, headers, timestamp: appended ?? baseTimestamp + timestampDelta });
      items += 1 + headers.length;
    }
    cursor.end = bytes.length;
  }
  room.use(0, items);
  if (batch.left > 0) return Math.max(position, batch.previous + 1);
  if (cursor.at !== bytes.length) throw new Malformed('it holds more than its records');
  return last + 1;
}

function readHeaders(cursor: ByteCursor): KafkaRecord['headers'] {
  const count = cursor.varint();
  if (count === 0) return NO_HEADERS;
  if (count > MOST_HEADERS) throw new Malformed(`a record has more than ${MOST_HEADERS} headers`);
  if (count < 0 || count > cursor.left / 2)
    throw new Malformed(`${count} headers are announced in ${cursor.left} bytes`);
  const headers: (readonly [string, Buffer | null])[] = [];
  for (let i = 0; i < count; i++) {
    const length = cursor.varint();
    const at = cursor.skip(length);
    headers.push([cursor.bytes.toString('utf8', at, at + length), cursor.varintBytes()]);
  }
  return headers;
}

function int64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 4294967296 + bytes.readUInt32BE(at + 4);
}
