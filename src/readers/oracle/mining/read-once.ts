import type { RedoRow } from './redo-row.ts';

/** So many rows are remembered before the point from which a window is read again moves on. */
const REMEMBERED = 50_000;

/** Sees to it that a window which is read again, after an error, gives each row once. */
export class ReadOnce {
  /** Rows since `#from` of this reading, and of the one that failed. */
  #now = new Set<string>();
  #before = new Set<string>();
  /** All rows below are done with in the window; null at its beginning. */
  #from: bigint | null = null;
  #at = -1n;

  /** Exclusive bound from which the window is read. */
  low(read: bigint): bigint {
    return this.#from === null ? read : this.#from - 1n;
  }

  isNew(row: RedoRow): boolean {
    if (row.scn > this.#at) {
      this.#at = row.scn;
      if (this.#now.size > REMEMBERED) {
        this.#now = new Set();
        this.#before = new Set();
        this.#from = row.scn;
      }
    }
    const key = `${row.thread} ${row.rsId} ${row.ssn} ${row.code} ${row.undo ? 1 : 0} ${row.rowId ?? ''} ${row.xid}`;
    this.#now.add(key);
    return !this.#before.has(key);
  }

  windowFailed(): void {
    for (const key of this.#now) this.#before.add(key);
    this.#now = new Set();
    this.#at = -1n;
  }

  windowDone(): void {
    this.#now = new Set();
    this.#before = new Set();
    this.#from = null;
    this.#at = -1n;
  }
}
