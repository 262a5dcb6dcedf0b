/** One query over a topic: records in, merged by time over the partitions, and no event before its tables are known. */
import type { Sink } from '../emitter/sink.ts';
import type { Fetched, TopicReader, TopicRecord } from '../emitter/topic-reader.ts';
import type { StreamEvent } from './event.ts';
import { type PartReader, partReader, type ReadSchemas } from './formats/format.ts';
import type { ProcessingLog } from './processing-log.ts';
import type { QueryPlan } from './program.ts';
import { type OutputStream, type Query, stopped } from './query.ts';
import type { Problem } from './sql/frame.ts';
import type { SqlValue } from './sql/value.ts';
import type { TableTimes, TimeCursor } from './timeline.ts';
import type { TopicSource } from './topic-source.ts';

/** Events between two looks at the sink's back-pressure. */
const EVENTS_A_BREATH = 1_000;
/** Records of a partition that wait at most. */
const MOST_WAITING = 20_000;
const IDLE_MS = 100;
/** While an event waits for its tables. */
const WAITING_MS = 5;

interface Waiting {
  /** Null for a record that could not be read. */
  readonly event: StreamEvent | null;
  readonly offset: number;
  readonly timeMs: number;
  /** performance.now() */
  readonly arrived: number;
}

interface PartitionState {
  waiting: Waiting[];
  /** Index of the first that waits. */
  first: number;
  /** Offset behind what has been worked off. */
  done: number;
  /** Offset behind what has been fetched. */
  fetched: number;
  atEnd: boolean;
  /** performance.now() since when it has nothing although there is more. */
  emptySince: number;
}

export interface TopicTaskOptions {
  readonly plan: QueryPlan;
  readonly source: TopicSource;
  readonly schemas: ReadSchemas;
  readonly query: Query;
  readonly reader: TopicReader;
  readonly sink: Sink;
  readonly processing: ProcessingLog;
  /** Null where no captured table is joined. */
  readonly timeline: TableTimes | null;
  /** How long an event waits for its tables at most, ms. */
  readonly maxWaitMs: number;
  /** Results on which the position of the tables is noted. */
  readonly outputs: readonly OutputStream[];
  /** Something has been worked off; `idle`: and there is no more just now. */
  /** Of each event, for clients that read along. */
  readonly onEvent: ((event: StreamEvent) => void) | null;
  readonly onProgress: (idle: boolean) => void;
}

export class TopicTask {
  readonly #options: TopicTaskOptions;
  readonly #key: PartReader;
  readonly #value: PartReader;
  readonly #keyIndexes: readonly number[];
  readonly #valueIndexes: readonly number[];
  readonly #cursor: TimeCursor | null;
  readonly #partitions: PartitionState[];
  /** Where the topic ended at the start, by partition. */
  readonly #ends: readonly number[];
  readonly caughtUp: Promise<void>;
  #reached: () => void = () => {};

  /** `offsets`: where each partition goes on. */
  constructor(options: TopicTaskOptions, offsets: readonly number[], ends: readonly number[]) {
    this.#options = options;
    const { columns, keyFormat, valueFormat, delimiter, wrapSingleValue } = options.source;
    const indexes = (key: boolean): readonly number[] =>
      columns.flatMap((column, index) => (column.key === key ? [index] : []));
    this.#keyIndexes = indexes(true);
    this.#valueIndexes = indexes(false);
    this.#key = partReader(
      columns.filter(({ key }) => key),
      { format: keyFormat, delimiter, bare: this.#keyIndexes.length === 1 },
      options.schemas,
    );
    this.#value = partReader(
      columns.filter(({ key }) => !key),
      { format: valueFormat, delimiter, bare: !wrapSingleValue },
      options.schemas,
    );
    this.#cursor = options.timeline?.cursor() ?? null;
    this.#ends = ends;
    const now = performance.now();
    this.#partitions = offsets.map((offset) => ({
      waiting: [],
      first: 0,
      done: offset,
      fetched: offset,
      atEnd: false,
      emptySince: now,
    }));
    this.caughtUp = new Promise((resolve) => (this.#reached = resolve));
  }

  /** By partition: what has been worked off lies before. */
  get offsets(): readonly number[] {
    return this.#partitions.map(({ done }) => done);
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { reader, sink, timeline, onProgress } = this.#options;
    reader.start(this.offsets);
    let waits = false;
    while (!signal.aborted) {
      for (const fetched of await reader.poll(waits ? WAITING_MS : IDLE_MS)) await this.#take(fetched);
      if (signal.aborted) return;
      for (;;) {
        const { worked, more } = this.#work(EVENTS_A_BREATH);
        waits = more === 'tables';
        if (worked > 0) onProgress(more !== 'events');
        const full = sink.ready();
        if (full !== undefined) await full;
        if (more !== 'events' || signal.aborted) break;
      }
      if (waits) timeline?.ask();
      else if (this.#cursor !== null && this.#isEmpty) timeline?.idle(this.#cursor, Date.now());
      if (this.#partitions.every(({ done }, i) => done >= (this.#ends[i] ?? 0))) this.#reached();
    }
  }

  get #isEmpty(): boolean {
    return this.#partitions.every(({ waiting, first }) => first >= waiting.length);
  }

  async #take({ partition: index, records, position, atEnd }: Fetched): Promise<void> {
    const partition = this.#partitions[index];
    if (partition === undefined) return;
    const arrived = performance.now();
    for (const record of records) {
      const { key, value } = record;
      // A schema that has not been met yet.
      for (const wait of [key && this.#key.prepare?.(key), value && this.#value.prepare?.(value)])
        if (wait != null) await wait;
      partition.waiting.push(this.#read(record, arrived));
    }
    partition.fetched = position;
    partition.atEnd = atEnd;
    if (partition.first >= partition.waiting.length) this.#emptied(partition);
    if (partition.waiting.length - partition.first > MOST_WAITING) this.#options.reader.pause(index, true);
  }

  /** Markers and aborted records behind the last event are worked off with it. */
  #emptied(partition: PartitionState): void {
    partition.waiting = [];
    partition.first = 0;
    partition.done = partition.fetched;
    partition.emptySince = performance.now();
  }

  #work(most: number): { readonly worked: number; readonly more: 'events' | 'tables' | 'nothing' } {
    for (let worked = 0; worked < most; worked++) {
      const index = this.#next();
      const partition = index === null ? undefined : this.#partitions[index];
      const waiting = partition?.waiting[partition.first];
      if (index === null || partition === undefined || waiting === undefined)
        return { worked, more: 'nothing' };
      if (!this.#known(waiting)) return { worked, more: 'tables' };
      if (waiting.event !== null) this.#process(waiting.event);
      partition.first++;
      partition.done = waiting.offset + 1;
      if (partition.first < partition.waiting.length) continue;
      this.#emptied(partition);
      this.#options.reader.pause(index, false);
    }
    return { worked: most, more: 'events' };
  }

  /** The partition whose head is the earliest; null where one that has more to come has nothing here yet. */
  #next(): number | null {
    let found: number | null = null;
    let least = Infinity;
    for (const [index, { waiting, first, atEnd, emptySince }] of this.#partitions.entries()) {
      const head = waiting[first];
      if (head === undefined) {
        if (!atEnd && performance.now() - emptySince < this.#options.maxWaitMs) return null;
      } else if (head.timeMs < least) {
        found = index;
        least = head.timeMs;
      }
    }
    return found;
  }

  /** Whether all that was committed in the tables up to the event has been read, or was waited for long enough. */
  #known({ timeMs, arrived }: Waiting): boolean {
    const { timeline, maxWaitMs } = this.#options;
    if (timeline === null || timeline.horizon >= timeMs) return true;
    return timeline.live && performance.now() - arrived >= maxWaitMs;
  }

  #process(event: StreamEvent): void {
    const { timeline, query, outputs, onEvent } = this.#options;
    const cursor = this.#cursor;
    if (timeline === null || cursor === null) {
      query.process(event, false);
      onEvent?.(event);
      return;
    }
    timeline.enter(cursor, event.time);
    for (const output of outputs) output.tablePosition = cursor.position;
    try {
      query.process(event, false);
      onEvent?.(event);
    } finally {
      timeline.leave();
    }
  }

  #read(record: TopicRecord, arrived: number): Waiting {
    const event = this.#event(record);
    const { offset, timestamp } = record;
    return { event, offset, arrived, timeMs: event === null ? timestamp : event.time };
  }

  #event(record: TopicRecord): StreamEvent | null {
    const { source } = this.#options;
    const row: SqlValue[] = source.columns.map(() => null);
    const read =
      this.#fill(row, this.#keyIndexes, { part: this.#key, bytes: record.key }) &&
      this.#fill(row, this.#valueIndexes, { part: this.#value, bytes: record.value });
    if (!read) return this.#refuse('record-unreadable');
    const { timestamp } = source;
    const own = timestamp === null || record.value === null ? null : (row[timestamp.index] ?? null);
    const time =
      timestamp === null || record.value === null
        ? record.timestamp
        : own === null
          ? null
          : timestamp.read(own);
    if (time === null || !(time >= 0)) return this.#refuse('timestamp');
    return { row, hasValue: record.value !== null, seq: record.offset, time, change: null };
  }

  #fill(
    row: SqlValue[],
    indexes: readonly number[],
    { part, bytes }: { readonly part: PartReader; readonly bytes: Uint8Array | null },
  ): boolean {
    if (bytes === null || indexes.length === 0) return true;
    const values: SqlValue[] = [];
    if (!part.read(bytes, values)) return false;
    for (const [i, index] of indexes.entries()) row[index] = values[i] ?? null;
    return true;
  }

  #refuse(problem: Problem): null {
    const { plan, processing } = this.#options;
    processing.note(plan.id, problem);
    if (plan.onError === 'STOP') throw stopped(plan, problem);
    return null;
  }
}
