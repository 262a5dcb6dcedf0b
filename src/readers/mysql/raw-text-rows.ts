import { NULL_CELL, OTHER_CELL, type RawFormat } from '../../model/raw-row.ts';
import type { TableId } from '../../model/table.ts';
import type { Value } from '../../model/value.ts';
import { isBeyondAscii } from '../buffer-slices.ts';
import { malformed } from './snapshot-rows.ts';
import { isAsciiSuperset, isUtf8Charset } from './types/charsets.ts';
import type { DecodeCell } from './types/decode-text.ts';
import type { MysqlColumn } from './types/mysql-column.ts';
import { cellLength, lengthBytes, NULL_CELL as NULL_LENGTH } from './wire/cell-length.ts';

type CellForm = 'text' | 'text-where-ascii' | 'other';

/**
 * What an encoder may take as it is: digits, and text in UTF-8. Not dates, of which some are none (`0000-00-00`), nor
 * bytes.
 */
function formOf({ dataType, charset }: MysqlColumn): CellForm {
  switch (dataType) {
    case 'tinyint':
    case 'smallint':
    case 'mediumint':
    case 'int':
    case 'bigint':
    case 'decimal':
      return 'text';
    default:
  }
  if (charset === null) return 'other';
  return isUtf8Charset(charset) ? 'text' : isAsciiSuperset(charset) ? 'text-where-ascii' : 'other';
}

/** Rows of the text protocol as they came. */
export class RawTextRows implements RawFormat {
  readonly columns: number;
  readonly #forms: readonly CellForm[];
  readonly #decoders: readonly DecodeCell[];
  readonly #id: TableId;

  constructor(id: TableId, columns: readonly MysqlColumn[], decoders: readonly DecodeCell[]) {
    this.columns = columns.length;
    this.#forms = columns.map(formOf);
    this.#decoders = decoders;
    this.#id = id;
  }

  locate(bytes: Buffer, start: number, end: number, into: Int32Array): void {
    const { columns } = this;
    const forms = this.#forms;
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
      const form = forms[i]!;
      const isText = form === 'text' || (form === 'text-where-ascii' && !isBeyondAscii(bytes, from, at));
      into[2 * i] = from;
      into[2 * i + 1] = isText ? length : OTHER_CELL - length;
    }
  }

  decode(bytes: Buffer, from: number, to: number, column: number): Value {
    return this.#decoders[column]!(bytes, from, to);
  }

  decodeOther(bytes: Buffer, from: number, to: number, column: number): Value {
    return this.#decoders[column]!(bytes, from, to);
  }
}
