import type { Socket } from 'node:net';
import { FrameQueue } from '../../frame-queue.ts';
import type { ReadMemory } from '../../read-buffer.ts';

/** Whole CopyData frames: payload i is `buffer[frames[2i], frames[2i+1])`. */
export interface CopyChunk {
  readonly buffer: Buffer;
  readonly frames: Int32Array;
  /** What they lie in, held for the consumer: they stay as they are until it drops it. */
  readonly memory?: ReadMemory;
}

const HIGH_WATER = 512 * 1024;
const NO_FRAMES: CopyChunk = { buffer: Buffer.alloc(0), frames: new Int32Array(0) };

/** Frames of a COPY. `lazy`: see FrameQueue. */
export class CopyQueue extends FrameQueue<CopyChunk> {
  readonly zeroHeaders: boolean;

  constructor(
    socket: Socket,
    { zeroHeaders, lazy }: { readonly zeroHeaders: boolean; readonly lazy: boolean },
  ) {
    super(socket, { none: NO_FRAMES, highWater: HIGH_WATER, lazy });
    this.zeroHeaders = zeroHeaders;
  }
}
