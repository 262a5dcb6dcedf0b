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
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  readonly #format: TextFormat;
  #values: Row | null = null;

  constructor(bytes: Buffer, start: number, end: number, format: TextFormat) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.#format = format;
  }

  /**
   * Two numbers for each column: where its text begins in `bytes`, and its length or one of the below. Valid until
   * any row is asked for its cells.
   */
  cells(): Int32Array {
    if (located !== this) {
      const room = 2 * this.#format.decoders.length;
      if (cells.length < room) cells = new Int32Array(room);
      this.#format.locate(this.bytes, this.start, this.end, cells);
      // oxlint-disable-next-line typescript/no-this-alias -- to know whose cells they are
      located = this;
    }
    return cells;
  }

  /** Throws `source.value-unreadable` where the text is not in the form of the column's type. */
  value(column: number): Value {
    const of = this.cells();
    const from = of[2 * column]!;
    const length = of[2 * column + 1]!;
    if (length >= 0) return this.#format.decoders[column]!(this.bytes.utf8Slice(from, from + length));
    if (length === NULL_CELL) return null;
    return length === ABSENT_CELL ? ABSENT : this.#format.decodeOther!(this.bytes, from, column);
  }

  /** All of them, made once; throws as `value` does. */
  values(): Row {
    if (this.#values === null) {
      const row: Value[] = [];
      for (let i = 0; i < this.#format.decoders.length; i++) row.push(this.value(i));
      this.#values = row;
    }
    return this.#values;
  }

  /** Whether the cells of a column are the same, byte for byte. */
  sameText(other: TextRow, column: number): boolean {
    const mine = this.cells();
    const from = mine[2 * column]!;
    const length = mine[2 * column + 1]!;
    const its = other.cells();
    const otherFrom = its[2 * column]!;
    if (length === OTHER_CELL || length !== its[2 * column + 1]!) return false;
    for (let i = 0; i < length; i++) if (this.bytes[from + i] !== other.bytes[otherFrom + i]) return false;
    return true;
  }
}

/** In place of a length. */
export const NULL_CELL = -1;
export const ABSENT_CELL = -2;
/** The text is not there as it is: `decodeOther` knows. */
export const OTHER_CELL = -3;

/** How a source lays out rows of one version of a table. */
export interface TextFormat {
  /** Text of a column → Value, as its type has it. */
  readonly decoders: readonly ((text: string) => Value)[];
  /** Fills `into` as `TextRow.cells` says. Cells are ASCII or UTF-8. */
  locate(bytes: Buffer, start: number, end: number, into: Int32Array): void;
  /** The Value of a cell that `locate` has called an `OTHER_CELL`; for formats that do. */
  decodeOther?(bytes: Buffer, from: number, column: number): Value;
}

/** One row at a time is looked at in the process. */
let cells = new Int32Array(64);
let located: TextRow | null = null;

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
