/** Lengths of the text protocol: one byte, or a head and two, three or eight. */
export const NULL_CELL = 0xfb;

/** Bytes of a length that begins with `head` (which is not NULL's). */
export function lengthBytes(head: number): number {
  if (head < NULL_CELL) return 1;
  return head === 0xfc ? 3 : head === 0xfd ? 4 : 9;
}

export function cellLength(buffer: Buffer, at: number): number {
  const head = buffer[at]!;
  if (head < NULL_CELL) return head;
  if (head === 0xfc) return buffer.readUInt16LE(at + 1);
  if (head === 0xfd) return buffer.readUIntLE(at + 1, 3);
  return buffer.readUIntLE(at + 1, 6);
}
