/** Records of the partitions of one topic, taken in the order of their times. */
import type { Fetched, TopicRecord } from '../../emitter/topic-reader.ts';

/** Records of a partition that wait at most. */
const MOST_WAITING = 20_000;
/** How long a partition that has more to come is waited for. */
const PARTITION_MS = 1_000;

export interface Waiting<T> {
  readonly item: T;
  readonly partition: number;
  readonly offset: number;
  readonly timeMs: number;
  /** performance.now() */
  readonly arrived: number;
}

interface PartitionState<T> {
  waiting: Waiting<T>[];
  /** Index of the first that waits. */
  first: number;
  /** Offset behind what has been worked off. */
  done: number;
  /** Offset behind what has been fetched. */
  fetched: number;
  atEnd: boolean;
  /** When it was last seen that there is nothing more, ms since the epoch; -Infinity before that. */
  endSeen: number;
  /** performance.now() since when it has nothing although there is more. */
  emptySince: number;
}

/** Whether more is to be fetched of a partition. */
type Pause = (partition: number, paused: boolean) => void;

export class TimeMerge<T> {
  readonly #pause: Pause;
  readonly #partitions: readonly PartitionState<T>[];
  #begun = false;

  /** `offsets`: where each partition goes on. */
  constructor(pause: Pause, offsets: readonly number[]) {
    this.#pause = pause;
    const now = performance.now();
    this.#partitions = offsets.map((offset) => ({
      waiting: [],
      first: 0,
      done: offset,
      fetched: offset,
      atEnd: false,
      endSeen: -Infinity,
      emptySince: now,
    }));
  }

  /** By partition: what has been worked off lies before. */
  get offsets(): readonly number[] {
    return this.#partitions.map(({ done }) => done);
  }

  /** Up to when all that had been written has been worked off, ms since the epoch; null while something waits. */
  get emptyAsOf(): number | null {
    let seen = Infinity;
    for (const { waiting, first, endSeen } of this.#partitions) {
      if (first < waiting.length) return null;
      seen = Math.min(seen, endSeen);
    }
    return seen;
  }

  /** Whether all in front of these offsets has been worked off. */
  reached(offsets: readonly number[]): boolean {
    return this.#partitions.every(({ done }, i) => done >= (offsets[i] ?? 0));
  }

  /** A record that belongs to what `took` will be told of. */
  add(partition: number, { offset }: TopicRecord, item: T, timeMs: number): void {
    const arrived = performance.now();
    this.#partitions[partition]?.waiting.push({ item, partition, offset, timeMs, arrived });
  }

  /** All records of it have been added. */
  took({ partition: index, position, atEnd }: Fetched): void {
    const partition = this.#partitions[index];
    if (partition === undefined) return;
    if (!this.#begun) {
      // The others are waited for from here on, however long it took to begin.
      this.#begun = true;
      const now = performance.now();
      for (const each of this.#partitions) each.emptySince = now;
    }
    partition.fetched = position;
    partition.atEnd = atEnd;
    if (atEnd) partition.endSeen = Date.now();
    if (partition.first >= partition.waiting.length) this.#emptied(partition);
    if (partition.waiting.length - partition.first > MOST_WAITING) this.#pause(index, true);
  }

  /** The earliest of all; null where there is none, or one of a partition that has more to come may be earlier. */
  head(): Waiting<T> | null {
    let found: Waiting<T> | null = null;
    for (const { waiting, first, atEnd, emptySince } of this.#partitions) {
      const head = waiting[first];
      if (head === undefined) {
        if (!atEnd && performance.now() - emptySince < PARTITION_MS) return null;
      } else if (found === null || head.timeMs < found.timeMs) found = head;
    }
    return found;
  }

  /** That one, the head, has been worked off. */
  done({ partition: index, offset }: Waiting<T>): void {
    const partition = this.#partitions[index];
    if (partition === undefined) return;
    partition.first++;
    partition.done = offset + 1;
    if (partition.first < partition.waiting.length) return;
    this.#emptied(partition);
    this.#pause(index, false);
  }

  /** Markers and aborted records behind the last record are worked off with it. */
  #emptied(partition: PartitionState<T>): void {
    partition.waiting = [];
    partition.first = 0;
    partition.done = partition.fetched;
    partition.emptySince = performance.now();
  }
}
