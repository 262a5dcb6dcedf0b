import { asHeadwaterError, HeadwaterError } from '../../errors/headwater-error.ts';

/** The one failure a sink dies of: the first that is reported. */
export class SinkFailure {
  /** What `Sink.failed` is. */
  readonly promise: Promise<never>;
  #error: HeadwaterError | null = null;
  #closed = false;
  readonly #reject: (error: HeadwaterError) => void;

  constructor() {
    const { promise, reject } = Promise.withResolvers<never>();
    this.promise = promise;
    this.#reject = reject;
    // Those who wait see it; nobody waiting is no reason to end the process.
    promise.catch(() => {});
  }

  /** What whoever uses the sink gets to hear; null while it is in order. */
  get error(): HeadwaterError | null {
    return this.#error;
  }

  report(error: unknown): void {
    if (this.#closed) return;
    this.#error ??= asHeadwaterError(error);
    this.#reject(this.#error);
  }

  /** Closing is no failure, so nobody is told; but what comes too late or is under way fails with what is returned. */
  close(): HeadwaterError {
    this.#closed = true;
    this.#error ??= new HeadwaterError('internal.bug', 'the sink is closed');
    return this.#error;
  }
}
