import type { OracleLimits } from '../settings.ts';
import { least } from '../scn.ts';

const FAST_MS = 5_000;
const SLOW_MS = 60_000;

/** How many SCNs are mined at once: more where that is fast, less where it is slow or too much. */
export class WindowSize {
  readonly #limits: OracleLimits;
  #size: bigint;

  constructor(limits: OracleLimits) {
    this.#limits = limits;
    this.#size = limits.windowStart;
  }

  get size(): bigint {
    return this.#size;
  }

  /** A window that went to its full size took so long. */
  took(ms: number): void {
    if (ms < FAST_MS) this.#size = least(this.#size * 2n, this.#limits.windowMost);
    else if (ms > SLOW_MS) this.halve();
  }

  /** Answers false where it is the least already. */
  halve(): boolean {
    if (this.#size <= this.#limits.windowLeast) return false;
    const half = this.#size / 2n;
    this.#size = half < this.#limits.windowLeast ? this.#limits.windowLeast : half;
    return true;
  }
}
