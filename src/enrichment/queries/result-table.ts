/**
 * The rows of a table that a query makes, kept to be asked for. A row has the table's columns, of a windowed table
 * with the start and the end of the window behind them, and its ROWTIME as the last value.
 */
import type { SqlColumn } from '../captured-source.ts';
import { compositeKey } from '../captured-source.ts';
import type { ShownRow } from '../aggregation.ts';
import type { WindowBounds } from '../query.ts';
import { keyOf, type KeyValue, type SqlValue } from '../sql/value.ts';
import { memoryStore, type StoredRow } from '../store.ts';
import { TableView } from './table-view.ts';

export class ResultTable {
  readonly #columns: readonly SqlColumn[];
  readonly #keys: readonly number[];
  readonly #store = memoryStore();
  readonly view: TableView;

  /** `columns`: of the query's rows, without those of the window. */
  constructor(columns: readonly SqlColumn[]) {
    this.#columns = columns;
    this.#keys = columns.flatMap(({ key }, index) => (key ? [index] : []));
    this.view = new TableView(this.#store);
    // Either the checkpoint has filled it, or it is empty.
    this.view.show();
  }

  /** As the checkpoint has it. */
  restore({ row, window, time }: ShownRow): void {
    this.#store.put(this.#keyOf(row, window), stored(row, window, time));
  }

  put(row: readonly SqlValue[], window: WindowBounds | null, time: number): void {
    const key = this.#keyOf(row, window);
    const kept = stored(row, window, time);
    this.view.changing(key, kept);
    this.#store.put(key, kept);
  }

  /** `row`: of which the key counts. `quietly`: it is too old to be kept. */
  delete(row: readonly SqlValue[], window: WindowBounds | null, quietly = false): void {
    const key = this.#keyOf(row, window);
    this.view.changing(key, null, quietly);
    this.#store.delete(key);
  }

  #keyOf(row: readonly SqlValue[], window: WindowBounds | null): KeyValue {
    const [first, ...others] = this.#keys;
    const type = first === undefined ? undefined : this.#columns[first]?.type;
    const value = first === undefined ? null : (row[first] ?? null);
    if (window === null && others.length === 0 && type !== undefined && value !== null)
      return keyOf(type, value);
    const key = compositeKey(
      this.#keys.map((index) => this.#columns[index]!.type),
      this.#keys.map((index) => row[index] ?? null),
    );
    return window === null ? key : `${key}${window.start} ${window.end}`;
  }
}

function stored(row: readonly SqlValue[], window: WindowBounds | null, time: number): StoredRow {
  return window === null ? [...row, time] : [...row, window.start, window.end, time];
}
