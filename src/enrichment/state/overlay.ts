import type { KeyValue } from '../sql/value.ts';
import type { StoredRow } from './table-store.ts';

/** Changes over the rows of a table: what has been put, what is gone, and whether all that lies below is. */
export class Overlay {
  /** Null: there is none. */
  #rows = new Map<KeyValue, StoredRow | null>();
  #covers = false;

  /** Whether nothing below counts. */
  get covers(): boolean {
    return this.#covers;
  }

  get size(): number {
    return this.#rows.size;
  }

  get isEmpty(): boolean {
    return this.#rows.size === 0 && !this.#covers;
  }

  get rows(): Iterable<readonly [KeyValue, StoredRow | null]> {
    return this.#rows;
  }

  set(key: KeyValue, row: StoredRow | null): void {
    this.#rows.set(key, row);
  }

  /** Undefined where that is for what lies below to say. */
  get(key: KeyValue): StoredRow | null | undefined {
    return this.#rows.get(key) ?? (this.#covers || this.#rows.has(key) ? null : undefined);
  }

  cover(): void {
    this.#rows = new Map();
    this.#covers = true;
  }

  /** Lays later changes over these. */
  add(later: Overlay): void {
    if (later.covers) this.cover();
    for (const [key, row] of later.rows) this.#rows.set(key, row);
  }
}
