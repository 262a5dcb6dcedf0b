/** Records of the partitions of one topic, taken in the order of their times. */
import type { Fetched } from '../../emitter/topic-reader.ts';

/** A partition of which more wait is paused: what lives long costs the garbage collector much. */
const MOST_WAITING = 256;
/** How long a partition that has more to come is waited for; an end that was found longer ago tells nothing of it. */
const PARTITION_MS = 1_000;

/** Whether more is to be fetched of a partition. */
type Pause = (partition: number, paused: boolean) => void;

/** What waits of one partition. Numbers are in lists of their own, which hold them without an object for each. */
export class Lane<T> {
  readonly partition: number;
  #items: T[] = [];
  #offsets: number[] = [];
  #times: number[] = [];
  #arrivals: number[] = [];
  /** Index of the first that waits. */
  #first = 0;
  #done: number;
  /** Offset behind what has been fetched. */
  #fetched: number;
  #atEnd = false;
  /** When nothing more was there, as far as is known, ms since the epoch. */
  #endAsOf = -Infinity;
  /** How much had been written of it at that moment, performance.now(); null: all of that has been fetched. */
  #written: { readonly end: number; readonly at: number } | null = null;
  #wholeAsOf = -Infinity;
  /** performance.now() since when it has nothing although there is more. */
  #emptySince = performance.now();

  constructor(partition: number, offset: number) {
    this.partition = partition;
    this.#done = offset;
    this.#fetched = offset;
  }

  /** Offset behind what has been worked off. */
  get done(): number {
    return this.#done;
  }

  get waiting(): number {
    return this.#items.length - this.#first;
  }

  /** Of the first that waits, where one does. */
  get item(): T {
    return this.#items[this.#first]!;
  }

  get offset(): number {
    return this.#offsets[this.#first]!;
  }

  get timeMs(): number {
    return this.#times[this.#first]!;
  }

  /** performance.now() */
  get arrived(): number {
    return this.#arrivals[this.#first]!;
  }

  /** Whether an earlier one than those of other partitions may still come. */
  get isAwaited(): boolean {
    return !this.#atEnd && performance.now() - this.#emptySince < PARTITION_MS;
  }

  add(item: T, offset: number, timeMs: number, arrived: number): void {
    this.#items.push(item);
    this.#offsets.push(offset);
    this.#times.push(timeMs);
    this.#arrivals.push(arrived);
  }

  /** Up to when all that had been written has been worked off, ms since the epoch; null while something waits. */
  get emptyAsOf(): number | null {
    return this.waiting === 0 ? this.#endAsOf : null;
  }

  /** All that had been written of it by then has been fetched, performance.now(). */
  get wholeAsOf(): number {
    return this.#wholeAsOf;
  }

  /** That much had been written of it at that moment, performance.now(). */
  written(end: number, at: number): void {
    // What is written meanwhile would put it off for ever.
    this.#written ??= { end, at };
    this.#becomeWhole();
  }

  #becomeWhole(): void {
    const written = this.#written;
    if (written === null || this.#fetched < written.end) return;
    this.#wholeAsOf = written.at;
    this.#written = null;
  }

  /** It is waited for from now on. */
  begin(): void {
    this.#emptySince = performance.now();
  }

  took({ position, endAsOf }: Fetched): void {
    const moved = position !== this.#fetched;
    this.#fetched = position;
    this.#becomeWhole();
    this.#atEnd = endAsOf !== null;
    if (endAsOf !== null) this.#endAsOf = endAsOf;
    if (this.waiting > 0) return;
    // One whose broker is slow to say that there is nothing is not waited for each time.
    if (moved) this.begin();
    this.#emptied();
  }

  shift(): void {
    this.#done = this.offset + 1;
    this.#first++;
    if (this.waiting === 0) {
      this.begin();
      this.#emptied();
    } else if (this.#first >= MOST_WAITING && this.#first >= this.waiting) this.#forgetDone();
  }

  /** Of a lane to which something always comes before it is empty they would never go. */
  #forgetDone(): void {
    for (const list of [this.#items, this.#offsets, this.#times, this.#arrivals]) list.splice(0, this.#first);
    this.#first = 0;
  }

  /** Markers and aborted records behind the last record are worked off with it. */
  #emptied(): void {
    this.#items = [];
    this.#offsets = [];
    this.#times = [];
    this.#arrivals = [];
    this.#first = 0;
    this.#done = this.#fetched;
    // While records wait the partition may be paused: then nobody has asked for what came behind them.
    this.#atEnd &&= Date.now() - this.#endAsOf < PARTITION_MS;
  }
}

export class TimeMerge<T> {
  readonly #pause: Pause;
  readonly #lanes: readonly Lane<T>[];
  readonly #before: ((a: T, b: T) => boolean) | null;
  #begun = false;
  #exact = false;
  /** performance.now() since when something may be missing before the head; null: nothing is. */
  #incompleteSince: number | null = null;

  /** `offsets`: where each partition goes on. `before`: of two at one place in the log. */
  constructor(pause: Pause, offsets: readonly number[], before: ((a: T, b: T) => boolean) | null = null) {
    this.#pause = pause;
    this.#before = before;
    this.#lanes = offsets.map((offset, partition) => new Lane(partition, offset));
  }

  /** By partition: what has been worked off lies before. */
  get offsets(): readonly number[] {
    return this.#lanes.map(({ done }) => done);
  }

  /** Up to when all that had been written has been worked off, ms since the epoch; null while something waits. */
  get emptyAsOf(): number | null {
    let asOf = Infinity;
    for (const { emptyAsOf } of this.#lanes) {
      if (emptyAsOf === null) return null;
      asOf = Math.min(asOf, emptyAsOf);
    }
    return asOf;
  }

  /**
   * Whether times are places in the log of a database, as records tell them: then none is taken before all that come
   * before it are there. They are, once all is that had been written when it was.
   */
  get exact(): boolean {
    return this.#exact;
  }

  becomeExact(): void {
    this.#exact = true;
  }

  /** Whether something may be missing before the head, and it wants `written`. */
  get incomplete(): boolean {
    return this.#incompleteSince !== null;
  }

  /** By partition, how much had been written at that moment, performance.now(). */
  written(ends: readonly number[], at: number): void {
    for (const [partition, end] of ends.entries()) this.#lanes[partition]?.written(end, at);
  }

  /** Whether all up to that place has been worked off, as of when something at it had arrived, performance.now(). */
  isWorkedOff(place: number, arrived: number): boolean {
    return this.#lanes.every((lane) => (lane.waiting > 0 ? lane.timeMs > place : lane.wholeAsOf >= arrived));
  }

  /** Whether all in front of these offsets has been worked off. */
  reached(offsets: readonly number[]): boolean {
    return this.#lanes.every(({ done }, i) => done >= (offsets[i] ?? 0));
  }

  /** To which records are to be added that belong to what `took` will be told of. */
  lane(partition: number): Lane<T> {
    const lane = this.#lanes[partition];
    if (lane === undefined) throw new RangeError(`There is no partition ${partition}.`);
    return lane;
  }

  /** All records of it have been added. */
  took(fetched: Fetched): void {
    if (!this.#begun) {
      // The others are waited for from here on, however long it took to begin.
      this.#begun = true;
      for (const each of this.#lanes) each.begin();
    }
    const lane = this.lane(fetched.partition);
    lane.took(fetched);
    if (lane.waiting > MOST_WAITING) this.#pause(lane.partition, true);
  }

  /** Whose first is the earliest of all; null where there is none, or one of a partition that has more to come may be earlier. */
  head(): Lane<T> | null {
    let found: Lane<T> | null = null;
    for (const lane of this.#lanes) {
      if (lane.waiting === 0) {
        if (lane.isAwaited) return null;
      } else if (found === null || lane.timeMs < found.timeMs) found = lane;
      else if (this.#exact && lane.timeMs === found.timeMs && this.#before?.(lane.item, found.item) === true)
        found = lane;
    }
    return found === null || !this.#exact || this.#isNext(found) ? found : null;
  }

  /** Or has been waited for long enough. */
  #isNext({ arrived }: Lane<T>): boolean {
    if (this.#lanes.every((lane) => lane.waiting > 0 || lane.wholeAsOf >= arrived)) {
      this.#incompleteSince = null;
      return true;
    }
    const now = performance.now();
    this.#incompleteSince ??= now;
    return now - this.#incompleteSince >= PARTITION_MS;
  }

  /** The first of that one, the head, has been worked off. */
  done(lane: Lane<T>): void {
    lane.shift();
    if (lane.waiting === 0) this.#pause(lane.partition, false);
  }
}
