/** The enrichment as the pipeline sees it. */
import type { Batch } from '../../model/batch.ts';
import type { SourceInfo } from '../../model/change.ts';
import type { QueryStatus } from '../../observability/status.ts';
import type { SnapshotSource } from '../../snapshot/snapshot-source.ts';

/** A batch as it may be committed, and how many records enrichment has made of it. */
export interface Absorbed<P, S extends SourceInfo> {
  readonly batch: Batch<P, S>;
  readonly records: number;
}

export interface RunningEnrichment<P, S extends SourceInfo> extends AsyncDisposable {
  /** What the checkpoint with which the attempt begins has to say. */
  readonly state: ReadonlyMap<string, string | null>;
  /** For status. */
  queries(): readonly QueryStatus[];
  /** Ids of queries that are paused, but for those that a client has paused. */
  readonly waiting: readonly string[];
  /**
   * Call for every batch, in order, after its own records have been appended. What a transaction's events make is
   * appended with its last batch; until then the batch must not be committed.
   */
  absorb(batch: Batch<P, S>): Promise<Absorbed<P, S>>;
  /** A commit begins that makes durable all that has been absorbed so far. */
  committing(): void;
  /** The oldest commit that has begun is durable. */
  committed(): void;
  /** A snapshot of these tables (`schema.table`) has been read whole: those among them that are joined are complete. */
  snapshotRead(tables: ReadonlySet<string>): Promise<void>;
  /**
   * Reads the joined tables that nothing has filled, each as the database shows it now. Until the log has passed
   * that position, results say that they were joined with a later state. Answers what is to be durable, so that they
   * need not be read again. Throws `enrich.table-unreadable`.
   */
  load(source: SnapshotSource<P, S>, signal: AbortSignal): Promise<ReadonlyMap<string, string | null>>;
  /** Rejects when queries over topics cannot go on. */
  readonly failed: Promise<never>;
  /** The log has ended: resolves when the topics are worked off up to where they ended at the start. */
  finish(): Promise<void>;
}
