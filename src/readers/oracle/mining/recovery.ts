import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { classify, type ErrorClass, mapOracleError } from '../errors.ts';
import type { OracleError } from '../session/oracle-session.ts';

/** How often in a row each class of error is met with another try on the same connections. */
const TRIES: Readonly<Partial<Record<ErrorClass, number>>> = {
  'log-moved': 5,
  stale: 3,
  range: 1,
  passing: 5,
  memory: 3,
  timeout: Infinity, // the window's least size ends it
};
/** A file that cannot be read while rows are fetched from it is not going to come back. */
const FETCH_TRIES = 2;

/**
 * What is done about an error of the mining session: another try, or its end. A success in between begins the
 * count anew.
 */
export class Recovery {
  #failures = new Map<ErrorClass, number>();

  succeeded(): void {
    this.#failures.clear();
  }

  /** The class where the window may be tried again; throws where not. */
  next(error: OracleError, { while: activity }: { readonly while: 'start' | 'fetch' }): ErrorClass {
    const { class: kind } = classify(error);
    if (kind === 'unknown') throw error; // UnknownErrors counts attempts
    const failures = (this.#failures.get(kind) ?? 0) + 1;
    this.#failures.set(kind, failures);
    let tries = TRIES[kind] ?? 0;
    if (kind === 'log-moved' && activity === 'fetch') tries = FETCH_TRIES;
    if (failures <= tries) return kind;
    const mapped = mapOracleError(error, 'Reading the redo log');
    // A stream that stays corrupt (1343) or a range that stays refused (1281) is nothing that passes.
    if (kind !== 'range' && !error.has(1343)) throw mapped;
    throw new HeadwaterError(
      'source.log-failed',
      `Reading the redo log failed again and again: ${error.message}.`,
      {
        cause: error,
      },
    );
  }
}

/** Errors that nobody knows: a few new attempts, and then the end. It outlives a reader. */
export class UnknownErrors {
  #count = 0;

  progressed(): void {
    this.#count = 0;
  }

  /** The error to throw: one that leads to another attempt, or one that does not. */
  map(error: OracleError, what: string): HeadwaterError {
    this.#count++;
    if (this.#count <= 3) {
      return new HeadwaterError('source.connection-lost', `${what} failed: ${error.message}.`, {
        cause: error,
      });
    }
    return new HeadwaterError('source.log-failed', `${what} failed ${this.#count} times: ${error.message}.`, {
      cause: error,
    });
  }
}
