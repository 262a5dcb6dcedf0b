import type { EmitCounts } from '../emitter/emitter.ts';
import type { HeadwaterError } from '../errors/headwater-error.ts';
import type { Batch } from '../model/batch.ts';
import type { JsonValue } from '../model/position.ts';
import type { TableTotals } from '../emitter/table-routes.ts';
import type {
  Holder,
  PipelineCounters,
  PipelineState,
  PipelineStatus,
  QueryStatus,
  SnapshotProgress,
  StatusError,
  TableStatus,
} from '../observability/status.ts';
import { RecentRing } from './recent.ts';

/** Counters are plain fields because the hot path adds to them once a batch. */
export type MutableCounters = { -readonly [K in keyof PipelineCounters]: number };

const RATE_WINDOW_MS = 10_000;
/** Errors that tell of another instance alone. */
const OWNERSHIP_LOST: ReadonlySet<string> = new Set(['delivery.lease-lost', 'delivery.fenced']);

export interface DeadLetterTally {
  count: number;
  last: StatusError;
  /** Codes that have been told of. */
  readonly codes: Set<string>;
}

/** What one pipeline says of itself over all its attempts; `status()` makes the public value of it. */
export class PipelineMonitor {
  readonly name: string;
  connector: string;
  readonly counters: MutableCounters = {
    creates: 0,
    updates: 0,
    deletes: 0,
    reads: 0,
    truncates: 0,
    filtered: 0,
    messages: 0,
    transactions: 0,
    records: 0,
    recordBytes: 0,
    commits: 0,
    sourceBytes: 0,
    disconnects: 0,
  };
  /** The current attempt's snapshot, asked at each status. */
  snapshotProgress: () => SnapshotProgress | null = () => null;
  tableStatus: () => readonly TableStatus[] = () => [];
  queryStatus: () => readonly QueryStatus[] = () => [];
  /** By `schema.table`, over all attempts. */
  readonly tableTotals = new Map<string, TableTotals>();
  /** By `schema.table`. */
  readonly deadLetters = new Map<string, DeadLetterTally>();
  position: JsonValue = null;
  confirmed: JsonValue = null;
  sourceHead: JsonValue = null;
  retainedBytes: number | null = null;
  retentionMs: number | null = null;
  retainedBudgetBytes: number | null = null;
  lastCommitTimeUs: number | null = null;
  /** Commits that delivered something or moved the position: what back-off starts anew by. */
  progress = 0;
  retryAt: number | null = null;
  attempts = 0;
  readonly #now: () => number;
  readonly #steady: () => number;
  readonly #progressTimeoutMs: number;
  readonly #recent: RecentRing;
  #state: PipelineState = 'starting';
  #since: number;
  #capture: PipelineStatus['capture'] = null;
  #lastError: PipelineStatus['lastError'] = null;
  #warnings: readonly string[] = [];
  readonly #notes = new Set<string>();
  #lastDeliveryAt: number | null = null;
  /** Since when the source has been ahead of us without any delivery; null when it isn't. */
  #behindSince: number | null = null;
  #heldBy: Holder | null = null;
  /** `progress` when an attempt failed last; null where none has, or it was no fault of source or sink. */
  #failedAt: number | null = null;
  #rate: { at: number; records: number }[] = [];
  #overBudget = false;
  #caughtUp = false;
  /** When it was last known that nothing was outstanding. */
  #caughtUpAt: number | null = null;

  constructor(options: {
    readonly name: string;
    readonly connector: string;
    readonly progressTimeoutMs: number;
    /** The wall clock's: what people are told. */
    readonly now: () => number;
    /** Of a clock that nobody sets, for what is measured; `now` unless given. */
    readonly steady?: () => number;
  }) {
    this.name = options.name;
    this.connector = options.connector;
    this.#now = options.now;
    this.#steady = options.steady ?? options.now;
    this.#progressTimeoutMs = options.progressTimeoutMs;
    this.#since = options.now();
    this.#recent = new RecentRing(this.#since);
  }

  get state(): PipelineState {
    return this.#state;
  }

  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  set caughtUp(value: boolean) {
    if (this.#caughtUp && !value) this.#caughtUpAt = this.#now();
    this.#caughtUp = value;
  }

  /** Another instance looks after the pipeline. */
  standBy(holder: Holder | null): void {
    this.enter('standby');
    this.#heldBy = holder;
    this.sawRetained(null);
  }

  /** The last attempt failed, and nothing has been delivered since. */
  get troubled(): boolean {
    return this.#failedAt === this.progress;
  }

  /** How changes are found from here on. Answers whether that is to be told. */
  captures(mode: 'log' | 'poll', reason: string | null): boolean {
    const was = this.#capture;
    this.#capture = { mode, reason };
    return reason !== null && (was?.mode !== mode || was.reason !== reason);
  }

  enter(state: PipelineState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#since = this.#now();
    this.#heldBy = null;
  }

  failed(error: HeadwaterError): void {
    // From now on nobody looks.
    this.caughtUp = false;
    this.#failedAt = OWNERSHIP_LOST.has(error.code) ? null : this.progress;
    this.#lastError = this.#told(error);
  }

  /** A warning that stays; answers whether it is news. */
  note(warning: string): boolean {
    if (this.#notes.has(warning)) return false;
    this.#notes.add(warning);
    return true;
  }

  /** Takes the place of the warnings before; answers those that are new. */
  warn(warnings: readonly string[]): readonly string[] {
    const news = warnings.filter((warning) => !this.#warnings.includes(warning));
    this.#warnings = warnings;
    return news;
  }

  /** A change of the table lies in the dead-letter topic; answers whether that is news of its kind. */
  deadLetter(table: string, error: HeadwaterError): boolean {
    const { code } = error;
    const last = this.#told(error);
    const tally = this.deadLetters.get(table);
    if (tally === undefined) {
      this.deadLetters.set(table, { count: 1, last, codes: new Set([code]) });
      return true;
    }
    tally.count++;
    tally.last = last;
    const news = !tally.codes.has(code);
    tally.codes.add(code);
    return news;
  }

  /** The attempt is over: what it showed last stays, without holding on to the attempt itself. */
  settle(): void {
    const snapshot = this.snapshotProgress();
    const tables = this.tableStatus();
    const queries = this.queryStatus();
    this.snapshotProgress = () => snapshot;
    this.tableStatus = () => tables;
    this.queryStatus = () => queries;
  }

  #told({ code, message, advice }: HeadwaterError): StatusError {
    return { code, message, advice, at: new Date(this.#now()).toISOString() };
  }

  delivered(position: JsonValue, commitTimeUs: number | null): void {
    this.position = position;
    this.lastCommitTimeUs = commitTimeUs;
    this.#lastDeliveryAt = this.#now();
    this.#behindSince = null;
  }

  /** Once a batch, after it has been appended. */
  count(batch: Batch<unknown>, counts: EmitCounts): void {
    const total = this.counters;
    total.creates += counts.creates;
    total.updates += counts.updates;
    total.deletes += counts.deletes;
    total.reads += counts.reads;
    total.truncates += counts.truncates;
    total.messages += counts.messages;
    total.filtered += counts.filtered;
    total.transactions += counts.transactions;
    total.records += counts.records;
    total.sourceBytes += batch.bytes;
    this.#recent.add(counts.records, this.#now());
  }

  /** Bytes of log the source keeps for us; answers whether they have come to be more than the budget just now. */
  sawRetained(bytes: number | null): boolean {
    const was = this.#overBudget;
    this.retainedBytes = bytes;
    this.#overBudget =
      bytes !== null && this.retainedBudgetBytes !== null && bytes > this.retainedBudgetBytes;
    return this.#overBudget && !was;
  }

  /** From the head poll: whether the source's log is ahead of what has been delivered. */
  sawHead(head: JsonValue, ahead: boolean): void {
    this.sourceHead = head;
    this.caughtUp = !ahead;
    if (!ahead) this.#behindSince = null;
    else this.#behindSince ??= this.#steady();
    this.#sampleRate();
    const now = this.#now();
    this.#recent.lag(this.#lagMs(now), now);
  }

  #sampleRate(): void {
    const now = this.#steady();
    this.#rate.push({ at: now, records: this.counters.records });
    while (this.#rate.length > 2 && this.#rate[0]!.at < now - RATE_WINDOW_MS) this.#rate.shift();
  }

  #eventsPerSecond(): number {
    const first = this.#rate[0];
    if (first === undefined) return 0;
    const seconds = (this.#steady() - first.at) / 1000;
    return seconds <= 0 ? 0 : Math.round((this.counters.records - first.records) / seconds);
  }

  /** At most: what is outstanding is younger than the last change and than the moment when nothing was. */
  #lagMs(now: number): number | null {
    if (this.#caughtUp) return 0;
    const since = Math.max((this.lastCommitTimeUs ?? 0) / 1000, this.#caughtUpAt ?? 0);
    return since === 0 ? null : Math.max(0, Math.round(now - since));
  }

  status(): PipelineStatus {
    const now = this.#now();
    const lagMs = this.#lagMs(now);
    return {
      name: this.name,
      connector: this.connector,
      state: this.#state,
      since: new Date(this.#since).toISOString(),
      capture: this.#capture,
      heldBy: this.#heldBy,
      lastError: this.#lastError,
      warnings: [...this.#warnings, ...this.#notes],
      attempts: this.attempts,
      retryInMs: this.retryAt === null ? null : Math.max(0, Math.round(this.retryAt - now)),
      position: this.position,
      confirmed: this.confirmed,
      sourceHead: this.sourceHead,
      retainedBytes: this.retainedBytes,
      retainedBudgetBytes: this.retainedBudgetBytes,
      headroomMs: this.retentionMs === null || lagMs === null ? null : this.retentionMs - lagMs,
      lagMs,
      caughtUp: this.caughtUp,
      progressing: this.#behindSince === null || this.#steady() - this.#behindSince < this.#progressTimeoutMs,
      lastDeliveryAt: this.#lastDeliveryAt === null ? null : new Date(this.#lastDeliveryAt).toISOString(),
      counters: { ...this.counters },
      eventsPerSecond: this.#eventsPerSecond(),
      recent: this.#recent.recent(now),
      snapshot: this.snapshotProgress(),
      tables: this.tableStatus(),
      queries: this.queryStatus(),
    };
  }
}
