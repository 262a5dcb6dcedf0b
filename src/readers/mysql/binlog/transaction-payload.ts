import { createZstdDecompress } from 'node:zlib';
import { Readable } from 'node:stream';
import type { EventChunk } from '../wire/event-queue.ts';
import { ByteCursor, misplaced, truncated } from './byte-cursor.ts';
import { HEADER } from './event-types.ts';

/** Transaction_payload_event: the events of one transaction, compressed. */
export interface TransactionPayload {
  readonly compressed: boolean;
  readonly data: Buffer;
}

/** Fields (type, packed length, packed value) up to type 0, then the payload. */
export function readPayload(cursor: ByteCursor): TransactionPayload {
  let compression = 255;
  let size: number | null = null;
  for (;;) {
    const type = cursor.packed();
    if (type === 0) break;
    const length = cursor.packed();
    const field = new ByteCursor(cursor.buffer, cursor.at, cursor.at + length);
    cursor.take(length);
    if (type === 1) size = field.packed();
    else if (type === 2) compression = field.packed();
  }
  if (compression !== 0 && compression !== 255) {
    throw misplaced(`a transaction compressed by algorithm ${compression}, which is not known`);
  }
  return { compressed: compression === 0, data: cursor.bytes(size ?? cursor.left) };
}

/** Larger than max_allowed_packet can be, with an event's head. */
const MAX_EVENT = 0x4000_0000 + 0x10_0000;

/** The events within, in pieces as large as the decompressor makes them, so that memory stays bounded. */
export async function* payloadEvents({ compressed, data }: TransactionPayload): AsyncIterable<EventChunk> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  /** Bytes of `held` without which no event is whole. */
  let needed = HEADER;
  for await (const piece of compressed ? decompressed(data) : [data]) {
    held.push(piece);
    heldBytes += piece.length;
    if (heldBytes < needed) continue;
    const buffer = held.length === 1 ? piece : Buffer.concat(held, heldBytes);
    const frames: number[] = [];
    let at = 0;
    needed = HEADER;
    while (buffer.length - at >= HEADER) {
      const size = buffer.readUInt32LE(at + 9);
      if (size < HEADER) throw truncated();
      if (size > MAX_EVENT) throw misplaced('an event of impossible length');
      if (at + size > buffer.length) {
        needed = size;
        break;
      }
      frames.push(at, at + size);
      at += size;
    }
    held = [buffer.subarray(at)];
    heldBytes = buffer.length - at;
    if (frames.length > 0) yield { buffer, frames };
  }
  if (heldBytes > 0) throw truncated();
}

async function* decompressed(data: Buffer): AsyncIterable<Buffer> {
  const pieces = Readable.from([data]).pipe(createZstdDecompress()).iterator() as AsyncIterable<Buffer>;
  try {
    yield* pieces;
  } catch {
    throw misplaced('a compressed transaction that cannot be decompressed');
  }
}
