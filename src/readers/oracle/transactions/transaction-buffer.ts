import { rm } from 'node:fs/promises';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { isIncomplete, type RedoRow } from '../mining/redo-row.ts';
import { least } from '../scn.ts';
import type { CapturedRef } from '../table-history.ts';
import type { Warnings } from '../warnings.ts';
import { redoItem } from './redo-item.ts';
import { Transaction } from './transaction.ts';
import { makeDirectory } from '../../../state/make-directory.ts';

export interface BufferOptions {
  /** Scratch: emptied when the buffer is opened. */
  readonly directory: string;
  readonly transactionBytes: number;
  readonly bufferBytes: number;
  readonly startPinMs: number;
  /** Ranges are read more than once, for LOBs. */
  readonly rereads: boolean;
  readonly warnings: Warnings;
}

/** The open transactions. What does not fit in memory goes to disk. */
export class TransactionBuffer {
  readonly #options: BufferOptions;
  readonly #open = new Map<string, Transaction>();
  #bytes = 0;

  private constructor(options: BufferOptions) {
    this.#options = options;
  }

  static async create(options: BufferOptions): Promise<TransactionBuffer> {
    try {
      await rm(options.directory, { recursive: true, force: true });
      makeDirectory(options.directory);
    } catch (cause) {
      throw new HeadwaterError(
        'delivery.disk',
        `The directory ${options.directory} for large transactions cannot be made.`,
        { fix: 'Let state.dir name a directory that can be written to.', cause },
      );
    }
    return new TransactionBuffer(options);
  }

  /** A START row. */
  start(row: RedoRow, timeMs: number): void {
    if (this.#open.has(row.xid)) return;
    this.#open.set(
      row.xid,
      new Transaction({
        xid: row.xid,
        thread: row.thread,
        since: row.scn,
        startScn: row.scn,
        startTimeMs: timeMs,
        user: row.user,
      }),
    );
  }

  /** A change of a captured table. */
  add(row: RedoRow, ref: CapturedRef, timeMs: number): void {
    const transaction = this.#find(row.xid) ?? this.#begin(row);
    transaction.user ??= row.user;
    if (this.#repeats(transaction, row)) return;
    this.#bytes += transaction.add(redoItem(row, ref, timeMs));
  }

  /** The table the transaction has changed last. */
  lastRef(xid: string): CapturedRef | null {
    return this.#open.get(xid)?.lastRef ?? null;
  }

  has(xid: string): boolean {
    return this.#open.has(xid);
  }

  /** A row that undoes a change of a captured table. */
  undo(row: RedoRow, ref: CapturedRef): void {
    const transaction = this.#open.get(row.xid) ?? this.#guess(row.xid);
    if (transaction !== undefined && this.#repeats(transaction, row)) return;
    if (transaction === undefined || !transaction.undo(ref, row.rowId, row.code)) {
      if (transaction !== undefined || !isIncomplete(row.xid))
        this.#options.warnings.count('undo-not-matched', row);
    }
  }

  /** Takes a transaction out, to be delivered. Undefined where nothing of it is known. */
  take(xid: string): Transaction | undefined {
    const transaction = this.#find(xid);
    if (transaction === undefined) return undefined;
    this.#open.delete(transaction.xid);
    this.#bytes -= transaction.bytes;
    return transaction;
  }

  async rollback(row: RedoRow): Promise<void> {
    const transaction = this.#open.get(row.xid) ?? this.#guess(row.xid);
    if (transaction === undefined) return;
    this.#open.delete(transaction.xid);
    this.#bytes -= transaction.bytes;
    await transaction.forget();
  }

  get mustSpill(): boolean {
    if (this.#bytes > this.#options.bufferBytes) return true;
    if (this.#bytes <= this.#options.transactionBytes) return false;
    for (const { bytes } of this.#open.values()) if (bytes > this.#options.transactionBytes) return true;
    return false;
  }

  /** Writes the largest transactions to disk until the rest fits. */
  async spill(): Promise<void> {
    const { transactionBytes, bufferBytes, directory } = this.#options;
    const largest = [...this.#open.values()].sort((a, b) => b.bytes - a.bytes);
    for (const transaction of largest) {
      if (transaction.bytes <= transactionBytes && this.#bytes <= bufferBytes) return;
      this.#bytes -= await transaction.spill(directory);
    }
  }

  /** The SCN before which no open transaction began that still matters; null where there is none. */
  oldest(): bigint | null {
    const now = performance.now();
    let oldest: bigint | null = null;
    for (const transaction of this.#open.values()) {
      // One that has written nothing for long is not waited for.
      if (transaction.count === 0 && now - transaction.seenAt > this.#options.startPinMs) continue;
      oldest = oldest === null ? transaction.since : least(oldest, transaction.since);
    }
    return oldest;
  }

  async close(): Promise<void> {
    for (const transaction of this.#open.values()) await transaction.forget();
    this.#open.clear();
    this.#bytes = 0;
    await rm(this.#options.directory, { recursive: true, force: true });
  }

  /** Whether a row was here in an earlier reading of its range. */
  #repeats(transaction: Transaction, row: RedoRow): boolean {
    if (!this.#options.rereads) return false;
    const key = `${row.thread} ${row.rsId} ${row.ssn} ${row.code} ${row.undo ? 1 : 0} ${row.rowId ?? ''}`;
    transaction.seen ??= new Set();
    if (transaction.seen.has(key)) return true;
    transaction.seen.add(key);
    return false;
  }

  #begin(row: RedoRow): Transaction {
    const { xid, thread, scn, user } = row;
    const transaction = new Transaction({ xid, thread, since: scn, startScn: null, startTimeMs: null, user });
    this.#open.set(xid, transaction);
    return transaction;
  }

  /** By the whole XID, or as the transaction whose sequence was not known when its changes came. */
  #find(xid: string): Transaction | undefined {
    return this.#open.get(xid) ?? this.#open.get(`${xid.slice(0, 8)}ffffffff`);
  }

  /** Undo segment and slot alone are known: the transaction that has them, if it is the only one. */
  #guess(xid: string): Transaction | undefined {
    if (!isIncomplete(xid)) return undefined;
    const found = [...this.#open.values()].filter((transaction) =>
      transaction.xid.startsWith(xid.slice(0, 8)),
    );
    const { warnings } = this.#options;
    if (found.length === 1) {
      warnings.count('incomplete-xid', { xid });
      return found[0];
    }
    warnings.count(found.length === 0 ? 'rollback-unknown-transaction' : 'ambiguous-xid', { xid });
    return undefined;
  }
}
