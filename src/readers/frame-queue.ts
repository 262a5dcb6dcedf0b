import type { Socket } from 'node:net';

/** Whole frames of a server's stream: frame i is `buffer[frames[2i], frames[2i+1])`. */
export interface FrameChunk {
  readonly buffer: Buffer;
  readonly frames: ArrayLike<number>;
}

/** A read that filled less than this, while data keeps coming, means that we wake too often. */
const SMALL_READ = 64 * 1024;
/** So much within a millisecond is "data keeps coming"; less, and latency matters more. */
const BUSY_BYTES = 8 * 1024;

export interface FrameQueueOptions<C> {
  /** What `wake` is answered with: a chunk without frames. */
  readonly none: C;
  /** Bytes received and not taken at which reading stops; at a quarter of them it goes on. */
  readonly highWater: number;
  /** Stop the socket for a millisecond under load. */
  readonly lazy: boolean;
}

/**
 * Frames between the socket and whoever takes them. Stops the socket when too much lies here. With `lazy` it
 * also stops it for a millisecond under load, so that the kernel gathers what the server sends change by
 * change (measured with a walsender: a third of the CPU, half the time).
 */
export class FrameQueue<C extends FrameChunk> {
  lastReceivedAt = performance.now();
  readonly #socket: Socket;
  readonly #none: C;
  readonly #lazy: boolean;
  readonly #highWater: number;
  readonly #lowWater: number;
  #chunks: C[] = [];
  #bytes = 0;
  #full = false;
  #resting = false;
  #busyBytes = 0;
  #ended: { readonly error: Error | null } | null = null;
  #waiter: { resolve: (chunk: C | null) => void; reject: (error: Error) => void } | null = null;

  constructor(socket: Socket, { none, highWater, lazy }: FrameQueueOptions<C>) {
    this.#socket = socket;
    this.#none = none;
    this.#highWater = highWater;
    this.#lowWater = highWater / 4;
    this.#lazy = lazy;
  }

  get full(): boolean {
    return this.#full;
  }

  push(chunk: C): void {
    if (this.#waiter !== null) {
      const { resolve } = this.#waiter;
      this.#waiter = null;
      resolve(chunk);
      return;
    }
    this.#chunks.push(chunk);
    this.#bytes += size(chunk);
    if (!this.#full && this.#bytes >= this.#highWater) {
      this.#full = true;
      this.#socket.pause();
    }
  }

  /** Called once after each read of the socket. */
  afterRead(bytes: number): void {
    const now = performance.now();
    this.#busyBytes = now - this.lastReceivedAt < 1 ? this.#busyBytes + bytes : bytes;
    this.lastReceivedAt = now;
    if (!this.#lazy || this.#full || this.#resting || this.#ended !== null) return;
    if (bytes < SMALL_READ && this.#busyBytes >= BUSY_BYTES) {
      this.#resting = true;
      this.#socket.pause();
      setTimeout(() => {
        this.#resting = false;
        if (!this.#full) this.#socket.resume();
      }, 1);
    }
  }

  take(): C | null {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return null;
    this.#bytes -= size(chunk);
    if (this.#full && this.#bytes <= this.#lowWater) {
      this.#full = false;
      if (!this.#resting) this.#socket.resume();
    }
    return chunk;
  }

  /** The next frames (none after `wake`), or null when the server ended the stream. One caller at a time. */
  next(): Promise<C | null> {
    const chunk = this.take();
    if (chunk !== null) return Promise.resolve(chunk);
    if (this.#ended !== null) {
      return this.#ended.error === null ? Promise.resolve(null) : Promise.reject(this.#ended.error);
    }
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  /** Resolves a pending `next` with no frames. */
  wake(): void {
    if (this.#waiter !== null) this.push(this.#none);
  }

  end(error: Error | null): void {
    if (this.#ended !== null) return;
    this.#ended = { error };
    const waiter = this.#waiter;
    this.#waiter = null;
    if (error === null) waiter?.resolve(null);
    else waiter?.reject(error);
    if (this.#full) {
      this.#full = false;
      this.#socket.resume();
    }
  }
}

function size({ frames }: FrameChunk): number {
  return frames.length === 0 ? 0 : frames[frames.length - 1]! - frames[0]!;
}
