/**
 * A queue between many producers and one consumer, bounded by bytes: `push` waits while more than `limit` bytes
 * are queued. One item over the limit is always let in, so a huge item cannot block itself.
 */
export class ByteQueue<T> {
  readonly #limit: number;
  readonly #items: { readonly item: T; readonly bytes: number }[] = [];
  #bytes = 0;
  #closed = false;
  #failure: { readonly error: unknown } | null = null;
  #producers: (() => void)[] = [];
  #consumer: (() => void) | null = null;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** False when the queue was closed meanwhile: the item is dropped and the producer should end. */
  async push(item: T, bytes: number): Promise<boolean> {
    while (!this.#ended() && this.#bytes > 0 && this.#bytes + bytes > this.#limit) {
      await new Promise<void>((resolve) => this.#producers.push(resolve));
    }
    if (this.#ended()) return false;
    this.#items.push({ item, bytes });
    this.#bytes += bytes;
    this.#wakeConsumer();
    return true;
  }

  /** What is queued is still taken, then `take` answers null. */
  close(): void {
    this.#closed = true;
    this.#wakeConsumer();
    this.#wakeProducers();
  }

  /** What is queued is dropped; the next `take` throws. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wakeConsumer();
    this.#wakeProducers();
  }

  /** Null when the queue is closed and empty. */
  async take(): Promise<T | null> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure.error;
      // Shifted, not counted past: a queue that is never empty must not keep what has been taken.
      const next = this.#items.shift();
      if (next !== undefined) {
        this.#bytes -= next.bytes;
        this.#wakeProducers();
        return next.item;
      }
      if (this.#closed) return null;
      await new Promise<void>((resolve) => (this.#consumer = resolve));
    }
  }

  #ended(): boolean {
    return this.#closed || this.#failure !== null;
  }

  #wakeConsumer(): void {
    this.#consumer?.();
    this.#consumer = null;
  }

  #wakeProducers(): void {
    const waiting = this.#producers;
    if (waiting.length === 0) return;
    this.#producers = [];
    for (const wake of waiting) wake();
  }
}
