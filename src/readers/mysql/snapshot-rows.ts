import { HeadwaterError } from '../../errors/headwater-error.ts';
import { readRow, type RowChange, type SourceInfo } from '../../model/change.ts';
import { type RawFormat, RawRow } from '../../model/raw-row.ts';
import type { TableId, TableSchema } from '../../model/table.ts';
import { ABSENT, type Value } from '../../model/value.ts';
import type { RowBlock } from '../../snapshot/snapshot-source.ts';
import type { DecodeCell } from './types/decode-text.ts';
import { cellLength, lengthBytes, NULL_CELL } from './wire/cell-length.ts';
import type { RowChunk } from './wire/row-session.ts';

export interface RowFormat<S extends SourceInfo> {
  readonly schema: TableSchema;
  /** One per column of the schema. Further cells of a row are what its key goes on from. */
  readonly decoders: readonly DecodeCell[];
  /** How rows stay as they came (model/raw-row.ts); null where they are to be decoded. */
  readonly raw: RawFormat | null;
  readonly at: S;
}

/** Rows of the text protocol as changes. */
export class TextRowReader<S extends SourceInfo> {
  readonly #format: RowFormat<S>;
  #chunks: RowChunk[] = [];
  #rows: RowChange<S>[] = [];
  #last: RowChunk | null = null;
  /** How many rows lie here, and their bytes. */
  count = 0;
  bytes = 0;

  constructor(format: RowFormat<S>) {
    this.#format = format;
  }

  push(chunk: RowChunk): void {
    const { buffer, frames } = chunk;
    const { length } = frames;
    if (length === 0) return;
    if (this.#format.raw !== null) {
      this.#chunks.push(chunk);
    } else {
      for (let frame = 0; frame < length; frame += 2)
        this.#rows.push(decodedRow(this.#format, buffer, frames[frame]!, frames[frame + 1]!));
    }
    this.count += length >> 1;
    this.bytes += frames[length - 1]! - frames[0]!;
    this.#last = chunk;
  }

  /** The bytes of cells of the last row. */
  lastCells(indexes: readonly number[]): readonly Buffer[] {
    const { buffer, frames } = this.#last!;
    const end = frames[frames.length - 1]!;
    const cells: Buffer[] = [];
    for (let at = frames[frames.length - 2]!; at < end;) {
      const head = buffer[at]!;
      const from = head === NULL_CELL ? at + 1 : at + lengthBytes(head);
      if (from > end) throw malformed(this.#format.schema.id);
      const to = head === NULL_CELL ? from : from + cellLength(buffer, at);
      if (to > end) throw malformed(this.#format.schema.id);
      cells.push(buffer.subarray(from, to));
      at = to;
    }
    return indexes.map((index) => cells[index]!);
  }

  /** Hands the rows over and begins with none. */
  take(lastKey: string | null): RowBlock<S> {
    const { bytes } = this;
    const { raw } = this.#format;
    const taken =
      raw === null
        ? { rows: this.#rows, bytes, lastKey }
        : new RawBlock({ ...this.#format, raw }, { chunks: this.#chunks, bytes, lastKey });
    this.#chunks = [];
    this.#rows = [];
    this.count = 0;
    this.bytes = 0;
    return taken;
  }
}

/** Rows are made only when somebody looks at them, so that nothing but bytes waits its turn. */
class RawBlock<S extends SourceInfo> implements RowBlock<S> {
  readonly bytes: number;
  readonly lastKey: string | null;
  readonly #format: RowFormat<S> & { readonly raw: RawFormat };
  readonly #chunks: readonly RowChunk[];
  #rows: readonly RowChange<S>[] | null = null;

  constructor(
    format: RowFormat<S> & { readonly raw: RawFormat },
    of: { readonly chunks: readonly RowChunk[]; readonly bytes: number; readonly lastKey: string | null },
  ) {
    this.#format = format;
    this.#chunks = of.chunks;
    this.bytes = of.bytes;
    this.lastKey = of.lastKey;
  }

  get rows(): readonly RowChange<S>[] {
    return (this.#rows ??= this.#made());
  }

  #made(): readonly RowChange<S>[] {
    const { schema, raw, at } = this.#format;
    const rows: RowChange<S>[] = [];
    for (const { buffer, frames } of this.#chunks) {
      for (let frame = 0; frame < frames.length; frame += 2)
        rows.push(readRow(schema, new RawRow(buffer, frames[frame]!, frames[frame + 1]!, raw), at));
    }
    return rows;
  }
}

function decodedRow<S extends SourceInfo>(
  { schema, decoders, at: origin }: RowFormat<S>,
  buffer: Buffer,
  start: number,
  end: number,
): RowChange<S> {
  const width = decoders.length;
  const after: Value[] = [];
  let unreadable: Error | null = null;
  let at = start;
  for (let i = 0; i < width; i++) {
    if (at >= end) throw malformed(schema.id);
    const head = buffer[at]!;
    if (head === NULL_CELL) {
      after.push(null);
      at++;
      continue;
    }
    const from = head < NULL_CELL ? at + 1 : at + lengthBytes(head);
    if (from > end) throw malformed(schema.id);
    const to = head < NULL_CELL ? from + head : from + cellLength(buffer, at);
    if (to > end) throw malformed(schema.id);
    try {
      after.push(decoders[i]!(buffer, from, to));
    } catch (error) {
      unreadable = error instanceof Error ? error : new Error('unreadable');
      after.push(ABSENT);
    }
    at = to;
  }
  const row = readRow(schema, after, origin);
  return unreadable === null ? row : { ...row, unreadable };
}

export function malformed({ schema, table }: TableId): HeadwaterError {
  return new HeadwaterError(
    'source.protocol',
    `A row of ${schema}.${table} has another number of columns than was asked for.`,
  );
}
