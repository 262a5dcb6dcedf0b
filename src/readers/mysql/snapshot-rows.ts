import { readRow, type RowChange, type SourceInfo } from '../../model/change.ts';
import { RawRow } from '../../model/raw-row.ts';
import type { TableSchema } from '../../model/table.ts';
import type { RowBlock } from '../../snapshot/snapshot-source.ts';
import { malformed, type RawTextRows } from './raw-text-rows.ts';
import { cellLength, lengthBytes, NULL_CELL } from './wire/cell-length.ts';
import type { RowChunk } from './wire/row-session.ts';

export interface RowFormat<S extends SourceInfo> {
  readonly schema: TableSchema;
  /** Of the schema's columns. Further cells of a row are what its key goes on from. */
  readonly rows: RawTextRows;
  readonly at: S;
}

/** Rows of the text protocol as changes. */
export class TextRowReader<S extends SourceInfo> {
  readonly #format: RowFormat<S>;
  #chunks: RowChunk[] = [];
  #last: RowChunk | null = null;
  /** How many rows lie here, and their bytes. */
  count = 0;
  bytes = 0;

  constructor(format: RowFormat<S>) {
    this.#format = format;
  }

  push(chunk: RowChunk): void {
    const { frames } = chunk;
    const { length } = frames;
    if (length === 0) return;
    this.#chunks.push(chunk);
    this.count += length >> 1;
    this.bytes += frames[length - 1]! - frames[0]!;
    this.#last = chunk;
  }

  /** The bytes of cells of the last row. */
  lastCells(indexes: readonly number[]): readonly Buffer[] {
    const { buffer, frames } = this.#last!;
    const { id } = this.#format.schema;
    const end = frames[frames.length - 1]!;
    const cells: Buffer[] = [];
    for (let at = frames[frames.length - 2]!; at < end;) {
      const head = buffer[at]!;
      const from = head === NULL_CELL ? at + 1 : at + lengthBytes(head);
      if (from > end) throw malformed(id);
      const to = head === NULL_CELL ? from : from + cellLength(buffer, at);
      if (to > end) throw malformed(id);
      cells.push(buffer.subarray(from, to));
      at = to;
    }
    return indexes.map((index) => cells[index]!);
  }

  /** Hands the rows over and begins with none. */
  take(lastKey: string | null): RowBlock<S> {
    const block = new RawBlock(this.#format, { chunks: this.#chunks, bytes: this.bytes, lastKey });
    this.#chunks = [];
    this.count = 0;
    this.bytes = 0;
    return block;
  }
}

/** Rows are made only when somebody looks at them, so that nothing but bytes waits its turn. */
class RawBlock<S extends SourceInfo> implements RowBlock<S> {
  readonly bytes: number;
  readonly lastKey: string | null;
  readonly #format: RowFormat<S>;
  readonly #chunks: readonly RowChunk[];
  #rows: readonly RowChange<S>[] | null = null;

  constructor(
    format: RowFormat<S>,
    of: { readonly chunks: readonly RowChunk[]; readonly bytes: number; readonly lastKey: string | null },
  ) {
    this.#format = format;
    this.#chunks = of.chunks;
    this.bytes = of.bytes;
    this.lastKey = of.lastKey;
  }

  readonly release = (): void => {
    for (const { memory } of this.#chunks) memory?.drop();
  };

  get rows(): readonly RowChange<S>[] {
    return (this.#rows ??= this.#made());
  }

  #made(): readonly RowChange<S>[] {
    const { schema, rows: format, at } = this.#format;
    const rows: RowChange<S>[] = [];
    for (const { buffer, frames } of this.#chunks) {
      for (let frame = 0; frame < frames.length; frame += 2)
        rows.push(readRow(schema, new RawRow(buffer, frames[frame]!, frames[frame + 1]!, format), at));
    }
    return rows;
  }
}
