/**
 * Rows in memory, as bytes beside the heap: a row of a few short columns takes a third of what it would as an array of
 * strings, and the garbage collector has nothing to look at but one number a row.
 */
import type { KeyValue } from '../sql/value.ts';
import { decodeRow, encodeRow } from './row-bytes.ts';
import type { StoredRow, TableStore } from './table-store.ts';

const SLAB = 1024 * 1024;
/** Places are counted in these. */
const UNIT = 8;
const UNITS = SLAB / UNIT;
/** Of a row within a slab; the two bytes in front of it say how long it is. */
const LONGEST = 32 * 1024;
/** Of a row that has a buffer of its own. */
const ELSEWHERE = -1;
/** What a key takes besides, about: its place in the map, and of a short text the text. */
const KEY_BYTES = 48;

/** More keys than a Map holds are too much, whatever they take. */
const MOST_ROWS = 2 ** 24 - 1;

/** Hears what rows take, and throws where it becomes too much. */
export type SpendBytes = (bytes: number) => void;

export class MemoryRows implements TableStore {
  readonly #spend: SpendBytes;
  /** Where each row is: slab and unit within it as one number. */
  readonly #places = new Map<KeyValue, number>();
  readonly #long = new Map<KeyValue, Buffer>();
  #slabs: Buffer[] = [];
  /** Units of the last slab that have been given out. */
  #used = UNITS;
  /** Blocks that are free, by units. */
  #free: number[][] = [];
  #spent = 0;

  constructor(spend: SpendBytes = () => {}) {
    this.#spend = spend;
  }

  get size(): number {
    return this.#places.size;
  }

  get(key: KeyValue): StoredRow | undefined {
    const place = this.#places.get(key);
    return place === undefined ? undefined : this.#row(key, place);
  }

  put(key: KeyValue, row: StoredRow): void {
    const bytes = encodeRow(row);
    const { length } = bytes;
    const before = this.#places.get(key);
    if (before === undefined) this.#take(this.size < MOST_ROWS ? KEY_BYTES : Infinity);
    if (length > LONGEST) {
      this.#release(key, before);
      this.#long.set(key, Buffer.from(bytes));
      this.#places.set(key, ELSEWHERE);
      this.#take(length);
      return;
    }
    const units = unitsOf(length);
    let place = before;
    if (place === undefined || place === ELSEWHERE || this.#unitsAt(place) !== units) {
      this.#release(key, before);
      place = this.#allocate(units);
      this.#places.set(key, place);
    }
    const slab = this.#slabs[Math.floor(place / UNITS)]!;
    const offset = (place % UNITS) * UNIT;
    slab.writeUInt16LE(length, offset);
    bytes.copy(slab, offset + 2);
  }

  delete(key: KeyValue): boolean {
    const place = this.#places.get(key);
    if (place === undefined) return false;
    this.#release(key, place);
    this.#places.delete(key);
    this.#take(-KEY_BYTES);
    return true;
  }

  clear(): void {
    this.#places.clear();
    this.#long.clear();
    this.#slabs = [];
    this.#used = UNITS;
    this.#free = [];
    this.#take(-this.#spent);
  }

  keys(): Iterable<KeyValue> {
    return this.#places.keys();
  }

  *entries(): Generator<readonly [KeyValue, StoredRow]> {
    for (const [key, place] of this.#places) yield [key, this.#row(key, place)];
  }

  #row(key: KeyValue, place: number): StoredRow {
    if (place === ELSEWHERE) return decodeRow(this.#long.get(key)!);
    return decodeRow(this.#slabs[Math.floor(place / UNITS)]!, (place % UNITS) * UNIT + 2);
  }

  #unitsAt(place: number): number {
    return unitsOf(this.#slabs[Math.floor(place / UNITS)]!.readUInt16LE((place % UNITS) * UNIT));
  }

  #allocate(units: number): number {
    const free = this.#free[units]?.pop();
    if (free !== undefined) return free;
    if (this.#used + units > UNITS) {
      this.#giveAway();
      this.#slabs.push(Buffer.allocUnsafeSlow(SLAB));
      this.#take(SLAB);
      this.#used = 0;
    }
    const place = (this.#slabs.length - 1) * UNITS + this.#used;
    this.#used += units;
    return place;
  }

  /** The rest of the last slab, which is too short for the row at hand, is free for shorter ones. */
  #giveAway(): void {
    const rest = UNITS - this.#used;
    if (rest > 0) (this.#free[rest] ??= []).push((this.#slabs.length - 1) * UNITS + this.#used);
  }

  #release(key: KeyValue, place: number | undefined): void {
    if (place === undefined) return;
    if (place === ELSEWHERE) {
      this.#take(-(this.#long.get(key)?.length ?? 0));
      this.#long.delete(key);
      return;
    }
    (this.#free[this.#unitsAt(place)] ??= []).push(place);
  }

  #take(bytes: number): void {
    this.#spent += bytes;
    this.#spend(bytes);
  }
}

function unitsOf(length: number): number {
  return Math.ceil((length + 2) / UNIT);
}
