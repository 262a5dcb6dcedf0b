import type { HeadwaterError } from '../errors/headwater-error.ts';

const FIRST_WAIT_MS = 10_000;
const LONGEST_WAIT_MS = 600_000;
/** A refusal that comes this long after the last one has a cause of its own. */
const FORGOTTEN_MS = 600_000;

interface Refusal {
  readonly error: HeadwaterError;
  /** In a row; 0 where the topic could not be reached, which may be nothing of its own. */
  readonly times: number;
  /** Not to be written before; on the clock of `now`. */
  readonly until: number;
}

/**
 * Topics that were refused while they were being written, kept from one sink of a pipeline to the next: a transaction
 * is lost with any of its records, so the sink ends, and the next one had better know which topic it was. Once may be
 * a matter of the moment. A topic that is refused again, though there is nothing to be seen that forbids it, waits for
 * longer and longer.
 */
export class TopicRefusals {
  readonly #now: () => number;
  readonly #refusals = new Map<string, Refusal>();

  /** `now`: milliseconds on a clock that nobody sets. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** An error whose details name the topic. `refused`: the broker said no, rather than nothing. */
  note(error: HeadwaterError, refused: boolean): void {
    const { topic } = error.details;
    if (typeof topic !== 'string') return;
    const now = this.#now();
    const before = this.#refusals.get(topic);
    const known = before !== undefined && now - before.until < FORGOTTEN_MS ? before.times : 0;
    const times = refused ? known + 1 : known;
    const wait = times < 2 ? 0 : Math.min(FIRST_WAIT_MS * 2 ** (times - 2), LONGEST_WAIT_MS);
    this.#refusals.set(topic, { error, times, until: now + wait });
  }

  /** Whether the topic had better be looked at before it is written. */
  has(topic: string): boolean {
    return this.#refusals.has(topic);
  }

  /** Why it must not be written yet; null where it may be tried. */
  standing(topic: string): HeadwaterError | null {
    const refusal = this.#refusals.get(topic);
    return refusal !== undefined && this.#now() < refusal.until ? refusal.error : null;
  }
}
