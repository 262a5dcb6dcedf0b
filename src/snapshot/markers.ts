import type { RowChange, SnapshotMarker, SourceInfo } from '../model/change.ts';

/**
 * Debezium's `source.snapshot` on the first and the last row of a table and of everything. A row that is both
 * gets the stronger one as Debezium gives it: last, first, last of its table, first of its table.
 */
export class Markers {
  #any: boolean;

  /** `any`: whether rows have been delivered before (a snapshot that goes on). */
  constructor(any: boolean) {
    this.#any = any;
  }

  /** Call for the first rows of a table. */
  first<S extends SourceInfo>(rows: readonly RowChange<S>[]): readonly RowChange<S>[] {
    const marker = this.#any ? 'first_in_data_collection' : 'first';
    this.#any = true;
    return mark(rows, 0, marker);
  }

  /** Call for the last rows of a table, after `first`. */
  lastOfTable<S extends SourceInfo>(rows: readonly RowChange<S>[]): readonly RowChange<S>[] {
    if (rows.at(-1)?.snapshot === 'first') return rows;
    return mark(rows, rows.length - 1, 'last_in_data_collection');
  }

  /** Call for the last rows of all, after the others. */
  last<S extends SourceInfo>(rows: readonly RowChange<S>[]): readonly RowChange<S>[] {
    return mark(rows, rows.length - 1, 'last');
  }
}

function mark<S extends SourceInfo>(
  rows: readonly RowChange<S>[],
  index: number,
  snapshot: SnapshotMarker,
): readonly RowChange<S>[] {
  const row = rows[index];
  if (row === undefined) return rows;
  return rows.with(index, { ...row, snapshot });
}
