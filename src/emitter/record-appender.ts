import type { Header } from './encoders/encoder.ts';
import type { EmitCounts, EmitterOptions } from './emitter.ts';
import type { KeyAndValue } from './side-records.ts';
import type { Sink, SinkRecord, TopicHandle } from './sink.ts';

export interface SideContent {
  readonly key: KeyAndValue['key'] | null;
  readonly value: KeyAndValue['value'];
}

/** Puts records into the sink and counts them. */
export class RecordAppender {
  /** Filled before each append; the same object for all. */
  readonly record: SinkRecord = {
    key: null,
    value: null,
    plain: false,
    headers: null,
    timestamp: 0,
    origin: null,
  };
  /** Of the batch in hand. */
  counts: EmitCounts = emptyCounts();
  /** For each record of a transaction of which a part has been committed; null in all others. */
  splitHeader: Header | null = null;
  /** Where the change in hand stands in the log; null where records do not tell. */
  positionHeader: Header | null = null;
  readonly #sink: Sink;
  readonly #tombstones: boolean;

  constructor(sink: Sink, { tombstones, envelope, unwrapped }: EmitterOptions) {
    this.#sink = sink;
    // An unwrapped delete is one itself.
    this.#tombstones = tombstones && !(envelope === 'unwrapped' && unwrapped.deletes === 'tombstone');
  }

  /** Counts anew. */
  begin(): EmitCounts {
    return (this.counts = emptyCounts());
  }

  append(topic: TopicHandle): void {
    const { record } = this;
    const { headers } = record;
    if (this.positionHeader !== null) record.headers = [...(headers ?? []), this.positionHeader];
    if (this.splitHeader !== null) record.headers = [...(record.headers ?? []), this.splitHeader];
    this.#sink.append(topic, record);
    record.headers = headers;
    this.counts.records++;
  }

  /** The record's key again, without a value: compaction may forget the key. */
  appendTombstone(topic: TopicHandle, headers: readonly Header[] | null): void {
    if (!this.#tombstones) return;
    this.record.value = null;
    this.record.headers = headers;
    this.append(topic);
  }

  /** A record that is of no table. */
  side(topic: TopicHandle, content: SideContent): void {
    this.#fill(content);
    this.append(topic);
  }

  /** A record that belongs to no transaction either. */
  apart(topic: TopicHandle, content: KeyAndValue): void {
    this.#fill(content);
    this.#sink.append(topic, this.record);
    this.counts.records++;
  }

  #fill({ key, value }: SideContent): void {
    this.record.origin = null;
    this.record.key = key;
    this.record.value = value;
    this.record.headers = null;
  }
}

function emptyCounts(): EmitCounts {
  return {
    creates: 0,
    updates: 0,
    deletes: 0,
    reads: 0,
    truncates: 0,
    messages: 0,
    filtered: 0,
    transactions: 0,
    records: 0,
  };
}
