import { HeadwaterError } from '../../errors/headwater-error.ts';

const WRAP = 0x1_0000_0000;

/**
 * Which transactions a snapshot shows, from the text of `pg_current_snapshot()`: `xmin:xmax:xip,…` in 64-bit
 * ids (exact as numbers up to 2^53). pgoutput gives the lower 32 bits, and of subtransactions the top one.
 */
export class Visibility {
  readonly xmin: number;
  readonly xmax: number;
  readonly #running: ReadonlySet<number>;

  constructor(text: string) {
    const [xmin, xmax, xip] = text.split(':');
    this.xmin = Number(xmin);
    this.xmax = Number(xmax);
    this.#running = new Set(xip === undefined || xip === '' ? [] : xip.split(',').map(Number));
    if (!Number.isSafeInteger(this.xmin) || !Number.isSafeInteger(this.xmax)) {
      throw new HeadwaterError('internal.bug', 'The server sent something else than a snapshot.');
    }
  }

  /** `tx` is decimal text of the 32-bit xid of a transaction that has committed. */
  sees(tx: string): boolean {
    const xid = this.#widen(Number(tx));
    if (xid < this.xmin) return true;
    return xid < this.xmax && !this.#running.has(xid);
  }

  /** The 64-bit id nearest to xmax that ends in these 32 bits: ids in use never span more than 2^31. */
  #widen(xid: number): number {
    const distance = (xid - (this.xmax % WRAP)) | 0;
    return this.xmax + distance;
  }
}
