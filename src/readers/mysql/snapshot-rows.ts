import { HeadwaterError } from '../../errors/headwater-error.ts';
import { readRow, type RowChange, type SourceInfo } from '../../model/change.ts';
import { ABSENT, type Value } from '../../model/value.ts';
import type { TableSchema } from '../../model/table.ts';
import type { DecodeCell } from './types/decode-text.ts';
import { cellLength, lengthBytes } from './wire/cell-length.ts';
import type { RowChunk } from './wire/row-session.ts';

export interface RowFormat<S extends SourceInfo> {
  readonly schema: TableSchema;
  /** One per column of the schema. Further cells of a row are what its key goes on from. */
  readonly decoders: readonly DecodeCell[];
  readonly at: S;
}

const NULL_CELL = 0xfb;

/** Rows of the text protocol as changes. */
export class TextRowReader<S extends SourceInfo> {
  readonly #format: RowFormat<S>;
  rows: RowChange<S>[] = [];
  bytes = 0;
  #lastBuffer: Buffer | null = null;
  #lastStart = 0;
  #lastEnd = 0;

  constructor(format: RowFormat<S>) {
    this.#format = format;
  }

  push({ buffer, frames }: RowChunk): void {
    const count = frames.length;
    if (count === 0) return;
    for (let frame = 0; frame < count; frame += 2) this.#row(buffer, frames[frame]!, frames[frame + 1]!);
    this.bytes += frames[count - 1]! - frames[0]!;
    this.#lastBuffer = buffer;
    this.#lastStart = frames[count - 2]!;
    this.#lastEnd = frames[count - 1]!;
  }

  #row(buffer: Buffer, start: number, end: number): void {
    const { schema, decoders, at: origin } = this.#format;
    const width = decoders.length;
    const after: Value[] = [];
    let unreadable: Error | null = null;
    let at = start;
    for (let i = 0; i < width; i++) {
      if (at >= end) throw malformed(schema);
      const head = buffer[at]!;
      if (head === NULL_CELL) {
        after.push(null);
        at++;
        continue;
      }
      const from = head < NULL_CELL ? at + 1 : at + lengthBytes(head);
      if (from > end) throw malformed(schema);
      const to = head < NULL_CELL ? from + head : from + cellLength(buffer, at);
      if (to > end) throw malformed(schema);
      try {
        after.push(decoders[i]!(buffer, from, to));
      } catch (error) {
        unreadable = error instanceof Error ? error : new Error('unreadable');
        after.push(ABSENT);
      }
      at = to;
    }
    const row = readRow(schema, after, origin);
    this.rows.push(unreadable === null ? row : { ...row, unreadable });
  }

  /** The bytes of cells of the last row. */
  lastCells(indexes: readonly number[]): readonly Buffer[] {
    const buffer = this.#lastBuffer!;
    const cells: Buffer[] = [];
    for (let at = this.#lastStart; at < this.#lastEnd;) {
      const head = buffer[at]!;
      const from = head === NULL_CELL ? at + 1 : at + lengthBytes(head);
      if (from > this.#lastEnd) throw malformed(this.#format.schema);
      const to = head === NULL_CELL ? from : from + cellLength(buffer, at);
      if (to > this.#lastEnd) throw malformed(this.#format.schema);
      cells.push(buffer.subarray(from, to));
      at = to;
    }
    return indexes.map((index) => cells[index]!);
  }

  /** Hands the rows over and begins with none. */
  take(): { readonly rows: readonly RowChange<S>[]; readonly bytes: number } {
    const taken = { rows: this.rows, bytes: this.bytes };
    this.rows = [];
    this.bytes = 0;
    return taken;
  }
}

function malformed(schema: TableSchema): HeadwaterError {
  return new HeadwaterError(
    'source.protocol',
    `A row of ${schema.id.schema}.${schema.id.table} has another number of columns than was asked for.`,
  );
}
