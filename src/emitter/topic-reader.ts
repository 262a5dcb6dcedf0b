/**
 * Topics as the enrichment reads them: committed records of one topic, in order within each partition. Which
 * offsets have been worked off is the reader's caller's to keep, beside what it made of them.
 */
export interface TopicReader extends AsyncDisposable {
  /** The number of partitions. Throws `delivery.topic-missing` where the topic is not there and not to be made. */
  open(topic: string, create: NewTopic | null): Promise<number>;
  /** Offset of the first record that is still there, and of the end of what is committed. */
  range(partition: number): Promise<{ readonly start: number; readonly end: number }>;
  /** By partition: the end of all that has been written, decided or not. Call after `start`. */
  written(): Promise<readonly number[]>;
  /** Reads on from these offsets, by partition. */
  start(offsets: readonly number[]): void;
  /** What has arrived since the last call; waits up to that long where nothing has. */
  poll(maxWaitMs: number): Promise<readonly Fetched[]>;
  /** Nothing more is fetched of the partition until it is resumed. */
  pause(partition: number, paused: boolean): void;
}

export interface NewTopic {
  readonly partitions: number;
  readonly replicas: number | null;
}

export interface Fetched {
  readonly partition: number;
  readonly records: readonly TopicRecord[];
  /** Offset behind them: aborted records and markers lie between the last one and this. */
  readonly position: number;
  /** When the broker was asked and nothing more was committed, ms since the epoch; null: there is more. */
  readonly endAsOf: number | null;
}

export interface TopicRecord {
  readonly offset: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly (readonly [name: string, value: Uint8Array | null])[];
  /** Milliseconds since the epoch; negative where the record has none. */
  readonly timestamp: number;
}
