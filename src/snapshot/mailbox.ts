/** Wakes one waiting loop. A `notify` that nobody waits for is remembered until the next `wait`. */
export class Mailbox {
  #news = false;
  #wake: (() => void) | null = null;

  readonly notify = (): void => {
    this.#news = true;
    this.#wake?.();
    this.#wake = null;
  };

  async wait(): Promise<void> {
    if (!this.#news) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#news = false;
  }
}
