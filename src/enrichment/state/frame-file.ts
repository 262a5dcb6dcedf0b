/**
 * Files of frames: length and CRC-32 of the payload, 32 bits each, big-endian, and the payload, UTF-8 text. A frame
 * that was cut off, or differs from what was written, ends the file.
 */
import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

const HEAD = 8;

export function frameOf(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(HEAD + length);
  frame.write(text, HEAD, 'utf8');
  frame.writeUInt32BE(length, 0);
  frame.writeUInt32BE(crc32(frame.subarray(HEAD)), 4);
  return frame;
}

export interface ReadFrame {
  readonly text: string;
  /** Offset behind the frame. */
  readonly end: number;
}

/** The frames from the beginning, as far as they are whole. */
export async function* readFrames(file: FileHandle): AsyncGenerator<ReadFrame> {
  const { size } = await file.stat();
  const head = Buffer.alloc(HEAD);
  let at = 0;
  while (at + HEAD <= size) {
    await file.read(head, 0, HEAD, at);
    const length = head.readUInt32BE(0);
    if (at + HEAD + length > size) return;
    const payload = Buffer.allocUnsafe(length);
    await file.read(payload, 0, length, at + HEAD);
    if (crc32(payload) !== head.readUInt32BE(4)) return;
    at += HEAD + length;
    yield { text: payload.toString('utf8'), end: at };
  }
}
