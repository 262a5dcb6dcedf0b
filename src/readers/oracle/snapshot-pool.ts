import type { OracleSession } from './session/oracle-session.ts';

/** A bounded number of sessions, opened when they are needed. One that failed is replaced. */
export class SessionPool implements AsyncDisposable {
  readonly #open: (signal: AbortSignal) => Promise<OracleSession>;
  readonly #idle: OracleSession[] = [];
  readonly #all = new Set<OracleSession>();
  #free: number;
  #waiting: (() => void)[] = [];

  constructor(size: number, open: (signal: AbortSignal) => Promise<OracleSession>) {
    this.#free = Math.max(1, size);
    this.#open = open;
  }

  /** Runs `body` with a session of its own; after a failure the session is not used again. */
  async use<T>(signal: AbortSignal, body: (session: OracleSession) => Promise<T>): Promise<T> {
    const session = await this.acquire(signal);
    let broken = true;
    try {
      const result = await body(session);
      broken = false;
      return result;
    } finally {
      await this.release(session, broken);
    }
  }

  async acquire(signal: AbortSignal): Promise<OracleSession> {
    while (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#free--;
    try {
      signal.throwIfAborted();
      const session = this.#idle.pop() ?? (await this.#open(signal));
      this.#all.add(session);
      return session;
    } catch (error) {
      this.#give();
      throw error;
    }
  }

  async release(session: OracleSession, broken: boolean): Promise<void> {
    if (broken) {
      this.#all.delete(session);
      await session[Symbol.asyncDispose]();
    } else {
      this.#idle.push(session);
    }
    this.#give();
  }

  #give(): void {
    this.#free++;
    this.#waiting.shift()?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#all, (session) => session[Symbol.asyncDispose]()));
    this.#all.clear();
    this.#idle.length = 0;
  }
}
