import type { TableId } from '../../../model/table.ts';
import type { BatchBuilder } from './record-batch.ts';
import type { Compression } from './options.ts';
import type { TopicTimes } from './topic-times.ts';

/** A topic as the producer sees it. Its number of partitions is kept from start to restart: keys don't move. */
export interface KafkaTopic {
  readonly name: string;
  readonly partitions: readonly PartitionQueue[];
  /** Where records without a key go: murmur2 of the topic's name, so that their order holds. */
  readonly keyless: PartitionQueue;
  /** The topic's max.message.bytes: the largest batch it takes. */
  readonly maxMessageBytes: number;
}

/** What becomes durable together: one Kafka transaction, or one state record after its data. */
export interface CommitGroup {
  /** Partitions that have, or had, a batch in this group. */
  readonly touched: Set<PartitionQueue>;
  /** Not yet part of the Kafka transaction. */
  readonly toAdd: Set<PartitionQueue>;
  readonly added: Set<PartitionQueue>;
  /** Batches opened and not yet acknowledged. */
  unacked: number;
  phase: 'open' | 'closed' | 'finishing';
  adding: boolean;
  /** At-least-once: writes the state records, once the data are acknowledged. */
  writeState: (() => void) | null;
  /** Offset of the first state record, once known. */
  stateOffset: number | null;
  settle: {
    readonly resolve: (stateOffset: number | null) => void;
    readonly reject: (error: unknown) => void;
  } | null;
}

export interface SealedBatch {
  readonly partition: PartitionQueue;
  readonly group: CommitGroup;
  /** Header and records; null while the thread pool compresses. */
  bytes: Buffer | null;
  readonly rawBytes: number;
  readonly count: number;
  /** Of the first record: see SinkRecord. */
  readonly origin: TableId | null;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
  compression: Compression;
  /** First sequence number; -1 until first sent. */
  sequence: number;
  acked: boolean;
  /** Gives the buffer back, where it is one of the pool's. */
  release: (() => void) | null;
}

/** The batches of one partition on their way, oldest first. */
export class PartitionQueue {
  readonly topic: string;
  readonly index: number;
  /** The same as the topic's; here because the hot path needs it here. */
  readonly maxMessageBytes: number;
  readonly times: TopicTimes;
  open: BatchBuilder | null = null;
  readonly queue: SealedBatch[] = [];
  /** How many of `queue` are in flight. */
  sent = 0;
  inFlight = 0;
  /**
   * Whether the broker has accepted a batch of this producer. Before that it takes any sequence number for the
   * first: were the first batch refused (a leader that has just been elected) and the second accepted, the first
   * could not follow any more. So until then one batch at a time.
   */
  known = false;
  nextSequence = 0;
  /** The producer epoch that `nextSequence` counts in. */
  epoch = -1;
  recovering = false;
  /** Since when nothing of this partition has succeeded; null when all is well. */
  failingSince: number | null = null;

  constructor(
    topic: string,
    index: number,
    { maxMessageBytes, times }: { readonly maxMessageBytes: number; readonly times: TopicTimes },
  ) {
    this.topic = topic;
    this.index = index;
    this.maxMessageBytes = maxMessageBytes;
    this.times = times;
  }

  /** Drops what is acknowledged from the front. */
  settle(): void {
    while (this.queue[0]?.acked) {
      this.queue.shift();
      if (this.sent > 0) this.sent--;
    }
  }
}

export function newGroup(): CommitGroup {
  return {
    touched: new Set(),
    toAdd: new Set(),
    added: new Set(),
    unacked: 0,
    phase: 'open',
    adding: false,
    writeState: null,
    stateOffset: null,
    settle: null,
  };
}

/** The group has something for the partition. */
export function touch(group: CommitGroup, partition: PartitionQueue): void {
  if (group.touched.has(partition)) return;
  group.touched.add(partition);
  group.toAdd.add(partition);
}
