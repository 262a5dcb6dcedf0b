import type { SourceInfo } from '../model/change.ts';
import type { TableSnapshot } from './captured-table.ts';
import type { Delivery } from './delivery.ts';
import type { RowBlock } from './snapshot-source.ts';

interface Held<S extends SourceInfo> {
  readonly chunk: number;
  readonly block: RowBlock<S>;
  ended: boolean;
}

/**
 * Puts the blocks of one table's chunks in line and holds the latest back, so that the table's last row is
 * known as such when it is delivered. The ledger moves on with each block that leaves.
 */
export class TableFeed<S extends SourceInfo> {
  readonly #table: TableSnapshot;
  readonly #now: () => Date;
  #open: number;
  #held: Held<S> | null = null;

  /** The table has been planned. */
  constructor(table: TableSnapshot, now: () => Date) {
    this.#table = table;
    this.#now = now;
    const { done, total } = table.ledger!.chunkCounts;
    this.#open = total - done;
  }

  block(chunk: number, block: RowBlock<S>): Delivery<S> | null {
    const previous = this.#held;
    this.#held = { chunk, block, ended: false };
    return previous === null ? null : this.#release(previous, false);
  }

  chunkEnd(chunk: number): Delivery<S> | null {
    this.#open--;
    if (this.#held?.chunk === chunk) this.#held.ended = true;
    else this.#table.ledger!.finish(chunk);
    if (this.#open > 0) return null;
    const held = this.#held;
    this.#held = null;
    return held === null ? this.#complete() : this.#release(held, true);
  }

  /** What is held back, where the reading is broken off. */
  flush(): Delivery<S> | null {
    const held = this.#held;
    this.#held = null;
    return held === null ? null : this.#release(held, false);
  }

  #release({ chunk, block, ended }: Held<S>, last: boolean): Delivery<S> {
    const ledger = this.#table.ledger!;
    const first = ledger.rows === 0;
    ledger.advance(chunk, block.lastKey, block.rows.length);
    if (ended) ledger.finish(chunk);
    if (last) ledger.complete(this.#now());
    const { rows, bytes, release } = block;
    return { table: this.#table, rows, bytes, first, last, release };
  }

  #complete(): Delivery<S> {
    this.#table.ledger!.complete(this.#now());
    return { table: this.#table, rows: [], bytes: 0, first: false, last: true };
  }
}
