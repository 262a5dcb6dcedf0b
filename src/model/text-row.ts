import type { ColumnType } from './table.ts';
import { ABSENT, type Row, type Value } from './value.ts';

/**
 * A row image as the source's own text, which nobody has made Values of: most cells of most rows go out much as
 * they came in, and an encoder that writes bytes takes them from here without a string or number in between.
 * Everybody else asks for `valuesOf`.
 *
 * A reader may hand them out for tables whose columns are all `isTextual`, and for images without UNCHANGED. The
 * memory must stay as it is for as long as somebody refers to the row.
 */
export class TextRow {
  /** What the cells lie in; UTF-8 where they hold more than ASCII. */
  readonly bytes: Buffer;
  /** Two numbers for each column, from `at` on: where its text begins in `bytes`, and its length or one of the below. */
  readonly cells: Int32Array;
  readonly at: number;
  readonly #decoders: readonly DecodeText[];
  #values: Row | null = null;

  constructor(bytes: Buffer, cells: Int32Array, at: number, decoders: readonly DecodeText[]) {
    this.bytes = bytes;
    this.cells = cells;
    this.at = at;
    this.#decoders = decoders;
  }

  /** Throws `source.value-unreadable` where the text is not in the form of the column's type. */
  value(column: number): Value {
    const text = this.text(column);
    return typeof text === 'string' ? this.#decoders[column]!(text) : text;
  }

  text(column: number): string | null | typeof ABSENT {
    const cell = this.at + 2 * column;
    const length = this.cells[cell + 1]!;
    if (length < 0) return length === NULL_CELL ? null : ABSENT;
    const from = this.cells[cell]!;
    return this.bytes.utf8Slice(from, from + length);
  }

  /** All of them, made once; throws as `value` does. */
  values(): Row {
    if (this.#values === null) {
      const row: Value[] = [];
      for (let i = 0; i < this.#decoders.length; i++) row.push(this.value(i));
      this.#values = row;
    }
    return this.#values;
  }

  /** Whether the cells of a column are the same, byte for byte. */
  sameText(other: TextRow, column: number): boolean {
    const mine = this.at + 2 * column;
    const its = other.at + 2 * column;
    const length = this.cells[mine + 1]!;
    if (length !== other.cells[its + 1]!) return false;
    const from = this.cells[mine]!;
    const otherFrom = other.cells[its]!;
    for (let i = 0; i < length; i++) if (this.bytes[from + i] !== other.bytes[otherFrom + i]) return false;
    return true;
  }
}

/** Where the cells of many rows are noted, row after row; arrays that are full are left to the rows. */
export class CellArena {
  cells = new Int32Array(0);
  #next = 0;

  /** Room for a row in `cells`, from the number answered on. */
  take(columns: number): number {
    const numbers = 2 * columns;
    if (this.#next + numbers > this.cells.length) {
      this.cells = new Int32Array(Math.max(ARENA, numbers));
      this.#next = 0;
    }
    const at = this.#next;
    this.#next = at + numbers;
    return at;
  }
}

const ARENA = 4096;

/** Text of a cell → Value, as the column's type has it. */
export type DecodeText = (text: string) => Value;

/**
 * Kinds of which any text is a value, or nearly so: nothing has to be decoded to know that the row can be read.
 * Encoders take the text as it is where it has the usual form (digits; `2016-11-04 11:51:30.123+00`; for the
 * kinds whose Value is a string, that string), and through the decoder where it has another.
 */
export function isTextual({ kind }: ColumnType): boolean {
  return TEXTUAL.has(kind);
}

const TEXTUAL: ReadonlySet<ColumnType['kind']> = new Set([
  'boolean',
  'int16',
  'int32',
  'int64',
  'float32',
  'float64',
  'decimal',
  'string',
  'json',
  'xml',
  'uuid',
  'enum',
  'ltree',
  'tsvector',
  'bytes',
  'date',
  'time',
  'timestamp',
  'timestamptz',
]);

/** In place of a length. */
export const NULL_CELL = -1;
export const ABSENT_CELL = -2;

/** One row: Values, or the text they are made of. */
export type Image = Row | TextRow;

/** The image's Values. Throws `source.value-unreadable` where text cannot be read. */
export function valuesOf(image: Image): Row;
export function valuesOf(image: Image | null): Row | null;
export function valuesOf(image: Image | null): Row | null {
  return image instanceof TextRow ? image.values() : image;
}

/** One Value of an image; throws as `valuesOf` does. */
export function valueOf(image: Image, column: number): Value {
  return image instanceof TextRow ? image.value(column) : image[column]!;
}
