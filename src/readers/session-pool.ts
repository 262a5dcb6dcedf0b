/** What a pool keeps. */
export interface PooledSession {
  readonly open: boolean;
  close(): Promise<void>;
}

/** A bounded number of sessions, opened when they are needed; broken ones are replaced. */
export class SessionPool<S extends PooledSession> implements AsyncDisposable {
  readonly #open: (signal: AbortSignal) => Promise<S>;
  readonly #idle: S[] = [];
  readonly #all = new Set<S>();
  #free: number;
  #waiting: (() => void)[] = [];

  constructor(size: number, open: (signal: AbortSignal) => Promise<S>) {
    this.#free = Math.max(1, size);
    this.#open = open;
  }

  /** Runs `body` with a session of its own. */
  async use<T>(signal: AbortSignal, body: (session: S) => Promise<T>): Promise<T> {
    const session = await this.acquire(signal);
    try {
      return await body(session);
    } finally {
      this.release(session);
    }
  }

  async acquire(signal: AbortSignal): Promise<S> {
    while (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#free--;
    try {
      signal.throwIfAborted();
      for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
        if (idle.open) return idle;
        this.#all.delete(idle);
      }
      const session = await this.#open(signal);
      this.#all.add(session);
      return session;
    } catch (error) {
      this.#give();
      throw error;
    }
  }

  release(session: S): void {
    if (session.open) this.#idle.push(session);
    else this.#all.delete(session);
    this.#give();
  }

  #give(): void {
    this.#free++;
    this.#waiting.shift()?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#all, (session) => session.close()));
    this.#all.clear();
    this.#idle.length = 0;
  }
}
