/** Avro's binary encoding, read from front to back. Nothing is allocated beyond what the values need. */
import { bigintValue } from '../sql/value.ts';

/** Thrown where the bytes are not what the schema says; one object, since a topic may be full of such records. */
export const UNREADABLE = new Error('The bytes are not of their schema.');

/** Records within records: hostile bytes could otherwise fill the stack. */
const MOST_NESTED = 200;
const TWO_28 = 0x1000_0000;
const TWO_56 = 0x100_0000_0000_0000;
/** Up to here bytes of a decimal make an exact double. */
const SMALL_DECIMAL = 6;

export class AvroInput {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;
  #nested = 0;
  /** Items of arrays and maps that there may still be. */
  #items = 0;
  /** Records that there may still be: those without fields take no bytes, and few may hold each other many times. */
  #records = 0;

  begin(bytes: Uint8Array, at: number): void {
    this.#bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = at;
    this.#end = bytes.length;
    this.#nested = 0;
    this.#items = bytes.length;
    this.#records = bytes.length * MOST_NESTED;
  }

  get ended(): boolean {
    return this.#at === this.#end;
  }

  boolean(): boolean {
    const byte = this.#bytes[this.#at++];
    if (byte !== 0 && byte !== 1) throw UNREADABLE;
    return byte === 1;
  }

  /** Zigzag in at most 32 bits. */
  int(): number {
    const n = this.long();
    if (typeof n !== 'number' || n !== (n | 0)) throw UNREADABLE;
    return n;
  }

  /** Zigzag: a number where it is safe, else a bigint. */
  long(): number | bigint {
    const bytes = this.#bytes;
    let at = this.#at;
    // Behind the end of the buffer there is `undefined`, which makes 0 here and is found out below.
    let byte = bytes[at++]!;
    let low = byte & 0x7f;
    let shift = 7;
    while (byte > 0x7f && shift < 28) {
      byte = bytes[at++]!;
      low |= (byte & 0x7f) << shift;
      shift += 7;
    }
    if (byte > 0x7f) return this.#longer(low, at);
    if (at > this.#end) throw UNREADABLE;
    this.#at = at;
    return (low >>> 1) ^ -(low & 1);
  }

  /** What comes behind the first 28 bits. */
  #longer(low: number, from: number): number | bigint {
    const bytes = this.#bytes;
    let at = from;
    let byte = 0x80;
    let middle = 0;
    for (let shift = 0; byte > 0x7f && shift < 28; shift += 7) {
      byte = bytes[at++]!;
      middle |= (byte & 0x7f) << shift;
    }
    let high = 0;
    for (let shift = 0; byte > 0x7f; shift += 7) {
      // Ten bytes hold 64 bits; the last one of them a single bit.
      if (shift > 7) throw UNREADABLE;
      byte = bytes[at++]!;
      high |= (byte & 0x7f) << shift;
    }
    if (at > this.#end || high > 0xff) throw UNREADABLE;
    this.#at = at;
    const n = low + middle * TWO_28 + high * TWO_56;
    if (n <= Number.MAX_SAFE_INTEGER) return n % 2 === 0 ? n / 2 : -(n + 1) / 2;
    const whole = BigInt(low) + BigInt(middle) * BigInt(TWO_28) + BigInt(high) * BigInt(TWO_56);
    return bigintValue((whole >> 1n) ^ -(whole & 1n)) ?? 0;
  }

  float(): number {
    const at = this.#advance(4);
    return this.#bytes.readFloatLE(at);
  }

  double(): number {
    const at = this.#advance(8);
    return this.#bytes.readDoubleLE(at);
  }

  string(): string {
    const at = this.#advance(this.#length());
    return this.#bytes.utf8Slice(at, this.#at);
  }

  /** A copy: the record's memory is not the row's. */
  bytes(length = this.#length()): Buffer {
    const at = this.#advance(length);
    return Buffer.from(this.#bytes.subarray(at, this.#at));
  }

  /** Big-endian two's complement; `length` of a fixed. */
  unscaled(length = this.#length()): bigint {
    const at = this.#advance(length);
    const bytes = this.#bytes;
    if (length === 0) return 0n;
    if (length <= SMALL_DECIMAL) return BigInt(bytes.readIntBE(at, length));
    const digits = BigInt(`0x${bytes.hexSlice(at, this.#at)}`);
    return BigInt.asIntN(length * 8, digits);
  }

  skip(length = this.#length()): void {
    this.#advance(length);
  }

  /** Index of a union's branch, or of a symbol. */
  index(): number {
    const n = this.int();
    if (n < 0) throw UNREADABLE;
    return n;
  }

  /**
   * The number of items in the next block of an array or map; 0 at its end. Items that take no bytes are none that
   * anybody writes, so a record never has more of them than bytes.
   */
  block(): number {
    let count = this.long();
    if (typeof count !== 'number') throw UNREADABLE;
    if (count < 0) {
      this.long(); // the block's size in bytes
      count = -count;
    }
    this.#items -= count;
    if (this.#items < 0) throw UNREADABLE;
    return count;
  }

  /** Around the fields of a record. */
  enter(): void {
    if (++this.#nested > MOST_NESTED || --this.#records < 0) throw UNREADABLE;
  }

  leave(): void {
    this.#nested--;
  }

  #length(): number {
    const n = this.long();
    if (typeof n !== 'number' || n < 0) throw UNREADABLE;
    return n;
  }

  /** Where the next so many bytes begin; they are read. */
  #advance(length: number): number {
    const at = this.#at;
    if (length > this.#end - at) throw UNREADABLE;
    this.#at = at + length;
    return at;
  }
}
