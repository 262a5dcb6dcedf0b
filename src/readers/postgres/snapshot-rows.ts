import '../buffer-slices.ts';
import { isAscii } from 'node:buffer';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { readRow, type RowChange, type SourceInfo } from '../../model/change.ts';
import type { TableSchema } from '../../model/table.ts';
import { NULL_CELL, OTHER_CELL, type RawFormat, RawRow } from '../../model/raw-row.ts';
import { isTextual } from './types/textual-kinds.ts';
import type { Value } from '../../model/value.ts';
import type { RowBlock } from '../../snapshot/snapshot-source.ts';
import type { CopyChunk } from './wire/copy-queue.ts';

export interface RowFormat<S extends SourceInfo> {
  readonly schema: TableSchema;
  /** One per column of the COPY. */
  readonly decoders: readonly ((text: string) => Value)[];
  /** Per column: the text may hold more than ASCII. */
  readonly wide: readonly boolean[];
  readonly at: S;
}

const TAB = '\t';
const TAB_BYTE = 9;
const LINE_FEED = 10;
const BACKSLASH = 92;
const CAPITAL_N = 78;

/** Frames of a chunk, by number. */
interface Line {
  readonly chunk: CopyChunk;
  readonly from: number;
  readonly to: number;
}

/**
 * Rows out of COPY … TO STDOUT (format text: columns apart by tabs, `\N` for NULL, backslash escapes). They stay
 * text where they may (model/raw-row.ts), and are made of the lines only when somebody looks at them, so that
 * nothing but bytes waits its turn. Of the others' chunk one latin1 string is made, values are slices of it; only
 * values with bytes past ASCII are read again as UTF-8, and only those with a backslash are unescaped.
 */
export class CopyRows<S extends SourceInfo> {
  readonly #format: RowFormat<S>;
  readonly #text: TextLine | null;
  #lines: Line[] = [];
  #rows: RowChange<S>[] = [];
  #last: Line | null = null;
  /** How many rows lie here, and their bytes. */
  count = 0;
  bytes = 0;

  constructor(format: RowFormat<S>) {
    this.#format = format;
    const { columns } = format.schema;
    const textual = columns.length > 0 && columns.every(({ type }) => isTextual(type));
    this.#text = textual ? new TextLine(format) : null;
  }

  /** Takes rows from frame number `from` on until `maxRows` rows lie here; answers the frame to go on with. */
  push(chunk: CopyChunk, from: number, maxRows: number): number {
    const { frames } = chunk;
    const to = Math.min(frames.length >> 1, from + maxRows - this.count);
    if (to <= from) return from;
    for (let frame = from; frame < to; frame++) {
      const end = frames[frame * 2 + 1]!;
      // Whoever looks for the end of a cell finds this one at the latest.
      if (end === frames[frame * 2]! || chunk.buffer[end - 1] !== LINE_FEED) {
        throw malformed(this.#format.schema, 'does not end with a line feed');
      }
    }
    const line: Line = { chunk, from, to };
    if (this.#text === null) this.#decode(line);
    else {
      chunk.memory?.hold();
      this.#lines.push(line);
    }
    this.count += to - from;
    this.bytes += frames[to * 2 - 1]! - frames[from * 2]!;
    this.#last = line;
    return to;
  }

  #decode({ chunk: { buffer, frames }, from, to }: Line): void {
    const { schema, decoders, wide } = this.#format;
    const start = frames[from * 2]!;
    const end = frames[to * 2 - 1]!;
    const text = buffer.latin1Slice(start, end);
    const ascii = isAscii(buffer.subarray(start, end));
    const width = decoders.length;
    let slash = text.indexOf('\\');
    if (slash < 0) slash = Infinity;
    for (let frame = from; frame < to; frame++) {
      let field = frames[frame * 2]! - start;
      const rowEnd = frames[frame * 2 + 1]! - start - 1;
      const after: Value[] = [];
      for (let i = 0; i < width; i++) {
        let fieldEnd = i === width - 1 ? rowEnd : text.indexOf(TAB, field);
        if (fieldEnd < 0 || fieldEnd > rowEnd) throw malformed(schema);
        if (slash < fieldEnd) {
          after.push(this.#escaped(text, field, fieldEnd, i));
          slash = text.indexOf('\\', fieldEnd);
          if (slash < 0) slash = Infinity;
        } else {
          let value = text.slice(field, fieldEnd);
          if (!ascii && wide[i]! && !isAsciiText(value)) {
            value = buffer.utf8Slice(start + field, start + fieldEnd);
          }
          after.push(decoders[i]!(value));
        }
        field = ++fieldEnd;
      }
      this.#rows.push(readRow(schema, after, this.#format.at));
    }
  }

  #escaped(text: string, start: number, end: number, column: number): Value {
    if (
      end - start === 2 &&
      text.charCodeAt(start) === BACKSLASH &&
      text.charCodeAt(start + 1) === CAPITAL_N
    ) {
      return null;
    }
    return this.#format.decoders[column]!(unescape(text.slice(start, end)));
  }

  /** Server's own text of columns of the last row; they are not NULL. */
  lastTexts(columns: readonly number[]): readonly string[] {
    const fields = this.#lastFields();
    return columns.map((column) => unescape(fields[column]!));
  }

  /** The first of the columns that is not NULL in the last row; one is not. */
  lastFirstText(columns: readonly number[]): string {
    const fields = this.#lastFields();
    return unescape(columns.map((column) => fields[column]!).find((field) => field !== '\\N') ?? '');
  }

  #lastFields(): readonly string[] {
    const { chunk, to } = this.#last!;
    return chunk.buffer.latin1Slice(chunk.frames[to * 2 - 2]!, chunk.frames[to * 2 - 1]! - 1).split(TAB);
  }

  /** Hands the rows over and begins with none. */
  take(lastKey: string | null): RowBlock<S> {
    const { bytes } = this;
    const taken =
      this.#text === null
        ? { rows: this.#rows, bytes, lastKey }
        : new TextBlock(this.#format, this.#text, { lines: this.#lines, bytes, lastKey });
    this.#lines = [];
    this.#rows = [];
    this.count = 0;
    this.bytes = 0;
    return taken;
  }
}
class TextBlock<S extends SourceInfo> implements RowBlock<S> {
  readonly bytes: number;
  readonly lastKey: string | null;
  readonly #format: RowFormat<S>;
  readonly #text: TextLine;
  readonly #lines: readonly Line[];
  #rows: readonly RowChange<S>[] | null = null;

  constructor(
    format: RowFormat<S>,
    text: TextLine,
    of: { readonly lines: readonly Line[]; readonly bytes: number; readonly lastKey: string | null },
  ) {
    this.#format = format;
    this.#text = text;
    this.#lines = of.lines;
    this.bytes = of.bytes;
    this.lastKey = of.lastKey;
  }

  readonly release = (): void => {
    for (const { chunk } of this.#lines) chunk.memory?.drop();
  };

  get rows(): readonly RowChange<S>[] {
    return (this.#rows ??= this.#made());
  }

  #made(): readonly RowChange<S>[] {
    const rows: RowChange<S>[] = [];
    for (const { chunk, from, to } of this.#lines) {
      const { buffer, frames } = chunk;
      for (let frame = from; frame < to; frame++) {
        const row = new RawRow(buffer, frames[frame * 2]!, frames[frame * 2 + 1]! - 1, this.#text);
        rows.push(readRow(this.#format.schema, row, this.#format.at));
      }
    }
    return rows;
  }
}

/** A line without its line feed. */
class TextLine implements RawFormat {
  readonly columns: number;
  readonly #decoders: RowFormat<SourceInfo>['decoders'];
  readonly #schema: TableSchema;

  constructor({ schema, decoders }: RowFormat<SourceInfo>) {
    this.#schema = schema;
    this.columns = decoders.length;
    this.#decoders = decoders;
  }

  locate(bytes: Buffer, start: number, end: number, into: Int32Array): void {
    const last = 2 * (this.columns - 1);
    let cell = 0;
    let from = start;
    let escaped = false;
    for (let i = start; i <= end; i++) {
      const c = i === end ? TAB_BYTE : bytes[i]!;
      if (c === BACKSLASH) escaped = true;
      else if (c === TAB_BYTE) {
        if ((i === end) !== (cell === last)) throw malformed(this.#schema);
        into[cell] = from;
        into[cell + 1] = !escaped ? i - from : isNull(bytes, from, i) ? NULL_CELL : OTHER_CELL - (i - from);
        from = i + 1;
        cell += 2;
        escaped = false;
      }
    }
  }

  decode(bytes: Buffer, from: number, to: number, column: number): Value {
    return this.#decoders[column]!(bytes.utf8Slice(from, to));
  }

  /** With a backslash in it. */
  decodeOther(bytes: Buffer, from: number, to: number, column: number): Value {
    return this.#decoders[column]!(unescape(bytes.latin1Slice(from, to)));
  }
}

function isNull(bytes: Buffer, start: number, end: number): boolean {
  return end - start === 2 && bytes[start] === BACKSLASH && bytes[start + 1] === CAPITAL_N;
}

function isAsciiText(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return false;
  return true;
}

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
]);

/** A field as latin1 → its text. In UTF-8 no byte of a longer character looks like a backslash. */
function unescape(field: string): string {
  const plain = field.includes('\\')
    ? field.replaceAll(/\\(.)/gs, (_, char: string) => ESCAPES.get(char) ?? char)
    : field;
  return isAsciiText(plain) ? plain : Buffer.from(plain, 'latin1').toString('utf8');
}

function malformed(
  { id }: TableSchema,
  what = 'has another number of columns than was asked for',
): HeadwaterError {
  return new HeadwaterError('source.protocol', `A row of ${id.schema}.${id.table} ${what}.`);
}
