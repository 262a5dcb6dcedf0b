/**
 * What a pipeline says of itself: `/status`, `/metrics`, `headwater status` and the health pages are all made
 * from this one value. Times are ISO 8601 UTC, durations in milliseconds, sizes in bytes.
 */
import type { JsonValue } from '../model/position.ts';

export type PipelineState =
  | 'starting'
  | 'standby' // another instance holds the lease
  | 'snapshotting' // phase A: the stream has not begun
  | 'streaming'
  | 'backing-off'
  | 'paused' // by an operator
  | 'stopping'
  | 'stopped'
  | 'failed';

/** The instance that runs a pipeline which others wait for. */
export interface Holder {
  readonly host: string;
  readonly pid: number;
  /** Where its HTTP interface listens, as its settings say; null where it has none. */
  readonly http: string | null;
}

export interface PipelineStatus {
  readonly name: string;
  readonly connector: string;
  readonly state: PipelineState;
  readonly since: string;
  /** Of a standby: who runs it instead, if that is known. */
  readonly heldBy: Holder | null;
  /** The last error that ended an attempt: catalogue code and sentence. */
  readonly lastError: { readonly code: string; readonly message: string; readonly at: string } | null;
  /** What is not as the settings ask for and does not keep the rest from going on. Sentences. */
  readonly warnings: readonly string[];
  readonly attempts: number;
  /** Milliseconds until the next attempt while backing off. */
  readonly retryInMs: number | null;
  readonly position: JsonValue;
  readonly confirmed: JsonValue;
  readonly sourceHead: JsonValue;
  /** Bytes of log the source keeps because of us. */
  readonly retainedBytes: number | null;
  readonly retainedBudgetBytes: number | null;
  /** Until the source may delete log that was not delivered, at this lag; null where it keeps it for us or for ever. */
  readonly headroomMs: number | null;
  /** Wall clock minus commit time of the last delivered transaction; 0 when caught up. */
  readonly lagMs: number | null;
  readonly caughtUp: boolean;
  /** False when the source has been advancing for `progressTimeoutMs` and nothing was delivered. */
  readonly progressing: boolean;
  readonly lastDeliveryAt: string | null;
  readonly counters: PipelineCounters;
  readonly eventsPerSecond: number;
  readonly snapshot: SnapshotProgress | null;
  readonly tables: readonly TableStatus[];
}

export interface PipelineCounters {
  readonly creates: number;
  readonly updates: number;
  readonly deletes: number;
  readonly reads: number;
  readonly truncates: number;
  /** Changes that by the settings made no record. */
  readonly filtered: number;
  readonly messages: number;
  readonly transactions: number;
  readonly records: number;
  readonly recordBytes: number;
  readonly commits: number;
  readonly sourceBytes: number;
  readonly disconnects: number;
}

export interface SnapshotProgress {
  readonly running: boolean;
  /** By an operator; the stream goes on. */
  readonly paused: boolean;
  readonly startedAt: string;
  readonly completedAt: string | null;
  readonly tablesTotal: number;
  readonly tablesDone: number;
  readonly rows: number;
  readonly estimatedRows: number | null;
  readonly rowsPerSecond: number;
  readonly remainingMs: number | null;
}

export interface DeadLetterStatus {
  readonly code: string;
  readonly message: string;
  readonly at: string;
}

export interface TableStatus {
  /** schema.table */
  readonly table: string;
  readonly topic: string;
  /** `quarantined`: its snapshot was given up, or the schema registry refuses its schema. */
  readonly state: 'waiting' | 'snapshotting' | 'streaming' | 'quarantined';
  /** Why it is quarantined. */
  readonly reason: string | null;
  /** Changes that could not be encoded and went to the dead-letter topic, since the process started. */
  readonly deadLetters: number;
  readonly lastDeadLetter: DeadLetterStatus | null;
  /** What is not captured and why, with the statement that changes it. */
  readonly limitation: string | null;
  readonly rowsSnapshotted: number;
  readonly estimatedRows: number | null;
  readonly events: number;
  readonly lastEventAt: string | null;
}
