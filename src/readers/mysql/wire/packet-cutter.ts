import { MysqlConnectionError } from './mysql-error.ts';

/** A packet's payload of this length goes on in the next packet. */
const MAX_PAYLOAD = 0xff_ffff;
/** Larger than max_allowed_packet can be. */
const MAX_WHOLE = 0x4000_0000 + 0x10_0000;

/** Cuts what a socket brings into packets of the client protocol: 3 bytes length, 1 byte sequence, the payload. */
export class PacketCutter {
  /** Begin of a packet, or of several that make up one payload, that is not here to its end. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** Bytes of `#held` without which nothing can be cut. */
  #needed = 0;

  /**
   * Calls `packet` for each whole payload, and `behind` when no more of those come that lie in this buffer.
   * Throws MysqlConnectionError.
   */
  push(
    data: Buffer,
    packet: (buffer: Buffer, start: number, end: number) => void,
    behind: (buffer: Buffer) => void,
  ): void {
    let buffer = data;
    if (this.#heldBytes > 0) {
      this.#held.push(data);
      this.#heldBytes += data.length;
      if (this.#heldBytes < this.#needed) return;
      buffer = Buffer.concat(this.#held, this.#heldBytes);
      this.#held = [];
      this.#heldBytes = 0;
    }
    let at = 0;
    const end = buffer.length;
    while (end - at >= 4) {
      const length = buffer.readUIntLE(at, 3);
      if (length < MAX_PAYLOAD) {
        const next = at + 4 + length;
        if (next > end) {
          this.#hold(buffer, at, 4 + length);
          behind(buffer);
          return;
        }
        packet(buffer, at + 4, next);
        at = next;
        continue;
      }
      behind(buffer);
      const whole = wholeLength(buffer, at);
      if (whole.bytes > MAX_WHOLE) {
        throw new MysqlConnectionError('protocol', 'The server sent a packet of impossible length');
      }
      if (!whole.complete) {
        this.#hold(buffer, at, whole.bytes);
        return;
      }
      const joined = join(buffer, at, at + whole.bytes);
      packet(joined, 0, joined.length);
      behind(joined);
      at += whole.bytes;
    }
    behind(buffer);
    if (at < end) this.#hold(buffer, at, 4);
  }

  #hold(buffer: Buffer, at: number, needed: number): void {
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
