import { greatest } from '../scn.ts';
import type { RedoRow } from './redo-row.ts';

/** So many rows are remembered before the point from which a window is read again moves on. */
const REMEMBERED = 50_000;

/** Sees to it that a range which is read again, after an error, gives each row once. */
export class ReadOnce {
  /** Rows since `#from` of this reading, and of those that failed, with their SCNs. */
  #now = new Map<string, bigint>();
  #before = new Map<string, bigint>();
  /** All rows below are done with; null where that is not above the window's beginning. */
  #from: bigint | null = null;
  #at = -1n;

  /** Exclusive bound from which the window is read. */
  low(read: bigint): bigint {
    return this.#from === null ? read : greatest(read, this.#from - 1n);
  }

  isNew(row: RedoRow): boolean {
    if (row.scn > this.#at) {
      this.#at = row.scn;
      if (this.#now.size > REMEMBERED) {
        this.#now = new Map();
        forgetBelow(this.#before, row.scn);
        this.#from = row.scn;
      }
    }
    const key = `${row.thread} ${row.rsId} ${row.ssn} ${row.code} ${row.undo ? 1 : 0} ${row.rowId ?? ''} ${row.xid}`;
    this.#now.set(key, row.scn);
    return !this.#before.has(key);
  }

  windowFailed(): void {
    for (const [key, scn] of this.#now) this.#before.set(key, scn);
    this.#now = new Map();
    this.#at = -1n;
  }

  /** After an error the window may have been shorter than the one that failed: of what lies above, rows are known. */
  windowDone(upper: bigint): void {
    this.#now = new Map();
    forgetBelow(this.#before, upper + 1n);
    if (this.#from !== null && this.#from <= upper + 1n) this.#from = null;
    this.#at = -1n;
  }
}

function forgetBelow(rows: Map<string, bigint>, scn: bigint): void {
  for (const [key, at] of rows) if (at < scn) rows.delete(key);
}
