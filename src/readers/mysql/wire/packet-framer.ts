import type { EventChunk } from './event-queue.ts';
import { MysqlConnectionError, type MysqlError, parseErrorPacket } from './mysql-error.ts';
import { PacketCutter } from './packet-cutter.ts';

export type Framed =
  | { readonly kind: 'events'; readonly chunk: EventChunk }
  | { readonly kind: 'error'; readonly error: MysqlError }
  | { readonly kind: 'end' };

/** Takes the events out of the packets of a binlog dump (0x00 and the event; 0xff error; 0xfe end). */
export class PacketFramer {
  readonly #cutter = new PacketCutter();
  #out: Framed[] = [];
  #frames: number[] = [];

  /** What is complete now, in order. Throws MysqlConnectionError where it is no such stream. */
  push(data: Buffer): Framed[] {
    this.#out = [];
    this.#cutter.push(data, this.#packet, this.#flush);
    return this.#out;
  }

  readonly #packet = (buffer: Buffer, start: number, end: number): void => {
    const status = end > start ? buffer[start] : undefined;
    if (status === 0) {
      this.#frames.push(start + 1, end);
      return;
    }
    this.#flush(buffer);
    if (status === 0xff)
      this.#out.push({ kind: 'error', error: parseErrorPacket(buffer.subarray(start, end)) });
    else if (status === 0xfe) this.#out.push({ kind: 'end' });
    else throw new MysqlConnectionError('protocol', 'The server sent something else than a binlog event');
  };

  readonly #flush = (buffer: Buffer): void => {
    const frames = this.#frames;
    if (frames.length === 0) return;
    this.#frames = [];
    this.#out.push({ kind: 'events', chunk: { buffer, frames } });
  };
}
