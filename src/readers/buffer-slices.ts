import { isAscii } from 'node:buffer';

declare global {
  /**
   * Node's own decoders behind Buffer.toString, without its look-up of the encoding's name. They are part of
   * every Node since 0.x and missing in @types/node, whose parameter list this must match.
   */
  interface Buffer<TArrayBuffer extends ArrayBufferLike = ArrayBufferLike> extends Uint8Array<TArrayBuffer> {
    latin1Slice(start: number, end: number): string;
    hexSlice(start: number, end: number): string;
    utf8Slice(start: number, end: number): string;
  }
}

/** Whether some byte is not ASCII; in JavaScript for the usual short value, where a native call costs more. */
export function isBeyondAscii(buffer: Buffer, from: number, to: number): boolean {
  if (to - from > 256) return !isAscii(buffer.subarray(from, to));
  for (let i = from; i < to; i++) if (buffer[i]! > 0x7f) return true;
  return false;
}
