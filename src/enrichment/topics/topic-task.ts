/** One query over a topic: records in, merged by time over the partitions, and no event before its tables are known. */
import type { Sink } from '../../emitter/sink.ts';
import type { Fetched, TopicReader, TopicRecord } from '../../emitter/topic-reader.ts';
import type { DeadLetters } from '../run/dead-letters.ts';
import type { StreamEvent } from '../run/event.ts';
import type { ReadSchemas } from '../formats/format.ts';
import type { ProcessingLog } from '../run/processing-log.ts';
import type { QueryPlan } from '../plan/program.ts';
import type { OutputStream, Query } from '../run/query.ts';
import { stopped } from '../run/query-problems.ts';
import type { Problem } from '../sql/frame.ts';
import type { TopicSource } from '../sources/topic-source.ts';
import type { JoinedTimes } from './joined-times.ts';
import { RecordRows } from './record-rows.ts';
import { type Lane, TimeMerge } from './time-merge.ts';
import { comesBefore, placeIn, WrittenEnds } from './written-ends.ts';

/** Events between two looks at the sink's back-pressure. */
const EVENTS_A_BREATH = 1_000;
const IDLE_MS = 100;
/** While an event waits for its tables. */
const WAITING_MS = 5;

/** A record that could not be read. */
interface Refused {
  readonly problem: Problem;
  readonly record: TopicRecord;
}

/** How an event waits for the tables that it is joined with. */
export interface JoinWaits {
  /** The tables have to have been read so many ms beyond the event's time. */
  readonly skewMs: number;
  /** ms; Infinity: for as long as it takes. */
  readonly maxWaitMs: number;
}

export interface TopicTaskOptions extends JoinWaits {
  readonly plan: QueryPlan;
  readonly source: TopicSource;
  readonly schemas: ReadSchemas;
  readonly query: Query;
  readonly reader: TopicReader;
  readonly sink: Pick<Sink, 'ready'>;
  readonly processing: ProcessingLog;
  /** Null where nobody asks for them. */
  readonly deadLetters: DeadLetters | null;
  /** Null where no table is joined. */
  readonly times: JoinedTimes | null;
  /** Results on which the position of the tables is noted. */
  readonly outputs: readonly OutputStream[];
  /** Of each event, for clients that read along. */
  readonly onEvent: ((event: StreamEvent) => void) | null;
  /** Something has been worked off; `idle`: and there is no more just now. */
  readonly onProgress: (idle: boolean) => void;
}

export class TopicTask {
  readonly #options: TopicTaskOptions;
  readonly #records: RecordRows;
  readonly #merge: TimeMerge<StreamEvent | Refused>;
  readonly #written: WrittenEnds;
  /** performance.now() since when something may be missing of the tables that an event's place in the log asks for. */
  #missingSince: number | null = null;
  /** Where the topic ended at the start, by partition. */
  readonly #ends: readonly number[];
  readonly caughtUp: Promise<void>;
  #reached: () => void = () => {};

  /** `offsets`: where each partition goes on. */
  constructor(options: TopicTaskOptions, offsets: readonly number[], ends: readonly number[]) {
    this.#options = options;
    this.#records = new RecordRows(options.source, options.schemas);
    const pause = (partition: number, paused: boolean): void => options.reader.pause(partition, paused);
    this.#merge = new TimeMerge(pause, offsets, (a, b) => comesBefore(headersOf(a), headersOf(b)));
    this.#written = new WrittenEnds(options.reader, this.#merge);
    this.#ends = ends;
    this.caughtUp = new Promise((resolve) => (this.#reached = resolve));
  }

  /** By partition: what has been worked off lies before. */
  get offsets(): readonly number[] {
    return this.#merge.offsets;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { reader, sink, times, onProgress } = this.#options;
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
      const empty = this.#merge.emptyAsOf;
      if (waits || this.#missingSince !== null) times?.ask(this.#merge.exact);
      else if (empty !== null) times?.idle(empty);
      if (this.#merge.incomplete) {
        this.#written.ask();
        waits = true;
      }
      if (this.#merge.reached(this.#ends)) this.#reached();
    }
  }

  async #take(fetched: Fetched): Promise<void> {
    const lane = this.#merge.lane(fetched.partition);
    const arrived = performance.now();
    for (const record of fetched.records) {
      const wait = this.#records.prepare(record);
      if (wait !== null) await wait;
      const read = this.#read(record);
      const place = placeIn(this.#merge, record);
      lane.add(read, record.offset, place ?? ('problem' in read ? record.timestamp : read.time), arrived);
    }
    this.#merge.took(fetched);
  }

  #work(most: number): { readonly worked: number; readonly more: 'events' | 'tables' | 'nothing' } {
    for (let worked = 0; worked < most; worked++) {
      const head = this.#merge.head();
      if (head === null) return { worked, more: 'nothing' };
      if (!this.#known(head)) return { worked, more: 'tables' };
      const { item, partition } = head;
      if ('problem' in item) this.#refuse(item.problem, item.record, partition);
      else this.#process(item, head.timeMs);
      this.#merge.done(head);
    }
    return { worked: most, more: 'events' };
  }

  /** Whether all that was committed in the tables up to the event has been read, or was waited for long enough. */
  #known({ timeMs, arrived }: Lane<unknown>): boolean {
    const { times, skewMs, maxWaitMs } = this.#options;
    if (times === null) return true;
    const { exact } = this.#merge;
    if (exact ? times.isWhole({ timeMs, arrived }, skewMs) : times.horizon >= timeMs + skewMs) {
      this.#missingSince = null;
      return true;
    }
    const now = performance.now();
    // How long ago it came does not say that its tables have been asked for.
    const since = exact ? (this.#missingSince ??= now) : arrived;
    return times.live && now - since >= maxWaitMs;
  }

  /** `place`: its time, or what it tells of its place in the log. */
  #process(event: StreamEvent, place: number): void {
    const { times, query, outputs, onEvent } = this.#options;
    if (times === null) {
      query.process(event, false);
      onEvent?.(event);
      return;
    }
    const position = times.enter(place);
    for (const output of outputs) output.joinedAt = position;
    try {
      query.process(event, false);
      onEvent?.(event);
    } finally {
      times.leave();
    }
  }

  #read(record: TopicRecord): StreamEvent | Refused {
    const read = this.#records.read(record);
    if (typeof read === 'string') return { problem: read, record };
    const { row, hasValue, time } = read;
    const headers = record.headers.length === 0 ? null : record.headers;
    return { row, hasValue, seq: record.offset, time, change: null, headers };
  }

  /** In its turn, so that what is written of it goes with its offset. */
  #refuse(problem: Problem, record: TopicRecord, partition: number): void {
    const { plan, source, processing, deadLetters } = this.#options;
    processing.note(plan.id, problem);
    if (plan.onError === 'STOP') throw stopped(plan, problem);
    deadLetters?.record(plan.id, problem, { topic: source.topic, partition, record });
  }
}

function headersOf(item: StreamEvent | Refused): TopicRecord['headers'] | null {
  return 'problem' in item ? item.record.headers : item.headers;
}
