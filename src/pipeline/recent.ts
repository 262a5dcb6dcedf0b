import type { RecentActivity } from '../observability/status.ts';

const SAMPLE_MS = 5_000;
/** Ten minutes. */
const SAMPLES = 120;

/** Records and lag of the last minutes, in a ring of fixed size: what the page's charts are drawn from. */
export class RecentRing {
  readonly #records = new Float64Array(SAMPLES);
  /** NaN: not known. */
  readonly #lag = new Float64Array(SAMPLES).fill(Number.NaN);
  /** Number of the current sample: times since the epoch by the length of one. */
  #current: number;

  constructor(now: number) {
    this.#current = Math.floor(now / SAMPLE_MS);
  }

  /** Once a batch. */
  add(records: number, now: number): void {
    this.#forward(now);
    this.#records[this.#current % SAMPLES]! += records;
  }

  /** The largest of a sample counts. */
  lag(lagMs: number | null, now: number): void {
    this.#forward(now);
    const index = this.#current % SAMPLES;
    const before = this.#lag[index]!;
    if (lagMs !== null && !(before >= lagMs)) this.#lag[index] = lagMs;
  }

  recent(now: number): RecentActivity {
    this.#forward(now);
    const recordsPerSecond: number[] = [];
    const lagMs: (number | null)[] = [];
    // The current one is not over yet, and would look like a slump.
    for (let sample = this.#current - SAMPLES + 1; sample < this.#current; sample++) {
      const index = sample % SAMPLES;
      recordsPerSecond.push((this.#records[index]! * 1000) / SAMPLE_MS);
      const lag = this.#lag[index]!;
      lagMs.push(Number.isNaN(lag) ? null : lag);
    }
    return {
      sampleMs: SAMPLE_MS,
      until: new Date(this.#current * SAMPLE_MS).toISOString(),
      recordsPerSecond,
      lagMs,
    };
  }

  #forward(now: number): void {
    const sample = Math.floor(now / SAMPLE_MS);
    // A clock that was set back adds to the newest.
    if (sample <= this.#current) return;
    const first = Math.max(this.#current + 1, sample - SAMPLES + 1);
    for (let each = first; each <= sample; each++) {
      this.#records[each % SAMPLES] = 0;
      this.#lag[each % SAMPLES] = Number.NaN;
    }
    this.#current = sample;
  }
}
