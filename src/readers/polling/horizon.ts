import type { PollMark } from '../poll-dialect.ts';

/** Marks that are waited for at once; while a transaction stays open for long they are thinned out. */
const MAX_WAITING = 64;
/** A clock that is this much behind where it should be was set back. So much of a smaller step is looked at in any case. */
export const STEP_US = 1_000_000;
/** Clocks are slowed by a two-thousandth at most to correct them. */
const SLEW = 0.001;

/** When a mark was asked for and when it was there, in milliseconds of a clock that only goes forward. */
export interface Asked {
  readonly from: number;
  readonly to: number;
}

interface Waiting {
  readonly number: number;
  readonly clockUs: number;
  running: ReadonlySet<string>;
  /** Numbers below this have to have finished; null until all of `running` have. */
  bound: bigint | null;
}

/**
 * Behind which moment every row has come. A row is written with a time, or a number of a sequence, that its transaction
 * took at some moment while it ran, and becomes visible when that commits: so what was read at one moment is complete
 * up to it only when all that ran then have ended and what they wrote has been read. Such a moment is settled.
 *
 * Nothing here depends on how long transactions take or when they began, which servers hide from most roles.
 */
export class Horizon {
  #waiting: Waiting[] = [];
  #settled: { readonly number: number; readonly clockUs: number } | null = null;
  /** Settled marks that are younger than somebody's overlap, oldest first. */
  #recent: { readonly number: number; readonly clockUs: number }[] = [];
  #number = 0;
  #hiddenSinceUs: number | null = null;
  #last: { readonly clockUs: number; readonly asked: Asked } | null = null;

  /** Number of the latest mark. */
  get number(): number {
    return this.#number;
  }

  /** The latest settled moment on the server's clock; null where there is none yet. */
  get settledUs(): number | null {
    return this.#settled?.clockUs ?? null;
  }

  /** How long the oldest mark has been waiting. */
  waitingUs(clockUs: number): number {
    const [oldest] = this.#waiting;
    return oldest === undefined ? 0 : Math.max(0, clockUs - oldest.clockUs);
  }

  /** For how long it could not be found out what runs. */
  hiddenUs(clockUs: number): number {
    return this.#hiddenSinceUs === null ? 0 : Math.max(0, clockUs - this.#hiddenSinceUs);
  }

  /** Number of the latest settled mark that is at least this old; null where there is none. */
  settledBefore(clockUs: number): number | null {
    let found: number | null = null;
    let stale = 0;
    for (const [i, { number, clockUs: at }] of this.#recent.entries()) {
      if (at > clockUs) break;
      found = number;
      stale = i;
    }
    this.#recent.splice(0, stale);
    return found;
  }

  /**
   * Answers to which moment at the earliest the server's clock was set back since the mark before; null where it was
   * not.
   */
  add(mark: PollMark, asked: Asked): number | null {
    const back = this.#setBack(mark, asked);
    this.#last = { clockUs: mark.clockUs, asked };
    if (back !== null) {
      this.#hiddenSinceUs = null;
      this.#waiting = [];
      this.#recent = [];
      this.#settled = null;
    }
    this.#hiddenSinceUs = mark.hidden ? (this.#hiddenSinceUs ?? mark.clockUs) : null;
    // A row may be missing of whoever runs, and is read with the next mark that says who does.
    if (mark.hidden) return back;
    const running = new Set(mark.running);
    for (const waiting of this.#waiting) {
      if (waiting.bound !== null) continue;
      const left = [...waiting.running].filter((each) => running.has(each));
      waiting.running = new Set(left);
      if (left.length === 0) waiting.bound = mark.versions?.next ?? 0n;
    }
    this.#number++;
    this.#waiting.push({
      number: this.#number,
      clockUs: mark.clockUs,
      running,
      bound: running.size === 0 ? (mark.versions?.next ?? 0n) : null,
    });
    const oldest = mark.versions?.oldest ?? 0n;
    let [first] = this.#waiting;
    while (first !== undefined && first.bound !== null && first.bound <= oldest) {
      this.#settled = { number: first.number, clockUs: first.clockUs };
      this.#recent.push(this.#settled);
      this.#waiting.shift();
      [first] = this.#waiting;
    }
    if (this.#waiting.length > MAX_WAITING) this.#waiting = this.#waiting.filter((_, i) => i % 2 === 0);
    return back;
  }

  #setBack({ clockUs, clockRuns }: PollMark, { from, to }: Asked): number | null {
    if (this.#last === null) return null;
    const { clockUs: before, asked } = this.#last;
    const leastUs = clockRuns ? Math.max(0, from - asked.to) * 1000 : 0;
    if (clockUs >= before + leastUs * (1 - SLEW) - STEP_US) return null;
    return clockUs - (to - asked.from) * 1000;
  }
}
