/**
 * Pulls from an iterable one element ahead, without anyone having to await it: `onArrival` is called when
 * there is something to `take`. (A `Promise.race` against the stream's promise would leak.)
 */
export class StreamTap<T> {
  readonly #iterator: AsyncIterator<T>;
  readonly #onArrival: () => void;
  #pending: Promise<void> | null = null;
  #arrived: IteratorResult<T> | null = null;
  #failure: { readonly error: unknown } | null = null;

  constructor(stream: AsyncIterable<T>, onArrival: () => void) {
    this.#iterator = stream[Symbol.asyncIterator]();
    this.#onArrival = onArrival;
  }

  /** Asks for the next element unless one is under way or waiting to be taken. */
  pull(): void {
    if (this.#pending !== null || this.#arrived !== null || this.#failure !== null) return;
    this.#pending = this.#iterator.next().then(
      (result) => {
        this.#pending = null;
        this.#arrived = result;
        this.#onArrival();
      },
      (error: unknown) => {
        this.#pending = null;
        this.#failure = { error };
        this.#onArrival();
      },
    );
  }

  /** Null where nothing has arrived. Throws what the stream threw. */
  take(): IteratorResult<T> | null {
    if (this.#failure !== null) throw this.#failure.error;
    const arrived = this.#arrived;
    this.#arrived = null;
    return arrived;
  }

  /** The rest of the stream, beginning with what has been asked for already. */
  async *rest(): AsyncGenerator<T> {
    for (;;) {
      this.pull();
      if (this.#pending !== null) await this.#pending;
      const next = this.take();
      if (next === null || next.done === true) return;
      yield next.value;
    }
  }

  /** Ends the stream; for a consumer that stops early. */
  async end(): Promise<void> {
    if (this.#failure !== null) return;
    const pending = this.#pending;
    // Queued behind what is under way; a generator ends there.
    const returned = this.#iterator.return?.();
    await pending;
    await returned;
  }
}
