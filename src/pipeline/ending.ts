/**
 * What ends an attempt, whichever comes first: the operator's stop, a failed commit, a lost lease, an error of
 * any step, completion. All steps wait with its `signal`.
 */
export class Ending implements Disposable {
  readonly #controller = new AbortController();
  readonly #stop: AbortSignal;
  readonly #onStop = (): void => this.end();
  #failure: { readonly error: unknown } | null = null;

  /** `stop` is the operator's. */
  constructor(stop: AbortSignal) {
    this.#stop = stop;
    stop.addEventListener('abort', this.#onStop, { once: true });
    if (stop.aborted) this.end();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The operator asked for it. */
  get stopped(): boolean {
    return this.#stop.aborted;
  }

  end(): void {
    this.#controller.abort();
  }

  /** What broke first is the cause; what the abort then makes others throw is its echo. */
  readonly fail = (error: unknown): void => {
    this.#failure ??= { error };
    this.end();
  };

  throwIfFailed(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  /** Why the attempt ended with `thrown`; null where the operator's stop is all there is. */
  causeOf(thrown: unknown): { readonly error: unknown } | null {
    const error = firstOf(this.#failure === null ? thrown : this.#failure.error);
    return this.stopped && isAbort(error) ? null : { error };
  }

  [Symbol.dispose](): void {
    this.#stop.removeEventListener('abort', this.#onStop);
  }
}

/** What closing threw afterwards is no more than an echo either. */
function firstOf(error: unknown): unknown {
  return error instanceof SuppressedError ? firstOf(error.suppressed) : error;
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}
