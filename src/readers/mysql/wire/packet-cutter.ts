import type { ReadBuffer, ReadMemory } from '../../read-buffer.ts';
import { MysqlConnectionError } from './mysql-error.ts';

/** A packet's payload of this length goes on in the next packet. */
const MAX_PAYLOAD = 0xff_ffff;
/** Larger than max_allowed_packet can be. */
const MAX_WHOLE = 0x4000_0000 + 0x10_0000;

/** What becomes of packets. */
export interface PacketTaker {
  /** A whole payload, `buffer[start, end)`. */
  packet(buffer: Buffer, start: number, end: number): void;
  /** No more payloads of this buffer come for now. */
  behind(buffer: Buffer): void;
}

/** Frames that a session keeps for whoever takes them. */
export interface PacketChunk {
  readonly buffer: Buffer;
  readonly frames: ArrayLike<number>;
  /** What they lie in, held for the consumer: they stay as they are until it drops it. */
  readonly memory?: ReadMemory;
}

/** Cuts what a socket brings into packets of the client protocol: 3 bytes length, 1 byte sequence, the payload. */
export class PacketCutter {
  readonly #input: ReadBuffer;
  readonly #taker: PacketTaker;
  #noted = 0;
  /** Kept of a payload that was put together of several packets. */
  #joined: number[] = [];

  constructor(input: ReadBuffer, taker: PacketTaker) {
    this.#input = input;
    this.#taker = taker;
  }

  /** Takes the packets that are here. Throws MysqlConnectionError. */
  cut(): void {
    const input = this.#input;
    const taker = this.#taker;
    const { buffer, end, memory } = input;
    this.#noted = memory.noted;
    let at = input.start;
    let expected = 0;
    while (end - at >= 4) {
      const length = buffer.readUIntLE(at, 3);
      if (length < MAX_PAYLOAD) {
        const next = at + 4 + length;
        if (next > end) {
          expected = 4 + length;
          break;
        }
        taker.packet(buffer, at + 4, next);
        at = next;
        continue;
      }
      taker.behind(buffer);
      const whole = wholeLength(buffer, at, end);
      if (whole.bytes > MAX_WHOLE) {
        throw new MysqlConnectionError('protocol', 'The server sent a packet of impossible length');
      }
      if (!whole.complete) {
        expected = whole.bytes;
        break;
      }
      const joined = join(buffer, at, at + whole.bytes);
      taker.packet(joined, 0, joined.length);
      taker.behind(joined);
      at += whole.bytes;
    }
    input.consumed(at);
    taker.behind(buffer);
    // Last: it may move on to other memory.
    if (expected > 0) input.expect(expected);
  }

  /** From within `packet`: what is kept of it for the next chunk. */
  keep(buffer: Buffer, start: number, end: number): void {
    const { memory } = this.#input;
    if (buffer === memory.buffer) memory.frame(start, end);
    else this.#joined.push(start, end);
  }

  /** From within `behind`: what was kept of this buffer; null where that is nothing. */
  chunk(buffer: Buffer): PacketChunk | null {
    const { memory } = this.#input;
    if (buffer !== memory.buffer) {
      const frames = this.#joined;
      this.#joined = [];
      return frames.length === 0 ? null : { buffer, frames };
    }
    if (memory.noted === this.#noted) return null;
    const frames = memory.frames(this.#noted);
    this.#noted = memory.noted;
    memory.hold();
    return { buffer: memory.buffer, frames, memory };
  }
}

/** Bytes of the packets that make up one payload, as far as their headers are here. */
function wholeLength(
  buffer: Buffer,
  start: number,
  end: number,
): { readonly bytes: number; readonly complete: boolean } {
  let at = start;
  for (;;) {
    if (end - at < 4) return { bytes: at + 4 - start, complete: false };
    const length = buffer.readUIntLE(at, 3);
    at += 4 + length;
    if (length < MAX_PAYLOAD) return { bytes: at - start, complete: at <= end };
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
