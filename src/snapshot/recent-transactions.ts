/**
 * The transactions the stream has delivered lately, each with a running number. A transaction can be in the log
 * a moment before other sessions see what it did, so a chunk read after it was delivered may still miss it.
 * Bounded: that moment is microseconds, or the wait for a synchronous standby.
 */
export class RecentTransactions {
  readonly #ids: (string | undefined)[] = [];
  readonly #capacity: number;
  #next = 0;

  constructor(capacity = 8_192) {
    this.#capacity = capacity;
  }

  add(id: string): void {
    if (this.#next > 0 && this.#ids[(this.#next - 1) % this.#capacity] === id) return;
    this.#ids[this.#next++ % this.#capacity] = id;
  }

  /** Everything added so far has a number below this. */
  get mark(): number {
    return this.#next;
  }

  /** Whether one of those added before `mark` is not seen. */
  anyUnseen(mark: number, sees: (tx: string) => boolean): boolean {
    const capacity = this.#capacity;
    for (let i = Math.max(0, this.#next - capacity); i < mark; i++) {
      const id = this.#ids[i % capacity];
      if (id !== undefined && !sees(id)) return true;
    }
    return false;
  }
}
