import '../../buffer-slices.ts';

/** What MariaDB's types that other servers have not look like in a row, printed as the server prints them. */

/**
 * Sixteen bytes. UUIDs of versions 1 to 5 are stored with their parts in the opposite order, so that those of one
 * machine lie together (plugin/type_uuid, record_to_memory); later versions and everything else as they are.
 */
export function uuidText(buffer: Buffer, from: number): string {
  const swapped = (buffer[from + 6]! & 0x80) !== 0 && buffer[from + 8]! > 0 && buffer[from + 8]! < 0x60;
  const hex = (at: number, bytes: number): string => buffer.hexSlice(from + at, from + at + bytes);
  return swapped
    ? `${hex(12, 4)}-${hex(10, 2)}-${hex(8, 2)}-${hex(6, 2)}-${hex(0, 6)}`
    : `${hex(0, 4)}-${hex(4, 2)}-${hex(6, 2)}-${hex(8, 2)}-${hex(10, 6)}`;
}

/** INET4 of four bytes, INET6 of sixteen (plugin/type_inet). */
export function addressText(buffer: Buffer, from: number, to: number): string {
  if (to - from === 4) return dotted(buffer, from);
  const words: number[] = [];
  for (let at = from; at < to; at += 2) words.push(buffer.readUInt16BE(at));
  let gap = { at: -1, length: 1 };
  for (let i = 0; i < words.length; i++) {
    let length = 0;
    while (words[i + length] === 0) length++;
    if (length > gap.length) gap = { at: i, length };
    i += length;
  }
  const embedded = gap.at === 0 && (gap.length === 6 || (gap.length === 5 && words[5] === 0xffff));
  if (embedded) return `::${gap.length === 5 ? 'ffff:' : ''}${dotted(buffer, from + 12)}`;
  const text = (part: readonly number[]): string => part.map((word) => word.toString(16)).join(':');
  if (gap.at < 0) return text(words);
  return `${text(words.slice(0, gap.at))}::${text(words.slice(gap.at + gap.length))}`;
}

function dotted(buffer: Buffer, at: number): string {
  return `${buffer[at]}.${buffer[at + 1]}.${buffer[at + 2]}.${buffer[at + 3]}`;
}
