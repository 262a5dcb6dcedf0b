/** What the pipeline knows of the emitter, which makes records of changes (record-emitter.ts). */
import type { HeadwaterError } from '../errors/headwater-error.ts';
import type { Batch } from '../model/batch.ts';
import type { RowChange, SourceInfo } from '../model/change.ts';
import type { TableId } from '../model/table.ts';
import type { SourceBlock } from '../schema/source-block.ts';
import type { Encoding } from './encoders/encoder.ts';
import type { Notification } from './side-records.ts';
import type { Positions } from './positions.ts';
import type { Sink } from './sink.ts';
import type { Pausing, RouteOptions, TableTotals } from './table-routes.ts';
import type { OutboxOptions } from './transforms/outbox.ts';
import type { UnwrappedOptions } from './transforms/unwrapped.ts';

export interface EmitterOptions extends RouteOptions {
  /** As in SourceInfo; Debezium names some schemas after it. */
  readonly connector: SourceInfo['connector'];
  readonly envelope: 'full' | 'unwrapped';
  readonly unwrapped: UnwrappedOptions;
  readonly tombstones: boolean;
  /** Operations that make no record. */
  readonly skipOperations: readonly RowChange['op'][];
  /** An update that changes none of the columns that are shown makes no record. */
  readonly skipUnchanged: boolean;
  /** Of every record of a table: name → text. */
  readonly headers: ReadonlyMap<string, string>;
  readonly outbox: OutboxOptions | null;
  readonly transactionMetadata: boolean;
  /** Whether TRUNCATE makes a record; consumers of table topics mostly stumble over it. */
  readonly truncates: boolean;
  /** Whether changes of tables go to `<name>`, from sources that describe them. */
  readonly schemaChanges: boolean;
  /** Whether logical messages go to `<name>.message`. */
  readonly messages: boolean;
  readonly heartbeats: boolean;
  /** `<name>.dead-letter` unless given. */
  readonly deadLetterTopic?: string;
  /** A change could not be encoded and lies in the dead-letter topic; the table goes on. Called for each. */
  readonly onDeadLetter: (table: TableId, error: HeadwaterError) => void;
}

/** What a batch made. */
export interface EmitCounts {
  creates: number;
  updates: number;
  deletes: number;
  reads: number;
  truncates: number;
  messages: number;
  /** Changes that by the settings make no record. */
  filtered: number;
  /** Source transactions that began in the batch. */
  transactions: number;
  /** Records appended to the sink, tombstones and side records included. */
  records: number;
}

export interface Emitter {
  /** Finds the topics of tables not met before; undefined where there is nothing to wait for. */
  prepare(batch: Batch<unknown>): Promise<void> | undefined;
  /** Encodes and appends everything in the batch, in order. Call `prepare` for the batch first. */
  emit(batch: Batch<unknown>): EmitCounts;
  /** What has been emitted is committed, and what follows of the same transaction will be apart from it. */
  split(): void;
  /** Appends a heartbeat record. */
  heartbeat(nowMs: number): void;
  /** Appends a notification to `<name>.notification`. */
  notify(notification: Notification, nowMs: number): Promise<void>;
  /** Events and topic of each table met so far, for status. */
  tables(): Iterable<Readonly<TableTotals>>;
  /** State that has to become durable with what was emitted so far. */
  takeState(): ReadonlyMap<string, string | null> | undefined;
}

export interface EmitterParts<S extends SourceInfo> {
  readonly encoding: Encoding;
  readonly block: SourceBlock<S>;
  readonly sink: Sink;
  /** Left out where the encoding refuses no schema. */
  readonly pausing?: Pausing;
  /** Told in a header of each record of a table; left out where they are not. */
  readonly positions?: Positions | undefined;
}
