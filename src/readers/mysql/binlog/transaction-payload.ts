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

/** The events within, in pieces as large as the decompressor makes them, so that memory stays bounded. */
export async function* payloadEvents({ compressed, data }: TransactionPayload): AsyncIterable<EventChunk> {
  const pieces: AsyncIterable<Buffer> = compressed
    ? Readable.from([data]).pipe(createZstdDecompress())
    : Readable.from([data]);
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of pieces) {
    const buffer = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    const frames: number[] = [];
    let at = 0;
    while (buffer.length - at >= HEADER) {
      const size = buffer.readUInt32LE(at + 9);
      if (size < HEADER) throw truncated();
      if (at + size > buffer.length) break;
      frames.push(at, at + size);
      at += size;
    }
    rest = buffer.subarray(at);
    if (frames.length > 0) yield { buffer, frames };
  }
  if (rest.length > 0) throw truncated();
}
