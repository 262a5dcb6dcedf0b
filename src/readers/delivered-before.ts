import type { Change } from '../model/change.ts';
import type { TableId } from '../model/table.ts';
import type { Row } from '../model/value.ts';

/** Rows that were delivered in another way before the log began, and are gone. */
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
 * What is known of rows that were delivered in another way before the log began. The snapshot at the log's beginning
 * does not tell of what is gone, and neither does the log of what went before: whatever was delivered, and is found
 * neither by the snapshot nor in the table, was deleted in between.
 */
export interface DeliveredBefore extends AsyncDisposable {
  /** What cannot be told of, a sentence each. */
  readonly untold: readonly string[];
  /** Rows that are there at the log's beginning: their deletes are in the log. */
  saw(changes: readonly Change[]): void;
  /** Asked when no more rows will be seen, before anything is read of the log. */
  gone(table: TableId, signal: AbortSignal): AsyncIterable<GoneRows>;
  /** To become durable when all tables have been asked for. */
  readonly finished: ReadonlyMap<string, string | null>;
}
