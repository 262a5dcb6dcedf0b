import type { OraclePosition } from '../position.ts';
import { greatest, least } from '../scn.ts';
import { ReadOnce } from './read-once.ts';
import type { RedoRow } from './redo-row.ts';

/** How far the redo log has been read, processed and delivered, in SCNs. */
export class Frontier {
  readonly #settleMs: number;
  readonly #once = new ReadOnce();
  /** What committed at or below is delivered, and is not read again. */
  #read: bigint;
  #upTo: bigint;
  /** SCN of the row in hand; all below it is processed. */
  #at: bigint;
  #scn: bigint;
  /** What had been read when the position was stored that this attempt began with. */
  readonly #boundary: bigint;
  /** Ends of windows at the log's end, until all instances must have flushed what is before them. */
  #edges: { readonly scn: bigint; readonly at: number }[] = [];

  /** An instance flushes its redo within `settleMs`. */
  constructor(from: OraclePosition, settleMs: number) {
    this.#settleMs = settleMs;
    this.#read = from.scn;
    this.#at = from.scn;
    this.#scn = from.scn;
    this.#upTo = from.upTo;
    this.#boundary = from.read;
  }

  get read(): bigint {
    return this.#read;
  }

  get upTo(): bigint {
    return this.#upTo;
  }

  /** Before the first row of any transaction that is still open; `oldest` is the first SCN of those. */
  sessionStart(oldest: bigint | null): bigint {
    return oldest === null ? this.#read : least(greatest(this.#scn, oldest - 1n), this.#read);
  }

  /** Exclusive bound of the rows that are still to come of the window. */
  get low(): bigint {
    return this.#once.low(this.#read);
  }

  /** Whether a row above `low` was not processed before, in an earlier reading of its range. */
  isNew(row: RedoRow): boolean {
    return this.#once.isNew(row);
  }

  /** Answers false where the row lies before one that came earlier. */
  moveTo({ scn }: RedoRow): boolean {
    if (scn < this.#at) return false;
    this.#at = scn;
    return true;
  }

  windowFailed(): void {
    this.#once.windowFailed();
  }

  windowDone(upper: bigint, atEdge: boolean): void {
    this.#once.windowDone(upper);
    if (!atEdge) {
      this.#read = upper;
    } else {
      // An instance may still flush older redo: only what it must have flushed by now is not read again.
      this.#read = greatest(this.#read, least(this.#at, upper), this.#settled());
      this.#edges.push({ scn: upper, at: performance.now() });
    }
    this.#at = greatest(this.#at, this.#read);
    this.#upTo = greatest(this.#upTo, upper);
  }

  #settled(): bigint {
    const until = performance.now() - this.#settleMs;
    let settled = 0n;
    while (this.#edges[0] !== undefined && this.#edges[0].at <= until) settled = this.#edges.shift()!.scn;
    return settled;
  }

  /**
   * Where another attempt goes on: `oldest` is the first SCN of the transactions still open, `since` that of the
   * one being delivered.
   */
  position(oldest: bigint | null, since: bigint | null): Pick<OraclePosition, 'scn' | 'read' | 'upTo'> {
    const read = greatest(this.#read, this.#at - 1n);
    let scn = oldest === null ? read : least(read, oldest - 1n);
    if (since !== null) scn = least(scn, since - 1n);
    // Never back: what comes into play later wrote nothing before.
    this.#scn = greatest(this.#scn, scn);
    return { scn: this.#scn, read: greatest(read, this.#boundary), upTo: greatest(this.#upTo, read) };
  }
}
