import { NULL_CELL, OTHER_CELL, type RawFormat } from '../../../model/raw-row.ts';
import type { Value } from '../../../model/value.ts';
import { isBeyondAscii } from '../../buffer-slices.ts';
import { decoderOf, type Utf8ness, utf8ness } from '../types/charsets.ts';
import type { Decode } from '../types/decode-binlog.ts';
import type { MysqlColumn } from '../types/mysql-column.ts';
import { ByteCursor, truncated } from './byte-cursor.ts';
import { decimalBytes } from './decimal.ts';
import { TYPE } from './event-types.ts';
import type { LogColumn } from './table-map.ts';

/** Where the cell of a column ends, and what it holds. */
interface CellForm {
  /** Bytes of the value; below zero: of the length before it, negative. */
  readonly size: number;
  readonly text: Utf8ness;
  /** Labels of an ENUM: a higher number cannot be read. */
  readonly labels?: number;
}

/** Null for types of which not every cell can be read: those are decoded as they come. */
function cellForm(column: MysqlColumn, { type, meta }: LogColumn): CellForm | null {
  const fixed = (size: number): CellForm => ({ size, text: 'never' });
  switch (type) {
    case TYPE.tiny:
    case TYPE.year:
      return fixed(1);
    case TYPE.short:
      return fixed(2);
    case TYPE.int24:
    case TYPE.date:
    case TYPE.newdate:
    case TYPE.time:
      return fixed(3);
    case TYPE.long:
    case TYPE.float:
    case TYPE.timestamp:
      return fixed(4);
    case TYPE.longlong:
    case TYPE.double:
    case TYPE.datetime:
      return fixed(8);
    case TYPE.newdecimal:
      return fixed(decimalBytes(meta >> 8, meta & 0xff));
    case TYPE.bit:
      return fixed(Math.max(1, (meta + 7) >> 3));
    case TYPE.time2:
      return fixed(3 + ((meta + 1) >> 1));
    case TYPE.datetime2:
      return fixed(5 + ((meta + 1) >> 1));
    case TYPE.timestamp2:
      return fixed(4 + ((meta + 1) >> 1));
    case TYPE.enum:
      return { ...fixed(meta), labels: column.values?.length ?? 0 };
    case TYPE.string:
    case TYPE.varchar:
    case TYPE.varString:
      return { size: meta > 255 ? -2 : -1, text: utf8ness(column.charset) };
    case TYPE.tinyBlob:
    case TYPE.blob:
    case TYPE.mediumBlob:
    case TYPE.longBlob:
      return { size: -meta, text: utf8ness(column.charset) };
    default:
      return null;
  }
}

/** One row at a time is looked at in the process. */
const cursor = new ByteCursor(Buffer.alloc(0), 0, 0);

/** Images of all columns, each a bit per column for NULL and the values, as rows events hold them. */
export class BinlogRows implements RawFormat {
  readonly columns: number;
  readonly #forms: readonly CellForm[];
  readonly #sizes: Int8Array;
  readonly #decoders: readonly Decode[];
  readonly #texts: readonly ((bytes: Buffer, from: number, to: number) => string)[];
  /** Of ENUM columns how many labels they have; -1 elsewhere. */
  readonly #labels: Int32Array;

  private constructor(
    forms: readonly CellForm[],
    columns: readonly MysqlColumn[],
    decoders: readonly Decode[],
  ) {
    this.columns = forms.length;
    this.#forms = forms;
    this.#sizes = Int8Array.from(forms, ({ size }) => size);
    this.#decoders = decoders;
    this.#texts = columns.map(({ charset }) => decoderOf(charset));
    this.#labels = Int32Array.from(forms, ({ labels }) => labels ?? -1);
  }

  /** Null where rows of the table have to be decoded as they come. */
  static of(
    columns: readonly MysqlColumn[],
    log: readonly LogColumn[],
    decoders: readonly Decode[],
  ): BinlogRows | null {
    if (log.length !== columns.length) return null;
    const forms = log.map((each, i) => cellForm(columns[i]!, each));
    return forms.every((form) => form !== null) ? new BinlogRows(forms, columns, decoders) : null;
  }

  /** Where the image ends that begins at `start`; -1 where it holds what cannot be read. Throws `source.protocol`. */
  end(bytes: Buffer, start: number, end: number): number {
    const { columns } = this;
    const sizes = this.#sizes;
    const labels = this.#labels;
    let at = start + ((columns + 7) >> 3);
    if (at > end) throw truncated();
    let readable = true;
    for (let i = 0; i < columns; i++) {
      if (((bytes[start + (i >> 3)]! >> (i & 7)) & 1) === 1) continue;
      const size = sizes[i]!;
      const from = at;
      at += size >= 0 ? size : prefixedSize(bytes, at, end, -size);
      if (at > end) throw truncated();
      const most = labels[i]!;
      if (most >= 0 && littleEndian(bytes, from, size) > most) readable = false;
    }
    return readable ? at : -1;
  }

  locate(bytes: Buffer, start: number, _end: number, into: Int32Array): void {
    const { columns } = this;
    const forms = this.#forms;
    let at = start + ((columns + 7) >> 3);
    for (let i = 0; i < columns; i++) {
      if (((bytes[start + (i >> 3)]! >> (i & 7)) & 1) === 1) {
        into[2 * i + 1] = NULL_CELL;
        continue;
      }
      const { size, text } = forms[i]!;
      let length = size;
      if (size < 0) {
        length = littleEndian(bytes, at, -size);
        at -= size;
      }
      into[2 * i] = at;
      const isText = text === 'always' || (text === 'where-ascii' && !isBeyondAscii(bytes, at, at + length));
      into[2 * i + 1] = isText ? length : OTHER_CELL - length;
      at += length;
    }
  }

  decode(bytes: Buffer, from: number, to: number, column: number): Value {
    return this.#texts[column]!(bytes, from, to);
  }

  decodeOther(bytes: Buffer, from: number, to: number, column: number): Value {
    const { size } = this.#forms[column]!;
    cursor.buffer = bytes;
    cursor.at = size < 0 ? from + size : from;
    cursor.end = to;
    return this.#decoders[column]!(cursor);
  }
}

/** Bytes of a value and of its length before it. */
function prefixedSize(bytes: Buffer, at: number, end: number, width: number): number {
  if (at + width > end) throw truncated();
  return width + littleEndian(bytes, at, width);
}

function littleEndian(bytes: Buffer, at: number, width: number): number {
  if (width === 1) return bytes[at]!;
  if (width === 2) return bytes[at]! | (bytes[at + 1]! << 8);
  return bytes.readUIntLE(at, width);
}
