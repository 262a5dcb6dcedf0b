/**
 * Rows in memory, as bytes beside the heap, each behind its key: a row of a few short columns takes a third of what it would
 * as an array of strings. A Map of keys would take as much again, and twice the time to find one: most of it goes by waiting
 * for memory, and here there are three places to look at.
 */
import type { KeyValue } from '../sql/value.ts';
import {
  decodeBehindKey,
  decodeEntry,
  decodeKey,
  encodeBehindKey,
  encodeKey,
  isEncodedKey,
} from './row-bytes.ts';
import { LONGEST_PIECE, Slabs, type SpendBytes } from './slabs.ts';
import type { StoredRow, TableStore } from './table-store.ts';

/** In place of a place: the row is too long for a slab. */
const ELSEWHERE = -1;
/** In place of a place: the number is free, and so is the one by which this is less; −1 is none. */
const FREE = -3;
const LEAST_NUMBERS = 16;
const INT_BYTES = Int32Array.BYTES_PER_ELEMENT;

/**
 * Each row has a number, which it keeps until it is deleted. Who walks over the rows goes by their numbers: one that changes
 * meanwhile is met once, and one that is put then may be met.
 */
export class MemoryRows implements TableStore {
  readonly #spend: SpendBytes;
  readonly #slabs: Slabs;
  /** By number. */
  #places = new Int32Array(0);
  /** By number. */
  readonly #long = new Map<number, Buffer>();
  /** Numbers that have been given out, those that are free again among them. */
  #numbers = 0;
  #firstFree = -1;
  /**
   * Buckets of a key's hash, and its row's number + 1, or 0 where it is empty. There is a power of two of them, at least a
   * third of them empty; a key is in the first one behind that of its hash that was empty.
   */
  #index = new Int32Array(0);
  #size = 0;

  constructor(spend: SpendBytes = () => {}) {
    this.#spend = spend;
    this.#slabs = new Slabs(spend);
  }

  get size(): number {
    return this.#size;
  }

  get(key: KeyValue): StoredRow | undefined {
    const bucket = this.#find(encodeKey(key));
    if (bucket < 0) return undefined;
    const number = this.#index[2 * bucket + 1]! - 1;
    return decodeBehindKey(this.#bytes(number), this.#start(number));
  }

  put(key: KeyValue, row: StoredRow): void {
    const hash = encodeKey(key);
    const bucket = this.#find(hash);
    const bytes = encodeBehindKey(row);
    if (bucket >= 0) {
      this.#replace(this.#index[2 * bucket + 1]! - 1, bytes);
      return;
    }
    const number = this.#give();
    this.#places[number] = this.#add(number, bytes);
    this.#size++;
    this.#enter(hash, number);
  }

  delete(key: KeyValue): boolean {
    const bucket = this.#find(encodeKey(key));
    if (bucket < 0) return false;
    const number = this.#index[2 * bucket + 1]! - 1;
    this.#remove(number);
    this.#places[number] = FREE - this.#firstFree;
    this.#firstFree = number;
    this.#size--;
    this.#leave(bucket);
    return true;
  }

  clear(): void {
    for (const { length } of this.#long.values()) this.#spend(-length);
    this.#spend(-INT_BYTES * (this.#places.length + this.#index.length));
    this.#slabs.clear();
    this.#long.clear();
    this.#places = new Int32Array(0);
    this.#index = new Int32Array(0);
    this.#numbers = 0;
    this.#firstFree = -1;
    this.#size = 0;
  }

  *keys(): Generator<KeyValue> {
    for (const number of this.#taken()) yield decodeKey(this.#bytes(number), this.#start(number));
  }

  *entries(): Generator<readonly [KeyValue, StoredRow]> {
    for (const number of this.#taken()) yield decodeEntry(this.#bytes(number), this.#start(number));
  }

  *#taken(): Generator<number> {
    for (let number = 0; number < this.#numbers; number++)
      if (this.#places[number]! >= ELSEWHERE) yield number;
  }

  /** Where the row lies, its key in front of it. */
  #bytes(number: number): Buffer {
    const place = this.#places[number]!;
    return place === ELSEWHERE ? this.#long.get(number)! : this.#slabs.bytes(place);
  }

  #start(number: number): number {
    const place = this.#places[number]!;
    return place === ELSEWHERE ? 0 : this.#slabs.start(place);
  }

  /** The bucket of the key that was encoded last; −1 where it has none. */
  #find(hash: number): number {
    const index = this.#index;
    if (index.length === 0) return -1;
    const mask = index.length / 2 - 1;
    for (let bucket = hash & mask; ; bucket = (bucket + 1) & mask) {
      const number = index[2 * bucket + 1]! - 1;
      if (number < 0) return -1;
      if (index[2 * bucket] === hash && isEncodedKey(this.#bytes(number), this.#start(number))) return bucket;
    }
  }

  #enter(hash: number, number: number): void {
    if (6 * this.#size > 2 * this.#index.length) this.#widen();
    this.#fill(hash, number + 1);
  }

  /** Puts both into the first empty bucket from that of the hash on. */
  #fill(hash: number, entry: number): void {
    const index = this.#index;
    const mask = index.length / 2 - 1;
    let bucket = hash & mask;
    while (index[2 * bucket + 1] !== 0) bucket = (bucket + 1) & mask;
    index[2 * bucket] = hash;
    index[2 * bucket + 1] = entry;
  }

  /** Those behind it that would be in its place, had it been empty, go there. */
  #leave(bucket: number): void {
    const index = this.#index;
    const mask = index.length / 2 - 1;
    let hole = bucket;
    for (let next = (hole + 1) & mask; index[2 * next + 1] !== 0; next = (next + 1) & mask) {
      const wanted = index[2 * next]! & mask;
      if (((next - wanted) & mask) < ((next - hole) & mask)) continue;
      index[2 * hole] = index[2 * next]!;
      index[2 * hole + 1] = index[2 * next + 1]!;
      hole = next;
    }
    index[2 * hole + 1] = 0;
  }

  #widen(): void {
    const before = this.#index;
    const length = Math.max(2 * before.length, 4 * LEAST_NUMBERS);
    this.#spend(INT_BYTES * (length - before.length));
    this.#index = new Int32Array(length);
    for (let i = 0; i < before.length; i += 2)
      if (before[i + 1] !== 0) this.#fill(before[i]!, before[i + 1]!);
  }

  /** A number that is free. */
  #give(): number {
    const free = this.#firstFree;
    if (free >= 0) {
      this.#firstFree = FREE - this.#places[free]!;
      return free;
    }
    if (this.#numbers === this.#places.length) {
      const more = new Int32Array(Math.max(Math.ceil(1.5 * this.#numbers), LEAST_NUMBERS));
      this.#spend(INT_BYTES * (more.length - this.#places.length));
      more.set(this.#places);
      this.#places = more;
    }
    return this.#numbers++;
  }

  #add(number: number, bytes: Buffer): number {
    if (bytes.length <= LONGEST_PIECE) return this.#slabs.add(bytes);
    this.#spend(bytes.length);
    this.#long.set(number, Buffer.from(bytes));
    return ELSEWHERE;
  }

  #replace(number: number, bytes: Buffer): void {
    const place = this.#places[number]!;
    if (place !== ELSEWHERE && bytes.length <= LONGEST_PIECE) {
      this.#places[number] = this.#slabs.replace(place, bytes);
      return;
    }
    this.#remove(number);
    this.#places[number] = this.#add(number, bytes);
  }

  #remove(number: number): void {
    const place = this.#places[number]!;
    if (place !== ELSEWHERE) {
      this.#slabs.remove(place);
      return;
    }
    this.#spend(-(this.#long.get(number)?.length ?? 0));
    this.#long.delete(number);
  }
}
