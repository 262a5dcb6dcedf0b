import type { Log } from '../../observability/log.ts';
import type { PollDialect, PollMark } from '../poll-dialect.ts';
import { Horizon } from './horizon.ts';
import type { PollClocks } from './settings.ts';

/** What keeps rows waiting for so long is worth a word. */
const HELD_BACK_US = 5 * 60_000_000;

/** Asks the source for its clock and for who runs, and adds that to the horizon. */
export class Marks {
  readonly horizon = new Horizon();
  /** How far the source's clock is ahead of ours at least and at most, as of the latest mark; null where it does not run. */
  ahead: { readonly leastUs: number; readonly mostUs: number } | null = null;
  readonly #dialect: PollDialect;
  readonly #clocks: PollClocks;
  readonly #log: Log;
  #told: string | null = null;

  constructor(dialect: PollDialect, clocks: PollClocks, log: Log) {
    this.#dialect = dialect;
    this.#clocks = clocks;
    this.#log = log;
  }

  /** `backUs`: the moment to which the source's clock was set back since the mark before; null where it was not. */
  async take(signal: AbortSignal): Promise<{ readonly mark: PollMark; readonly backUs: number | null }> {
    const { wall, steady } = this.#clocks;
    const from = steady();
    const mostMs = wall();
    const mark = await this.#dialect.mark(signal);
    const backUs = this.horizon.add(mark, { from, to: steady() });
    const { clockUs, clockRuns } = mark;
    this.ahead = clockRuns ? { leastUs: clockUs - wall() * 1000, mostUs: clockUs - mostMs * 1000 } : null;
    this.#tell(clockUs);
    return { mark, backUs };
  }

  #tell(clockUs: number): void {
    const hiddenUs = this.horizon.hiddenUs(clockUs);
    const waitingUs = this.horizon.waitingUs(clockUs);
    const why = hiddenUs > HELD_BACK_US ? HIDDEN : waitingUs > HELD_BACK_US ? HELD_BACK : null;
    if (why !== null && why !== this.#told)
      this.#log.warn({ minutes: Math.floor(Math.max(hiddenUs, waitingUs) / 60_000_000) }, why);
    this.#told = why;
  }
}

const HELD_BACK =
  'a transaction has been open at the source for long; until it ends, what was written since is read again and again, or waits';
const HIDDEN =
  'the source does not show which transactions run, since others ask it for them all the time; until it does, what was written since is read again and again';
