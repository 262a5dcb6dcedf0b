import '../../buffer-slices.ts';
import { misplaced, truncated } from './byte-cursor.ts';
import { decimalText } from './decimal.ts';

/**
 * MySQL's binary JSON (sql/json_binary.h), printed as the server prints it: CAST(… AS CHAR). Arrays and objects begin
 * with a count and a size, of two bytes each in small ones and of four in large ones; then the entries of the keys
 * (offset, length 2), then those of the values (type 1, offset or the value itself), offsets from the count on.
 */
const TYPE = {
  smallObject: 0,
  largeObject: 1,
  smallArray: 2,
  largeArray: 3,
  literal: 4,
  int16: 5,
  uint16: 6,
  int32: 7,
  uint32: 8,
  int64: 9,
  uint64: 10,
  double: 11,
  string: 12,
  opaque: 15,
} as const;

/** The server's own limit (JSON_DOCUMENT_MAX_DEPTH). */
const MAX_DEPTH = 100;

/** An empty value is what the server stores for JSON null in columns that were made NOT NULL later. */
export function jsonText(buffer: Buffer, start: number, end: number): string {
  if (start === end) return 'null';
  return new JsonPrinter(buffer, start, end).value(buffer[start]!, start + 1, 0);
}

class JsonPrinter {
  readonly #buffer: Buffer;
  readonly #end: number;
  /** Bytes that no container or text has been read from. The server writes each once and points to it once. */
  #unread: number;

  constructor(buffer: Buffer, start: number, end: number) {
    this.#buffer = buffer;
    this.#end = end;
    this.#unread = end - start;
  }

  value(type: number, at: number, depth: number): string {
    const buffer = this.#buffer;
    switch (type) {
      case TYPE.smallObject:
      case TYPE.largeObject:
      case TYPE.smallArray:
      case TYPE.largeArray:
        return this.#container(type, at, depth);
      case TYPE.literal:
        return literal(this.#byte(at));
      case TYPE.int16:
        this.#need(at, 2);
        return String(buffer.readInt16LE(at));
      case TYPE.uint16:
        this.#need(at, 2);
        return String(buffer.readUInt16LE(at));
      case TYPE.int32:
        this.#need(at, 4);
        return String(buffer.readInt32LE(at));
      case TYPE.uint32:
        this.#need(at, 4);
        return String(buffer.readUInt32LE(at));
      case TYPE.int64:
        this.#need(at, 8);
        return String(buffer.readBigInt64LE(at));
      case TYPE.uint64:
        this.#need(at, 8);
        return String(buffer.readBigUInt64LE(at));
      case TYPE.double:
        this.#need(at, 8);
        return doubleText(buffer.readDoubleLE(at));
      case TYPE.string: {
        const [from, to] = this.#sized(at);
        return quoteJson(buffer.utf8Slice(from, to));
      }
      case TYPE.opaque: {
        const fieldType = this.#byte(at);
        const [from, to] = this.#sized(at + 1);
        return opaqueText(fieldType, buffer, from, to);
      }
      default:
        throw misplaced('a JSON value of an unknown type');
    }
  }

  #container(type: number, at: number, depth: number): string {
    if (depth > MAX_DEPTH) throw misplaced('a JSON value nested too deeply');
    const buffer = this.#buffer;
    const large = type === TYPE.largeObject || type === TYPE.largeArray;
    const isObject = type === TYPE.smallObject || type === TYPE.largeObject;
    const width = large ? 4 : 2;
    this.#need(at, width * 2);
    const count = this.#offset(at, large);
    const keys = at + width * 2;
    const values = keys + (isObject ? count * (width + 2) : 0);
    this.#read(at, values - at + count * (width + 1));
    let text = isObject ? '{' : '[';
    for (let i = 0; i < count; i++) {
      if (i > 0) text += ', ';
      if (isObject) {
        const entry = keys + i * (width + 2);
        const from = at + this.#offset(entry, large);
        const length = buffer.readUInt16LE(entry + width);
        this.#read(from, length);
        text += `${quoteJson(buffer.utf8Slice(from, from + length))}: `;
      }
      const entry = values + i * (width + 1);
      const valueType = this.#byte(entry);
      const inline = isInline(valueType, large);
      // A container lies behind the entries that point to it: none can hold itself.
      const place = inline ? entry + 1 : at + this.#offset(entry + 1, large);
      if (!inline && place < values + count * (width + 1)) throw misplaced('a JSON value that holds itself');
      text += this.value(valueType, place, depth + 1);
    }
    return text + (isObject ? '}' : ']');
  }

  #offset(at: number, large: boolean): number {
    return large ? this.#buffer.readUInt32LE(at) : this.#buffer.readUInt16LE(at);
  }

  /** Length in seven bits a byte, the lowest first, then so many bytes. */
  #sized(start: number): readonly [number, number] {
    let at = start;
    let length = 0;
    for (let scale = 1, i = 0; i < 5; i++, scale *= 128) {
      const byte = this.#byte(at++);
      length += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        this.#read(at, length);
        return [at, at + length];
      }
    }
    throw misplaced('a JSON string of impossible length');
  }

  #byte(at: number): number {
    this.#need(at, 1);
    return this.#buffer[at]!;
  }

  /** Entries that share what they point to would make a few bytes into gigabytes of text. */
  #read(at: number, bytes: number): void {
    this.#need(at, bytes);
    this.#unread -= bytes;
    if (this.#unread < 0) throw misplaced('a JSON value whose parts lie in each other');
  }

  #need(at: number, bytes: number): void {
    if (at + bytes > this.#end) throw truncated();
  }
}

function isInline(type: number, large: boolean): boolean {
  if (type === TYPE.literal || type === TYPE.int16 || type === TYPE.uint16) return true;
  return large && (type === TYPE.int32 || type === TYPE.uint32);
}

function literal(value: number): string {
  if (value === 0) return 'null';
  if (value === 1) return 'true';
  if (value === 2) return 'false';
  throw misplaced('a JSON literal that is none');
}

/** Shortest form that reads back the same, always with a fraction or an exponent (my_gcvt). */
function doubleText(value: number): string {
  const text = Object.is(value, -0) ? '-0.0' : String(value);
  const exponent = /^(-?)(\d)(?:\.(\d+))?e([+-])(\d+)$/.exec(text);
  if (exponent !== null) {
    const [, sign, first, rest = '', way, digits] = exponent;
    return `${sign}${first}${rest === '' ? '' : `.${rest}`}e${way === '-' ? '-' : ''}${digits}`;
  }
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** As double_quote in sql-common/json_dom.cc: quotes, backslashes and control characters. */
export function quoteJson(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what has to be escaped
  if (!/["\\\u0000-\u001f]/.test(text)) return `"${text}"`;
  // oxlint-disable-next-line no-control-regex -- as above
  return `"${text.replaceAll(/["\\\u0000-\u001f]/g, (c) => ESCAPES[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;
}

/** Values of SQL types that JSON has not: decimals and times are printed, everything else as base64. */
function opaqueText(fieldType: number, buffer: Buffer, from: number, to: number): string {
  switch (fieldType) {
    case 246: {
      if (to - from < 2) throw truncated();
      return decimalText(buffer, from + 2, to, { precision: buffer[from]!, scale: buffer[from + 1]! });
    }
    case 10: // date
    case 7: // timestamp
    case 12: // datetime
    case 11: // time
      if (to - from !== 8) throw misplaced('a time in a JSON value that is none');
      return quoteJson(packedTimeText(fieldType, buffer.readBigInt64LE(from)));
    default:
      return quoteJson(`base64:type${fieldType}:${buffer.toString('base64', from, to)}`);
  }
}

/** The server's longlong of a time: the low 24 bits are microseconds, above them seconds, minutes, hours … */
function packedTimeText(fieldType: number, packed: bigint): string {
  const negative = packed < 0n;
  const value = negative ? -packed : packed;
  const us = Number(value & 0xff_ffffn);
  const upper = value >> 24n;
  const second = Number(upper & 63n);
  const minute = Number((upper >> 6n) & 63n);
  const two = (n: number): string => String(n).padStart(2, '0');
  const fraction = `.${String(us).padStart(6, '0')}`;
  if (fieldType === 11) {
    const hour = Number((upper >> 12n) & 1023n);
    return `${negative ? '-' : ''}${two(hour)}:${two(minute)}:${two(second)}${fraction}`;
  }
  const hour = Number((upper >> 12n) & 31n);
  const day = Number((upper >> 17n) & 31n);
  const yearMonth = Number(upper >> 22n);
  const date = `${String(Math.floor(yearMonth / 13)).padStart(4, '0')}-${two(yearMonth % 13)}-${two(day)}`;
  return fieldType === 10 ? date : `${date} ${two(hour)}:${two(minute)}:${two(second)}${fraction}`;
}
