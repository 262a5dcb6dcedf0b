/** All that a query's events are joined with, as of the time of an event: the captured tables, and those of topics. */
import type { TableTimes, TimeCursor } from '../state/timeline.ts';

interface Joined {
  readonly times: TableTimes;
  readonly cursor: TimeCursor;
  /** Of a topic's table; null for all captured ones. */
  readonly name: string | null;
}

export class JoinedTimes {
  readonly #joined: readonly Joined[];
  /** Of each, and how all of them are told. */
  #positions: string[] = [];
  #told = '';

  constructor(joined: readonly Joined[]) {
    this.#joined = joined;
  }

  /** Nothing that was committed in any of them up to then, ms since the epoch, is still to come. */
  get horizon(): number {
    let least = Infinity;
    for (const { times } of this.#joined) least = Math.min(least, times.horizon);
    return least;
  }

  get live(): boolean {
    return this.#joined.every(({ times }) => times.live);
  }

  /** From here on rows are those that an event of that time sees; how that state is named. */
  enter(timeMs: number): string {
    let moved = this.#positions.length === 0;
    for (let i = 0; i < this.#joined.length; i++) {
      const { times, cursor } = this.#joined[i]!;
      times.enter(cursor, timeMs);
      if (this.#positions[i] === cursor.position) continue;
      this.#positions[i] = cursor.position;
      moved = true;
    }
    if (moved)
      this.#told = this.#joined
        .map(({ name, cursor }) => (name === null ? cursor.position : `${name} ${cursor.position}`))
        .join('; ');
    return this.#told;
  }

  leave(): void {
    for (const { times } of this.#joined) times.leave();
  }

  /** Asks how far each of them goes by now. */
  ask(): void {
    for (const { times } of this.#joined) times.ask();
  }

  /** All events that had been written by then have been joined. */
  idle(asOfMs: number): void {
    for (const { times, cursor } of this.#joined) times.idle(cursor, asOfMs);
  }
}
