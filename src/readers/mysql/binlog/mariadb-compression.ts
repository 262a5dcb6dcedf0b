import { inflateSync } from 'node:zlib';
import { type ByteCursor, misplaced, truncated } from './byte-cursor.ts';
import { EVENT } from './event-types.ts';

/** log_event.cc, binlog_buf_uncompress: 0x80 | bytes of the length, the length big-endian, zlib. */
export function inflateEvent(bytes: Buffer): Buffer {
  const width = (bytes[0] ?? 0) & 7;
  if (width < 1 || width > 4 || bytes.length < 1 + width) throw truncated();
  const maxOutputLength = Math.max(1, bytes.readUIntBE(1, width));
  try {
    return inflateSync(bytes.subarray(1 + width), { maxOutputLength });
  } catch {
    throw misplaced('a compressed event that cannot be inflated');
  }
}

/** A rows event as it was before log_bin_compress: its head is in plain, the rows are deflated. */
export function inflateRows(type: number, cursor: ByteCursor): Buffer {
  const from = cursor.at;
  cursor.take(8);
  if (type >= EVENT.compressedWriteRows) cursor.take(Math.max(0, cursor.uint16() - 2));
  const columns = cursor.packed();
  const images = type === EVENT.compressedUpdateRows || type === EVENT.compressedUpdateRowsV1 ? 2 : 1;
  cursor.take(((columns + 7) >> 3) * images);
  const head = cursor.buffer.subarray(from, cursor.at);
  return Buffer.concat([head, inflateEvent(cursor.bytes(cursor.left))]);
}
