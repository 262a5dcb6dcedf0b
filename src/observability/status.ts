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
  /** Where its HTTP interface listens; null where it has none. */
  readonly http: string | null;
}

export interface PipelineStatus {
  readonly name: string;
  readonly connector: string;
  readonly state: PipelineState;
  readonly since: string;
  /** Where changes are found, and why so where the settings leave it open; null before that is decided. */
  readonly capture: { readonly mode: 'log' | 'poll'; readonly reason: string | null } | null;
  /** Of a standby: who runs it instead, if that is known. */
  readonly heldBy: Holder | null;
  /** The last error that ended an attempt. */
  readonly lastError: StatusError | null;
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
  readonly recent: RecentActivity;
  readonly snapshot: SnapshotProgress | null;
  readonly tables: readonly TableStatus[];
  /** Of the enrichment; empty where there is none. */
  readonly queries: readonly QueryStatus[];
}

export interface StatusError {
  /** Of the catalogue. */
  readonly code: string;
  readonly message: string;
  /** What to do about it. */
  readonly advice: string;
  readonly at: string;
}

/** The last minutes, oldest sample first; all arrays have one length. */
export interface RecentActivity {
  readonly sampleMs: number;
  /** When the newest sample ended. */
  readonly until: string;
  readonly recordsPerSecond: readonly number[];
  /** The largest of each sample; null where it was not known. */
  readonly lagMs: readonly (number | null)[];
}

export interface QueryStatus {
  readonly id: string;
  /** SQL text. */
  readonly statement: string;
  /** Topic of the results. */
  readonly topic: string;
  /** Records written to the topic since the attempt began. */
  readonly records: number;
  /** What failed for its rows, and records that were left out, since the attempt began. */
  readonly problems: number;
  /** The same by what was wrong; `late`, `record-unreadable` and others are in docs/enrichment.md. */
  readonly problemsByKind: Readonly<Record<string, number>>;
  /** Why the statement no longer fits the tables it names, and rests; null while it runs. */
  readonly paused: string | null;
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
  /** Given up: neither done nor to be waited for. */
  readonly tablesFailed: number;
  readonly rows: number;
  readonly estimatedRows: number | null;
  readonly rowsPerSecond: number;
  readonly remainingMs: number | null;
}

export interface TableStatus {
  /** schema.table */
  readonly table: string;
  readonly topic: string;
  /** `quarantined`: its snapshot was given up, or its changes are left out until something is mended or asked for. */
  readonly state: 'waiting' | 'snapshotting' | 'streaming' | 'quarantined';
  /** Why it is quarantined, of the catalogue and in words, and what to do. */
  readonly code: string | null;
  readonly reason: string | null;
  readonly advice: string | null;
  /** How far its snapshot is; null where it has none. */
  readonly snapshot: 'waiting' | 'reading' | 'done' | 'failed' | null;
  /** Changes that could not be encoded and went to the dead-letter topic, since the process started. */
  readonly deadLetters: number;
  readonly lastDeadLetter: StatusError | null;
  /** What is not captured and why, with the statement that changes it. */
  readonly limitation: string | null;
  readonly rowsSnapshotted: number;
  readonly estimatedRows: number | null;
  /** Version of the schema that its last change was written with; null before the first. */
  readonly schemaVersion: number | null;
  /** Records, since the process started. */
  readonly events: number;
  readonly lastEventAt: string | null;
}
