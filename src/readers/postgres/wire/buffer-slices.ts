/**
 * Node's own decoders behind Buffer.toString, without its look-up of the encoding's name. They are part of
 * every Node since 0.x and missing in @types/node.
 */
declare global {
  // The parameter list must match @types/node's declaration.
  interface Buffer<TArrayBuffer extends ArrayBufferLike = ArrayBufferLike> extends Uint8Array<TArrayBuffer> {
    latin1Slice(start: number, end: number): string;
    utf8Slice(start: number, end: number): string;
  }
}

export {};
