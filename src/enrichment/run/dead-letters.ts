/**
 * ON_ERROR = 'DLQ': what a query could not use, in a topic beside that of its results and in the same transaction.
 * Headers say what was wrong with it:
 *
 * | header | |
 * | --- | --- |
 * | `__headwater.query` | the query's id |
 * | `__headwater.problem` | as the processing log calls it; several with commas between |
 * | `__headwater.topic`, `.partition`, `.offset` | where a record lies that could not be read |
 */
import type { Sink, SinkRecord, TopicHandle } from '../../emitter/sink.ts';
import type { TopicRecord } from '../../emitter/topic-reader.ts';
import type { StreamSource } from '../sources/catalog.ts';
import type { StreamEvent } from './event.ts';
import { partWriter, type WritePart } from '../formats/part-writer.ts';
import type { Problem } from '../sql/frame.ts';

export function deadLetterTopic(results: string): string {
  return `${results}-dlq`;
}

export class DeadLetters {
  readonly #sink: Sink;
  readonly #topic: TopicHandle;

  constructor(sink: Sink, topic: TopicHandle) {
    this.#sink = sink;
    this.#topic = topic;
  }

  /** A record that could not be read, as it was. */
  record(
    query: string,
    problem: Problem,
    { topic, partition, record }: { topic: string; partition: number; record: TopicRecord },
  ): void {
    const { key, value, headers, timestamp, offset } = record;
    this.#append({
      key,
      value,
      headers: [
        ...headers,
        ['__headwater.query', query],
        ['__headwater.problem', problem],
        ['__headwater.topic', topic],
        ['__headwater.partition', String(partition)],
        ['__headwater.offset', String(offset)],
      ],
      timestamp: timestamp >= 0 ? timestamp : Date.now(),
    });
  }

  /** An event for which an expression failed, or that came too late: its row as JSON. */
  event(query: string, problems: Iterable<Problem>, { text, time }: { text: string; time: number }): void {
    this.#append({
      key: null,
      value: text,
      headers: [
        ['__headwater.query', query],
        ['__headwater.problem', [...problems].join(',')],
      ],
      timestamp: time,
    });
  }

  #append(record: SinkRecord): void {
    this.#sink.append(this.#topic, record);
  }
}

/** Events of a stream as JSON. */
export function eventText({ captured, columns }: StreamSource): (event: StreamEvent) => string {
  // Rows of captured streams hold the columns that statements use.
  const written = (captured?.used ?? columns).map(({ name, type }, index) => ({ index, label: name, type }));
  const write: WritePart = partWriter(written, {
    format: 'JSON',
    delimiter: '',
    bare: false,
    spelling: (name) => name,
    prefix: null,
  });
  return ({ row }) => String(write(row));
}
