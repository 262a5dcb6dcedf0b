/** All that a query's events are joined with, as of the time of an event: the captured tables, and those of topics. */
import { LATENESS_MS, type TableTimes, type TimeCursor } from '../state/timeline.ts';

/** A table of a topic, read up to places in the log. */
export interface PlacedTable {
  /** Whether its records tell such places. */
  readonly exact: boolean;
  /** Whether all up to that place has been applied, as of when something at it had arrived, performance.now(). */
  isWhole(place: number, arrived: number): boolean;
  /** Asks how much there is of it by now. */
  ask(): void;
  /** The place that had been reached by then, ms since the epoch. */
  reachedBy(timeMs: number): number;
}

interface Joined {
  readonly times: TableTimes;
  readonly cursor: TimeCursor;
  /** Of a topic's table; null for all captured ones. */
  readonly name: string | null;
  readonly placed: PlacedTable | null;
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

  /** Of an event that tells its place in the log: whether all that was committed up to it has been read. */
  isWhole(
    { timeMs, arrived }: { readonly timeMs: number; readonly arrived: number },
    skewMs: number,
  ): boolean {
    return this.#joined.every(
      ({ times, placed }) =>
        (placed?.isWhole(timeMs, arrived) ?? true) &&
        (placed?.exact === true || times.horizon >= timeMs + skewMs),
    );
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

  /** Asks how far each of them goes by now. `exact`: for events that tell their place in the log. */
  ask(exact: boolean): void {
    for (const { times, placed } of this.#joined) {
      if (exact) placed?.ask();
      if (!exact || placed?.exact !== true) times.ask();
    }
  }

  /** All events that had been written by then have been joined. */
  idle(asOfMs: number): void {
    for (const { times, cursor, placed } of this.#joined) {
      // Places tell when something was committed, however late it comes here.
      const reached = placed?.exact === true ? placed.reachedBy(asOfMs - LATENESS_MS) : null;
      times.idle(cursor, reached === null ? asOfMs : reached + LATENESS_MS);
    }
  }
}
