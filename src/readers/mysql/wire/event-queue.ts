import type { Socket } from 'node:net';

/** Whole binlog events: event i is `buffer[frames[2i], frames[2i+1])`. */
export interface EventChunk {
  readonly buffer: Buffer;
  readonly frames: readonly number[];
}

/** Bytes received and not taken at which reading stops, and at which it goes on. */
const HIGH_WATER = 1024 * 1024;
const LOW_WATER = 256 * 1024;
/** A read that filled less than this, while data keeps coming, means that we wake too often. */
const SMALL_READ = 64 * 1024;
/** So much within a millisecond is "data keeps coming"; less, and latency matters more. */
const BUSY_BYTES = 8 * 1024;

/**
 * Events between the socket and whoever takes them. Stops the socket when too much lies here, and for a
 * millisecond under load, so that the kernel gathers what the dump thread sends event by event.
 */
export class EventQueue {
  lastReceivedAt = performance.now();
  readonly #socket: Socket;
  #chunks: EventChunk[] = [];
  #bytes = 0;
  #full = false;
  #resting = false;
  #busyBytes = 0;
  #ended: { readonly error: Error | null } | null = null;
  #waiter: { resolve: (chunk: EventChunk | null) => void; reject: (error: Error) => void } | null = null;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get full(): boolean {
    return this.#full;
  }

  push(chunk: EventChunk): void {
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
    if (this.#full || this.#resting || this.#ended !== null) return;
    if (bytes < SMALL_READ && this.#busyBytes >= BUSY_BYTES) {
      this.#resting = true;
      this.#socket.pause();
      setTimeout(() => {
        this.#resting = false;
        if (!this.#full) this.#socket.resume();
      }, 1);
    }
  }

  take(): EventChunk | null {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return null;
    this.#bytes -= size(chunk);
    if (this.#full && this.#bytes <= LOW_WATER) {
      this.#full = false;
      if (!this.#resting) this.#socket.resume();
    }
    return chunk;
  }

  /** The next events (none after `wake`), or null when the server ended the stream. One caller at a time. */
  next(): Promise<EventChunk | null> {
    const chunk = this.take();
    if (chunk !== null) return Promise.resolve(chunk);
    if (this.#ended !== null) {
      return this.#ended.error === null ? Promise.resolve(null) : Promise.reject(this.#ended.error);
    }
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  /** Resolves a pending `next` with no events. */
  wake(): void {
    if (this.#waiter !== null) this.push(NO_EVENTS);
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

const NO_EVENTS: EventChunk = { buffer: Buffer.alloc(0), frames: [] };

function size({ frames }: EventChunk): number {
  return frames.length === 0 ? 0 : frames[frames.length - 1]! - frames[0]!;
}
