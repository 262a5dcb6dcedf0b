/** A session that a reader keeps. */
export interface KeptSession<Rows> extends AsyncDisposable {
  query(sql: string, signal: AbortSignal): Promise<Rows>;
  close(): Promise<void>;
}

/** The sessions of one reader: an ordinary one for questions, opened when first needed, and others that end with it. */
export class ReaderSessions<S extends KeptSession<Rows>, Rows> implements AsyncDisposable {
  readonly #connect: (signal: AbortSignal) => Promise<S>;
  /** What is thrown where the reader was closed while a session was being opened. */
  readonly #closed: () => Error;
  readonly #kept = new AsyncDisposableStack();
  #ordinary: Promise<S> | null = null;

  constructor(connect: (signal: AbortSignal) => Promise<S>, closed: () => Error) {
    this.#connect = connect;
    this.#closed = closed;
  }

  ordinary(signal: AbortSignal): Promise<S> {
    this.#ordinary ??= this.#connect(signal).then((session) => this.keep(session));
    return this.#ordinary;
  }

  /** Asks the ordinary session. */
  async queries(signal: AbortSignal): Promise<(sql: string) => Promise<Rows>> {
    const session = await this.ordinary(signal);
    return (sql) => session.query(sql, signal);
  }

  /** Closed with the reader, also where that happened while it was being opened. */
  async keep(session: S): Promise<S> {
    if (!this.#kept.disposed) return this.#kept.use(session);
    await session.close();
    throw this.#closed();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#kept.disposeAsync();
  }
}
