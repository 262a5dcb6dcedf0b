/** Memory beside the heap for many small pieces: the garbage collector has nothing to look at. */
const SLAB = 1024 * 1024;
/** Places are counted in these. */
const UNIT = 8;
const UNITS = SLAB / UNIT;
/** In front of a piece stands how long it is. */
const LENGTH_BYTES = 2;
/** More than a place can say, 16 GiB. */
const MOST_SLABS = 2 ** 31 / UNITS;

/** Of a piece. */
export const LONGEST_PIECE = 32 * 1024;

/** Hears of bytes that are taken, and given back where negative; throws where it becomes too much. */
export type SpendBytes = (bytes: number) => void;

/** A place is a whole number from 0 to 2³¹ − 1. */
export class Slabs {
  readonly #spend: SpendBytes;
  #slabs: Buffer[] = [];
  /** Units of the last slab that have been given out. */
  #used = UNITS;
  /** Blocks that are free, by units. */
  #free: number[][] = [];

  constructor(spend: SpendBytes) {
    this.#spend = spend;
  }

  /** Where the piece lies: `start(place)` is where it begins. */
  bytes(place: number): Buffer {
    return this.#slabs[Math.floor(place / UNITS)]!;
  }

  start(place: number): number {
    return (place % UNITS) * UNIT + LENGTH_BYTES;
  }

  add(piece: Buffer): number {
    const place = this.#allocate(unitsOf(piece.length));
    this.#write(place, piece);
    return place;
  }

  /** The place of what is there instead, which may be another one. */
  replace(place: number, piece: Buffer): number {
    if (this.#unitsAt(place) !== unitsOf(piece.length)) {
      this.remove(place);
      return this.add(piece);
    }
    this.#write(place, piece);
    return place;
  }

  remove(place: number): void {
    (this.#free[this.#unitsAt(place)] ??= []).push(place);
  }

  clear(): void {
    this.#spend(-this.#slabs.length * SLAB);
    this.#slabs = [];
    this.#used = UNITS;
    this.#free = [];
  }

  #write(place: number, piece: Buffer): void {
    const slab = this.bytes(place);
    const start = this.start(place);
    slab.writeUInt16LE(piece.length, start - LENGTH_BYTES);
    piece.copy(slab, start);
  }

  #unitsAt(place: number): number {
    return unitsOf(this.bytes(place).readUInt16LE(this.start(place) - LENGTH_BYTES));
  }

  #allocate(units: number): number {
    const free = this.#free[units]?.pop();
    if (free !== undefined) return free;
    if (this.#used + units > UNITS) {
      this.#spend(this.#slabs.length < MOST_SLABS ? SLAB : Infinity);
      this.#giveAway();
      this.#slabs.push(Buffer.allocUnsafeSlow(SLAB));
      this.#used = 0;
    }
    const place = (this.#slabs.length - 1) * UNITS + this.#used;
    this.#used += units;
    return place;
  }

  /** The rest of the last slab, which is too short for the piece at hand, is free for shorter ones. */
  #giveAway(): void {
    const rest = UNITS - this.#used;
    if (rest > 0) (this.#free[rest] ??= []).push((this.#slabs.length - 1) * UNITS + this.#used);
  }
}

function unitsOf(length: number): number {
  return Math.ceil((length + LENGTH_BYTES) / UNIT);
}
