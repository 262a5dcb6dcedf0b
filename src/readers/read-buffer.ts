const CAPACITY = 256 * 1024;
/** Less room than this behind the data, and the tail moves to a new buffer. */
const MIN_ROOM = 16 * 1024;

/** Two numbers for each frame; of rows of a hundred bytes a buffer holds some 2,500. */
const FRAMES = 4096;
/** Buffers kept for the next need. */
const SPARE = 4;

/** Memory that frames lie in. It is written again once all who held it have dropped it; who never does keeps it. */
export class ReadMemory {
  readonly buffer: Buffer<ArrayBuffer>;
  readonly #onFree: (memory: ReadMemory) => void;
  #holders = 1;
  #frames = new Int32Array(FRAMES);
  #noted = 0;

  /** Held by whoever made it. */
  constructor(bytes: number, onFree: (memory: ReadMemory) => void) {
    this.buffer = Buffer.allocUnsafeSlow(bytes);
    this.#onFree = onFree;
  }

  hold(): void {
    if (this.#holders === 0) this.#noted = 0;
    this.#holders++;
  }

  /** How many numbers `frame` has noted. */
  get noted(): number {
    return this.#noted;
  }

  /** Notes where a frame begins and ends. Noted here, since lists of them would outlive the collector's patience. */
  frame(start: number, end: number): void {
    if (this.#noted === this.#frames.length) {
      const larger = new Int32Array(2 * this.#noted);
      larger.set(this.#frames);
      this.#frames = larger;
    }
    this.#frames[this.#noted++] = start;
    this.#frames[this.#noted++] = end;
  }

  /** The frames noted since `noted` was `from`. */
  frames(from: number): Int32Array {
    return this.#frames.subarray(from, this.#noted);
  }

  /** Once for each `hold`. */
  drop(): void {
    this.#holders--;
    if (this.#holders === 0) this.#onFree(this);
  }
}

/** What the rows of a batch lie in, held once each. */
export class HeldMemory {
  #held = new Set<ReadMemory>();

  hold(memory: ReadMemory): void {
    if (this.#held.has(memory)) return;
    memory.hold();
    this.#held.add(memory);
  }

  /** Hands it over to the batch, which drops it by this, and begins with none. */
  release(): () => void {
    const held = this.#held;
    this.#held = new Set();
    return () => {
      for (const memory of held) memory.drop();
    };
  }
}

/**
 * Bytes from the socket that no frame has been made of yet. Bytes handed out as frames stay as they are for as
 * long as their memory is held: it is not written again, another buffer is begun instead.
 */
export class ReadBuffer {
  readonly #spare: ReadMemory[] = [];
  #memory = this.#newMemory(CAPACITY);
  #start = 0;
  #end = 0;
  /** Where the frame ends that is known to be coming. */
  #expected = 0;

  get buffer(): Buffer {
    return this.#memory.buffer;
  }
  get memory(): ReadMemory {
    return this.#memory;
  }
  get start(): number {
    return this.#start;
  }
  get end(): number {
    return this.#end;
  }

  /** Where the socket may write next; call `filled` with what it wrote. */
  room(): Buffer {
    const { length } = this.#memory.buffer;
    // The end of a large frame has just the room that it needs.
    const fits = this.#end < this.#expected && this.#expected <= length;
    if (!fits && length - this.#end < MIN_ROOM) this.#grow(MIN_ROOM);
    return this.#memory.buffer.subarray(this.#end);
  }

  filled(bytes: number): void {
    this.#end += bytes;
  }

  append(chunk: Uint8Array): void {
    if (this.#memory.buffer.length - this.#end < chunk.length) this.#grow(chunk.length);
    this.#memory.buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** Everything before `position` has been made into frames. */
  consumed(position: number): void {
    this.#start = position;
  }

  /** A frame of this many bytes is coming: makes room for it in one piece, never for more than twice what is here. */
  expect(bytes: number): void {
    this.#expected = this.#start + bytes;
    if (this.#expected > this.#memory.buffer.length) this.#grow(MIN_ROOM);
  }

  #grow(more: number): void {
    const kept = this.#end - this.#start;
    const expected = Math.max(0, this.#expected - this.#start);
    const needed = Math.max(CAPACITY, kept + more, Math.min(expected, 2 * kept) + MIN_ROOM);
    const spare = needed === CAPACITY ? this.#spare.pop() : undefined;
    spare?.hold();
    const next = spare ?? this.#newMemory(needed);
    this.#memory.buffer.copy(next.buffer, 0, this.#start, this.#end);
    this.#memory.drop();
    this.#memory = next;
    this.#start = 0;
    this.#end = kept;
    this.#expected = expected;
  }

  #newMemory(bytes: number): ReadMemory {
    return new ReadMemory(bytes, (memory) => {
      if (bytes === CAPACITY && this.#spare.length < SPARE) this.#spare.push(memory);
    });
  }
}
