import type { RowChange, SourceInfo } from '../model/change.ts';
import type { TableSnapshot } from './captured-table.ts';
import type { RowBlock } from './snapshot-source.ts';

/** Rows of one table in the order they are to be delivered, or the news that they are complete. */
export interface Delivery<S extends SourceInfo> {
  readonly table: TableSnapshot;
  readonly rows: readonly RowChange<S>[];
  readonly bytes: number;
  /** Whether these are the table's first rows, and its last: then its ledger is complete. */
  readonly first: boolean;
  readonly last: boolean;
  readonly release?: RowBlock['release'];
}
