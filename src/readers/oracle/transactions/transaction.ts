import { join } from 'node:path';
import { DELETE, INSERT } from '../mining/redo-row.ts';
import type { CapturedRef } from '../table-history.ts';
import { decodeItem, encodeItem, hasNoRowId, type RedoItem, sizeOf } from './redo-item.ts';
import { SpillFile } from './spill-file.ts';

const ITEMS_AT_ONCE = 1_000;

/** What undo needs of an item stays in memory when the item goes to disk: 14 bytes each. */
class UndoIndex {
  #tables = new Uint32Array(16);
  #rows = new Uint32Array(32);
  #codes = new Uint8Array(16);
  #undone = new Uint8Array(16);
  #count = 0;
  /** Behind it all are undone: undo is newest first. */
  #top = 0;

  get count(): number {
    return this.#count;
  }

  push(item: RedoItem): void {
    const i = this.#count++;
    if (i === this.#tables.length) this.#grow();
    this.#tables[i] = item.ref.number;
    const [a, b] = hasNoRowId(item.rowId) ? NO_ROW : rowHash(item.rowId!);
    this.#rows[2 * i] = a;
    this.#rows[2 * i + 1] = b;
    this.#codes[i] = item.code;
    this.#undone[i] = 0;
    this.#top = this.#count;
  }

  isUndone(i: number): boolean {
    return this.#undone[i] === 1;
  }

  /** The latest item of that table and row that is not undone; -1 where there is none. */
  latestOf(table: number, rowId: string): number {
    const [a, b] = rowHash(rowId);
    for (let i = this.#top - 1; i >= 0; i--) {
      if (
        this.#undone[i] === 0 &&
        this.#tables[i] === table &&
        this.#rows[2 * i] === a &&
        this.#rows[2 * i + 1] === b
      ) {
        return i;
      }
    }
    return -1;
  }

  latestOfCode(table: number, code: number): number {
    for (let i = this.#top - 1; i >= 0; i--) {
      if (this.#undone[i] === 0 && this.#tables[i] === table && this.#codes[i] === code) return i;
    }
    return -1;
  }

  undo(i: number): void {
    this.#undone[i] = 1;
    while (this.#top > 0 && this.#undone[this.#top - 1] === 1) this.#top--;
  }

  /** Items right before `i` of the same table without a row of their own belong to the same statement. */
  undoBefore(i: number): void {
    for (let before = i - 1; before >= 0; before--) {
      if (this.#tables[before] !== this.#tables[i]) return;
      if (this.#rows[2 * before] !== NO_ROW[0] || this.#rows[2 * before + 1] !== NO_ROW[1]) return;
      this.undo(before);
    }
  }

  #grow(): void {
    this.#tables = grown(this.#tables, new Uint32Array(this.#tables.length * 2));
    this.#rows = grown(this.#rows, new Uint32Array(this.#rows.length * 2));
    this.#codes = grown(this.#codes, new Uint8Array(this.#codes.length * 2));
    this.#undone = grown(this.#undone, new Uint8Array(this.#undone.length * 2));
  }
}

function grown<T extends Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

const NO_ROW: readonly [number, number] = [0, 0];

/** 64 bits of two multiplicative hashes: rows of one transaction do not share them. */
function rowHash(rowId: string): readonly [number, number] {
  let a = 0x811c_9dc5;
  let b = 0x9e37_79b9;
  for (let i = 0; i < rowId.length; i++) {
    const code = rowId.charCodeAt(i);
    a = Math.imul(a ^ code, 0x0100_0193);
    b = Math.imul((b << 5) ^ (b >>> 27) ^ code, 0x85eb_ca6b);
  }
  return [a >>> 0, (b >>> 0) | 1]; // never NO_ROW
}

/** A transaction that has neither committed nor rolled back. */
export class Transaction {
  readonly xid: string;
  readonly thread: number;
  /** SCN of its START row, or of its first row where that lies before what was mined. */
  readonly since: bigint;
  readonly startScn: bigint | null;
  readonly startTimeMs: number | null;
  /** When it was first seen here, ms of performance.now. */
  readonly seenAt: number;
  user: string | null;
  /** The table of its last item: operations on LOBs do not always name one. */
  lastRef: CapturedRef | null = null;
  /** Bytes of items in memory. */
  bytes = 0;
  readonly #index = new UndoIndex();
  #memory: RedoItem[] = [];
  #file: SpillFile | null = null;
  /** Rows that a second reading of the same range must not add again; only where it is read twice. */
  seen: Set<string> | null = null;

  constructor(about: {
    readonly xid: string;
    readonly thread: number;
    readonly since: bigint;
    readonly startScn: bigint | null;
    readonly startTimeMs: number | null;
    readonly user: string | null;
  }) {
    this.xid = about.xid;
    this.thread = about.thread;
    this.since = about.since;
    this.startScn = about.startScn;
    this.startTimeMs = about.startTimeMs;
    this.user = about.user;
    this.seenAt = performance.now();
  }

  /** Items, those undone too. */
  get count(): number {
    return this.#index.count;
  }

  add(item: RedoItem): number {
    this.lastRef = item.ref;
    this.#index.push(item);
    this.#memory.push(item);
    const size = sizeOf(item);
    this.bytes += size;
    return size;
  }

  /**
   * Undoes the change that an undo row is about; `code` is the undo's own, the inverse of the change's. Answers
   * false where there is no such change here.
   */
  undo(ref: CapturedRef, rowId: string | null, code: number): boolean {
    const inverse = code === INSERT ? DELETE : code === DELETE ? INSERT : code;
    let found = hasNoRowId(rowId) ? -1 : this.#index.latestOf(ref.number, rowId!);
    if (found < 0) found = this.#index.latestOfCode(ref.number, inverse);
    if (found < 0) return false;
    this.#index.undo(found);
    this.#index.undoBefore(found);
    return true;
  }

  /** Writes what is in memory to disk. Answers how many bytes that has freed. */
  async spill(directory: string): Promise<number> {
    this.#file ??= await SpillFile.create(join(directory, `${this.xid}.seg`));
    const items = this.#memory;
    this.#memory = [];
    await this.#file.append(items.map(encodeItem));
    const freed = this.bytes;
    this.bytes = 0;
    return freed;
  }

  /** What was not undone, in order. */
  async *items(refs: (number: number) => CapturedRef): AsyncGenerator<readonly RedoItem[]> {
    let i = 0;
    if (this.#file !== null) {
      for await (const records of this.#file.records()) {
        const kept: RedoItem[] = [];
        for (const record of records) if (!this.#index.isUndone(i++)) kept.push(decodeItem(record, refs));
        if (kept.length > 0) yield kept;
      }
    }
    for (let from = 0; from < this.#memory.length; from += ITEMS_AT_ONCE) {
      const part = this.#memory.slice(from, from + ITEMS_AT_ONCE);
      yield part.filter((_, n) => !this.#index.isUndone(i + from + n));
    }
  }

  async forget(): Promise<void> {
    this.#memory = [];
    const file = this.#file;
    this.#file = null;
    await file?.remove();
  }
}
