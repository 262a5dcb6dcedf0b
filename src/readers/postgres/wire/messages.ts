/** Messages of the frontend/backend protocol 3 that a session without parameters meets; PostgreSQL's documentation, "Message Formats". */

/** Types of messages, the first byte of each. Those of COPY and the end go both ways. */
export const QUERY = 0x51;
export const COPY_FAIL = 0x66;
export const TERMINATE = 0x58;
export const COPY_DATA = 0x64;
export const COPY_DONE = 0x63;
export const ROW_DESCRIPTION = 0x54;
export const DATA_ROW = 0x44;
export const COMMAND_COMPLETE = 0x43;
export const ERROR_RESPONSE = 0x45;
export const NOTICE_RESPONSE = 0x4e;
export const NOTIFICATION_RESPONSE = 0x41;
export const PARAMETER_STATUS = 0x53;
export const READY_FOR_QUERY = 0x5a;
export const COPY_IN_RESPONSE = 0x47;
export const COPY_BOTH_RESPONSE = 0x57;

/** Rows of a simple query, every value as the server's text. */
export type TextRows = readonly (readonly (string | null)[])[];

/** A column of a result as RowDescription tells it. */
export interface ResultColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typmod: number;
}

/** Of each field: name, table oid (4), attnum (2), type oid (4), length (2), typmod (4), format (2). */
export function parseRowDescription(body: Buffer): readonly ResultColumn[] {
  const columns: ResultColumn[] = [];
  const count = body.readInt16BE(0);
  let at = 2;
  for (let i = 0; i < count; i++) {
    const end = body.indexOf(0, at);
    const name = body.utf8Slice(at, end);
    columns.push({ name, typeOid: body.readUInt32BE(end + 7), typmod: body.readInt32BE(end + 13) });
    at = end + 19;
  }
  return columns;
}

/** Throws RangeError for a row that is shorter than it says. */
export function parseDataRow(body: Buffer): (string | null)[] {
  const count = body.readInt16BE(0);
  const row: (string | null)[] = [];
  let at = 2;
  for (let i = 0; i < count; i++) {
    const length = body.readInt32BE(at);
    at += 4;
    if (length < 0) {
      row.push(null);
    } else {
      if (at + length > body.length) throw new RangeError('a row that is shorter than it says');
      row.push(body.utf8Slice(at, at + length));
      at += length;
    }
  }
  return row;
}

/** '15.4 (Debian 15.4-1)' → 150004, '18beta1' → 180000. */
export function versionNumber(text: string): number {
  const match = /^(\d+)(?:\.(\d+))?/.exec(text);
  if (match === null) return 0;
  return Number(match[1]) * 10_000 + Number(match[2] ?? 0);
}
