/**
 * UTF-8 text written piece by piece into one buffer that is used again for every record. Nearly everything in
 * a record is short and ASCII, and for that a loop over char codes is cheaper than a native call, and far
 * cheaper than a string that is put together only to be written and thrown away.
 */
import { isUtf8 } from 'node:buffer';
import { BASE64_ROOM, shortUnscaled, writeBase64 } from './decimal-bytes.ts';
import { isoDate } from './iso-time.ts';
import type { BytesOut } from '../../schema/source-block.ts';
import { quote } from './json-text.ts';

/** Node's own method behind `buffer.write`, without its handling of arguments; not in the type definitions. */
interface WritableBuffer extends Buffer {
  utf8Write(text: string, at: number): number;
}

/** Past this many characters or bytes a native call is cheaper than a loop. */
const LOOP = 48;
/** Cells up to so many bytes are looked at byte by byte. */
const SHORT_CELL = 256;
const KEPT_DAYS = 64;
const US_PER_DAY = 86_400_000_000;
/** Views of the buffer are kept by their length, up to this one: most records of a table differ little in it. */
const KEPT_VIEWS = 8192;

/** Longer ones are not written by `shortUnscaled`. */
const SHORT_DECIMAL = 16;
const decimalDigits = new Uint16Array(SHORT_DECIMAL);

/** What stands between the digits of `2016-11-04 11:51:30.123456`; 0 where digits stand. */
const SEPARATORS = Uint8Array.from('0000-00-00 00:00:00.000000', (char) =>
  char === '0' ? 0 : char.charCodeAt(0),
);

export interface InstantForm {
  /** Of the second, to be written. */
  readonly digits: number;
  readonly zoned: boolean;
}

/** Grows as it is written to; `end` gives a view of it, which is good until the next `begin`. */
export class Utf8Writer implements BytesOut {
  #buffer: WritableBuffer;
  #views: (Buffer | undefined)[] = [];
  #at = 0;
  /** Dates written last, by the low bits of the day: neighbouring rows mostly share theirs. */
  readonly #days = new Float64Array(KEPT_DAYS).fill(NaN);
  readonly #dates = Array.from({ length: KEPT_DAYS }, () => Buffer.alloc(10));

  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity) as Buffer as WritableBuffer;
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

  bytes(bytes: Uint8Array): void {
    const length = bytes.length;
    if (this.#buffer.length - this.#at < length) this.#grow(length);
    if (length > LOOP) {
      this.#buffer.set(bytes, this.#at);
    } else {
      const buffer = this.#buffer;
      let at = this.#at;
      for (let i = 0; i < length; i++) buffer[at++] = bytes[i]!;
    }
    this.#at += length;
  }

  /** Any text, as it is. */
  text(text: string): void {
    const length = text.length;
    if (this.#buffer.length - this.#at < length * 3) this.#grow(length * 3);
    const buffer = this.#buffer;
    if (length <= LOOP) {
      let at = this.#at;
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
    this.#at += buffer.utf8Write(text, this.#at);
  }

  /** A JSON string. */
  quoted(text: string): void {
    const length = text.length;
    if (length > LOOP) {
      this.text(quote(text));
      return;
    }
    if (this.#buffer.length - this.#at < length + 2) this.#grow(length + 2);
    const buffer = this.#buffer;
    let at = this.#at;
    buffer[at++] = 34;
    for (let i = 0; i < length; i++) {
      const c = text.charCodeAt(i);
      if (c < 32 || c > 0x7f || c === 34 || c === 92) {
        this.text(quote(text));
        return;
      }
      buffer[at++] = c;
    }
    buffer[at++] = 34;
    this.#at = at;
  }

  /** A safe integer. */
  integer(n: number): void {
    if (this.#buffer.length - this.#at < 20) this.#grow(20);
    let rest = n;
    if (n < 0) {
      this.#buffer[this.#at++] = 45;
      rest = -n;
    }
    if (rest < 1_000_000_000) this.#small(rest);
    else {
      // Division of doubles is slow, that of 32-bit integers is not.
      const high = Math.floor(rest / 100_000_000);
      if (high < 1_000_000_000) this.#small(high);
      else this.text(String(high));
      this.#digits(rest - high * 100_000_000, 8);
    }
  }

  /** `"2016-11-04T11:51:30.123456Z"` with that many digits of the second, for years 0 to 9999. */
  instant(us: number, digits: number): void {
    const day = Math.floor(us / US_PER_DAY);
    const slot = day & (KEPT_DAYS - 1);
    const date = this.#dates[slot]!;
    if (day !== this.#days[slot]) {
      date.write(isoDate(day), 'latin1');
      this.#days[slot] = day;
    }
    if (this.#buffer.length - this.#at < 32) this.#grow(32);
    this.#buffer[this.#at++] = 34;
    this.bytes(date);
    const time = us - day * US_PER_DAY;
    const seconds = Math.floor(time / 1_000_000);
    const minutes = (seconds / 60) | 0;
    const hours = (minutes / 60) | 0;
    this.#buffer[this.#at++] = 84;
    this.#digits(hours, 2);
    this.#buffer[this.#at++] = 58;
    this.#digits(minutes - hours * 60, 2);
    this.#buffer[this.#at++] = 58;
    this.#digits(seconds - minutes * 60, 2);
    if (digits > 0) {
      this.#buffer[this.#at++] = 46;
      this.#digits(time - seconds * 1_000_000, 6);
      this.#at -= 6 - digits;
    }
    this.#buffer[this.#at++] = 90;
    this.#buffer[this.#at++] = 34;
  }

  /** Decimal text of `scale` fraction digits as Connect's Decimal in JSON; false, having written nothing, for any other. */
  decimal(text: string, scale: number): boolean {
    const { length } = text;
    if (length > SHORT_DECIMAL) return false;
    for (let i = 0; i < length; i++) decimalDigits[i] = text.charCodeAt(i);
    return this.decimalText(decimalDigits, 0, length, scale);
  }

  /** How much has been written since `begin`. */
  get length(): number {
    return this.#at;
  }

  /** What was written since `length` was `from`, copied. */
  copyFrom(from: number): Uint8Array {
    return Uint8Array.prototype.slice.call(this.#buffer, from, this.#at);
  }

  // What follows takes values as text from `source` and answers false, having written nothing, where the text
  // is not in the usual form: then the value has to be made of it.

  /** A JSON string of UTF-8 that needs no escaping. */
  quotedText(source: Uint8Array, from: number, to: number): boolean {
    const length = to - from;
    if (length > SHORT_CELL) return false;
    if (this.#buffer.length - this.#at < length + 2) this.#grow(length + 2);
    const buffer = this.#buffer;
    let at = this.#at;
    let bits = 0;
    buffer[at++] = 34;
    for (let i = from; i < to; i++) {
      const c = source[i]!;
      if (c < 32 || c === 34 || c === 92) return false;
      bits |= c;
      buffer[at++] = c;
    }
    // A database that knows no encoding lets anything through.
    if (bits > 0x7f && !isUtf8(source.subarray(from, to))) return false;
    buffer[at++] = 34;
    this.#at = at;
    return true;
  }

  /** An integer of up to 19 digits. */
  integerText(source: Uint8Array, from: number, to: number): boolean {
    const negative = source[from] === 45;
    const first = negative ? from + 1 : from;
    const digits = to - first;
    if (digits < 1 || digits > 19 || (source[first] === 48 && (digits > 1 || negative))) return false;
    if (this.#buffer.length - this.#at < 20) this.#grow(20);
    const buffer = this.#buffer;
    let at = this.#at;
    if (negative) buffer[at++] = 45;
    for (let i = first; i < to; i++) {
      const c = source[i]!;
      if ((c - 48) >>> 0 > 9) return false;
      buffer[at++] = c;
    }
    this.#at = at;
    return true;
  }

  /** Decimal text as Connect's Decimal in JSON. */
  decimalText(source: Uint8Array | Uint16Array, from: number, to: number, scale: number): boolean {
    const n = shortUnscaled(source, from, to, scale);
    if (n !== n) return false;
    if (this.#buffer.length - this.#at < BASE64_ROOM + 2) this.#grow(BASE64_ROOM + 2);
    this.#buffer[this.#at++] = 34;
    this.#at = writeBase64(n, this.#buffer, this.#at);
    this.#buffer[this.#at++] = 34;
    return true;
  }

  /** `2016-11-04 11:51:30.123` as `instant` writes it; with `zoned` followed by `+00`. */
  instantText(source: Uint8Array, from: number, to: number, form: InstantForm): boolean {
    const end = form.zoned ? to - 3 : to;
    const length = end - from;
    if (length < 19 || length === 20 || length > 26) return false;
    if (form.zoned && (source[end] !== 43 || source[end + 1] !== 48 || source[end + 2] !== 48)) return false;
    if (this.#buffer.length - this.#at < 32) this.#grow(32);
    const buffer = this.#buffer;
    const { digits } = form;
    const start = this.#at;
    buffer[start] = 34;
    const written = digits === 0 ? 19 : 20 + digits;
    for (let i = 0; i < length; i++) {
      const c = source[from + i]!;
      if (SEPARATORS[i] === 0 ? (c - 48) >>> 0 > 9 : c !== SEPARATORS[i]) return false;
      buffer[start + 1 + i] = c;
    }
    buffer[start + 11] = 84;
    for (let i = length; i < written; i++) buffer[start + 1 + i] = i === 19 ? 46 : 48;
    buffer[start + 1 + written] = 90;
    buffer[start + 2 + written] = 34;
    this.#at = start + 3 + written;
    return true;
  }

  #small(n: number): void {
    let digits = 1;
    for (let limit = 10; n >= limit; limit *= 10) digits++;
    this.#digits(n, digits);
  }

  /** With zeros in front. */
  #digits(n: number, count: number): void {
    const buffer = this.#buffer;
    const from = this.#at;
    let rest = n | 0;
    for (let at = from + count - 1; at >= from; at--) {
      const next = (rest / 10) | 0;
      buffer[at] = 48 + rest - next * 10;
      rest = next;
    }
    this.#at = from + count;
  }

  #grow(more: number): void {
    const needed = this.#at + more;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2)) as Buffer;
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger as WritableBuffer;
    this.#views = [];
  }
}
