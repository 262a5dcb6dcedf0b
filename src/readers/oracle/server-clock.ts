import { daysFromCivil } from '../civil-days.ts';

/**
 * LogMiner's times are wall-clock times of the server. What its clock is ahead of UTC changes with summer time;
 * a time is read with the offset that puts it next to the one before it in the log.
 */
export class ServerClock {
  /** Minutes; the present one first, and the one before it. */
  #offsets: readonly number[];
  #last: number | null = null;
  #text = '';

  constructor(offsetMinutes: number) {
    this.#offsets = [offsetMinutes];
  }

  /** The clock was asked again. */
  set offsetMinutes(offset: number) {
    if (offset !== this.#offsets[0]) this.#offsets = [offset, this.#offsets[0]!];
  }

  /** Milliseconds since the epoch of `YYYY-MM-DD HH24:MI:SS`; rows must come in the order of the log. */
  utcMs(text: string | null): number {
    if (text === null) return this.#last ?? 0;
    if (text === this.#text) return this.#last!;
    const number = (from: number, to: number): number => Number(text.slice(from, to));
    const local =
      daysFromCivil(number(0, 4), number(5, 7), number(8, 10)) * 86_400_000 +
      ((number(11, 13) * 60 + number(14, 16)) * 60 + number(17, 19)) * 1000;
    let best = local - this.#offsets[0]! * 60_000;
    if (this.#last !== null) {
      for (const offset of this.#offsets) {
        const candidate = local - offset * 60_000;
        if (Math.abs(candidate - this.#last) < Math.abs(best - this.#last)) best = candidate;
      }
    }
    this.#text = text;
    this.#last = best;
    return best;
  }
}
