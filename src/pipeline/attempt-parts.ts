import type { Emitter } from '../emitter/emitter.ts';
import type { Sink, TurnTaking } from '../emitter/sink.ts';
import type { TableTotals } from '../emitter/table-routes.ts';
import type { HeadwaterError } from '../errors/headwater-error.ts';
import type { SourceInfo } from '../model/change.ts';
import type { PositionCodec } from '../model/position.ts';
import type { TableId, TableSchema } from '../model/table.ts';
import type { BatchTraces } from '../observability/batch-traces.ts';
import type { Log } from '../observability/log.ts';
import type { DeliveredBefore, DeliveredKeys } from '../readers/delivered-before.ts';
import type { Reader } from '../readers/reader.ts';
import type { OpenContext } from '../enrichment/enrichment.ts';
import type { BulkGroups } from '../enrichment/state/bulk-groups.ts';
import type { RunningEnrichment } from '../enrichment/run/running-enrichment.ts';
import type { SnapshotOptions } from '../snapshot/snapshot.ts';
import type { PipelineControl } from './control.ts';
import type { Ending } from './ending.ts';
import type { PipelineMonitor } from './monitor.ts';

/** Everything one attempt is made of; the daemon puts it together from the settings. */
export interface AttemptParts<P, S extends SourceInfo> {
  readonly name: string;
  readonly control: PipelineControl;
  /** Left out where nobody else could run the pipeline. */
  readonly turns?: TurnTaking;
  /** Makes a reader that has done nothing yet. */
  openReader(): Reader<P, S>;
  /** Null where changes were found in the same way when the state was written. */
  changeOver(state: ReadonlyMap<string, string>): ChangeOver | null;
  /** What is known of rows that were delivered in another way before; null where nothing was, or all has been told. */
  deliveredBefore(
    state: ReadonlyMap<string, string>,
    tables: readonly TableId[],
    signal: AbortSignal,
  ): Promise<DeliveredBefore | null>;
  /** Where polling may take over from the log and is to know what had been delivered; null elsewhere. */
  deliveredKeys(found: {
    readonly codec: PositionCodec<P>;
    readonly state: ReadonlyMap<string, string>;
    readonly tables: readonly TableId[];
  }): Promise<DeliveredKeys<P> | null>;
  /** The origin of what is told of at a position, and is no change of the log's. */
  originAt(position: P): S;
  /** Connects to the sink; changes nothing there before `restore`. */
  openSink(signal: AbortSignal): Promise<Sink>;
  /** Where the settings do not fit the tables, which are as the source has them now. */
  misfits(
    found: { readonly tables: readonly TableSchema[]; readonly state: ReadonlyMap<string, string> },
    signal: AbortSignal,
  ): Promise<readonly Misfit[]>;
  /** Settings of tables that are not among these, in a sentence each. */
  idleSettings(captured: readonly TableId[]): readonly string[];
  /** Recovers how records are written from the durable state; asks the schema registry where there is one. */
  openRecords(
    found: {
      /** As the sink takes it. */
      readonly json: Sink['json'];
      readonly state: ReadonlyMap<string, string>;
      readonly captured: readonly TableId[];
      readonly misfits: readonly Misfit[];
    },
    signal: AbortSignal,
  ): Promise<Records>;
  topicOf(id: TableId): string;
  /** All topics that are written for these tables, side topics included. */
  topicsOf(tables: readonly TableId[]): readonly string[];
  readonly snapshot: Pick<
    SnapshotOptions<P, S>,
    'mode' | 'parallelism' | 'chunkRows' | 'where' | 'walLimitBytes' | 'beganBefore'
  >;
  readonly onGap: 'resnapshot' | 'fail' | 'skip_with_marker';
  /** Why the attempt before this one found the position lost, where that is to be answered by `onGap`. */
  readonly lost: string | null;
  readonly exactlyOnce: boolean;
  readonly maxTransactionRows: number;
  readonly maxTransactionMs: number;
  readonly heartbeatMs: number | null;
  /** Null where commits are not traced. */
  readonly traces: BatchTraces | null;
  /** Null where there are no statements. */
  readonly enrichment: EnrichmentParts<P, S> | null;
  /** End with 'complete' once the snapshot is done and the log is delivered up to where it stood at start. */
  readonly untilCaughtUp: boolean;
}

/** Changes are found in another way than before. */
export interface ChangeOver {
  readonly from: 'log' | 'poll';
  /** What of the durable state counts no more, or becomes something else. */
  readonly state: ReadonlyMap<string, string | null>;
}

/** What the steps of an attempt share. */
export interface Attempt<P, S extends SourceInfo> {
  readonly parts: AttemptParts<P, S>;
  readonly monitor: PipelineMonitor;
  readonly log: Log;
  readonly ending: Ending;
  /** Closed, last opened first, when the attempt settles. */
  readonly resources: AsyncDisposableStack;
}

export interface Misfit {
  /** `schema.table`; null where it is about a statement, which concerns them all. */
  readonly table: string | null;
  readonly error: HeadwaterError;
}

/** How an attempt writes records. */
export interface Records {
  /** `schema.table` of those that waited, and whose records can be written now: they are read anew. */
  readonly resumed: readonly string[];
  /** `schema.table` of those that still wait, and why. */
  readonly paused: ReadonlyMap<string, HeadwaterError>;
  createEmitter(sink: Sink, context: EmitterContext): Emitter;
}

/** What becomes of a table whose records cannot be written, and the counts that go on. */
export interface EmitterContext {
  /** By `schema.table`. */
  readonly totals: Map<string, TableTotals>;
  /** One change lies in the dead-letter topic; the others go on. */
  readonly onDeadLetter: TableErrorHandler;
  /** The table's changes are left out from here on. */
  readonly onPaused: TableErrorHandler;
}

export interface EnrichmentParts<P, S extends SourceInfo> {
  /** Tables (`schema.table`) that are joined, by the settings and the durable state: the snapshot reads them first. */
  replicas(state: ReadonlyMap<string, string>): ReadonlySet<string>;
  /** Where the groups of the state are to be; empty. */
  openGroups(): Promise<BulkGroups>;
  open(context: OpenContext<P, S>, signal: AbortSignal): Promise<RunningEnrichment<P, S>>;
}

export type TableErrorHandler = (table: TableId, error: HeadwaterError) => void;
