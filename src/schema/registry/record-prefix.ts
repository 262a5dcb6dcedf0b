/** What stands before a record whose schema lies in a registry: a zero byte, and the id, most significant byte first. */

export const PREFIX_BYTES = 5;

export function registeredPrefix(id: number): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(id, 1);
  return prefix;
}

/** The id in front of a record; −1 where there is none. */
export function registeredId(record: Uint8Array): number {
  if (record.length < PREFIX_BYTES || record[0] !== 0) return -1;
  return ((record[1]! << 24) | (record[2]! << 16) | (record[3]! << 8) | record[4]!) >>> 0;
}
