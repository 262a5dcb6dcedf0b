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
  /** By undo segment and slot, which one transaction has at a time: the latest. */
  readonly #slots = new Map<string, Transaction>();
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
    const { xid, thread, scn, user } = row;
    this.#begin(new Transaction({ xid, thread, since: scn, startScn: scn, startTimeMs: timeMs, user }), row);
  }

  /** A change of a captured table. */
  add(row: RedoRow, ref: CapturedRef, timeMs: number): void {
    const transaction = this.#find(row.xid) ?? this.#unannounced(row);
    transaction.user ??= row.user;
    if (this.#repeats(transaction, row)) return;
    this.#bytes += transaction.add(redoItem(row, ref, timeMs));
  }

  /** The table the transaction has changed last. */
  lastRef(xid: string): CapturedRef | null {
    return this.#find(xid)?.lastRef ?? null;
  }

  has(xid: string): boolean {
    return this.#find(xid) !== undefined;
  }

  /** A row that undoes a change of a captured table. */
  undo(row: RedoRow, ref: CapturedRef): void {
    const transaction = this.#find(row.xid);
    if (transaction !== undefined && this.#repeats(transaction, row)) return;
    if (transaction === undefined || !transaction.undo(ref, row.rowId, row.code))
      this.#options.warnings.count('undo-not-matched', row);
  }

  /**
   * A row that tells of a row's ROWID when a statement on it has ended. Answers false where nothing of the statement
   * was seen; `ref` is null where the table is not known by its number.
   */
  endStatement(row: RedoRow, ref: CapturedRef | null): boolean {
    return this.#find(row.xid)?.endStatement(ref, row.rowId!) === true; // others are not asked for
  }

  /** Takes a transaction out, to be delivered. Undefined where nothing of it is known. */
  take(xid: string): Transaction | undefined {
    const transaction = this.#find(xid);
    if (transaction === undefined) return undefined;
    this.#open.delete(transaction.xid);
    const slot = slotOf(transaction.xid);
    if (this.#slots.get(slot) === transaction) this.#slots.delete(slot);
    this.#bytes -= transaction.bytes;
    return transaction;
  }

  async rollback(row: RedoRow): Promise<void> {
    const transaction = this.take(row.xid);
    if (transaction !== undefined) await transaction.forget();
    else if (isIncomplete(row.xid)) this.#options.warnings.count('rollback-unknown-transaction', row);
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
    this.#slots.clear();
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

  /** One whose START was not among what was read. */
  #unannounced(row: RedoRow): Transaction {
    const { xid, thread, scn, user } = row;
    const transaction = new Transaction({ xid, thread, since: scn, startScn: null, startTimeMs: null, user });
    this.#begin(transaction, row);
    return transaction;
  }

  #begin(transaction: Transaction, row: RedoRow): void {
    const slot = slotOf(transaction.xid);
    const before = this.#slots.get(slot);
    if (before !== undefined) this.#ended(before, row);
    this.#slots.set(slot, transaction);
    this.#open.set(transaction.xid, transaction);
  }

  /**
   * Another has its slot: it has ended, and what was read does not tell how. Its changes are kept, and the position
   * before them: after a restart they are read again, with the end if the log has it.
   */
  #ended({ xid, count }: Transaction, { scn }: RedoRow): void {
    if (count === 0) this.#open.delete(xid);
    else this.#options.warnings.count('end-not-seen', { xid, scn });
  }

  /**
   * By the XID, of which LogMiner may know the undo segment and slot alone where a transaction has begun before what
   * is mined. A slot is given away when its transaction has ended: the latest that has it is the one.
   */
  #find(xid: string): Transaction | undefined {
    const exact = this.#open.get(xid);
    if (exact !== undefined) return exact;
    const holder = this.#slots.get(slotOf(xid));
    if (holder === undefined || (!isIncomplete(xid) && !isIncomplete(holder.xid))) return undefined;
    this.#options.warnings.count('incomplete-xid', { xid: holder.xid });
    return holder;
  }
}

function slotOf(xid: string): string {
  return xid.slice(0, 8);
}
