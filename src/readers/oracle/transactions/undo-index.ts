/**
 * What undo needs of a transaction's items stays in memory when the items go to disk: 14 bytes each.
 *
 * A statement on a table with LOBs, XML or long strings is several rows of redo: an INSERT or UPDATE with the other
 * columns and operations on its LOBs, none with a ROWID, and behind them one that has it: an UPDATE with what is held
 * in the row itself, or, where there is none of that, a row of operation code 0. All of them are undone by one row.
 * DBMS_LOB writes behind a locator that has the ROWID, and one row undoes that, too. (Seen by other readers on 23ai.)
 */
import {
  DDL,
  DELETE,
  INSERT,
  isLob,
  LOB_ERASE,
  LOB_TRIM,
  LOB_WRITE,
  SELECT_LOB_LOCATOR,
  UNSUPPORTED,
  UPDATE,
} from '../mining/redo-row.ts';
import { hasNoRowId } from './redo-item.ts';

const UNDONE = 1;
/** Its ROWID came with the end of its statement. */
const ENDS = 2;

export class UndoIndex {
  #tables = new Uint32Array(16);
  #rows = new Uint32Array(32);
  #codes = new Uint8Array(16);
  #flags = new Uint8Array(16);
  #count = 0;
  /** Behind it all are undone: undo is newest first. */
  #top = 0;

  /** Items, those undone too. */
  get count(): number {
    return this.#count;
  }

  push(table: number, rowId: string | null, code: number): void {
    const i = this.#count++;
    if (i === this.#tables.length) this.#grow();
    this.#tables[i] = table;
    this.#setRow(i, hasNoRowId(rowId) ? NO_ROW : rowHash(rowId!));
    this.#codes[i] = code;
    this.#flags[i] = 0;
    this.#top = this.#count;
  }

  isUndone(i: number): boolean {
    return (this.#flags[i]! & UNDONE) !== 0;
  }

  /**
   * A statement ends that has changed the row: the last item gets its ROWID where it has none. Answers false where the
   * last item is of another statement.
   */
  endStatement(table: number, rowId: string): boolean {
    const last = this.#count - 1;
    if (last < 0 || this.#tables[last] !== table || this.isUndone(last)) return false;
    const row = rowHash(rowId);
    if (!this.#hasNoRow(last)) return this.#isRow(last, row);
    const code = this.#codes[last]!;
    if (code !== INSERT && code !== UPDATE && !isLob(code)) return false;
    this.#setRow(last, row);
    this.#flags[last]! |= ENDS;
    return true;
  }

  /**
   * Undoes the statement that an undo row is about; `code` is the undo's own, the inverse of the change's. Answers
   * false where there is no such statement here.
   */
  undo(table: number, rowId: string | null, code: number): boolean {
    const row = hasNoRowId(rowId) ? null : rowHash(rowId!);
    const ofRow = row === null ? -1 : this.#latest(table, (i) => this.#isRow(i, row));
    let end = ofRow;
    let start = end < 0 ? -1 : this.#startOf(end, code);
    if (start < 0) {
      // Of a statement whose end the log has not told.
      end = this.#latest(table, () => true);
      start = end >= 0 && this.#hasNoRow(end) ? this.#startOf(end, code) : -1;
    }
    if (start < 0 && ofRow < 0) {
      const inverse = code === INSERT ? DELETE : code === DELETE ? INSERT : code;
      end = this.#latest(table, (i) => this.#codes[i] === inverse);
      start = end < 0 ? -1 : this.#startOf(end, code);
    }
    if (start < 0) return false;
    for (let i = start; i <= end; i++) this.#flags[i]! |= UNDONE;
    while (this.#top > 0 && this.isUndone(this.#top - 1)) this.#top--;
    return true;
  }

  /** Where the statement begins whose last item that is; -1 where the undo is not one of it. */
  #startOf(end: number, undo: number): number {
    const code = this.#codes[end]!;
    if (code === UNSUPPORTED || undo === UNSUPPORTED) return end;
    if (code === INSERT) return undo === DELETE ? end : -1;
    if (code === DELETE) return undo === INSERT ? end : -1;
    if (undo === INSERT || code === DDL) return -1;
    if (code === UPDATE && (this.#hasNoRow(end) || this.#ends(end))) return undo === UPDATE ? end : -1;
    let start = end;
    // DBMS_LOB's locator has the ROWID by itself: nothing before it is of the same statement.
    if (code === SELECT_LOB_LOCATOR && !this.#ends(end) && !this.#hasNoRow(end))
      return undo === UPDATE ? end : -1;
    let writes = isLobWrite(code);
    for (let i = end - 1; i >= 0 && this.#isPartOf(i, end, writes); i--) {
      const part = this.#codes[i]!;
      if (part === INSERT) return undo === DELETE ? i : start;
      if (part === UPDATE) return undo === UPDATE ? i : -1;
      start = i;
      if (part === SELECT_LOB_LOCATOR && !this.#hasNoRow(i)) break;
      writes &&= isLobWrite(part);
    }
    return undo === UPDATE ? start : -1; // what is undone by a DELETE has an INSERT
  }

  /** Whether an item can be of the statement that ends there; `writes`: all between them write into a LOB. */
  #isPartOf(i: number, end: number, writes: boolean): boolean {
    if (this.#tables[i] !== this.#tables[end] || this.isUndone(i)) return false;
    if (this.#hasNoRow(i)) return true;
    const code = this.#codes[i]!;
    if (!writes || this.#ends(i) || !(isLobWrite(code) || code === SELECT_LOB_LOCATOR)) return false;
    return this.#isRow(i, [this.#rows[2 * end]!, this.#rows[2 * end + 1]!]);
  }

  /** The latest item of the table that is not undone and of that kind; -1 where there is none. */
  #latest(table: number, is: (i: number) => boolean): number {
    for (let i = this.#top - 1; i >= 0; i--) {
      if (this.#tables[i] === table && !this.isUndone(i) && is(i)) return i;
    }
    return -1;
  }

  #isRow(i: number, [a, b]: readonly [number, number]): boolean {
    return this.#rows[2 * i] === a && this.#rows[2 * i + 1] === b;
  }

  #hasNoRow(i: number): boolean {
    return this.#isRow(i, NO_ROW);
  }

  #ends(i: number): boolean {
    return (this.#flags[i]! & ENDS) !== 0;
  }

  #setRow(i: number, [a, b]: readonly [number, number]): void {
    this.#rows[2 * i] = a;
    this.#rows[2 * i + 1] = b;
  }

  #grow(): void {
    this.#tables = grown(this.#tables, new Uint32Array(this.#tables.length * 2));
    this.#rows = grown(this.#rows, new Uint32Array(this.#rows.length * 2));
    this.#codes = grown(this.#codes, new Uint8Array(this.#codes.length * 2));
    this.#flags = grown(this.#flags, new Uint8Array(this.#flags.length * 2));
  }
}

/** What comes behind a locator. */
function isLobWrite(code: number): boolean {
  return code === LOB_WRITE || code === LOB_TRIM || code === LOB_ERASE;
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
  return [a >>> 0, (b | 1) >>> 0]; // never NO_ROW
}
