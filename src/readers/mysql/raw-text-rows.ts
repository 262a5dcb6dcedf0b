import { HeadwaterError } from '../../errors/headwater-error.ts';
import { NULL_CELL, OTHER_CELL, type RawFormat } from '../../model/raw-row.ts';
import type { TableId } from '../../model/table.ts';
import type { Value } from '../../model/value.ts';
import { isBeyondAscii } from '../buffer-slices.ts';
import { type Utf8ness, utf8ness } from './types/charsets.ts';
import { cellDecoder, type DecodeCell } from './types/decode-text.ts';
import type { MysqlColumn } from './types/mysql-column.ts';
import { cellLength, lengthBytes, NULL_CELL as NULL_LENGTH } from './wire/cell-length.ts';

/**
 * Whether an encoder may take the cell as it is: digits, and text in UTF-8. Not dates, of which some are none
 * (`0000-00-00`), nor bytes.
 */
function textOf({ dataType, charset }: MysqlColumn): Utf8ness {
  switch (dataType) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'decimal':
      return 'always';
    default:
      return utf8ness(charset);
  }
}

/** Rows of the text protocol as they came. */
export class RawTextRows implements RawFormat {
  readonly columns: number;
  readonly #texts: readonly Utf8ness[];
  readonly #decoders: readonly DecodeCell[];
  readonly #id: TableId;

  /** Further cells of a row are passed over. */
  constructor(id: TableId, columns: readonly MysqlColumn[]) {
    this.columns = columns.length;
    this.#texts = columns.map(textOf);
    this.#decoders = columns.map(cellDecoder);
    this.#id = id;
  }

  locate(bytes: Buffer, start: number, end: number, into: Int32Array): void {
    const { columns } = this;
    const texts = this.#texts;
    let at = start;
    for (let i = 0; i < columns; i++) {
      if (at >= end) throw malformed(this.#id);
      const head = bytes[at]!;
      if (head === NULL_LENGTH) {
        into[2 * i + 1] = NULL_CELL;
        at++;
        continue;
      }
      const from = head < NULL_LENGTH ? at + 1 : at + lengthBytes(head);
      if (from > end) throw malformed(this.#id);
      const length = head < NULL_LENGTH ? head : cellLength(bytes, at);
      at = from + length;
      if (at > end) throw malformed(this.#id);
      const text = texts[i]!;
      const isText = text === 'always' || (text === 'where-ascii' && !isBeyondAscii(bytes, from, at));
      into[2 * i] = from;
      into[2 * i + 1] = isText ? length : OTHER_CELL - length;
    }
  }

  decode(bytes: Buffer, from: number, to: number, column: number): Value {
    return this.#decoders[column]!(bytes, from, to);
  }
}

export function malformed({ schema, table }: TableId): HeadwaterError {
  return new HeadwaterError(
    'source.protocol',
    `A row of ${schema}.${table} has another number of columns than was asked for.`,
  );
}
