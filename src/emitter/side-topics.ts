/** Topics of records that are not rows: each is opened, and its schemas registered, when it is first needed. */
import { HeadwaterError } from '../errors/headwater-error.ts';
import type { SourceInfo } from '../model/change.ts';
import type { SourceBlock } from '../schema/source-block.ts';
import { type DeadLetter, deadLetters } from './dead-letter.ts';
import type { Encoding } from './encoders/encoder.ts';
import { type SchemaChangeRecords, schemaChangeRecords } from './schema-change-records.ts';
import {
  heartbeatRecords,
  type KeyAndValue,
  type MessageRecord,
  messageRecords,
  type NotificationRecord,
  notificationRecords,
  type TransactionRecords,
  transactionRecords,
} from './side-records.ts';
import type { Sink, TopicHandle, TopicPurpose } from './sink.ts';
import {
  deadLetterTopic,
  heartbeatTopic,
  messageTopic,
  notificationTopic,
  schemaChangeTopic,
  transactionTopic,
} from './topic-names.ts';

/** One topic, and what makes its records. */
class SideTopic<R> {
  readonly #open: () => Promise<readonly [TopicHandle, R]>;
  #opening: Promise<void> | null = null;
  #opened: readonly [TopicHandle, R] | null = null;

  constructor(open: () => Promise<readonly [TopicHandle, R]>) {
    this.#open = open;
  }

  /** Adds what has to be waited for before the first record. */
  prepare(waiting: Promise<unknown>[]): void {
    if (this.#opened !== null) return;
    this.#opening ??= this.#open().then((opened) => {
      this.#opened = opened;
    });
    waiting.push(this.#opening);
  }

  get topic(): TopicHandle {
    return this.#ready[0];
  }

  get records(): R {
    return this.#ready[1];
  }

  get #ready(): readonly [TopicHandle, R] {
    if (this.#opened !== null) return this.#opened;
    throw new HeadwaterError('internal.bug', 'A side record was asked for before its topic was prepared.');
  }
}

export interface SideTopics<S extends SourceInfo> {
  readonly heartbeat: SideTopic<(nowMs: number) => KeyAndValue>;
  readonly message: SideTopic<MessageRecord<S>>;
  readonly schemaChange: SideTopic<SchemaChangeRecords<S>>;
  readonly transaction: SideTopic<TransactionRecords<S>>;
  readonly notification: SideTopic<NotificationRecord>;
  readonly deadLetter: SideTopic<(letter: DeadLetter) => KeyAndValue>;
}

export interface SideTopicOptions {
  /** The pipeline's name. */
  readonly name: string;
  readonly connector: SourceInfo['connector'];
  /** `<name>.dead-letter` unless given. */
  readonly deadLetterTopic?: string;
}

/** Each topic and its encoders are made with its first record. */
export function sideTopics<S extends SourceInfo>(
  { name, connector, deadLetterTopic: ownDeadLetters }: SideTopicOptions,
  parts: { readonly encoding: Encoding; readonly block: SourceBlock<S>; readonly sink: Sink },
): SideTopics<S> {
  const { encoding, block, sink } = parts;
  const side = <R>(
    topic: string,
    purpose: TopicPurpose,
    make: (topic: string) => R | Promise<R>,
  ): SideTopic<R> => new SideTopic(() => Promise.all([sink.topic(topic, purpose), make(topic)]));
  return {
    heartbeat: side(heartbeatTopic(name), 'heartbeat', (topic) =>
      heartbeatRecords(encoding, { name, topic }),
    ),
    message: side(messageTopic(name), 'message', (topic) =>
      messageRecords(encoding, block, { connector, topic }),
    ),
    schemaChange: side(schemaChangeTopic(name), 'schema', (topic) =>
      schemaChangeRecords(encoding, block, { connector, topic }),
    ),
    transaction: side(transactionTopic(name), 'transaction', (topic) =>
      transactionRecords(encoding, block, topic),
    ),
    notification: side(notificationTopic(name), 'notification', (topic) =>
      notificationRecords(encoding, topic),
    ),
    deadLetter: side(ownDeadLetters ?? deadLetterTopic(name), 'dead-letter', () => deadLetters(name)),
  };
}
