import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { MidTransaction } from '../position.ts';

/**
 * How far the open transaction has been passed, and, after a restart inside of one, what of it was delivered before:
 * whole rows events, of all tables, and rows of the event behind them.
 */
export class TransactionProgress {
  /** The checkpoint's place inside of a transaction, until it has been passed. */
  #skip: MidTransaction | null;
  #key = '';
  #events = 0;
  #rows = 0;
  #skipEvents = 0;
  #skipRows = 0;

  constructor(skip: MidTransaction | null) {
    this.#skip = skip;
  }

  /** Where a restart would go on inside of the open transaction; null: at its beginning. */
  get mid(): MidTransaction | null {
    if (this.#events === 0 && this.#rows === 0) return null;
    return { tx: this.#key, events: this.#events, rows: this.#rows };
  }

  /** The checkpoint's, while that transaction has not come, or not all that is to be passed over. */
  get skip(): MidTransaction | null {
    return this.#skip;
  }

  /** `anonymous`: without GTIDs the transaction of the checkpoint has to be the first that comes. */
  begin(key: string, anonymous: boolean): void {
    this.#key = key;
    this.#events = this.#rows = this.#skipEvents = this.#skipRows = 0;
    if (this.#skip === null) return;
    if (this.#skip.tx === key) {
      this.#skipEvents = this.#skip.events;
      this.#skipRows = this.#skip.rows;
    } else if (anonymous) {
      throw new HeadwaterError(
        'source.position-lost',
        `The checkpoint lies inside the transaction at ${this.#skip.tx}, but the log goes on with the one at ${key}.`,
      );
    }
  }

  end(): void {
    if (this.#skip === null || this.#skip.tx !== this.#key) return;
    if (this.#skipEvents > 0 || this.#skipRows > 0) {
      throw new HeadwaterError(
        'source.position-lost',
        `The transaction ${this.#key} has fewer changes than the checkpoint has counted.`,
      );
    }
    this.#skip = null;
  }

  /** Whether the rows event that begins was delivered whole. */
  skipsEvent(): boolean {
    if (this.#skipEvents === 0) return false;
    this.#skipEvents--;
    return true;
  }

  passEvent(): void {
    this.#events++;
    this.#rows = 0;
    if (this.#skipEvents === 0 && this.#skipRows === 0 && this.#skip?.tx === this.#key) this.#skip = null;
  }

  /** Ordinal of the next row within its event. */
  nextRow(): number {
    return this.#rows++;
  }

  /** Whether the row that was read last was delivered. */
  skipsRow(): boolean {
    if (this.#skipRows === 0) return false;
    if (--this.#skipRows === 0) this.#skip = null;
    return true;
  }
}
