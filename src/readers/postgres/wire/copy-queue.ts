import type { Socket } from 'node:net';
import type { ReadMemory } from './read-buffer.ts';

/** Whole CopyData frames: payload i is `buffer[frames[2i], frames[2i+1])`. */
export interface CopyChunk {
  readonly buffer: Buffer;
  readonly frames: Int32Array;
  /** What they lie in, held for the consumer: they stay as they are until it drops it. */
  readonly memory?: ReadMemory;
}

/** Bytes received and not taken at which reading stops, and at which it goes on. */
const HIGH_WATER = 512 * 1024;
const LOW_WATER = 128 * 1024;
/** A read that filled less than this, while data keeps coming, means that we wake too often. */
const SMALL_READ = 64 * 1024;
/** So much within a millisecond is "data keeps coming"; less, and latency matters more. */
const BUSY_BYTES = 8 * 1024;

/**
 * Frames between the socket and whoever takes them. Stops the socket when too much lies here. With `lazy` it
 * also stops it for a millisecond under load, so that the kernel gathers what the walsender sends change by
 * change (measured: a third of the CPU, half the time).
 */
export class CopyQueue {
  readonly zeroHeaders: boolean;
  lastReceivedAt = performance.now();
  readonly #socket: Socket;
  readonly #lazy: boolean;
  #chunks: CopyChunk[] = [];
  #bytes = 0;
  #full = false;
  #resting = false;
  #busyBytes = 0;
  #ended: { readonly error: Error | null } | null = null;
  #waiter: { resolve: (chunk: CopyChunk | null) => void; reject: (error: Error) => void } | null = null;

  constructor(socket: Socket, options: { readonly zeroHeaders: boolean; readonly lazy: boolean }) {
    this.#socket = socket;
    this.zeroHeaders = options.zeroHeaders;
    this.#lazy = options.lazy;
  }

  get full(): boolean {
    return this.#full;
  }

  push(chunk: CopyChunk): void {
    if (this.#waiter !== null) {
      const { resolve } = this.#waiter;
      this.#waiter = null;
      resolve(chunk);
      return;
    }
    this.#chunks.push(chunk);
    this.#bytes += size(chunk);
    if (!this.#full && this.#bytes >= HIGH_WATER) {
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

  take(): CopyChunk | null {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return null;
    this.#bytes -= size(chunk);
    if (this.#full && this.#bytes <= LOW_WATER) {
      this.#full = false;
      if (!this.#resting) this.#socket.resume();
    }
    return chunk;
  }

  /** One caller at a time. */
  next(): Promise<CopyChunk | null> {
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
    if (this.#waiter !== null) this.push(NO_FRAMES);
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

const NO_FRAMES: CopyChunk = { buffer: Buffer.alloc(0), frames: new Int32Array(0) };

function size({ frames }: CopyChunk): number {
  return frames.length === 0 ? 0 : frames[frames.length - 1]! - frames[0]!;
}
