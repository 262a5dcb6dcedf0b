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
 * How much is taken of one answer; the rest is left for the next. What a few bytes hold can be a thousand times as
 * much, and a record or a header takes some two hundred bytes here however small it is.
 */
export class Room {
  #bytes: number;
  /** Records and headers. */
  #items: number;

  constructor({ bytes = 128 * 1024 * 1024, items = 500_000 } = {}) {
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

export interface TakenRecords {
  readonly records: readonly KafkaRecord[];
  /** Behind the last that was taken. */
  readonly position: number;
  /** Whether the part has more than there was room for. */
  readonly more: boolean;
}

/**
 * The records of a partition's part of an answer from `position` on, and the offset behind them. Keys, values and headers
 * are views into the answer's memory, or into that of what it unpacked to. Throws KafkaFault where the first batch cannot
 * be read; where another cannot, it ends before that one.
 */
export function takeRecords(
  part: FetchedPart,
  {
    position,
    committed,
    room,
  }: { readonly position: number; readonly committed: boolean; readonly room: Room },
): TakenRecords {
  const { bytes } = part;
  const aborted = part.aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  const aborting = new Set<bigint>();
  const records: KafkaRecord[] = [];
  let behind = position;
  let next = 0;
  let taken = 0;
  let at = 0;
  let partly = false;
  while (at < bytes.length && !room.full) {
    try {
      const batch = batchAt(bytes, at);
      if (batch === null) {
        if (at > 0) break; // cut where the answer is full: the next begins with it
        throw new Malformed('the broker has sent no more than its beginning');
      }
      const { last, attributes, producerId } = batch;
      while (next < aborted.length && aborted[next]!.firstOffset <= last)
        aborting.add(aborted[next++]!.producerId);
      let upTo = last + 1;
      if ((attributes & CONTROL) !== 0) aborting.delete(producerId);
      else if (
        !(committed && (attributes & TRANSACTIONAL) !== 0 && aborting.has(producerId)) &&
        last >= behind
      )
        upTo = readRecords(batch, { position: behind, room, into: records });
      if (upTo > behind) behind = upTo;
      partly = upTo <= last;
      if (partly) break;
      taken = records.length;
      at = batch.end;
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      if (behind > position) {
        records.length = taken;
        break;
      }
      const where = `${part.topic}-${part.partition}`;
      throw new KafkaFault(
        'records',
        0,
        `the batch of records at offset ${position} of ${where} cannot be read: ${error.message}`,
        error,
      );
    }
  }
  return { records, position: behind, more: partly || (room.full && at < bytes.length) };
}

interface Batch {
  readonly first: number;
  readonly last: number;
  readonly attributes: number;
  readonly producerId: bigint;
  /** All fetched bytes, in which the batch is from `start` to `end`. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Null where its end has not been fetched. */
function batchAt(bytes: Buffer, start: number): Batch | null {
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
    bytes,
    start,
    end,
  };
}

/** The offset behind what there was room for. */
function readRecords(
  { bytes, start, end, first, last, attributes }: Batch,
  { position, room, into }: { readonly position: number; readonly room: Room; readonly into: KafkaRecord[] },
): number {
  const count = bytes.readInt32BE(start + AT_COUNT);
  // Compaction leaves the offsets of a batch without any of its records.
  if (count === 0 && end - start === BATCH_HEADER_BYTES) return last + 1;
  const body = decompress(attributes & COMPRESSION, bytes.subarray(start + BATCH_HEADER_BYTES, end));
  if (count < 0 || count > body.length / LEAST_RECORD_BYTES)
    throw new Malformed(`${count} records are announced in ${body.length} bytes`);
  const appended = (attributes & LOG_APPEND_TIME) === 0 ? null : int64(bytes, start + AT_MAX_TIMESTAMP);
  const baseTimestamp = int64(bytes, start + AT_BASE_TIMESTAMP);
  const cursor = new ByteCursor(body);
  let previous = first - 1;
  let items = 0;
  let behind = last + 1;
  for (let i = 0; i < count; i++) {
    const length = cursor.varint();
    const recordEnd = cursor.at + length;
    if (length < LEAST_RECORD_BYTES - 1 || recordEnd > body.length)
      throw new Malformed(`a record of ${length} bytes is announced where ${cursor.left} are left`);
    cursor.end = recordEnd;
    cursor.at++; // attributes, of which there are none
    const timestampDelta = cursor.varlong();
    const offset = first + cursor.varint();
    if (offset <= previous || offset > last)
      throw new Malformed('a record lies outside of the offsets of its batch, or of their order');
    previous = offset;
    if (offset < position) cursor.at = recordEnd;
    else {
      if (items >= room.items) {
        behind = offset;
        break;
      }
      const key = cursor.varintBytes();
      const value = cursor.varintBytes();
      const headers = readHeaders(cursor);
      if (cursor.at !== recordEnd) throw new Malformed('a record is shorter than it says');
      into.push({ offset, key, value, headers, timestamp: appended ?? baseTimestamp + timestampDelta });
      items += 1 + headers.length;
    }
    cursor.end = body.length;
  }
  if (behind > last && cursor.at !== body.length) throw new Malformed('it holds more than its records');
  room.use(body.length, items);
  return behind;
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
