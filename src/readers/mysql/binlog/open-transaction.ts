import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Change, RowChange } from '../../../model/change.ts';
import type { Gtid } from '../gtid/gtid-set.ts';
import type { MysqlPosition } from '../position.ts';
import type { MysqlSource, MysqlTx } from '../source-info.ts';
import { misplaced } from './byte-cursor.ts';
import type { DecoderOptions } from './decoding.ts';
import { LogPlace } from './log-place.ts';
import { committed, PreparedTransactions } from './prepared-transactions.ts';
import { TransactionIdentity } from './transaction-identity.ts';
import { TransactionProgress } from './transaction-progress.ts';

/** What a GTID event, or BEGIN where there is none, says of the transaction that it opens. */
export interface Opening {
  readonly gtid: Gtid | null;
  readonly text: string | null;
  readonly commitTimeUs: number | null;
  /** Offset at which it begins. */
  readonly start: number;
}

/**
 * Where in which transaction the stream stands, and the changes that leave it: at once, since the log holds only what
 * has committed, but for those of XA PREPARE, which wait for their XA COMMIT.
 */
export class OpenTransaction {
  readonly place: LogPlace;
  readonly progress: TransactionProgress;
  readonly identity = new TransactionIdentity();
  /** What has left since it was taken last. */
  changes: Change<MysqlSource>[] = [];
  inside = false;
  /** BEGIN was seen, so that a statement is not a transaction of its own. */
  began = false;
  /** The statement of the rows that follow, where it is wanted. */
  query: string | null = null;
  /** The server's clock at the last event, seconds since the epoch. */
  timestamp = 0;
  readonly #options: DecoderOptions;
  readonly #prepared = new PreparedTransactions();
  #seq = 0;
  #beginGiven = false;
  #split = false;
  /** The rows of XA START … XA PREPARE go here instead. */
  #held: RowChange<MysqlSource>[] | null = null;

  constructor(options: DecoderOptions) {
    this.#options = options;
    this.place = new LogPlace(options.from);
    this.progress = new TransactionProgress(options.from.mid);
  }

  /**
   * Where a restart would go on after the last change in `changes`; null while, without GTIDs, a transaction that is
   * only prepared lies before it.
   */
  get position(): MysqlPosition | null {
    const { gtids, doneFile: file, donePos: pos } = this.place;
    if (gtids === null && !this.#prepared.isEmpty) return null;
    const { skip, mid } = this.progress;
    if (skip !== null) return { gtids, file, pos, mid: skip };
    return { gtids, file, pos, mid: this.inside && this.#held === null ? mid : null };
  }

  /** Whether the batch should rather end with it: not where an earlier one has ended in it. */
  get awaitsCommit(): boolean {
    return this.inside && !this.#split;
  }

  /** Hands the changes over. */
  reset(): void {
    this.#split = this.inside;
    this.changes = [];
  }

  /** For elements that are made from statements: as part of the transaction. */
  here(pos: number = this.place.pos): MysqlSource {
    return {
      connector: this.#options.connector,
      tx: this.tx(),
      file: this.place.file,
      pos,
      row: 0,
      query: null,
    };
  }

  tx(): MysqlTx {
    return this.identity.tx(this.place, this.timestamp);
  }

  /** Ordinal of the next change, also of one that was delivered before a restart. */
  nextSeq(): number {
    return this.#seq++;
  }

  open({ gtid, text, commitTimeUs, start }: Opening): void {
    if (this.inside) throw misplaced('a GTID inside of a transaction');
    this.inside = true;
    this.identity.begin(gtid, text, commitTimeUs);
    this.progress.begin(text ?? `${this.place.file}:${start}`, gtid === null);
    this.began = false;
    this.#seq = 0;
    this.#split = false;
    this.#beginGiven = false;
    this.#held = null;
    this.query = null;
  }

  /** A row; `bytes` is what it takes in the log. */
  give(change: RowChange<MysqlSource>, eventStart: number, bytes: number): void {
    if (this.#held !== null) {
      this.#held.push(change);
      this.#prepared.hold(bytes);
      return;
    }
    if (this.#options.transactionMarkers && !this.#beginGiven) {
      this.#beginGiven = true;
      this.changes.push({ kind: 'begin', tx: this.tx(), at: this.here(eventStart) });
    }
    this.changes.push(change);
  }

  /** Rows that were delivered before a restart: the transaction's beginning went out with them. */
  passDelivered(): void {
    this.#beginGiven = this.#options.transactionMarkers;
  }

  end(end: number): void {
    this.progress.end();
    if (this.#beginGiven) this.changes.push({ kind: 'end', tx: this.tx(), at: this.here() });
    const { gtid } = this.identity;
    if (gtid !== null) this.place.add(gtid);
    this.place.pass(end);
    this.#close();
  }

  /** What follows is not committed before XA COMMIT. */
  hold(): void {
    this.#held = [];
  }

  prepare(xid: string): void {
    this.#prepared.add(xid, { gtid: this.identity.gtid, changes: this.#held ?? [] });
    this.#close();
  }

  /** XA COMMIT … ONE PHASE, as XA PREPARE logs it. */
  commitHeld(end: number): void {
    this.#release(this.#held ?? []);
    this.end(end);
  }

  /** XA COMMIT or XA ROLLBACK. Throws `source.position-lost` where what is committed was not read here. */
  decide(xid: string, verb: 'COMMIT' | 'ROLLBACK', end: number): void {
    const decided = this.#prepared.take(xid);
    if (decided !== null) {
      if (verb === 'COMMIT') this.#release(decided.changes);
      if (decided.gtid !== null) this.place.add(decided.gtid);
    } else if (verb === 'COMMIT') {
      throw new HeadwaterError(
        'source.position-lost',
        `The transaction of XA COMMIT at offset ${this.place.pos} of ${this.place.file} was prepared before the place where reading began; its changes are not known.`,
      );
    }
    this.end(end);
  }

  #release(changes: readonly RowChange<MysqlSource>[]): void {
    const { transactionMarkers } = this.#options;
    for (const change of committed(changes, this.tx(), transactionMarkers)) this.changes.push(change);
  }

  #close(): void {
    this.inside = false;
    this.identity.end();
    this.#held = null;
    this.query = null;
  }
}
