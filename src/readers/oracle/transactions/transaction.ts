import { join } from 'node:path';
import type { CapturedRef } from '../table-history.ts';
import { decodeItem, encodeItem, type RedoItem, sizeOf } from './redo-item.ts';
import { SpillFile } from './spill-file.ts';
import { UndoIndex } from './undo-index.ts';

const ITEMS_AT_ONCE = 1_000;

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
    this.#index.push(item.ref.number, item.rowId, item.code);
    this.#memory.push(item);
    const size = sizeOf(item);
    this.bytes += size;
    return size;
  }

  /** Undoes the statement that an undo row of that code is about. Answers false where there is none such here. */
  undo(ref: CapturedRef, rowId: string | null, code: number): boolean {
    return this.#index.undo(ref.number, rowId, code);
  }

  /**
   * A statement that has changed the row has ended; `ref` is null where the table is not told. Answers false where
   * nothing of it is here.
   */
  endStatement(ref: CapturedRef | null, rowId: string): boolean {
    const table = ref ?? this.lastRef;
    return table !== null && this.#index.endStatement(table.number, rowId);
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
        yield kept;
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
