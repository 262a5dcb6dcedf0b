import type { Batch } from '../model/batch.ts';
import type { Change } from '../model/change.ts';
import type { TableId } from '../model/table.ts';
import type { Row } from '../model/value.ts';

/** Rows that were delivered before changes were found in another way, and were gone by then. */
export interface GoneRows {
  readonly parts: readonly {
    /** Names of what is known of them: the key at least. */
    readonly columns: readonly string[];
    /** Values of those columns. */
    readonly rows: readonly Row[];
  }[];
  /** To become durable together with their deletes: these are told of no more. */
  readonly state: ReadonlyMap<string, string | null>;
}

/**
 * What is known of rows that were delivered before changes were found in another way. The snapshot that this begins with does
 * not tell of what is gone, and nothing that is read afterwards tells of what went before: whatever was delivered, is
 * not in the table, and has not been told of up to where the source stood when the table was looked at, was deleted before.
 */
export interface DeliveredBefore extends AsyncDisposable {
  /** What cannot be told of, a sentence each. */
  readonly untold: readonly string[];
  /** Tables of which rows are known. */
  readonly tables: readonly TableId[];
  /** Notes what is in the table now. */
  compare(table: TableId, signal: AbortSignal): Promise<void>;
  /**
   * These changes are told of; what a snapshot reads says nothing of what becomes of a row. Answers what is to become durable
   * with them; null: none was known.
   */
  saw(changes: readonly Change[]): ReadonlyMap<string, string> | null;
  /** Of a table that was compared, when all has been seen up to where the source stood then. */
  gone(table: TableId): Iterable<GoneRows>;
  /** To become durable when all of them have been told of. */
  readonly finished: ReadonlyMap<string, string | null>;
}

/** Keys of the rows that the log has delivered, for the day on which it cannot be read any more. */
export interface DeliveredKeys<P> extends AsyncDisposable {
  /** Asked before the batch is handed over. Answers what is to become durable with it; null: nothing has changed. */
  note(batch: Batch<P>): ReadonlyMap<string, string> | null;
  /** The position is durable. */
  confirm(position: P): void;
}

/** Of tables (`schema.table`) whose delivered rows nobody knows, where polling takes the log's place. */
export function missingDeletes(tables: readonly string[]): string {
  return `Of rows of ${tables.join(', ')} that were deleted after the log had been read last, and before polling began, the topics have no delete.`;
}
