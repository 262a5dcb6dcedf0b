/** Types whose text stands for bytes or numbers in brackets: bytea, bit strings, points, PostGIS, pgvector. */
import { unreadableValue } from '../../unreadable-value.ts';

/** bytea in hex form (`\x0102`), which the session asks for; the escape form of old servers too. */
export function decodeBytea(text: string): Uint8Array {
  if (text.charCodeAt(0) === 92 && text.charCodeAt(1) === 120) {
    const bytes = Buffer.from(text.length === 2 ? '' : text.slice(2), 'hex');
    if (bytes.length * 2 !== text.length - 2) throw unreadableValue('bytea');
    return bytes;
  }
  const bytes: number[] = [];
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c > 126 || c < 32) throw unreadableValue('bytea');
    if (c !== 92) bytes.push(c);
    else if (text[i + 1] === '\\') {
      bytes.push(92);
      i++;
    } else {
      const octal = text.slice(i + 1, i + 4);
      if (!/^[0-3][0-7][0-7]$/.test(octal)) throw unreadableValue('bytea');
      bytes.push(Number.parseInt(octal, 8));
      i += 3;
    }
  }
  return Uint8Array.from(bytes);
}

/** `1010` → little-endian bytes, the last bit of the text being bit 0 (as java.util.BitSet). */
export function decodeBits(text: string): Uint8Array {
  const length = text.length;
  const bytes = new Uint8Array((length + 7) >>> 3);
  for (let i = 0; i < length; i++) {
    const bit = text.charCodeAt(length - 1 - i) - 48;
    if (bit >>> 0 > 1) throw unreadableValue('bit');
    if (bit === 1) bytes[i >>> 3] = (bytes[i >>> 3] ?? 0) | (1 << (i & 7));
  }
  return bytes;
}

/** bit(1) and varbit(1). The empty varbit(1) has no boolean: null would be a lie, so it reads as false. */
export function decodeBit(text: string): boolean {
  if (text === '1') return true;
  if (text === '0' || text === '') return false;
  throw unreadableValue('bit');
}

/** `(x,y)` → [x, y]. */
export function decodePoint(text: string): readonly number[] {
  const comma = text.indexOf(',');
  if (text[0] !== '(' || text.at(-1) !== ')' || comma < 0) throw unreadableValue('point');
  return [coordinate(text.slice(1, comma)), coordinate(text.slice(comma + 1, -1))];
}

function coordinate(text: string): number {
  const n = text === '' ? NaN : Number(text);
  if (n !== n && text !== 'NaN') throw unreadableValue('point');
  return n;
}

/**
 * PostGIS geometry and geography: hex EWKB → [EWKB bytes, srid or null]. The bytes stay whole, as Debezium
 * sends them. Format: byte order, uint32 type with 0x20000000 where an SRID follows (PostGIS, liblwgeom).
 */
export function decodeEwkb(text: string): readonly [Uint8Array, number | null] {
  const bytes = Buffer.from(text, 'hex');
  if (bytes.length * 2 !== text.length || bytes.length < 5) throw unreadableValue('geometry');
  const little = bytes[0] === 1;
  const type = little ? bytes.readUInt32LE(1) : bytes.readUInt32BE(1);
  if ((type & 0x2000_0000) === 0) return [bytes, null];
  if (bytes.length < 9) throw unreadableValue('geometry');
  return [bytes, little ? bytes.readInt32LE(5) : bytes.readInt32BE(5)];
}

/** pgvector's vector and halfvec: `[1,2.5,3]`. */
export function decodeVector(text: string): readonly number[] {
  if (text[0] !== '[' || text.at(-1) !== ']') throw unreadableValue('vector');
  if (text.length === 2) return [];
  return text.slice(1, -1).split(',').map(vectorElement);
}

function vectorElement(text: string): number {
  const n = text === '' ? NaN : Number(text);
  if (n !== n) throw unreadableValue('vector');
  return n;
}
