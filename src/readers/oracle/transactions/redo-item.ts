import type { RedoRow } from '../mining/redo-row.ts';
import type { CapturedRef } from '../table-history.ts';

/** What is kept of a row until its transaction commits. */
export interface RedoItem {
  readonly ref: CapturedRef;
  readonly code: number;
  readonly scn: bigint;
  readonly thread: number;
  readonly rsId: string;
  readonly ssn: number;
  /** When the change was made, ms since the epoch. */
  readonly timeMs: number;
  readonly rowId: string | null;
  readonly status: number;
  readonly info: string | null;
  readonly sql: string | null;
}

/** Of items without a ROWID of their own: parts of a row's statement. File, block and row are 0 there. */
export function hasNoRowId(rowId: string | null): boolean {
  return rowId === null || rowId === '' || rowId.endsWith('AAAAAAAAAAAA');
}

export function redoItem(row: RedoRow, ref: CapturedRef, timeMs: number): RedoItem {
  const { code, scn, thread, rsId, ssn, rowId, status, info, sql } = row;
  return { ref, code, scn, thread, rsId, ssn, timeMs, rowId, status, info, sql };
}

/** Bytes an item takes in memory, about. */
export function sizeOf({ sql }: RedoItem): number {
  return 256 + (sql === null ? 0 : sql.length);
}

/** JSON text of an item; the table is its number in the history. */
export function encodeItem(item: RedoItem): string {
  const { ref, code, scn, thread, rsId, ssn, timeMs, rowId, status, info, sql } = item;
  return JSON.stringify([ref.number, code, String(scn), thread, rsId, ssn, timeMs, rowId, status, info, sql]);
}

type Encoded = readonly [
  number,
  number,
  string,
  number,
  string,
  number,
  number,
  string | null,
  number,
  string | null,
  string | null,
];

export function decodeItem(text: string, refs: (number: number) => CapturedRef): RedoItem {
  // Written by encodeItem of this very process.
  const [number, code, scn, thread, rsId, ssn, timeMs, rowId, status, info, sql] = JSON.parse(
    text,
  ) as Encoded;
  return { ref: refs(number), code, scn: BigInt(scn), thread, rsId, ssn, timeMs, rowId, status, info, sql };
}
