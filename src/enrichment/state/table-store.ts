/** What the enrichment keeps of tables, whether in memory (memory-tables.ts) or on disk (disk-tables.ts). */
import type { JsonValue } from '../../model/position.ts';
import type { KeyValue, SqlValue } from '../sql/value.ts';

export type StoredRow = readonly SqlValue[];

/** The rows of one table by key. */
export interface TableStore {
  readonly size: number;
  get(key: KeyValue): StoredRow | undefined;
  put(key: KeyValue, row: StoredRow): void;
  /** Answers whether there was one. */
  delete(key: KeyValue): boolean;
  clear(): void;
  keys(): Iterable<KeyValue>;
  /** The rows are the caller's: they stay as they are when the table moves on. */
  entries(): Iterable<readonly [KeyValue, StoredRow]>;
}

/** So many frames of that image (image.ts). */
export interface ImageMark {
  readonly image: string;
  readonly frames: number;
}

/** How far a table that is complete got. */
export interface TableState {
  /** The position the table was read at, where that is ahead of the log; else null. */
  readonly asOf: JsonValue | null;
}

/** Complete tables by index. */
export type TableStates = ReadonlyMap<number, TableState>;

/** What was found of an earlier run: rows as of that mark, and which tables are complete then. */
export interface FoundTables {
  readonly mark: ImageMark;
  readonly states: TableStates;
}

/**
 * All joined tables of a pipeline. Use: `table` and `refilled` at any time, `open` before the first row of a `table`,
 * then the rows of the image, then `restored`. Where rows outlive the process (`durable`) they do so as of a commit,
 * never ahead of it.
 */
export interface TableStores extends AsyncDisposable {
  /** Whether rows are found again by the next run, so that the image need not hold them all. */
  readonly durable: boolean;
  table(index: number): TableStore;
  /** One that each run fills anew: `clear` it before its first row. `index`: among those. */
  refilled(index: number): TableStore;
  /** So many bytes more are in memory that belong to no table, as groups are; throws where that is too much. */
  spend(bytes: number): void;
  /** `shapes`: of each table what its rows depend on. Null where no rows are found. */
  open(shapes: readonly string[]): FoundTables | null;
  /** All rows are as of that mark of the image; `states`: of the tables that are complete. */
  restored(mark: ImageMark, states: TableStates): void;
  /** The table has become complete: from here on its changes count with the commit that holds them. */
  complete(index: number): void;
  /** Whether the rows found by the next run are as of that image, so that another one may follow it. */
  follows(image: string): boolean;
  /** A commit begins that makes all changes so far durable. */
  committing(mark: ImageMark, states: TableStates): void;
  /** The oldest commit under way is durable. */
  committed(): void;
}
