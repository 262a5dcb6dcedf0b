import type { EventChunk } from './event-queue.ts';
import { MysqlConnectionError, type MysqlError, parseErrorPacket } from './mysql-error.ts';

/** A packet's payload of this length goes on in the next packet. */
const MAX_PAYLOAD = 0xff_ffff;
/** Largest event: the server's own limit of max_allowed_packet, and headers. */
const MAX_EVENT = 0x4000_0000 + 0x10_0000;

export type Framed =
  | { readonly kind: 'events'; readonly chunk: EventChunk }
  | { readonly kind: 'error'; readonly error: MysqlError }
  | { readonly kind: 'end' };

/**
 * Cuts what the socket brings into packets of the client protocol (3 bytes length, 1 byte sequence), and takes the
 * events out of the packets of a binlog dump (0x00 and the event; 0xff error; 0xfe end).
 */
export class PacketFramer {
  /** Begin of a packet, or of several that make up one event, that is not here to its end. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Bytes of `#held` without which nothing can be cut. */
  #needed = 0;

  /** What is complete now, in order. Throws MysqlConnectionError where it is no such stream. */
  push(data: Buffer): Framed[] {
    let buffer = data;
    if (this.#heldBytes > 0) {
      this.#held.push(data);
      this.#heldBytes += data.length;
      if (this.#heldBytes < this.#needed) return [];
      buffer = Buffer.concat(this.#held, this.#heldBytes);
      this.#held = [];
      this.#heldBytes = 0;
    }
    const out: Framed[] = [];
    let frames: number[] = [];
    let at = 0;
    const end = buffer.length;
    for (;;) {
      if (end - at < 4) {
        this.#hold(buffer, at, 4);
        break;
      }
      const length = buffer.readUIntLE(at, 3);
      if (length === MAX_PAYLOAD) {
        const whole = wholeLength(buffer, at);
        if (whole.bytes > MAX_EVENT) {
          throw new MysqlConnectionError('protocol', 'The server sent an event of impossible length');
        }
        if (!whole.complete) {
          this.#hold(buffer, at, whole.bytes);
          break;
        }
        if (frames.length > 0) out.push({ kind: 'events', chunk: { buffer, frames } });
        frames = [];
        const joined = join(buffer, at, at + whole.bytes);
        if (joined[0] !== 0) throw new MysqlConnectionError('protocol', 'The server sent no event');
        out.push({ kind: 'events', chunk: { buffer: joined, frames: [1, joined.length] } });
        at += whole.bytes;
        continue;
      }
      const next = at + 4 + length;
      if (next > end) {
        this.#hold(buffer, at, 4 + length);
        break;
      }
      const status = buffer[at + 4];
      if (status === 0 && length > 0) {
        frames.push(at + 5, next);
      } else {
        if (frames.length > 0) out.push({ kind: 'events', chunk: { buffer, frames } });
        frames = [];
        if (status === 0xff && length > 0) {
          out.push({ kind: 'error', error: parseErrorPacket(buffer.subarray(at + 4, next)) });
        } else if (status === 0xfe && length > 0) {
          out.push({ kind: 'end' });
        } else {
          throw new MysqlConnectionError('protocol', 'The server sent something else than a binlog event');
        }
      }
      at = next;
    }
    if (frames.length > 0) out.push({ kind: 'events', chunk: { buffer, frames } });
    return out;
  }

  #hold(buffer: Buffer, at: number, needed: number): void {
    if (at === buffer.length) return;
    this.#held = [buffer.subarray(at)];
    this.#heldBytes = buffer.length - at;
    this.#needed = needed;
  }
}

/** Bytes of the packets that make up one payload, as far as their headers are here. */
function wholeLength(buffer: Buffer, start: number): { readonly bytes: number; readonly complete: boolean } {
  let at = start;
  for (;;) {
    if (buffer.length - at < 4) return { bytes: at + 4 - start, complete: false };
    const length = buffer.readUIntLE(at, 3);
    at += 4 + length;
    if (length < MAX_PAYLOAD) return { bytes: at - start, complete: at <= buffer.length };
  }
}

function join(buffer: Buffer, start: number, end: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = start; at < end;) {
    const length = buffer.readUIntLE(at, 3);
    parts.push(buffer.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return Buffer.concat(parts);
}
