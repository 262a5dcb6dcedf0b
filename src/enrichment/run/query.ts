/** A running query: events in, records and events out. Nothing is made per row but the row itself. */
import type { Sink, SinkRecord, TopicHandle } from '../../emitter/sink.ts';
import type { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Aggregation } from './aggregation.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { StreamEvent } from './event.ts';
import type { QueryPlan } from '../plan/program.ts';
import type { QueryProblems } from './query-problems.ts';
import type { ResultTable } from '../state/result-table.ts';
import type { RecordWindow, RecordWriter } from './record-writer.ts';
import type { Frame, Problem } from '../sql/frame.ts';
import type { SqlValue } from '../sql/value.ts';
import type { ReadTable } from '../sources/table-source.ts';

/** Of outputs that were joined with a table as a later snapshot shows it. */
const AS_OF_SNAPSHOT = [['__asof', 'snapshot']] as const;

/** The window that a row of a table belongs to, ms since the epoch. */
export type RowWindow = Pick<RecordWindow, 'start' | 'end'>;

/** Where the rows of a query go. */
export interface RowTarget {
  /** What was wrong with the row, where something was and it went there all the same. */
  emit(event: StreamEvent, fromSnapshot: boolean, window?: RecordWindow | null): Problem | null;
  /** The row of a window that no event can reach any more is no longer kept; its topic keeps it as long as it does. */
  forget?(row: readonly SqlValue[], window: RowWindow | null): void;
}

export interface EventReader {
  process(event: StreamEvent, fromSnapshot: boolean): void;
  /** Its stream has come not to fit. Left out where that is for the statements to answer, and not for a client. */
  readonly misfit?: (error: HeadwaterError) => void;
}

export interface OutputTopics {
  readonly sink: Sink;
  /** As the statement has it. */
  readonly compacted: boolean;
  readonly topic: TopicHandle;
  readonly deadLetters: DeadLetters | null;
}

/** A stream that queries write: its topic, and the queries that read it. */
export class OutputStream implements RowTarget {
  readonly #sink: Sink;
  readonly #topic: TopicHandle;
  readonly #writer: RecordWriter;
  readonly #record: SinkRecord = { key: null, value: null, headers: null, timestamp: 0 };
  readonly #table: ResultTable | null;
  readonly #needsKey: boolean;
  #readers: readonly EventReader[] = [];
  records = 0;
  /** For queries with ON_ERROR = 'DLQ'. */
  readonly deadLetters: DeadLetters | null;
  /** As of `joinedAt`. */
  #joinedAt: SinkRecord['headers'] = null;

  /** `table`: the rows, where clients may ask for them. */
  constructor(
    { sink, topic, deadLetters, compacted }: OutputTopics,
    writer: RecordWriter,
    table: ResultTable | null,
  ) {
    this.deadLetters = deadLetters;
    this.#needsKey = compacted;
    this.#sink = sink;
    this.#topic = topic;
    this.#writer = writer;
    this.#table = table;
  }

  addReader(reader: EventReader): void {
    this.#readers = [...this.#readers, reader];
  }

  removeReader(reader: EventReader): void {
    this.#readers = this.#readers.filter((each) => each !== reader);
  }

  /** Which state of the tables the results from here on were joined with; null where nobody needs to be told. */
  set joinedAt(position: string | null) {
    if (position === (this.#joinedAt?.[0]?.[1] ?? null)) return;
    this.#joinedAt = position === null ? null : [['__table_pos', position]];
  }

  /** `window`: of a row of a windowed table. */
  emit(event: StreamEvent, fromSnapshot: boolean, window: RecordWindow | null = null): Problem | null {
    const { row, hasValue, time } = event;
    const record = this.#record;
    const timed = this.#writer.write(record, hasValue ? row : null, { keyed: row, timeMs: time, window });
    // Kafka takes no such record, and would refuse it at each start.
    if (record.key === null && this.#needsKey) return 'key-missing';
    const own = fromSnapshot ? AS_OF_SNAPSHOT : this.#joinedAt;
    record.headers = event.headers === null ? own : withHeaders(event.headers, own);
    this.#sink.append(this.#topic, record);
    this.records++;
    if (hasValue) this.#table?.put(row, window);
    else this.#table?.delete(row, window);
    if (this.#readers.length > 0) {
      // The column that TIMESTAMP names is the ROWTIME of whoever reads on.
      const { timestamp } = record;
      const read = timestamp === time ? event : { ...event, time: timestamp };
      for (const reader of this.#readers) reader.process(read, fromSnapshot);
    }
    return timed ? null : 'timestamp';
  }

  forget(row: readonly SqlValue[], window: RowWindow | null): void {
    this.#table?.delete(row, window, true);
  }
}

/** Those of the event, and ours: what an earlier query said of its own tables is replaced. */
function withHeaders(
  headers: NonNullable<StreamEvent['headers']>,
  own: SinkRecord['headers'],
): SinkRecord['headers'] {
  if (own === null) return headers;
  return [...headers.filter(([name]) => own.every(([ours]) => ours !== name)), ...own];
}

export interface QueryContext {
  readonly target: RowTarget;
  readonly problems: QueryProblems;
  /** Replicas that show a later state than the log's position. */
  readonly ahead: ReadonlySet<number>;
  /** Of a query with GROUP BY. */
  readonly aggregation: Aggregation | null;
}

export class Query implements EventReader {
  readonly #plan: QueryPlan;
  readonly #problems: QueryProblems;
  readonly #target: RowTarget;
  readonly #frame: Frame;
  /** Replicas that show a later state than the log's position. */
  readonly #ahead: ReadonlySet<number>;
  readonly #explodes: boolean;
  /** Of the projection; a copy is no larger than it has to be, as one that grows would be. */
  readonly #emptyRow: readonly SqlValue[];
  readonly #aggregation: Aggregation | null;

  constructor(plan: QueryPlan, { target, problems, ahead, aggregation }: QueryContext) {
    this.#plan = plan;
    this.#problems = problems;
    this.#aggregation = aggregation;
    this.#target = target;
    this.#ahead = ahead;
    this.#emptyRow = plan.columns.map(() => null);
    this.#explodes = plan.columns.some(({ explodes }) => explodes);
    this.#frame = {
      rows: [null, ...plan.joins.map(() => null)],
      time: 0,
      change: null,
      note: problems.note,
    };
  }

  process(event: StreamEvent, fromSnapshot: boolean): void {
    this.#evaluate(event, fromSnapshot);
    this.#problems.settle(event);
  }

  #evaluate(event: StreamEvent, fromSnapshot: boolean): void {
    const { joins, where, usesChange } = this.#plan;
    const frame = this.#frame;
    frame.rows.fill(null);
    frame.rows[0] = event.row;
    frame.time = event.time;
    frame.change = event.change;
    const hasValue = event.hasValue || (usesChange && event.change !== null);
    if (!hasValue && joins.length > 0) return;
    let ahead = fromSnapshot;
    for (let i = 0; i < joins.length; i++) {
      const join = joins[i]!;
      const key = join.key(frame);
      const row = key === null ? null : join.rows.lookUp(key, join.asOf, event.seq);
      if (row === null && join.kind === 'INNER') return;
      frame.rows[i + 1] = row;
      ahead ||= isAhead(join.rows, this.#ahead);
    }
    if (where !== null && where(frame) !== true) return;
    if (this.#aggregation !== null) {
      if (hasValue) this.#aggregation.add(frame, event, ahead);
      return;
    }
    const row = this.#project();
    if (!this.#explodes) this.#emit(event, hasValue, row, ahead);
    else if (hasValue) this.#explode(event, row, ahead);
    else this.#emit(event, false, this.#item(row, -1), ahead);
  }

  #emit(event: StreamEvent, hasValue: boolean, row: readonly SqlValue[], ahead: boolean): void {
    const { seq, time, headers } = event;
    const problem = this.#target.emit({ row, hasValue, seq, time, change: null, headers }, ahead);
    if (problem !== null) this.#problems.note(problem);
  }

  /** What EXPLODE takes apart is whole in it. */
  #project(): SqlValue[] {
    const { columns } = this.#plan;
    const row = this.#emptyRow.slice();
    for (let i = 0; i < columns.length; i++) row[i] = columns[i]!.run(this.#frame);
    return row;
  }

  /** Several in one projection run in step; the shorter ones are NULL at the end. */
  #explode(event: StreamEvent, row: readonly SqlValue[], ahead: boolean): void {
    let count = 0;
    for (const [i, { explodes }] of this.#plan.columns.entries()) {
      if (explodes) count = Math.max(count, (row[i] as readonly SqlValue[] | null)?.length ?? 0);
    }
    for (let item = 0; item < count; item++) this.#emit(event, true, this.#item(row, item), ahead);
  }

  #item(row: readonly SqlValue[], item: number): SqlValue[] {
    return this.#plan.columns.map(({ explodes }, i) => {
      const value = row[i] ?? null;
      return explodes ? ((value as readonly SqlValue[] | null)?.[item] ?? null) : value;
    });
  }
}

/** Whether one of the captured tables behind it shows a later state than the log's. */
export function isAhead({ replicas }: ReadTable, ahead: ReadonlySet<number>): boolean {
  if (ahead.size === 0) return false;
  return replicas.some(({ index }) => ahead.has(index));
}
