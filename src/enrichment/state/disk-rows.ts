/** One joined table in LMDB, with what is not there yet in memory over it. */
import { createHash } from 'node:crypto';
import type { Database } from 'lmdb';
import type { KeyValue } from '../sql/value.ts';
import { decodeRow, encodeRow } from './row-bytes.ts';
import { Overlay } from './overlay.ts';
import type { StoredRow, TableStore } from './table-store.ts';

export type RowDatabase = Database<Buffer, Buffer>;

/** LMDB's keys end at 1,978 bytes: longer ones are there by their hash, and with the row. */
const LONGEST_KEY = 1_900;
const HASHED = Buffer.from([0xff]);
const TWO_32 = 2 ** 32;

export class DiskRows implements TableStore {
  readonly #staging: () => void;
  #rows: RowDatabase | null = null;
  /** Changes by commit, the oldest first; those of the last are in none that has begun. Empty before `complete`. */
  #layers: Overlay[] = [];
  /** What may go to disk. */
  #staged = new Overlay();
  #size = 0;

  /** `staging`: called when there is more that may go to disk. */
  constructor(staging: () => void) {
    this.#staging = staging;
  }

  open(rows: RowDatabase): void {
    this.#rows = rows;
    this.#size = rows.getCount();
  }

  get size(): number {
    return this.#size;
  }

  /** Rows that may go to disk and have not. */
  get staged(): number {
    return this.#staged.size;
  }

  get(key: KeyValue): StoredRow | undefined {
    const overlaid = this.#overlaid(key);
    if (overlaid !== undefined) return overlaid ?? undefined;
    const name = keyBytes(key);
    const bytes = this.#rows?.getBinaryFast(name);
    return bytes === undefined ? undefined : rowOf(name, bytes).row;
  }

  put(key: KeyValue, row: StoredRow): void {
    if (!this.#has(key)) this.#size++;
    this.#set(key, row);
  }

  delete(key: KeyValue): boolean {
    if (!this.#has(key)) return false;
    this.#size--;
    this.#set(key, null);
    return true;
  }

  clear(): void {
    this.#size = 0;
    (this.#layers.at(-1) ?? this.#staged).cover();
    this.#staging();
  }

  *keys(): Generator<KeyValue> {
    for (const [key] of this.entries()) yield key;
  }

  *entries(): Generator<readonly [KeyValue, StoredRow]> {
    const over = new Overlay();
    for (const each of [this.#staged, ...this.#layers]) over.add(each);
    if (!over.covers) {
      for (const { key: name, value } of this.#rows?.getRange() ?? []) {
        const { key, row } = rowOf(name, value);
        if (over.get(key) === undefined) yield [key, row];
      }
    }
    for (const [key, row] of over.rows) if (row !== null) yield [key, row];
  }

  /** From here on changes wait for the commit that holds them. */
  complete(): void {
    if (this.#layers.length === 0) this.#layers.push(new Overlay());
  }

  committing(): void {
    if (this.#layers.length > 0) this.#layers.push(new Overlay());
  }

  committed(): void {
    const oldest = this.#layers.length > 1 ? this.#layers.shift() : undefined;
    if (oldest !== undefined) this.#staged.add(oldest);
  }

  /** Within a transaction of LMDB. */
  write(): void {
    const rows = this.#rows;
    if (rows === null || this.#staged.isEmpty) return;
    if (this.#staged.covers) rows.clearSync();
    for (const [key, row] of this.#staged.rows) {
      const name = keyBytes(key);
      if (row === null) rows.removeSync(name);
      else rows.putSync(name, Buffer.from(encodeRow(name[0] === HASHED[0] ? [key, row] : row)));
    }
    this.#staged = new Overlay();
  }

  #set(key: KeyValue, row: StoredRow | null): void {
    const open = this.#layers.at(-1);
    (open ?? this.#staged).set(key, row);
    if (open === undefined) this.#staging();
  }

  #has(key: KeyValue): boolean {
    const overlaid = this.#overlaid(key);
    return overlaid === undefined ? (this.#rows?.doesExist(keyBytes(key)) ?? false) : overlaid !== null;
  }

  #overlaid(key: KeyValue): StoredRow | null | undefined {
    for (let i = this.#layers.length - 1; i >= 0; i--) {
      const row = this.#layers[i]!.get(key);
      if (row !== undefined) return row;
    }
    return this.#staged.get(key);
  }
}

/** Keys of one table are of one type, and those of numbers are in their order, so that a load fills page after page. */
function keyBytes(key: KeyValue): Buffer {
  if (typeof key === 'number' && Number.isSafeInteger(key) && !Object.is(key, -0)) {
    const bytes = Buffer.allocUnsafe(9);
    bytes[0] = 1;
    const high = Math.floor(key / TWO_32);
    bytes.writeInt32BE(high ^ (1 << 31), 1);
    bytes.writeUInt32BE(key - high * TWO_32, 5);
    return bytes;
  }
  const bytes = encodeRow([key]);
  const name = Buffer.allocUnsafe(bytes.length);
  bytes.copy(name);
  name[0] = 2;
  if (name.length <= LONGEST_KEY) return name;
  return Buffer.concat([HASHED, createHash('sha256').update(name).digest()]);
}

function rowOf(name: Buffer, bytes: Buffer): { readonly key: KeyValue; readonly row: StoredRow } {
  const row = decodeRow(bytes);
  if (name[0] === HASHED[0]) return { key: row[0] as KeyValue, row: row[1] as StoredRow };
  return { key: keyOf(name), row };
}

function keyOf(name: Buffer): KeyValue {
  if (name[0] === 1) return (name.readInt32BE(1) ^ (1 << 31)) * TWO_32 + name.readUInt32BE(5);
  const copy = Buffer.from(name);
  copy[0] = 1;
  return decodeRow(copy)[0] as KeyValue;
}
