import '../../buffer-slices.ts';
import { HeadwaterError } from '../../../errors/headwater-error.ts';

/**
 * A place in an event. Reads past `end` throw `source.protocol`; lengths in the data never make anything bigger
 * than the data.
 */
export class ByteCursor {
  buffer: Buffer;
  at: number;
  end: number;
  /** The bytes from `textStart` on, each as the character of its number: values of ASCII are slices of it. */
  text = '';
  /** Below zero where there is no such text. */
  textStart = -1;

  constructor(buffer: Buffer, at: number, end: number) {
    this.buffer = buffer;
    this.at = at;
    this.end = end;
  }

  /** Moves past `bytes` and returns where they begin. */
  take(bytes: number): number {
    const from = this.at;
    if (bytes > this.end - from) throw truncated();
    this.at = from + bytes;
    return from;
  }

  uint8(): number {
    return this.buffer[this.take(1)]!;
  }

  uint16(): number {
    return this.buffer.readUInt16LE(this.take(2));
  }

  uint32(): number {
    return this.buffer.readUInt32LE(this.take(4));
  }

  /** Exact to 2^53. */
  uint48(): number {
    return this.buffer.readUIntLE(this.take(6), 6);
  }

  /** Exact to 2^53. */
  uint64(): number {
    const from = this.take(8);
    return this.buffer.readUInt32LE(from) + this.buffer.readUInt32LE(from + 4) * 0x1_0000_0000;
  }

  /** The client protocol's packed integer. */
  packed(): number {
    const first = this.uint8();
    if (first < 251) return first;
    if (first === 252) return this.uint16();
    if (first === 253) return this.buffer.readUIntLE(this.take(3), 3);
    if (first === 254) return this.uint64();
    throw truncated();
  }

  bytes(length: number): Buffer {
    const from = this.take(length);
    return this.buffer.subarray(from, from + length);
  }

  utf8(length: number): string {
    const from = this.take(length);
    return this.buffer.utf8Slice(from, from + length);
  }

  get left(): number {
    return this.end - this.at;
  }
}

export function truncated(): HeadwaterError {
  return misplaced('an event that ends too early');
}

export function misplaced(what: string): HeadwaterError {
  return new HeadwaterError('source.protocol', `The server’s log holds ${what}.`);
}
