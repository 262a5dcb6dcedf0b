import type { ChangeFacts } from '../sql/frame.ts';
import type { TopicRecord } from '../../emitter/topic-reader.ts';
import type { SqlValue } from '../sql/value.ts';

/** One event of a stream on its way through the queries. */
export interface StreamEvent {
  /** By the slots of a captured stream, or by the columns of a query's result. */
  readonly row: readonly SqlValue[];
  /** False for a deleted row: of `row` only the key counts. */
  readonly hasValue: boolean;
  /** Place within its transaction. */
  readonly seq: number;
  /** ROWTIME, ms since the epoch. */
  readonly time: number;
  /** Null where no query of the stream asks for it. */
  readonly change: ChangeFacts | null;
  /** Of the record that it was, or came of; null where there are none. */
  readonly headers: TopicRecord['headers'] | null;
}
