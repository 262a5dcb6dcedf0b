/** Records that tell their place in the log (model/log-position.ts), and how it becomes known that none is missing. */
import type { TopicReader, TopicRecord } from '../../emitter/topic-reader.ts';
import { positionOf } from '../../model/log-position.ts';
import type { TimeMerge } from './time-merge.ts';

/**
 * The place of a record that is about to be merged, which then goes by places: what it is on the scale of times, ms since the epoch with a fraction: places of one log are as different as they
 * are in microseconds, and comparable with the times of records that tell none. Null where it tells none.
 */
export function placeIn(
  merge: Pick<TimeMerge<unknown>, 'becomeExact'>,
  { headers }: Pick<TopicRecord, 'headers'>,
): number | null {
  if (headers.length === 0) return null;
  const position = positionOf(headers);
  if (position === null) return null;
  merge.becomeExact();
  return position.us / 1000;
}

/** Whether the former comes first of two that are of one transaction. */
export function comesBefore(a: TopicRecord['headers'] | null, b: TopicRecord['headers'] | null): boolean {
  return (positionOf(a ?? [])?.index ?? 0) < (positionOf(b ?? [])?.index ?? 0);
}

/** Asks how much has been written of a topic, for whoever merges its partitions. */
export class WrittenEnds {
  readonly #reader: Pick<TopicReader, 'written'>;
  readonly #merge: Pick<TimeMerge<unknown>, 'written'>;
  #asking = false;

  constructor(reader: Pick<TopicReader, 'written'>, merge: Pick<TimeMerge<unknown>, 'written'>) {
    this.#reader = reader;
    this.#merge = merge;
  }

  ask(): void {
    if (this.#asking) return;
    this.#asking = true;
    const at = performance.now();
    this.#reader.written().then(
      (ends) => {
        this.#asking = false;
        this.#merge.written(ends, at);
      },
      // A broker that cannot be reached ends the reading elsewhere.
      () => {
        this.#asking = false;
      },
    );
  }
}
