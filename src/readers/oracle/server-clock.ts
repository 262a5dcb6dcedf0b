import { daysFromCivil } from '../civil-days.ts';

/**
 * LogMiner's times are wall-clock times of the server. What its clock is ahead of UTC changes with summer time;
 * a time is read with the offset that puts it next to the one before it in the log.
 */
export class ServerClock {
  /** Minutes. */
  #offset: number;
  /** The one before it, and when that was seen to be over: no row has it from then on. */
  #former: { readonly offset: number; readonly until: number } | null = null;
  #last: number | null = null;
  #text = '';

  constructor(offsetMinutes: number) {
    this.#offset = offsetMinutes;
  }

  /** The server was asked again; `nowMs`: milliseconds since the epoch. */
  asked(offsetMinutes: number, nowMs: number): void {
    if (offsetMinutes === this.#offset) return;
    this.#former = { offset: this.#offset, until: nowMs };
    this.#offset = offsetMinutes;
  }

  /** Milliseconds since the epoch of `YYYY-MM-DD HH24:MI:SS`; rows must come in the order of the log. */
  utcMs(text: string | null): number {
    if (text === null) return this.#last ?? 0;
    if (text === this.#text) return this.#last!;
    const number = (from: number, to: number): number => Number(text.slice(from, to));
    const local =
      daysFromCivil(number(0, 4), number(5, 7), number(8, 10)) * 86_400_000 +
      ((number(11, 13) * 60 + number(14, 16)) * 60 + number(17, 19)) * 1000;
    let utc = local - this.#offset * 60_000;
    if (this.#former !== null && this.#last !== null) {
      const former = local - this.#former.offset * 60_000;
      const nearer = Math.abs(former - this.#last) < Math.abs(utc - this.#last);
      if (nearer && former < this.#former.until) utc = former;
    }
    this.#text = text;
    this.#last = utc;
    return utc;
  }
}
