/** The database that is measured: its table `orders`, its change log, and how a product is asked about its readers. */
import type { Floor } from './floor.ts';

export type Product = 'postgres' | 'mysql' | 'mariadb';

/** What of a source the contenders are told. */
export interface SourceAddress {
  readonly product: Product;
  /** With the database that `orders` is in; its user may do everything. */
  readonly databaseUrl: string;
  /** As in the names of tables and topics: the schema, of MySQL the database. */
  readonly schema: string;
}

export interface ChangeLogCounts {
  /** Row changes, which is what "events" means in the tables. */
  readonly events: number;
  /** Events and the tombstones that follow deletes. */
  readonly records: number;
}

/** PostgreSQL's REPLICA IDENTITY; MySQL logs all of a row. */
export type Identity = 'default' | 'full';

/** One session. */
export interface Writer {
  /** One row by itself, durable when this resolves. Its id is beyond those of the change log. */
  insertRow(id: number): Promise<void>;
  close(): Promise<void>;
}

export interface BenchSource extends AsyncDisposable {
  readonly address: SourceAddress;
  /** The log holds the key of a deleted row and nothing else. */
  readonly keyOnlyBefore: boolean;
  /** Product, version and the settings that tell. */
  describe(): Promise<string>;
  /** Makes `orders` anew with rows 1…`rows`. */
  createOrders(rows: number): Promise<void>;
  /** Adds rows with ids after+1…after+rows in one transaction. */
  insertMany(options: { readonly after: number; readonly rows: number }): Promise<void>;
  /**
   * Writes `changes` single-row statements, of ten six updates, three inserts and one delete, in transactions of
   * a hundred. `changes` is a multiple of 100. Deletes take the highest rows of `rows` one by one and updates
   * stay below them, so that each statement changes exactly one row.
   */
  writeChangeLog(options: { readonly rows: number; readonly changes: number }): Promise<ChangeLogCounts>;
  /** Takes away the rows with ids from this on. */
  deleteFrom(id: number): Promise<void>;
  openWriter(): Promise<Writer>;
  /** What is written is on the disk, so that the next measurement does not pay for it. */
  settle(): Promise<void>;
  /** Resolves when the contender reads the log. `id` is its run's. */
  untilRead(id: string, signal: AbortSignal): Promise<void>;
  /** Takes away what the server keeps for that run. */
  forget(id: string): Promise<void>;
  /** What receiving the whole table costs by itself. */
  measureTableFloor(rows: number): Promise<Floor>;
  /** Call before the change log is written; what it gives measures receiving that log by itself. */
  prepareLogFloors(): Promise<(changes: number) => Promise<readonly Floor[]>>;
}

/** Deletes come one in ten. */
export function changeLogCounts({ rows, changes }: { rows: number; changes: number }): ChangeLogCounts {
  const deletes = changes / 10;
  if (deletes >= rows) throw new Error(`${changes} changes need more than ${deletes} rows`);
  return { events: changes, records: changes + deletes };
}
