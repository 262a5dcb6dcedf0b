import './wire/buffer-slices.ts';
import { isAscii } from 'node:buffer';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { RowChange } from '../../model/change.ts';
import type { TableSchema } from '../../model/table.ts';
import { CellArena, type Image, isTextual, NULL_CELL, TextRow } from '../../model/text-row.ts';
import type { Value } from '../../model/value.ts';
import type { PostgresSource } from './source-info.ts';
import type { CopyChunk } from './wire/copy-queue.ts';

export interface RowFormat {
  readonly schema: TableSchema;
  /** One per column of the COPY. */
  readonly decoders: readonly ((text: string) => Value)[];
  /** Per column: the text may hold more than ASCII. */
  readonly wide: readonly boolean[];
  readonly at: PostgresSource;
}

const TAB = '\t';
const TAB_BYTE = 9;
const BACKSLASH = 92;
const CAPITAL_N = 78;

/**
 * Rows out of COPY … TO STDOUT (format text: columns apart by tabs, `\N` for NULL, backslash escapes). They stay
 * text where they may (model/text-row.ts). Of the others' chunk one latin1 string is made, values are slices of
 * it; only values with bytes past ASCII are read again as UTF-8, and only those with a backslash are unescaped.
 */
export class CopyRows {
  readonly #format: RowFormat;
  readonly #textual: boolean;
  readonly #arena = new CellArena();
  rows: RowChange<PostgresSource>[] = [];
  bytes = 0;
  /** As latin1, of rows that did not stay text. */
  #lastLine = '';

  constructor(format: RowFormat) {
    this.#format = format;
    this.#textual = format.schema.columns.length > 0 && format.schema.columns.every(({ type }) => isTextual(type));
  }

  /** Decodes from frame number `from` on until `maxRows` rows lie here; answers the frame to go on with. */
  push(chunk: CopyChunk, from: number, maxRows: number): number {
    const { buffer, frames } = chunk;
    const count = frames.length >> 1;
    const to = Math.min(count, from + maxRows - this.rows.length);
    if (to <= from) return from;
    const start = frames[from * 2]!;
    const end = frames[to * 2 - 1]!;
    this.bytes += end - start;
    if (this.#textual) {
      for (let frame = from; frame < to; frame++) {
        this.#add(this.#textRow(buffer, frames[frame * 2]!, frames[frame * 2 + 1]! - 1));
      }
      return to;
    }
    const { schema, decoders, wide } = this.#format;
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
      this.#add(after);
    }
    this.#lastLine = text.slice(frames[to * 2 - 2]! - start, -1);
    return to;
  }

  #add(after: Image): void {
    const { schema, at } = this.#format;
    this.rows.push({
      kind: 'row',
      op: 'r',
      table: schema,
      before: null,
      after,
      tx: null,
      seq: 0,
      at,
      snapshot: 'true',
    });
  }

  /** The row from `at` up to its line feed at `end`. */
  #textRow(buffer: Buffer, at: number, end: number): TextRow {
    const { schema, decoders } = this.#format;
    const first = this.#arena.take(decoders.length);
    const { cells } = this.#arena;
    const last = first + 2 * (decoders.length - 1);
    let cell = first;
    let start = at;
    let escaped = false;
    for (let i = at; i <= end; i++) {
      const c = buffer[i];
      if (c === BACKSLASH) escaped = true;
      else if (i === end || c === TAB_BYTE) {
        if ((i === end) !== (cell === last)) throw malformed(schema);
        cells[cell] = start;
        cells[cell + 1] = escaped ? unescapeBytes(buffer, start, i) : i - start;
        start = i + 1;
        cell += 2;
        escaped = false;
      }
    }
    return new TextRow(buffer, cells, first, decoders);
  }

  #escaped(text: string, start: number, end: number, column: number): Value {
    if (end - start === 2 && text.charCodeAt(start) === BACKSLASH && text.charCodeAt(start + 1) === CAPITAL_N) {
      return null;
    }
    return this.#format.decoders[column]!(unescape(text.slice(start, end)));
  }

  /** Server's own text of columns of the last row; they are not NULL. */
  lastTexts(columns: readonly number[]): readonly string[] {
    const row = this.rows.at(-1)?.after;
    if (row instanceof TextRow) return columns.map((column) => String(row.text(column)));
    const fields = this.#lastLine.split(TAB);
    return columns.map((column) => unescape(fields[column]!));
  }

  /** Hands the rows over and begins with none. */
  take(): { readonly rows: readonly RowChange<PostgresSource>[]; readonly bytes: number } {
    const taken = { rows: this.rows, bytes: this.bytes };
    this.rows = [];
    this.bytes = 0;
    return taken;
  }
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

/** Unescapes a field where it stands; answers its length, or that it is NULL. */
function unescapeBytes(buffer: Buffer, start: number, end: number): number {
  if (end - start === 2 && buffer[start] === BACKSLASH && buffer[start + 1] === CAPITAL_N) return NULL_CELL;
  let to = start;
  for (let i = start; i < end; i++) {
    let c = buffer[i]!;
    if (c === BACKSLASH && i + 1 < end) {
      c = buffer[++i]!;
      c = ESCAPES.get(String.fromCharCode(c))?.charCodeAt(0) ?? c;
    }
    buffer[to++] = c;
  }
  return to - start;
}

function malformed(schema: TableSchema): HeadwaterError {
  return new HeadwaterError(
    'internal.bug',
    `A row of ${schema.id.schema}.${schema.id.table} has another number of columns than was asked for.`,
  );
}
