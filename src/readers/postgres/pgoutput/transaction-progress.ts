import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { formatLsn, type PostgresPosition } from '../position.ts';
import type { PostgresTx } from '../source-info.ts';
import type { BeginMessage } from './messages.ts';

/**
 * Which transaction the stream is in and how far, what of it was delivered before a restart and is to be passed
 * over, and where the next restart would go on.
 */
export class TransactionProgress {
  /** The open transaction. */
  tx: PostgresTx | null = null;
  /** Number of the next captured change or message in it. */
  seq = 0;
  /** Its BEGIN went out, now or before a restart. */
  beginGiven = false;
  #skip: PostgresPosition['mid'];
  /** End of the last whole transaction, or a position behind it that was passed. */
  #lsn: number;
  /** End of the last COMMIT seen. */
  #lastCommitLsn: number;
  /** Rows and truncated tables of the open transaction as the server counts them; see PostgresPosition. */
  #done = 0;
  /** Messages behind the change numbered `#messagesBehind`. */
  #messages = 0;
  #messagesBehind = 0;
  #toSkip = 0;
  #messagesToSkip = 0;

  constructor(from: PostgresPosition) {
    this.#lsn = from.lsn;
    this.#lastCommitLsn = from.lsn;
    this.#skip = from.mid;
  }

  get position(): PostgresPosition {
    if (this.#skip !== null) return { lsn: this.#lsn, mid: this.#skip };
    const done = this.#done;
    const messages = this.#messagesBehind === done ? this.#messages : 0;
    if (this.tx === null || done + messages === 0) return { lsn: this.#lsn, mid: null };
    return { lsn: this.#lsn, mid: { commitLsn: this.tx.commitLsn, done, messages } };
  }

  /** Throws `source.position-lost` where it is another transaction than the one to go on in. */
  begin(lsn: number, { commitLsn, commitTimeUs, xid }: BeginMessage): void {
    this.tx = {
      id: String(xid),
      xid,
      commitTimeUs,
      commitLsn,
      beginLsn: lsn,
      lastCommitLsn: this.#lastCommitLsn,
    };
    this.seq = 0;
    this.beginGiven = false;
    this.#done = 0;
    this.#messages = 0;
    this.#messagesBehind = 0;
    this.#messagesToSkip = 0;
    this.#toSkip = 0;
    if (this.#skip === null) return;
    if (commitLsn !== this.#skip.commitLsn) {
      throw new HeadwaterError(
        'source.position-lost',
        `The checkpoint lies inside the transaction that committed at ${formatLsn(this.#skip.commitLsn)}, but the log goes on with the one at ${formatLsn(commitLsn)}.`,
      );
    }
    this.#toSkip = this.#skip.done;
    if (this.#toSkip === 0) this.#skipMessages(this.#skip.messages);
  }

  /** Throws `source.position-lost` where the transaction ended before all that is to be skipped of it. */
  commit(endLsn: number): void {
    if (this.#toSkip > 0) {
      throw new HeadwaterError(
        'source.position-lost',
        `The transaction that committed at ${formatLsn(this.tx?.commitLsn ?? endLsn)} has fewer changes than the checkpoint has counted.`,
      );
    }
    this.tx = null;
    this.#skip = null;
    this.#lsn = endLsn;
    this.#lastCommitLsn = endLsn;
  }

  /** All before `lsn` has been seen; says nothing while there is something to skip. */
  passed(lsn: number): void {
    if (this.#skip === null && lsn > this.#lsn) this.#lsn = lsn;
  }

  /** Counts a change; false where it was delivered before a restart. */
  counts(captured: boolean): boolean {
    this.#done++;
    const skipped = this.#toSkip > 0;
    if (skipped) {
      if (--this.#toSkip === 0) this.#skipMessages(this.#skip!.messages);
      // Its BEGIN went out with it.
      if (captured) this.beginGiven = true;
    }
    if (skipped && captured) this.seq++;
    return captured && !skipped;
  }

  /** The change counted last is to be decoded again. */
  uncount(): void {
    this.#done--;
  }

  /** All changes that are to be skipped have been; so are as many messages, if they come before the next change. */
  #skipMessages(count: number): void {
    this.#skip = null;
    this.#messagesBehind = this.#done;
    this.#messages = count;
    this.#messagesToSkip = count;
  }

  /** Counts a message of the open transaction; false where it was passed before a restart. */
  countsMessage(): boolean {
    if (this.#toSkip > 0) {
      this.seq++;
      return false;
    }
    if (this.#messagesBehind !== this.#done) {
      this.#messagesBehind = this.#done;
      this.#messages = 0;
      this.#messagesToSkip = 0;
    }
    if (this.#messagesToSkip > 0) {
      this.#messagesToSkip--;
      this.beginGiven = true;
      this.seq++;
      return false;
    }
    this.#messages++;
    return true;
  }

  /** For what belongs to no transaction. */
  standIn(lsn: number, commitTimeUs: number): PostgresTx {
    const lastCommitLsn = this.#lastCommitLsn;
    return { id: '', xid: null, commitTimeUs, commitLsn: 0, beginLsn: lsn, lastCommitLsn };
  }
}
