/**
 * Definitions of a result's columns:
 * https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset_column_definition.html
 */
import { cellLength, lengthBytes } from './cell-length.ts';
import { MysqlConnectionError } from './mysql-error.ts';

export interface ResultColumn {
  readonly name: string;
  /** enum_field_types. */
  readonly type: number;
  /** Id of a collation; 63 is binary. */
  readonly collation: number;
  /** Bytes that a value takes up at most; of numbers the characters it is shown with. */
  readonly length: number;
  readonly flags: number;
  readonly decimals: number;
}

/** Catalogue, schema, table and its own name, name: the fifth of the strings that it begins with. */
const NAME = 4;
const STRINGS = 6;
/** Behind a byte that says so. */
const FIXED = 12;

export function parseResultColumn(buffer: Buffer, start: number, end: number): ResultColumn {
  let at = start;
  let name = '';
  for (let i = 0; i < STRINGS; i++) {
    const from = at + lengthBytes(buffer[at] ?? 0);
    const to = from > end ? from : from + cellLength(buffer, at);
    if (to > end) throw cut();
    if (i === NAME) name = buffer.utf8Slice(from, to);
    at = to;
  }
  // MariaDB may say more of the type in between, behind its own length.
  const fixed = end - FIXED;
  if (fixed <= at) throw cut();
  return {
    name,
    collation: buffer.readUInt16LE(fixed),
    length: buffer.readUInt32LE(fixed + 2),
    type: buffer[fixed + 6]!,
    flags: buffer.readUInt16LE(fixed + 7),
    decimals: buffer[fixed + 9]!,
  };
}

function cut(): MysqlConnectionError {
  return new MysqlConnectionError('protocol', 'The definition of a column is shorter than it says');
}
