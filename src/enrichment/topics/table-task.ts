/** Reads the topic of a table: first all of it, before anything is joined with it, and then what comes. */
import type { TopicReader, TopicRecord } from '../../emitter/topic-reader.ts';
import type { Log } from '../../observability/log.ts';
import type { ReadSchemas } from '../formats/format.ts';
import type { ProcessingLog } from '../run/processing-log.ts';
import type { TimeCursor } from '../state/timeline.ts';
import { openInput } from './open-input.ts';
import { RecordRows } from './record-rows.ts';
import type { PlacedTable } from './joined-times.ts';
import { TimeMerge } from './time-merge.ts';
import type { Offsets, TopicTable } from './topic-table.ts';
import { placeIn, WrittenEnds } from './written-ends.ts';

const IDLE_MS = 100;
/** While something waits for what is missing before it. */
const WAITING_MS = 5;
/** Between two moments of which it is kept what place had been reached by then. */
const REACHED_MS = 1_000;
const MOST_REACHED = 60;

export interface TableTaskOptions {
  readonly table: TopicTable;
  readonly reader: TopicReader;
  readonly schemas: ReadSchemas;
  readonly processing: ProcessingLog;
  readonly log: Log;
}

export class TableTask implements PlacedTable {
  readonly #options: TableTaskOptions;
  readonly #records: RecordRows;
  readonly #cursors = new Set<TimeCursor>();
  #merge: TimeMerge<TopicRecord> | null = null;
  #written: WrittenEnds | null = null;
  /** The last place that was worked off, and what it was at moments before, ms since the epoch. */
  #place = -Infinity;
  #reached: { readonly atMs: number; readonly place: number }[] = [];
  /** Behind what has been applied. */
  #applied: number[] = [];
  #begin: Offsets = [];

  constructor(options: TableTaskOptions) {
    this.#options = options;
    this.#records = new RecordRows(options.table.source, options.schemas);
  }

  get table(): TopicTable {
    return this.#options.table;
  }

  /** The state that the slowest of the queries sees: where a run that follows begins. */
  get offsets(): Offsets {
    let slowest: TimeCursor | null = null;
    for (const cursor of this.#cursors)
      if (slowest === null || cursor.transaction < slowest.transaction) slowest = cursor;
    return slowest === null ? this.#applied : (JSON.parse(slowest.position) as Offsets);
  }

  /** Of a query that joins the table. */
  cursor(): TimeCursor {
    const { timeline } = this.table;
    if (timeline === null) throw new TypeError('A table is complete before queries see it.');
    const cursor = timeline.cursor();
    this.#cursors.add(cursor);
    return cursor;
  }

  /**
   * Reads the table up to where the checkpoint says it was, else up to where the topic ends now. `stored`: null for a
   * partition that the checkpoint does not know.
   */
  async bootstrap(stored: (partition: number) => number | null, signal: AbortSignal): Promise<void> {
    const { reader, table, log } = this.#options;
    const count = await openInput(reader, table.source);
    const ranges = await Promise.all(
      Array.from({ length: count }, (_, partition) => reader.range(partition)),
    );
    // One that was made anew ends before what the checkpoint knows.
    this.#begin = ranges.map(({ end }, partition) => Math.min(stored(partition) ?? end, end));
    this.#applied = ranges.map(({ start }, partition) => Math.min(start, this.#begin[partition] ?? start));
    const pause = (partition: number, paused: boolean): void => reader.pause(partition, paused);
    const merge = new TimeMerge<TopicRecord>(pause, this.#begin);
    table.begin();
    this.#merge = merge;
    this.#written = new WrittenEnds(reader, merge);
    reader.start(ranges.map(({ start }) => start));
    while (!this.#applied.every((offset, i) => offset >= (this.#begin[i] ?? 0))) {
      for (const fetched of await reader.poll(IDLE_MS)) {
        const { partition, records, position } = fetched;
        const begin = this.#begin[partition] ?? 0;
        const lane = merge.lane(partition);
        const arrived = performance.now();
        for (const record of records) {
          const wait = this.#records.prepare(record);
          if (wait !== null) await wait;
          if (record.offset < begin) {
            if (!merge.exact) placeIn(merge, record);
            this.#apply(record);
          } else lane.add(record, record.offset, placeIn(merge, record) ?? this.#timeOf(record), arrived);
        }
        this.#applied[partition] = Math.min(position, begin);
        if (position >= begin) merge.took(fetched);
      }
      signal.throwIfAborted();
    }
    table.complete(
      {
        head: async () => {
          const ends = await Promise.all(this.#begin.map((_, partition) => reader.range(partition)));
          return ends.map(({ end }) => end);
        },
        nudge: () => table.timeline?.passed(this.#applied),
        compare: (a, b) => (a.every((offset, i) => offset >= (b[i] ?? 0)) ? 0 : -1),
      },
      this.#begin,
    );
    const { topic } = table.source;
    log.info({ table: table.name, topic, rows: table.size }, 'a table was read from its topic');
  }

  /** Until the signal aborts. Call after `bootstrap`. */
  async run(signal: AbortSignal): Promise<void> {
    const { reader, table } = this.#options;
    const merge = this.#merge;
    if (merge === null) throw new TypeError('A table is complete before it is kept.');
    while (!signal.aborted) {
      this.#work();
      if (merge.incomplete) this.#written?.ask();
      for (const fetched of await reader.poll(merge.incomplete ? WAITING_MS : IDLE_MS)) {
        const lane = merge.lane(fetched.partition);
        const arrived = performance.now();
        for (const record of fetched.records) {
          const wait = this.#records.prepare(record);
          if (wait !== null) await wait;
          lane.add(record, record.offset, placeIn(merge, record) ?? this.#timeOf(record), arrived);
        }
        merge.took(fetched);
      }
      table.timeline?.passed(this.#applied);
    }
  }

  #work(): void {
    const merge = this.#merge;
    const { timeline } = this.table;
    if (merge === null || timeline === null) return;
    for (let head = merge.head(); head !== null; head = merge.head()) {
      const { item, timeMs } = head;
      this.#apply(item);
      this.#applied[head.partition] = head.offset + 1;
      merge.done(head);
      timeline.committed(timeMs, JSON.stringify(this.#applied));
      this.#place = timeMs;
    }
    if (merge.exact) this.#noteReached();
    this.#applied = [...merge.offsets];
    this.table.settle();
  }

  get exact(): boolean {
    return this.#merge?.exact === true;
  }

  isWhole(place: number, arrived: number): boolean {
    return this.#merge?.isWorkedOff(place, arrived) === true;
  }

  ask(): void {
    this.#written?.ask();
  }

  reachedBy(timeMs: number): number {
    const reached = this.#reached;
    while (reached[1] !== undefined && reached[1].atMs <= timeMs) reached.shift();
    const [last] = reached;
    return last !== undefined && last.atMs <= timeMs ? last.place : -Infinity;
  }

  #noteReached(): void {
    const atMs = Date.now();
    const last = this.#reached.at(-1);
    if (last !== undefined && (last.place === this.#place || atMs - last.atMs < REACHED_MS)) return;
    this.#reached.push({ atMs, place: this.#place });
    if (this.#reached.length > MOST_REACHED) this.#reached.shift();
  }

  #apply(record: TopicRecord): void {
    const { table, processing } = this.#options;
    const read = this.#records.read(record);
    if (typeof read === 'string') {
      processing.note(table.name, read);
      return;
    }
    const key = record.key === null ? null : table.keyOf(read.row);
    if (key === null) processing.note(table.name, 'key-missing');
    else table.put(key, read.hasValue ? read.row : null);
  }

  /** When the row came to be so; a record that cannot be read is passed over at its own time. */
  #timeOf(record: TopicRecord): number {
    if (this.table.source.timestamp === null) return record.timestamp;
    const read = this.#records.read(record);
    return typeof read === 'string' ? record.timestamp : read.time;
  }
}
