/**
 * A table as the last durable commit left it, while the log already moves the table on: of each key that has changed
 * since, the row before is remembered. What an attempt computed and did not commit is never seen.
 */
import type { KeyValue } from '../sql/value.ts';
import type { StoredRow, TableStore } from './table-store.ts';

export interface TableListener {
  /** A row was put in, changed or deleted; null stands for no row. Not committed yet. */
  changed(before: StoredRow | null, after: StoredRow | null): void;
}

export class CommittedRows {
  readonly #store: Pick<TableStore, 'get' | 'entries'>;
  readonly #listeners = new Set<TableListener>();
  /** By commit, the oldest first; the last is of changes that no commit has begun to make durable. */
  #undo: Map<KeyValue, StoredRow | null>[] = [new Map()];
  /** `sealed`: complete in a commit that is under way; `commits`: how many end before that one is durable. */
  #state: 'filling' | 'visible' | { readonly commits: number } = 'filling';

  constructor(store: Pick<TableStore, 'get' | 'entries'>) {
    this.#store = store;
  }

  /** Whether a durable commit holds the whole table. */
  get visible(): boolean {
    return this.#state === 'visible';
  }

  /** Whether what the log has brought so far is durable. */
  get settled(): boolean {
    return this.#undo.every(({ size }) => size === 0);
  }

  /** What is there now is what the checkpoint holds. */
  show(): void {
    this.#state = 'visible';
  }

  listen(listener: TableListener): void {
    this.#listeners.add(listener);
  }

  unlisten(listener: TableListener): void {
    this.#listeners.delete(listener);
  }

  /** Call before the store changes; null: the row goes. `quietly`: which is no news to anybody. */
  changing(key: KeyValue, after: StoredRow | null, quietly = false): void {
    if (this.#state === 'filling') return;
    const before = this.#store.get(key) ?? null;
    const undo = this.#undo.at(-1);
    if (undo !== undefined && !undo.has(key)) undo.set(key, before);
    if (quietly || (before === null && after === null)) return;
    for (const listener of this.#listeners) listener.changed(before, after);
  }

  /** A commit begins that makes all changes so far durable; `complete`: the table is whole by now. */
  committing(complete: boolean): void {
    if (complete && this.#state === 'filling') this.#state = { commits: this.#undo.length };
    this.#undo.push(new Map());
  }

  /** The oldest commit under way is durable. */
  committed(): void {
    if (this.#undo.length > 1) this.#undo.shift();
    if (typeof this.#state !== 'object') return;
    const commits = this.#state.commits - 1;
    this.#state = commits === 0 ? 'visible' : { commits };
  }

  get(key: KeyValue): StoredRow | null {
    for (const undo of this.#undo) {
      const row = undo.get(key);
      if (row !== undefined) return row;
    }
    return this.#store.get(key) ?? null;
  }

  /** All rows; the list is the caller's, and stays as it is when the table moves on. */
  rows(): StoredRow[] {
    const rows: StoredRow[] = [];
    const changed = new Map<KeyValue, StoredRow | null>();
    for (const undo of this.#undo.toReversed()) for (const [key, row] of undo) changed.set(key, row);
    for (const [key, row] of this.#store.entries()) if (!changed.has(key)) rows.push(row);
    for (const row of changed.values()) if (row !== null) rows.push(row);
    return rows;
  }

  /** The rows with what is not durable yet. */
  current(): StoredRow[] {
    const rows: StoredRow[] = [];
    for (const [, row] of this.#store.entries()) rows.push(row);
    return rows;
  }
}
