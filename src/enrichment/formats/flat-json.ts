/**
 * JSON objects whose values are plain, read straight from their bytes: a record of seven fields in a quarter of the time that
 * JSON.parse and a walk over its object take. What is out of the ordinary is left to those.
 */
import type { SqlValue } from '../sql/value.ts';
import type { FieldReader } from './json-values.ts';

/** Names that are known by their bytes. Objects with others are not read here. */
const MOST_NAMES = 64;
/** Of a number: a double gives back so many digits. What is longer may be asked for as it was written. */
const MOST_LENGTH = 15;
const POWERS = Array.from({ length: MOST_LENGTH }, (_, i) => 10 ** i);

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const OPENING = 0x7b;
const CLOSING = 0x7d;
const SPACE = 0x20;
const NOTHING = Buffer.alloc(0);
const REPLACEMENT = '\uFFFD';

interface KnownName {
  readonly bytes: Uint8Array;
  /** Index of the column; −1 for none. */
  readonly column: number;
  /** Number of the name that was learnt behind it. */
  readonly next: number;
}

/** Of a value that has to be read in the general way. */
const OTHER = Symbol('other');

export class FlatJson {
  readonly #fields: FieldReader;
  readonly #names: KnownName[] = [];
  /** By column: the number of the object in which it was met last. */
  readonly #met: Float64Array;
  #object = 0;
  #bytes: Buffer = NOTHING;
  #at = 0;
  /** Of the text that was gone past last. */
  #isAscii = true;

  constructor(fields: FieldReader) {
    this.#fields = fields;
    this.#met = new Float64Array(fields.count);
  }

  /**
   * Appends a value for each column, exactly as `FieldReader` would. False, and nothing appended, where that has to look: the
   * object is not a plain one, or no JSON, or a value does not fit its column.
   */
  read(bytes: Buffer, into: SqlValue[]): boolean {
    const first = into.length;
    this.#bytes = bytes;
    this.#at = 0;
    const read = this.#readFields(into, first);
    // They are part of a larger piece of memory.
    this.#bytes = NOTHING;
    if (!read) into.length = first;
    return read;
  }

  #readFields(into: SqlValue[], first: number): boolean {
    const fields = this.#fields;
    for (let i = 0; i < fields.count; i++) into.push(null);
    this.#object++;
    if (this.#token() !== OPENING) return false;
    for (let guess = 0; ;) {
      if (this.#token() !== QUOTE) return false;
      const known = this.#name(guess);
      if (known === null || this.#token() !== COLON) return false;
      const { column } = known;
      guess = known.next;
      // Of two fields of a column the general way knows which one counts.
      if (column >= 0 && this.#met[column] === this.#object) return false;
      const json = this.#value(column >= 0);
      if (json === OTHER) return false;
      if (column >= 0) {
        this.#met[column] = this.#object;
        const value = json === null ? null : fields.value(column, json);
        if (value === undefined) return false;
        into[first + column] = value;
      }
      const next = this.#token();
      if (next === COMMA) continue;
      return next === CLOSING && Number.isNaN(this.#token());
    }
  }

  /** The next character that is no blank, which it goes past; NaN behind the last one. */
  #token(): number {
    for (;;) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) return NaN;
      if (byte > SPACE || !isBlank(byte)) return byte;
    }
  }

  /** Behind its first quote; goes past the last. Null of a name that is not to be read here. */
  #name(guess: number): KnownName | null {
    const bytes = this.#bytes;
    const from = this.#at;
    // Fields come in the same order, record after record, some of them left out: those behind the last one come first.
    const names = this.#names;
    for (let i = 0; i < names.length; i++) {
      const known = names[guess + i < names.length ? guess + i : guess + i - names.length]!;
      if (!isAt(bytes, from, known.bytes)) continue;
      this.#at = from + known.bytes.length + 1;
      return known;
    }
    const end = this.#textEnd();
    if (end < 0 || !this.#isAscii || names.length >= MOST_NAMES) return null;
    const name = bytes.latin1Slice(from, end);
    const next = names.length + 1;
    const known = { bytes: Buffer.from(name, 'latin1'), column: this.#fields.columnOf(name), next };
    names.push(known);
    return known;
  }

  /** `wanted`: else it is looked at, and that is all. */
  #value(wanted: boolean): string | number | boolean | null | typeof OTHER {
    const first = this.#token();
    if (first === QUOTE) return this.#text(wanted);
    if (first === MINUS) return this.#number(this.#bytes[this.#at++]!, -1);
    if (first >= ZERO && first <= NINE) return this.#number(first, 1);
    if (first === 0x6e) return this.#word('ull') ? null : OTHER;
    if (first === 0x74) return this.#word('rue') ? true : OTHER;
    if (first === 0x66) return this.#word('alse') ? false : OTHER;
    return OTHER;
  }

  #text(wanted: boolean): string | typeof OTHER {
    const bytes = this.#bytes;
    const from = this.#at;
    const end = this.#textEnd();
    if (end < 0) return OTHER;
    if (this.#isAscii) return wanted ? bytes.latin1Slice(from, end) : '';
    const text = bytes.utf8Slice(from, end);
    // It may be no UTF-8.
    return text.includes(REPLACEMENT) ? OTHER : text;
  }

  /** Where the next quote stands, behind which it goes; −1 where an escape, or what no text holds, comes first. */
  #textEnd(): number {
    const bytes = this.#bytes;
    let bits = 0;
    for (let at = this.#at; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        this.#isAscii = bits < 0x80;
        this.#at = at + 1;
        return at;
      }
      if (byte < SPACE || byte === BACKSLASH) return -1;
      bits |= byte;
    }
    return -1;
  }

  #number(first: number, sign: 1 | -1): number | typeof OTHER {
    const bytes = this.#bytes;
    if (!isDigit(first)) return OTHER;
    const start = this.#at;
    let at = start;
    let n = first - ZERO;
    for (; isDigit(bytes[at]!); at++) n = n * 10 + (bytes[at]! - ZERO);
    if (first === ZERO && at > start) return OTHER;
    if (bytes[at] === POINT) {
      const point = at++;
      for (; isDigit(bytes[at]!); at++) n = n * 10 + (bytes[at]! - ZERO);
      const decimals = at - point - 1;
      if (decimals === 0 || at - start >= MOST_LENGTH) return OTHER;
      // Both are exact, so it is rounded once, as the text would be.
      n /= POWERS[decimals]!;
    }
    // The sign counts too. An exponent is not read here; and it may be no number at all.
    if (at - start + (sign < 0 ? 2 : 1) > MOST_LENGTH || !endsValue(bytes[at])) return OTHER;
    // −0 is another number than 0.
    if (n === 0 && sign < 0) return OTHER;
    this.#at = at;
    return sign * n;
  }

  #word(rest: string): boolean {
    for (let i = 0; i < rest.length; i++) if (this.#bytes[this.#at++] !== rest.charCodeAt(i)) return false;
    return true;
  }
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function endsValue(byte: number | undefined): boolean {
  return byte === COMMA || byte === CLOSING || (byte !== undefined && isBlank(byte));
}

function isBlank(byte: number): boolean {
  return byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Whether that name, and a quote behind it, stand there. */
function isAt(bytes: Uint8Array, from: number, name: Uint8Array): boolean {
  const { length } = name;
  if (bytes[from + length] !== QUOTE) return false;
  for (let i = 0; i < length; i++) if (bytes[from + i] !== name[i]) return false;
  return true;
}
