/** Text in any character set of MySQL and MariaDB → string, as the server itself would convert it. */
import '../../buffer-slices.ts';
import { PAIR_TABLES, type PairTable, PREFIXED_TABLES } from './east-asian-charsets.ts';
import { SWE7, UPPER_HALVES } from './eight-bit-charsets.ts';

/** The text in [start, end). What the character set has no character for is U+FFFD. */
export type DecodeText = (buffer: Buffer, start: number, end: number) => string;

const NOTHING = 0xfffd;

const decoders = new Map<string, DecodeText>();

/** By the character set's name; UTF-8 for one that is not known, as which names and comments come too. */
export function decoderOf(charset: string | null): DecodeText {
  const name = charset ?? 'utf8mb4';
  let decoder = decoders.get(name);
  if (decoder === undefined) decoders.set(name, (decoder = makeDecoder(name)));
  return decoder;
}

/** Whether the bytes below 0x80 always are the characters of ASCII. */
export function isAsciiSuperset(charset: string): boolean {
  return !OTHERS.has(charset);
}

/** Whether bytes are UTF-8 as they are: always, where all of them are ASCII, or never. Null: they are no text. */
export function utf8ness(charset: string | null): Utf8ness {
  if (charset === null) return 'never';
  return UTF8.has(charset) ? 'always' : isAsciiSuperset(charset) ? 'where-ascii' : 'never';
}

export type Utf8ness = 'always' | 'where-ascii' | 'never';

const UTF8: ReadonlySet<string> = new Set(['utf8mb4', 'utf8mb3', 'utf8', 'ascii']);
const OTHERS: ReadonlySet<string> = new Set(['ucs2', 'utf16', 'utf16le', 'utf32', 'swe7']);

function makeDecoder(name: string): DecodeText {
  switch (name) {
    case 'latin1':
      return decodeLatin1;
    case 'ucs2':
    case 'utf16':
      return decodeUtf16Be;
    case 'utf16le':
      return (buffer, start, end) => buffer.toString('utf16le', start, end);
    case 'utf32':
      return decodeUtf32;
    default:
  }
  if (name in UPPER_HALVES) return eightBit(name);
  if (name in PAIR_TABLES) return eastAsian(name);
  return (buffer, start, end) => buffer.utf8Slice(start, end);
}

const LATIN1_CODES = codesOf('latin1');

/** cp1252: only 0x80 to 0x9f differ from ISO 8859-1. */
function decodeLatin1(buffer: Buffer, start: number, end: number): string {
  for (let i = start; i < end; i++) {
    if ((buffer[i]! & 0xe0) === 0x80) return decodeByCodes(LATIN1_CODES, buffer, start, end);
  }
  return buffer.latin1Slice(start, end);
}

function eightBit(name: string): DecodeText {
  const codes = codesOf(name);
  return (buffer, start, end) => {
    for (let i = start; i < end; i++) {
      const byte = buffer[i]!;
      if (codes[byte] !== byte) return decodeByCodes(codes, buffer, start, end);
    }
    return buffer.latin1Slice(start, end);
  };
}

function codesOf(name: string): Uint16Array {
  const codes = Uint16Array.from({ length: 256 }, (_, byte) => byte);
  const upper = UPPER_HALVES[name] ?? '';
  for (let i = 0; i < 128; i++) codes[128 + i] = upper[i] === '?' ? NOTHING : upper.charCodeAt(i);
  if (name === 'swe7')
    for (const [byte, character] of SWE7) codes[byte] = character === '?' ? NOTHING : character.charCodeAt(0);
  return codes;
}

function decodeByCodes(codes: Uint16Array, buffer: Buffer, start: number, end: number): string {
  const units = new Uint16Array(end - start);
  for (let i = start; i < end; i++) units[i - start] = codes[buffer[i]!]!;
  return textOf(units, units.length);
}

/** One table look-up a character; the bytes of ASCII are themselves in all of them. */
function eastAsian(name: string): DecodeText {
  let pairs: PairTable | null = null;
  let prefixed: PairTable | null = null;
  const euc = name in PREFIXED_TABLES;
  const kana = name === 'sjis' || name === 'cp932';
  const four = name === 'gb18030';
  return (buffer, start, end) => {
    let i = start;
    while (i < end && buffer[i]! < 0x80) i++;
    if (i === end) return buffer.latin1Slice(start, end);
    pairs ??= PAIR_TABLES[name]!();
    if (euc) prefixed ??= PREFIXED_TABLES[name]!();
    const units = new Uint16Array(2 * (end - start));
    let length = 0;
    for (let at = start; at < end;) {
      const lead = buffer[at]!;
      if (lead < 0x80) {
        units[length++] = lead;
        at++;
      } else if (kana && lead >= 0xa1 && lead <= 0xdf) {
        units[length++] = 0xff61 + lead - 0xa1;
        at++;
      } else if (euc && lead === 0x8e) {
        units[length++] = halfWidthKana(at + 1 < end ? buffer[at + 1]! : 0);
        at += 2;
      } else if (euc && lead === 0x8f) {
        const pair = at + 2 < end ? (buffer[at + 1]! << 8) | buffer[at + 2]! : 0;
        units[length++] = prefixed![pair]! || NOTHING;
        at += 3;
      } else if (four && at + 3 < end && isDigit(buffer[at + 1]!)) {
        length = fourBytes(buffer, at, units, length);
        at += 4;
      } else {
        const pair = at + 1 < end ? (lead << 8) | buffer[at + 1]! : 0;
        units[length++] = pairs[pair]! || NOTHING;
        at += 2;
      }
    }
    return textOf(units, length);
  };
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function halfWidthKana(byte: number): number {
  return byte >= 0xa1 && byte <= 0xdf ? 0xff61 + byte - 0xa1 : NOTHING;
}

const GB18030 = new TextDecoder('gb18030');

function fourBytes(buffer: Buffer, at: number, units: Uint16Array, length: number): number {
  const text = GB18030.decode(buffer.subarray(at, at + 4));
  units[length] = text.charCodeAt(0);
  if (text.length === 1) return length + 1;
  units[length + 1] = text.charCodeAt(1);
  return length + 2;
}

function decodeUtf16Be(buffer: Buffer, start: number, end: number): string {
  const length = (end - start) >> 1;
  const units = new Uint16Array(length);
  for (let i = 0, at = start; i < length; i++, at += 2) units[i] = (buffer[at]! << 8) | buffer[at + 1]!;
  return textOf(units, length);
}

function decodeUtf32(buffer: Buffer, start: number, end: number): string {
  const units = new Uint16Array((end - start) >> 1);
  let length = 0;
  for (let at = start; at + 3 < end; at += 4) {
    const code = buffer.readUInt32BE(at);
    if (code < 0x10000) {
      units[length++] = code;
    } else if (code > 0x10ffff) {
      units[length++] = NOTHING;
    } else {
      units[length++] = 0xd7c0 + (code >> 10);
      units[length++] = 0xdc00 | (code & 0x3ff);
    }
  }
  return textOf(units, length);
}

/** Code units of this machine's own byte order, which is little-endian wherever Node runs Headwater. */
function textOf(units: Uint16Array, length: number): string {
  return Buffer.from(units.buffer, units.byteOffset, 2 * length).toString('utf16le');
}
