import type { HeadwaterError } from '../errors/headwater-error.ts';
import type { TableId } from '../model/table.ts';
import type { Holder } from '../observability/status.ts';

/**
 * Where records go. A sink takes bytes and a small map of state, and makes both durable together: that is how
 * a crash leaves no gap and no duplicate. It knows nothing of tables, envelopes or positions.
 *
 * Use: `restore` once, then any number of `append`s, awaiting `ready` between batches, and `commit` wherever
 * the state that goes with the records so far is known. Records appended after a `commit` call belong to the
 * next commit, also while the former is still under way. Commits complete in order. After any rejection the
 * sink is dead: dispose of it, open another, `restore`, and start from there: that is the one way.
 */
export interface Sink extends AsyncDisposable {
  /** What JSON is best given as: bytes of it are taken for some other format where that is text. */
  readonly json: 'text' | 'bytes';
  /**
   * Takes ownership (waits for the lease where the sink has one; calls `onWaiting` when it has to), fences
   * predecessors, and reads the durable state back. Resolves to an empty map for a new pipeline.
   */
  restore(options: RestoreOptions): Promise<ReadonlyMap<string, string>>;
  /**
   * Throws where one of these topics can neither be written nor created, as far as it can be known beforehand;
   * changes nothing. Asked after `restore`, before anything is made at the source. Left out where nothing can
   * be known.
   */
  check?(topics: readonly string[], signal: AbortSignal): Promise<void>;
  /** Resolves when the topic exists and its partitions are known. Call once per topic, keep the handle. */
  topic(name: string, purpose: TopicPurpose, wish?: TopicWish): Promise<TopicHandle>;
  /** Synchronous and cheap: encodes straight into the open block. Throws `delivery.record-too-large` by policy. */
  append(topic: TopicHandle, record: SinkRecord): void;
  /** Back-pressure: undefined means go on; otherwise await before the next batch. */
  ready(): Promise<void> | undefined;
  /** Everything appended so far and `state` are durable together when this resolves. null forgets a key. */
  commit(state: ReadonlyMap<string, string | null>): Promise<void>;
  /** Rejects when ownership is lost or the sink breaks, whether or not a call is under way. Never resolves. */
  readonly failed: Promise<never>;
  stats(): SinkStats;
}

/**
 * Entries of the durable state of which there may be more than memory has room for: all whose keys begin with `prefix`.
 * A sink that is given one fills it at `restore`, changes it with each commit, and leaves them out of what it answers.
 */
export interface BulkState {
  readonly prefix: string;
  /** Call before the first entry. */
  clear(): void;
  get(key: string): string | undefined;
  /** Null forgets the entry. */
  set(key: string, value: string | null): void;
  readonly size: number;
  /** Those whose keys begin so; what changes meanwhile comes as it was or as it is, or not at all if it is new. */
  entries(prefix: string): IterableIterator<readonly [string, string]>;
}

export interface RestoreOptions {
  /** Left out where all entries are to be in what is answered. */
  readonly bulk?: BulkState;
  /** Another instance holds the pipeline; called again when that may have changed. Null where nobody knows who. */
  readonly onWaiting: (holder: Holder | null) => void;
  /** A record of this table was too large: a note of it lies in the dead-letter topic. */
  readonly onDeadLetter?: (table: TableId, error: HeadwaterError) => void;
  /** Left out where there is nobody to share with. */
  readonly turns?: TurnTaking;
  readonly signal: AbortSignal;
}

/** How instances that could all run a pipeline agree which of them does. */
export interface TurnTaking {
  /** Told to the others: see `Holder`. */
  readonly http: string | null;
  /** Whether it had better be this instance; asked again and again. */
  preferred(): boolean;
  /** It had better not, and one that is preferred waits: end the attempt, soon. */
  onYield(): void;
}

export type TopicPurpose =
  'table' | 'compacted' | 'transaction' | 'message' | 'heartbeat' | 'schema' | 'notification' | 'dead-letter';

/** How a topic is to be made where it is missing, instead of what the settings say; null: as they say. */
export interface TopicWish {
  readonly partitions: number | null;
  readonly replicas: number | null;
  readonly config: Readonly<Record<string, string>>;
}

export interface TopicHandle {
  readonly name: string;
}

/** The same object may be reused by the caller after `append` returns. */
export interface SinkRecord {
  /** Text is JSON, unless `plain`. */
  key: string | Uint8Array | null;
  value: string | Uint8Array | null;
  /** Key and value are text as it is; a sink that writes JSON quotes it. */
  plain?: boolean;
  /** Of the same list the sink may take the same to be in it. */
  headers: readonly (readonly [name: string, value: string | Uint8Array | null])[] | null;
  /** Milliseconds since the epoch. */
  timestamp: number;
  /** The table whose change the record is of; null, or left out, where it is of none. */
  origin?: TableId | null;
}

export interface SinkStats {
  records: number;
  bytes: number;
  commits: number;
  /** Bytes appended and not yet durable. */
  pendingBytes: number;
}
