import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { tableName } from '../../../model/table.ts';
import { type Image, RawRow } from '../../../model/raw-row.ts';
import { ABSENT, type Row, type Value } from '../../../model/value.ts';
import type { Decode } from '../types/decode-binlog.ts';
import { type ByteCursor, misplaced } from './byte-cursor.ts';
import { EVENT } from './event-types.ts';
import { applyJsonDiff } from './json-diff.ts';
import type { CapturedState, SystemVersions } from './table-state.ts';

/** The head of a rows event, up to its first row. */
export interface RowsHead {
  readonly op: 'c' | 'u' | 'd';
  readonly columns: number;
  /** Which columns the images hold; null: all. */
  readonly before: Buffer | null;
  readonly after: Buffer | null;
  /** JSON columns of after images may be differences. */
  readonly partial: boolean;
}

const INSERTS: ReadonlySet<number> = new Set([
  EVENT.writeRows,
  EVENT.writeRowsV1,
  EVENT.compressedWriteRows,
  EVENT.compressedWriteRowsV1,
]);
const DELETES: ReadonlySet<number> = new Set([
  EVENT.deleteRows,
  EVENT.deleteRowsV1,
  EVENT.compressedDeleteRows,
  EVENT.compressedDeleteRowsV1,
]);
const SECOND_VERSION: ReadonlySet<number> = new Set([
  EVENT.writeRows,
  EVENT.updateRows,
  EVENT.deleteRows,
  EVENT.partialUpdateRows,
  EVENT.compressedWriteRows,
  EVENT.compressedUpdateRows,
  EVENT.compressedDeleteRows,
]);
/** Compressed ones too. */
export function isRowsEvent(type: number): boolean {
  return (
    (type >= EVENT.writeRowsV1 && type <= EVENT.deleteRowsV1) ||
    (type >= EVENT.writeRows && type <= EVENT.deleteRows) ||
    type === EVENT.partialUpdateRows ||
    (type >= EVENT.compressedWriteRowsV1 && type <= EVENT.compressedDeleteRows)
  );
}

/** PARTIAL_JSON in the value options of an after image. */
const OPTION_PARTIAL_JSON = 1;

export function operationOf(type: number): RowsHead['op'] {
  return INSERTS.has(type) ? 'c' : DELETES.has(type) ? 'd' : 'u';
}

/** From behind the table id and flags. */
export function readRowsHead(type: number, cursor: ByteCursor, state: CapturedState): RowsHead {
  if (SECOND_VERSION.has(type)) {
    const extra = cursor.uint16(); // with its own two bytes
    if (extra < 2) throw misplaced('a rows event with an impossible length');
    cursor.take(extra - 2);
  }
  const columns = cursor.packed();
  if (columns !== state.decoders.length)
    throw misplaced('a row with another number of columns than its table');
  const op = operationOf(type);
  const first = presence(cursor, columns);
  const second = op === 'u' ? presence(cursor, columns) : null;
  return {
    op,
    columns,
    before: op === 'c' ? null : first,
    after: op === 'c' ? first : second,
    partial: type === EVENT.partialUpdateRows,
  };
}

/** Null where every bit is set, as it is with binlog_row_image=FULL. */
function presence(cursor: ByteCursor, columns: number): Buffer | null {
  const bits = cursor.bytes((columns + 7) >> 3);
  for (let i = 0; i < columns; i++) if (((bits[i >> 3]! >> (i & 7)) & 1) === 0) return Buffer.from(bits);
  return null;
}

/** One row image: a bit per column that is there for NULL, then the values. */
function readImage(cursor: ByteCursor, decoders: readonly Decode[], present: Buffer | null): Row {
  const columns = decoders.length;
  if (present !== null) return readPatchyImage(cursor, decoders, present);
  const nulls = cursor.take((columns + 7) >> 3);
  const { buffer } = cursor;
  const row: Value[] = new Array<Value>(columns);
  for (let i = 0; i < columns; i++) {
    row[i] = ((buffer[nulls + (i >> 3)]! >> (i & 7)) & 1) === 1 ? null : decoders[i]!(cursor);
  }
  return row;
}

function readPatchyImage(cursor: ByteCursor, decoders: readonly Decode[], present: Buffer): Row {
  const columns = decoders.length;
  const nulls = cursor.take((countBits(present, columns) + 7) >> 3);
  const { buffer } = cursor;
  const row: Value[] = new Array<Value>(columns);
  let n = 0;
  for (let i = 0; i < columns; i++) {
    if (((present[i >> 3]! >> (i & 7)) & 1) === 0) {
      row[i] = ABSENT;
      continue;
    }
    row[i] = ((buffer[nulls + (n >> 3)]! >> (n & 7)) & 1) === 1 ? null : decoders[i]!(cursor);
    n++;
  }
  return row;
}

/** A replica, too, puts the defaults into a row that is logged without them. */
function withDefaults(row: Row, inserted: Row): Row {
  return row.map((value, i) => (value === ABSENT && i < inserted.length ? inserted[i]! : value));
}

function countBits(bits: Buffer, columns: number): number {
  let count = 0;
  for (let i = 0; i < columns; i++) count += (bits[i >> 3]! >> (i & 7)) & 1;
  return count;
}

/**
 * The after image of PARTIAL_UPDATE_ROWS_EVENT: options, a bit for each JSON column whether it is a difference, and
 * the image, in which differences stand in the place of values. What cannot be applied, because the before image
 * has not the value, is ABSENT, never something made up.
 */
function readPartialImage(
  cursor: ByteCursor,
  state: CapturedState,
  { present, before }: { readonly present: Buffer | null; readonly before: Row },
): Row {
  const { decoders, json } = state;
  const isPartial = (cursor.packed() & OPTION_PARTIAL_JSON) !== 0;
  const partialBits = isPartial ? cursor.bytes((json.length + 7) >> 3) : null;
  const patched = decoders.map((decode, i): Decode => {
    const n = json.indexOf(i);
    if (n < 0 || partialBits === null || ((partialBits[n >> 3]! >> (n & 7)) & 1) === 0) return decode;
    return (c) => {
      const length = c.uint32();
      const from = c.take(length);
      const old = before[i];
      return typeof old === 'string' ? applyJsonDiff(old, c.buffer.subarray(from, from + length)) : ABSENT;
    };
  });
  return readImage(cursor, patched, present);
}

/**
 * Reads one row after the other; what the last one held is in its fields. One object a decoder: nothing is made per
 * row but the row.
 */
export class RowReader {
  op: RowsHead['op'] = 'c';
  before: Image | null = null;
  after: Image | null = null;
  unreadable: Error | null = null;

  /** False for a row that says nothing about the present. Throws `source.protocol`. */
  read(head: RowsHead, cursor: ByteCursor, captured: CapturedState): boolean {
    const from = cursor.at;
    this.op = head.op;
    this.unreadable = captured.unreadable;
    if (this.#raw(head, cursor, captured)) return true;
    try {
      return this.#decode(head, cursor, captured);
    } catch {
      cursor.at = from;
      const lenient = lenientDecoders(captured);
      const isChange = this.#decode(head, cursor, { ...captured, decoders: lenient.decoders });
      this.unreadable = captured.unreadable ?? lenient.error();
      return isChange;
    }
  }

  /** Leaves the images as they are; false, with the cursor where it was, where they have to be decoded. */
  #raw({ op, before, after, partial }: RowsHead, cursor: ByteCursor, { raw }: CapturedState): boolean {
    if (raw === null || before !== null || after !== null || partial) return false;
    const { buffer, at, end } = cursor;
    const middle = op === 'c' ? at : raw.end(buffer, at, end);
    if (middle < 0) return false;
    const behind = op === 'd' ? middle : raw.end(buffer, middle, end);
    if (behind < 0) return false;
    this.before = op === 'c' ? null : new RawRow(buffer, at, middle, raw);
    this.after = op === 'd' ? null : new RawRow(buffer, middle, behind, raw);
    cursor.at = behind;
    return true;
  }

  /** The images decoded. False for a row that says nothing about the present. */
  #decode(head: RowsHead, cursor: ByteCursor, captured: CapturedState): boolean {
    const { op, partial } = head;
    const before = op === 'c' ? null : readImage(cursor, captured.decoders, head.before);
    let after: Row | null = null;
    if (partial && before !== null) {
      after = readPartialImage(cursor, captured, { present: head.after, before });
    } else if (op !== 'd') {
      after = readImage(cursor, captured.decoders, head.after);
      if (op === 'c' && head.after !== null) after = withDefaults(after, captured.inserted);
    }
    if (captured.versions !== null) return this.#present(captured.versions, before, after);
    this.before = before;
    this.after = after;
    return true;
  }

  /**
   * What a change of a table WITH SYSTEM VERSIONING is to the rows that are true now: the server keeps the old row
   * by an insert, deletes by closing the row, and forgets history by deletes. False where it is only about old rows.
   */
  #present({ columns, end }: SystemVersions, before: Row | null, after: Row | null): boolean {
    const isTrue = after !== null && isOpen(after[end]);
    if (!isTrue && (before === null || !isOpen(before[end]))) return false;
    this.before = before?.slice(0, columns) ?? null;
    this.after = isTrue ? after.slice(0, columns) : null;
    if (this.op === 'u' && !isTrue) this.op = 'd';
    return true;
  }
}

/** True now: until the last second that a TIMESTAMP has, of 31 or, from 11.5 on, of 32 bits. */
function isOpen(until: Value | undefined): boolean {
  return typeof until === 'number' && until >= 2_147_483_647_999_999;
}

interface LenientDecoders {
  readonly decoders: readonly Decode[];
  /** Which column it was; for after a row has been read. */
  error(): HeadwaterError;
}

/** Decoders that give ABSENT for a value they cannot read but whose length they know. */
function lenientDecoders({ schema, decoders }: CapturedState): LenientDecoders {
  let culprit = -1;
  return {
    decoders: decoders.map((decode, i) => (cursor) => {
      const from = cursor.at;
      try {
        return decode(cursor);
      } catch (error) {
        if (cursor.at === from) throw error;
        if (culprit < 0) culprit = i;
        return ABSENT;
      }
    }),
    error() {
      const { name, nativeType } = schema.columns[culprit] ?? { name: 'unknown', nativeType: 'unknown' };
      const table = tableName(schema.id);
      return new HeadwaterError(
        'source.value-unreadable',
        `A change of ${table} holds a value in the column ${name} that is not in the form of its type ${nativeType}.`,
        { details: { table, column: name, type: nativeType } },
      );
    },
  };
}
