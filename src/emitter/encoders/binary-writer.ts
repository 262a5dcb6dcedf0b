/**
 * What Avro and Protobuf are made of, written into one buffer that is used again for every record: varints,
 * strings with their length in front, IEEE numbers. Nearly everything in a record is short and ASCII, and for
 * that a loop over char codes is cheaper than a native call.
 */
import { isoDate } from './iso-time.ts';

/** Node's own method behind `buffer.write`, without its handling of arguments; not in the type definitions. */
interface WritableBuffer extends Buffer {
  utf8Write(text: string, at: number): number;
}

/** Past this many characters or bytes a native call is cheaper than a loop. */
const LOOP = 48;
const KEPT_DAYS = 64;
const US_PER_DAY = 86_400_000_000;
const TWO_28 = 0x1000_0000;
/** Views of the buffer are kept by their length, up to this one: most records of a table differ little in it. */
const KEPT_VIEWS = 8192;

/** Three digits of each number below 1,000, with zeros in front. */
const DIGITS = Buffer.from(Array.from({ length: 1000 }, (_, n) => String(n).padStart(3, '0')).join(''));

function twoDigits(buffer: Uint8Array, at: number, n: number): void {
  buffer[at] = DIGITS[n * 3 + 1]!;
  buffer[at + 1] = DIGITS[n * 3 + 2]!;
}

function threeDigits(buffer: Uint8Array, at: number, n: number): void {
  buffer[at] = DIGITS[n * 3]!;
  buffer[at + 1] = DIGITS[n * 3 + 1]!;
  buffer[at + 2] = DIGITS[n * 3 + 2]!;
}

const halves = new Uint32Array(2);
const whole = new BigInt64Array(halves.buffer);

/** Grows as it is written to; `end` gives a view of it, which is good until the next `begin`. */
export class BinaryWriter {
  #buffer: WritableBuffer;
  #view: DataView;
  #views: (Buffer | undefined)[] = [];
  #at = 0;
  /** Dates written last, by the low bits of the day: neighbouring rows mostly share theirs. */
  readonly #days = new Float64Array(KEPT_DAYS).fill(NaN);
  readonly #dates = Array.from({ length: KEPT_DAYS }, () => Buffer.alloc(10));

  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity) as Buffer as WritableBuffer;
    this.#view = viewOf(this.#buffer);
  }

  begin(): void {
    this.#at = 0;
  }

  /** What was written since `begin`; valid until the next `begin`. */
  end(): Buffer {
    const length = this.#at;
    if (length >= KEPT_VIEWS) return this.#buffer.subarray(0, length);
    return (this.#views[length] ??= this.#buffer.subarray(0, length));
  }

  get at(): number {
    return this.#at;
  }

  /** A copy of what was written from `start` on. */
  copyFrom(start: number): Buffer {
    return Buffer.from(this.#buffer.subarray(start, this.#at));
  }

  /** The same into a buffer that is large enough, from `to` on. */
  copyInto(target: Buffer, to: number, start: number): void {
    const source = this.#buffer;
    const end = this.#at;
    if (end - start > 4 * LOOP) {
      source.copy(target, to, start, end);
      return;
    }
    for (let i = start, at = to; i < end; i++) target[at++] = source[i]!;
  }

  byte(value: number): void {
    if (this.#at === this.#buffer.length) this.#grow(1);
    this.#buffer[this.#at++] = value;
  }

  bytes(bytes: Uint8Array): void {
    this.part(bytes, 0, bytes.length);
  }

  part(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (this.#buffer.length - this.#at < length) this.#grow(length);
    if (length > 2 * LOOP) {
      this.#buffer.set(from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to), this.#at);
    } else {
      const buffer = this.#buffer;
      let at = this.#at;
      for (let i = from; i < to; i++) buffer[at++] = bytes[i]!;
    }
    this.#at += length;
  }

  /** Avro's int and long: zigzag, then seven bits a byte. A safe integer. */
  zigzag(n: number): void {
    if (n >= -0x4000_0000 && n < 0x4000_0000) {
      this.#small(((n << 1) ^ (n >> 31)) >>> 0);
    } else if (n >= -0x8_0000_0000_0000 && n <= 0x8_0000_0000_0000) {
      this.#large(n < 0 ? -2 * n - 1 : 2 * n);
    } else {
      this.zigzagBig(BigInt(n));
    }
  }

  /** Of 64 bits. */
  zigzagBig(n: bigint): void {
    whole[0] = n;
    const low = halves[0]!;
    const high = halves[1]! | 0;
    const sign = high >> 31;
    this.#pair(((low << 1) ^ sign) >>> 0, (((high << 1) | (low >>> 31)) ^ sign) >>> 0);
  }

  /** Protobuf's int32 and int64: two's complement of 64 bits, seven bits a byte. A safe integer. */
  varint(n: number): void {
    if (n >= 0) {
      if (n < 0x8000_0000) this.#small(n);
      else this.#large(n);
    } else {
      this.varintBig(BigInt(n));
    }
  }

  /** Of 64 bits. */
  varintBig(n: bigint): void {
    whole[0] = BigInt.asIntN(64, n);
    this.#pair(halves[0]!, halves[1]!);
  }

  float(n: number): void {
    if (this.#buffer.length - this.#at < 4) this.#grow(4);
    this.#view.setFloat32(this.#at, n, true);
    this.#at += 4;
  }

  double(n: number): void {
    if (this.#buffer.length - this.#at < 8) this.#grow(8);
    this.#view.setFloat64(this.#at, n, true);
    this.#at += 8;
  }

  /** UTF-8 with its length in front; `shift` is 1 where lengths are zigzag (Avro), else 0 (Protobuf). */
  string(text: string, shift: 0 | 1): void {
    const { length } = text;
    // LOOP << 1 still is a varint of one byte.
    if (length <= LOOP) {
      if (this.#buffer.length - this.#at <= length) this.#grow(length + 1);
      const buffer = this.#buffer;
      let at = this.#at;
      buffer[at++] = length << shift;
      let i = 0;
      for (; i < length; i++) {
        const c = text.charCodeAt(i);
        if (c > 0x7f) break;
        buffer[at++] = c;
      }
      if (i === length) {
        this.#at = at;
        return;
      }
    }
    const size = Buffer.byteLength(text);
    this.length(size, shift);
    if (this.#buffer.length - this.#at < size) this.#grow(size);
    this.#at += this.#buffer.utf8Write(text, this.#at);
  }

  /** Bytes with their length in front. */
  blob(bytes: Uint8Array, shift: 0 | 1): void {
    this.length(bytes.length, shift);
    this.bytes(bytes);
  }

  length(n: number, shift: 0 | 1): void {
    if (shift === 1) this.#large(n * 2);
    else this.#large(n);
  }

  /** A safe integer as big-endian two's complement in the fewest bytes, with their length in front. */
  twosComplement(n: number, shift: 0 | 1): void {
    let size = 1;
    let limit = 128;
    while (n < -limit || n >= limit) {
      limit *= 256;
      size++;
    }
    if (this.#buffer.length - this.#at <= size) this.#grow(size + 1);
    const buffer = this.#buffer;
    buffer[this.#at] = size << shift;
    // Rounding down leaves the sign in what is left.
    let rest = n;
    for (let at = this.#at + size; at > this.#at; at--) {
      const next = Math.floor(rest / 256);
      buffer[at] = rest - next * 256;
      rest = next;
    }
    this.#at += size + 1;
  }

  /** `2016-11-04T11:51:30.123456Z` with that many digits of the second and its length in front; of a safe integer. */
  instant(us: number, digits: number, shift: 0 | 1): void {
    const day = Math.floor(us / US_PER_DAY);
    const slot = day & (KEPT_DAYS - 1);
    const date = this.#dates[slot]!;
    if (day !== this.#days[slot]) {
      date.write(isoDate(day), 'latin1');
      this.#days[slot] = day;
    }
    if (this.#buffer.length - this.#at < 32) this.#grow(32);
    this.#buffer[this.#at++] = (digits === 0 ? 20 : 21 + digits) << shift;
    this.bytes(date);
    const time = us - day * US_PER_DAY;
    const seconds = Math.floor(time / 1_000_000);
    const minutes = (seconds / 60) | 0;
    const hours = (minutes / 60) | 0;
    const buffer = this.#buffer;
    let at = this.#at;
    buffer[at] = 84;
    twoDigits(buffer, at + 1, hours);
    buffer[at + 3] = 58;
    twoDigits(buffer, at + 4, minutes - hours * 60);
    buffer[at + 6] = 58;
    twoDigits(buffer, at + 7, seconds - minutes * 60);
    at += 9;
    if (digits > 0) {
      buffer[at] = 46;
      const fraction = time - seconds * 1_000_000;
      const thousands = (fraction / 1000) | 0;
      threeDigits(buffer, at + 1, thousands);
      threeDigits(buffer, at + 4, fraction - thousands * 1000);
      at += 1 + digits;
    }
    buffer[at] = 90;
    this.#at = at + 1;
  }

  /** Puts the length of what was written from `start` on in front of it (Protobuf's nested messages). */
  prefix(start: number): void {
    const size = this.#at - start;
    let width = 1;
    for (let limit = 128; size >= limit; limit *= 128) width++;
    if (this.#buffer.length - this.#at < width) this.#grow(width);
    this.#buffer.copyWithin(start + width, start, this.#at);
    this.#at = start;
    this.#large(size);
    this.#at += size;
  }

  #small(n: number): void {
    if (this.#buffer.length - this.#at < 5) this.#grow(5);
    const buffer = this.#buffer;
    let rest = n;
    while (rest > 0x7f) {
      buffer[this.#at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[this.#at++] = rest;
  }

  /** An exact integer from 0 to 2^53. */
  #large(n: number): void {
    if (n < 0x1_0000_0000) {
      this.#small(n >>> 0);
      return;
    }
    if (this.#buffer.length - this.#at < 10) this.#grow(10);
    const buffer = this.#buffer;
    const high = Math.floor(n / TWO_28);
    let low = n - high * TWO_28;
    for (let i = 0; i < 4; i++) {
      buffer[this.#at++] = (low & 0x7f) | 0x80;
      low >>>= 7;
    }
    this.#small(high);
  }

  #pair(low: number, high: number): void {
    if (this.#buffer.length - this.#at < 10) this.#grow(10);
    const buffer = this.#buffer;
    let lo = low;
    let hi = high;
    while (hi !== 0 || lo > 0x7f) {
      buffer[this.#at++] = (lo & 0x7f) | 0x80;
      lo = ((lo >>> 7) | (hi << 25)) >>> 0;
      hi >>>= 7;
    }
    buffer[this.#at++] = lo;
  }

  #grow(more: number): void {
    const needed = this.#at + more;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2)) as Buffer;
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger as WritableBuffer;
    this.#view = viewOf(larger);
    this.#views = [];
  }
}

function viewOf({ buffer, byteOffset, byteLength }: Buffer): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
