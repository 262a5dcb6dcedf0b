import '../buffer-slices.ts';
import { isAscii } from 'node:buffer';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { RowChange } from '../../model/change.ts';
import type { TableSchema } from '../../model/table.ts';
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
const BACKSLASH = 92;

/**
 * Rows out of COPY … TO STDOUT (format text: columns apart by tabs, `\N` for NULL, backslash escapes). One
 * latin1 string is made of a chunk, values are slices of it; only values with bytes past ASCII are read again as
 * UTF-8, and only those with a backslash are unescaped.
 */
export class CopyRows {
  readonly #format: RowFormat;
  rows: RowChange<PostgresSource>[] = [];
  bytes = 0;
  #last: { readonly chunk: CopyChunk; readonly frame: number } | null = null;

  constructor(format: RowFormat) {
    this.#format = format;
  }

  /** Decodes from frame number `from` on until `maxRows` rows lie here; answers the frame to go on with. */
  push(chunk: CopyChunk, from: number, maxRows: number): number {
    const { buffer, frames } = chunk;
    const count = frames.length >> 1;
    const to = Math.min(count, from + maxRows - this.rows.length);
    if (to <= from) return from;
    const { schema, decoders, wide, at } = this.#format;
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
    this.bytes += end - start;
    this.#last = { chunk, frame: to - 1 };
    return to;
  }

  #escaped(text: string, start: number, end: number, column: number): Value {
    if (end - start === 2 && text.charCodeAt(start) === BACKSLASH && text.charCodeAt(start + 1) === 78) {
      return null;
    }
    return this.#format.decoders[column]!(unescape(text.slice(start, end)));
  }

  /** Server's own text of columns of the last row. */
  lastTexts(columns: readonly number[]): readonly string[] {
    const { chunk, frame } = this.#last!;
    const line = chunk.buffer.latin1Slice(chunk.frames[frame * 2]!, chunk.frames[frame * 2 + 1]! - 1);
    const fields = line.split(TAB);
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

function malformed(schema: TableSchema): HeadwaterError {
  return new HeadwaterError(
    'internal.bug',
    `A row of ${schema.id.schema}.${schema.id.table} has another number of columns than was asked for.`,
  );
}
