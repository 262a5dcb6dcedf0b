/**
 * What an operator asks of a pipeline while it runs. A request is an edit of the durable state: the attempt under
 * way ends at a transaction's end and commits the edit with its position, or the next one commits it first. The next
 * attempt then finds a state that asks for it: a table whose snapshot is not there is read, beside the stream.
 */
export class PipelineControl {
  #edits = new Map<string, string | null>();
  #waiting: { readonly done: () => void }[] = [];
  #attempt = new AbortController();
  #paused: Promise<void> | null = null;
  #resume: (() => void) | null = null;
  /**
   * Lets the source try a condition for the rows of a table (`schema.table`) without reading any; set by the attempt
   * under way, null where there is none. Throws what the source refuses it with.
   */
  tryCondition: ((table: string, where: string, signal: AbortSignal) => Promise<void>) | null = null;

  /** Tables (`schema.table`) that an operator holds, as the attempt under way has found them. */
  heldTables: ReadonlySet<string> = new Set();

  /** For the attempt that begins now: aborts when it is to give way to another. */
  beginAttempt(): AbortSignal {
    if (this.#attempt.signal.aborted) this.#attempt = new AbortController();
    return this.#attempt.signal;
  }

  /** Ends the attempt under way; another follows at once, or when the pipeline is resumed. */
  restart(): void {
    this.#attempt.abort();
  }

  /** Resolves when the edit is durable. Keys as in state/checkpoint.ts; null forgets one. */
  edit(state: ReadonlyMap<string, string | null>): Promise<void> {
    for (const [key, value] of state) {
      // Later requests come last in the map too, since the order is that in which they are told.
      this.#edits.delete(key);
      this.#edits.set(key, value);
    }
    return new Promise((done) => {
      this.#waiting.push({ done });
      this.restart();
    });
  }

  /** What is not durable yet. */
  get edits(): ReadonlyMap<string, string | null> {
    return new Map(this.#edits);
  }

  /** These edits, as `edits` gave them, are durable. */
  made(edits: ReadonlyMap<string, string | null>): void {
    for (const [key, value] of edits) {
      if (this.#edits.get(key) === value) this.#edits.delete(key);
    }
    if (this.#edits.size > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { done } of waiting) done();
  }

  get paused(): boolean {
    return this.#paused !== null;
  }

  /** Stops reading and delivering, for this process; what the source keeps for the pipeline goes on growing. */
  pause(): void {
    if (this.#paused !== null) return;
    this.#paused = new Promise((resume) => (this.#resume = resume));
    this.restart();
  }

  resume(): void {
    this.#resume?.();
    this.#resume = null;
    this.#paused = null;
  }

  /** Resolves when the pipeline is not paused, or when `stop` aborts. */
  async running(stop: AbortSignal): Promise<void> {
    while (this.#paused !== null && !stop.aborted) {
      const resumed = this.#paused;
      await new Promise<void>((settle) => {
        const end = (): void => {
          stop.removeEventListener('abort', end);
          settle();
        };
        stop.addEventListener('abort', end, { once: true });
        void resumed.then(end);
      });
    }
  }
}
