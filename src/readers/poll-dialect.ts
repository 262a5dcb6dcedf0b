import type { RowChange } from '../model/change.ts';
import type { TableId, TableSchema } from '../model/table.ts';
import type { Row } from '../model/value.ts';
import type { SnapshotSource } from '../snapshot/snapshot-source.ts';
import type { CapturedTable, Finding } from './reader.ts';

export type PollMode = 'bulk' | 'incrementing' | 'timestamp' | 'timestamp+incrementing';

/** How one table, or query, is polled: what the settings say of it. */
export interface PollTableOptions {
  readonly mode: PollMode;
  /** Columns of which the first that is not NULL tells when the row was written. */
  readonly timestamp: readonly string[];
  /** A column that only grows from row to row. */
  readonly incrementing: string | null;
  /** A SELECT of one's own in place of the table; then `key` says what its rows are recognised by. */
  readonly query: string | null;
  readonly key: readonly string[] | null;
}

/**
 * What the server says of running transactions at one moment. Taken in this order: the clock, who runs, the two
 * bounds; so that whoever began before `clockUs` is in `running` or has finished, and whoever has finished lies
 * below `next`.
 */
export interface PollMark {
  /** The server's clock in microseconds since the epoch; of a standby that of the last transaction it replayed. */
  readonly clockUs: number;
  /** Whether that clock goes by itself: a standby's stands still between its primary's transactions. */
  readonly clockRuns: boolean;
  /** Open transactions, by names that no later transaction has; empty where the server does not tell. */
  readonly running: readonly string[];
  /** What runs began no earlier than this; null where that is not told. */
  readonly startedUs: number | null;
  /** Whether `running` is all there is. Otherwise the overlap alone decides. */
  readonly told: boolean;
  /** What runs could not be found out this once: the mark says nothing but the time. */
  readonly hidden: boolean;
  /**
   * Numbers of transactions, where rows tell theirs (`PolledTable.versioned`): all below `oldest` have finished, and
   * all up to here lie below `next`. Null where rows do not.
   */
  readonly versions: { readonly oldest: bigint; readonly next: bigint } | null;
}

/** A table as it is polled. A new object where anything of it has changed. */
export interface PolledTable {
  readonly schema: TableSchema;
  readonly options: PollTableOptions;
  /** Whether rows tell by which transaction they were written: then no row is read twice. */
  readonly versioned: boolean;
  /** Indexes into the columns: `options.timestamp`. */
  readonly timestamp: readonly number[];
  /**
   * Indexes of columns that put rows in order (behind the timestamp, where there is one); empty where nothing does,
   * and the table is read in one go.
   */
  readonly order: readonly number[];
  /** Whether every timestamp column may be NULL. */
  readonly nullable: boolean;
}

/** Rows to read of a table. */
export interface PollScan {
  /**
   * `cursor`: from `low` on in the order of timestamp and `order`; `all`: whatever there is, and `nulls`: what has no
   * timestamp, both in the order of `order`.
   */
  readonly kind: 'cursor' | 'all' | 'nulls';
  /** Null: from the beginning. */
  readonly low: PollLow | null;
  /** The place of the last row that was read, as blocks give it; null: from the beginning of the scan. */
  readonly after: readonly string[] | null;
  /** Only rows written by transactions from `from` (inclusive) to `to` (exclusive); null: all. */
  readonly versions: { readonly from: bigint; readonly to: bigint } | null;
  /** Rows of one statement at most, where `order` allows it. */
  readonly limit: number;
}

export type PollLow =
  /** Inclusive; `nowUs` is the server's clock, for columns that hold local times, which can jump in between. */
  | { readonly kind: 'time'; readonly us: number; readonly nowUs: number }
  /** Exclusive. */
  | { readonly kind: 'value'; readonly text: string };

export interface PollBlock {
  /** As a snapshot reads them (`readRow`); may be none. */
  readonly rows: readonly RowChange[];
  readonly bytes: number;
  /** Where to go on after these; null where the scan can only begin anew. */
  readonly after: readonly string[] | null;
  readonly release?: (() => void) | undefined;
}

/**
 * What polling needs of a database. One connection; statements come one after the other. Errors are HeadwaterErrors;
 * PollTableChanged where a table is not as it was described.
 */
export interface PollDialect extends AsyncDisposable {
  preflight(signal: AbortSignal): Promise<readonly Finding[]>;
  /** As `Reader.tables`, with the queries of the settings among them. */
  tables(signal: AbortSignal, onUnmatched?: (message: string) => void): Promise<readonly CapturedTable[]>;
  /** Text that recognises the server and its history again. */
  identity(signal: AbortSignal): Promise<string>;
  mark(signal: AbortSignal): Promise<PollMark>;
  /** Objects of an earlier call where nothing has changed since. Tables that are gone are missing. */
  describe(ids: readonly TableId[], signal: AbortSignal): Promise<readonly PolledTable[]>;
  /** Tables are to be described, and their schemas numbered, anew. */
  forget(): void;
  read(table: PolledTable, scan: PollScan, signal: AbortSignal): AsyncIterable<PollBlock>;
  /** Keys alone, as Values of the key's columns, in the order of the key; about so many of them from `after` on. */
  keys(table: PolledTable, page: PollKeyPage, signal: AbortSignal): Promise<PollKeys>;
  /** Greatest value of the column `order` begins with; null for an empty table. */
  greatest(table: PolledTable, signal: AbortSignal): Promise<string | null>;
  /** Rows for snapshots, on connections of their own. */
  snapshots(): SnapshotSource<unknown>;
}

export interface PollKeyPage {
  /** As PollKeys gives it; null: from the beginning. */
  readonly after: readonly string[] | null;
  readonly limit: number;
}

export interface PollKeys {
  readonly keys: readonly Row[];
  /** Where to go on; null at the end. */
  readonly after: readonly string[] | null;
}

/** What rows are recognised by: columns of a key, or what they are put in order by; none where neither is there. */
export function keyOf({ schema, order }: Pick<PolledTable, 'schema' | 'order'>): readonly number[] {
  return schema.key.length > 0 ? schema.key : order;
}

/** A table was altered since it was described. */
export class PollTableChanged extends Error {
  constructor() {
    super('The table has changed');
  }
}
