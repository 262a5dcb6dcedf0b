/**
 * The rows of a table that a query makes, kept to be asked for. A row has the table's columns, and of a windowed table
 * the start and the end of the window behind them.
 */
import { setImmediate } from 'node:timers/promises';
import type { SqlColumn } from '../sources/captured-source.ts';
import { keysInOrder } from '../sources/catalog.ts';
import type { RowWindow } from '../run/query.ts';
import { keyOf, type KeyValue, type SqlValue } from '../sql/value.ts';
import type { StoredRow, TableStore } from './table-store.ts';
import { CommittedRows } from './committed-rows.ts';

const ROWS_A_BREATH = 1_000;

export interface ShownRow {
  readonly row: readonly SqlValue[];
  readonly window: RowWindow | null;
}

export class ResultTable {
  readonly #types: readonly SqlColumn[];
  readonly #keys: readonly number[];
  readonly #store: TableStore;
  readonly rows: CommittedRows;

  /** `columns`: of the query's rows, without those of the window; `store`: whose rows are of no use any more. */
  constructor(columns: readonly SqlColumn[], store: TableStore) {
    store.clear();
    this.#store = store;
    this.#types = columns;
    this.#keys = keysInOrder(columns);
    this.rows = new CommittedRows(this.#store);
  }

  /** As the checkpoint has it: these are all rows. Of many the process does other things in between. */
  async restore(shown: Iterable<ShownRow>, signal: AbortSignal): Promise<void> {
    let count = 0;
    for (const { row, window } of shown) {
      this.#store.put(this.#keyOf(row, window), stored(row, window));
      if (++count % ROWS_A_BREATH === 0) await setImmediate(undefined, { signal });
    }
    this.rows.show();
  }

  put(row: readonly SqlValue[], window: RowWindow | null): void {
    const key = this.#keyOf(row, window);
    const kept = stored(row, window);
    this.rows.changing(key, kept);
    this.#store.put(key, kept);
  }

  /** `row`: of which the key counts. `quietly`: it is too old to be kept. */
  delete(row: readonly SqlValue[], window: RowWindow | null, quietly = false): void {
    const key = this.#keyOf(row, window);
    this.rows.changing(key, null, quietly);
    this.#store.delete(key);
  }

  /** As select-plan.ts makes it of constants, for tables without windows. */
  #keyOf(row: readonly SqlValue[], window: RowWindow | null): KeyValue {
    const parts: string[] = [];
    for (const index of this.#keys) {
      const column = this.#types[index];
      const value = row[index] ?? null;
      const part = column === undefined || value === null ? null : keyOf(column.type, value);
      if (part !== null && window === null && this.#keys.length === 1) return part;
      parts.push(String(part));
    }
    return JSON.stringify(window === null ? parts : [...parts, window.start, window.end]);
  }
}

function stored(row: readonly SqlValue[], window: RowWindow | null): StoredRow {
  return window === null ? row : [...row, window.start, window.end];
}
