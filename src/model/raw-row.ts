import { ABSENT, type Row, type Value } from './value.ts';

/**
 * A row image as the bytes the source sent, which nobody has made Values of: most cells of most rows go out much as
 * they came in, and an encoder that writes bytes takes them from here without a string or number in between.
 * Everybody else asks for `valuesOf`.
 *
 * A reader may hand them out for tables of whose columns any cell can be read, or nearly so, and for images without
 * UNCHANGED. The memory must stay as it is for as long as somebody refers to the row.
 */
export class RawRow {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  readonly #format: RawFormat;
  #values: Row | null = null;

  constructor(bytes: Buffer, start: number, end: number, format: RawFormat) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.#format = format;
  }

  /**
   * Two numbers for each column: where its cell begins in `bytes`, and the length of its text or one of the below.
   * Valid until any row is asked for its cells.
   */
  cells(): Int32Array {
    if (located !== this) {
      const room = 2 * this.#format.columns;
      if (cells.length < room) cells = new Int32Array(room);
      located = null;
      this.#format.locate(this.bytes, this.start, this.end, cells);
      // oxlint-disable-next-line typescript/no-this-alias -- to know whose cells they are
      located = this;
    }
    return cells;
  }

  /** Throws `source.value-unreadable` where the cell is not in the form of the column's type. */
  value(column: number): Value {
    const of = this.cells();
    const from = of[2 * column]!;
    const length = of[2 * column + 1]!;
    if (length >= 0) return this.#format.decode(this.bytes, from, from + length, column);
    if (length === NULL_CELL) return null;
    if (length === ABSENT_CELL) return ABSENT;
    const to = from + otherLength(length);
    return this.#format.decodeOther === undefined
      ? this.#format.decode(this.bytes, from, to, column)
      : this.#format.decodeOther(this.bytes, from, to, column);
  }

  /** All of them, made once; throws as `value` does. */
  values(): Row {
    if (this.#values === null) {
      const row: Value[] = [];
      for (let i = 0; i < this.#format.columns; i++) row.push(this.value(i));
      this.#values = row;
    }
    return this.#values;
  }

  /** Whether the cells of a column are the same, byte for byte. */
  sameCell(other: RawRow, column: number): boolean {
    const mine = this.cells();
    const from = mine[2 * column]!;
    const noted = mine[2 * column + 1]!;
    const its = other.cells();
    const otherFrom = its[2 * column]!;
    if (noted !== its[2 * column + 1]!) return false;
    const length = noted <= OTHER_CELL ? otherLength(noted) : noted;
    for (let i = 0; i < length; i++) if (this.bytes[from + i] !== other.bytes[otherFrom + i]) return false;
    return true;
  }
}

/** In place of a length. */
export const NULL_CELL = -1;
export const ABSENT_CELL = -2;
/** This and less: a cell that is not the value's text, of `OTHER_CELL - length` bytes; `decodeOther` knows. */
export const OTHER_CELL = -3;

function otherLength(noted: number): number {
  return OTHER_CELL - noted;
}

/** How a source lays out rows of one version of a table. */
export interface RawFormat {
  readonly columns: number;
  /** Fills `into` as `RawRow.cells` says. Text is ASCII or UTF-8. */
  locate(bytes: Buffer, start: number, end: number, into: Int32Array): void;
  /** A cell → Value, as the column's type has it. */
  decode(bytes: Buffer, from: number, to: number, column: number): Value;
  /** A cell that `locate` has not called text, where that takes something else. */
  decodeOther?(bytes: Buffer, from: number, to: number, column: number): Value;
}

/** One row at a time is looked at in the process. */
let cells = new Int32Array(64);
let located: RawRow | null = null;

/** One row: Values, or the bytes they are made of. */
export type Image = Row | RawRow;

/** The image's Values. Throws `source.value-unreadable` where a cell cannot be read. */
export function valuesOf(image: Image): Row;
export function valuesOf(image: Image | null): Row | null;
export function valuesOf(image: Image | null): Row | null {
  return image instanceof RawRow ? image.values() : image;
}

/** One Value of an image; throws as `valuesOf` does. */
export function valueOf(image: Image, column: number): Value {
  return image instanceof RawRow ? image.value(column) : image[column]!;
}
