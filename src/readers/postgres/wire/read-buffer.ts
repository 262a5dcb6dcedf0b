const CAPACITY = 256 * 1024;
/** Less room than this behind the data, and the tail moves to a new buffer. */
const MIN_ROOM = 16 * 1024;

/**
 * Bytes from the socket that no frame has been made of yet. Bytes handed out as frames stay as they are for as
 * long as somebody refers to them: the memory behind them is not written again, another buffer is begun instead.
 */
export class ReadBuffer {
  #buffer = Buffer.allocUnsafeSlow(CAPACITY);
  #start = 0;
  #end = 0;
  /** Where the frame ends that is known to be coming. */
  #expected = 0;

  get buffer(): Buffer {
    return this.#buffer;
  }
  get start(): number {
    return this.#start;
  }
  get end(): number {
    return this.#end;
  }

  /** Where the socket may write next; call `filled` with what it wrote. */
  room(): Buffer {
    // Inside a large frame there is always room: `expect` has seen to that.
    if (this.#end >= this.#expected && this.#buffer.length - this.#end < MIN_ROOM) this.#grow(MIN_ROOM);
    return this.#buffer.subarray(this.#end);
  }

  filled(bytes: number): void {
    this.#end += bytes;
  }

  append(chunk: Uint8Array): void {
    if (this.#buffer.length - this.#end < chunk.length) this.#grow(chunk.length);
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  /** Everything before `position` has been made into frames. */
  consumed(position: number): void {
    this.#start = position;
  }

  /** A frame of this many bytes is coming: makes room for it in one piece, once. */
  expect(bytes: number): void {
    if (this.#start + bytes > this.#buffer.length) this.#grow(bytes - (this.#end - this.#start) + MIN_ROOM);
    this.#expected = this.#start + bytes;
  }

  #grow(more: number): void {
    const kept = this.#end - this.#start;
    const next = Buffer.allocUnsafeSlow(Math.max(CAPACITY, kept + more));
    this.#buffer.copy(next, 0, this.#start, this.#end);
    this.#buffer = next;
    this.#start = 0;
    this.#end = kept;
    this.#expected = 0;
  }
}
