import type { TableId } from '../../../model/table.ts';
import { ByteCursor, misplaced } from './byte-cursor.ts';
import { TYPE } from './event-types.ts';

/** A column as the table map has it: what decides where its values lie in a row. */
export interface LogColumn {
  /** TYPE; of STRING columns the real one: `string`, `enum` or `set`. */
  readonly type: number;
  /** Its bytes of metadata; see `readMeta`. */
  readonly meta: number;
  readonly nullable: boolean;
}

/** What binlog_row_metadata adds. MINIMAL has the first three, FULL all. Null: the server did not send it. */
export interface LogMetadata {
  readonly unsigned: readonly boolean[] | null;
  /** Collation id of text columns, and of enum and set; 0 elsewhere. */
  readonly collations: readonly number[] | null;
  readonly names: readonly string[] | null;
  readonly values: readonly (readonly string[] | null)[] | null;
  readonly key: readonly number[] | null;
  /** Of vector columns. */
  readonly dimensions: readonly number[] | null;
  /** MySQL's number of the geometry's type: 0 geometry, 1 point, 2 linestring … */
  readonly geometryTypes: readonly number[] | null;
  readonly visible: readonly boolean[] | null;
}

export interface TableMap {
  readonly tableId: number;
  readonly id: TableId;
  readonly columns: readonly LogColumn[];
  readonly metadata: LogMetadata;
}

/** Only the id and the name: for tables that nobody wants. */
export function readTableName(cursor: ByteCursor): { readonly tableId: number; readonly id: TableId } {
  const tableId = cursor.uint48();
  cursor.take(2);
  const schema = cursor.utf8(cursor.packed());
  cursor.take(1);
  const table = cursor.utf8(cursor.packed());
  cursor.take(1);
  return { tableId, id: { schema, table } };
}

/** Table_map_event, from behind its header to `cursor.end` (without the checksum). */
export function readTableMap(cursor: ByteCursor): TableMap {
  const { tableId, id } = readTableName(cursor);
  const types = Buffer.from(cursor.bytes(cursor.packed()));
  const metaEnd = cursor.packed();
  const meta = new ByteCursor(cursor.buffer, cursor.at, cursor.at + metaEnd);
  cursor.take(metaEnd);
  const nulls = cursor.bytes((types.length + 7) >> 3);
  const columns: LogColumn[] = [];
  for (const [i, type] of types.entries()) {
    const nullable = ((nulls[i >> 3]! >> (i & 7)) & 1) === 1;
    columns.push({ ...readMeta(type, meta), nullable });
  }
  return { tableId, id, columns, metadata: readMetadata(cursor, columns) };
}

/**
 * The meaning of `meta`: bytes of the length for blobs, geometry, JSON and vector; maximum bytes for strings;
 * precision << 8 | scale of decimals; bits; digits of the second; bytes of enum and set.
 */
function readMeta(type: number, meta: ByteCursor): { readonly type: number; readonly meta: number } {
  switch (type) {
    case TYPE.float:
    case TYPE.double:
      return { type, meta: meta.uint8() };
    case TYPE.blob:
    case TYPE.tinyBlob:
    case TYPE.mediumBlob:
    case TYPE.longBlob:
    case TYPE.blobCompressed:
    case TYPE.geometry:
    case TYPE.json:
    case TYPE.vector:
      return { type, meta: within(meta.uint8(), 1, 4) };
    case TYPE.timestamp2:
    case TYPE.datetime2:
    case TYPE.time2:
      return { type, meta: within(meta.uint8(), 0, 6) };
    case TYPE.varchar:
    case TYPE.varString:
    case TYPE.varcharCompressed:
      return { type, meta: meta.uint16() };
    case TYPE.newdecimal: {
      const precision = within(meta.uint8(), 1, 65);
      return { type, meta: (precision << 8) | within(meta.uint8(), 0, precision) };
    }
    case TYPE.bit: {
      const rest = meta.uint8();
      return { type, meta: within(meta.uint8() * 8 + rest, 1, 64) };
    }
    case TYPE.string:
    case TYPE.enum:
    case TYPE.set: {
      const real = meta.uint8();
      const length = meta.uint8();
      // Lengths past 255 have two bits in the type (Field_string::save_field_metadata).
      if ((real & 0x30) !== 0x30) {
        return { type: real | 0x30, meta: length | (((real & 0x30) ^ 0x30) << 4) };
      }
      if (real === TYPE.enum) return { type: real, meta: within(length, 1, 2) };
      return { type: real, meta: real === TYPE.set ? within(length, 1, 8) : length };
    }
    default:
      return { type, meta: 0 };
  }
}

function within(value: number, least: number, most: number): number {
  if (value < least || value > most) throw misplaced('a table map that no column can have');
  return value;
}

const NUMERIC: ReadonlySet<number> = new Set([
  TYPE.tiny,
  TYPE.short,
  TYPE.int24,
  TYPE.long,
  TYPE.longlong,
  TYPE.newdecimal,
  TYPE.float,
  TYPE.double,
  TYPE.year,
]);
const TEXT: ReadonlySet<number> = new Set([
  TYPE.string,
  TYPE.varString,
  TYPE.varchar,
  TYPE.tinyBlob,
  TYPE.blob,
  TYPE.mediumBlob,
  TYPE.longBlob,
  TYPE.blobCompressed,
  TYPE.varcharCompressed,
]);

/** Table_map_event::Optional_metadata_fields: type, packed length, value, until the end. */
function readMetadata(cursor: ByteCursor, columns: readonly LogColumn[]): LogMetadata {
  const indexesOf = (wanted: (type: number) => boolean): readonly number[] =>
    columns.flatMap(({ type }, i) => (wanted(type) ? [i] : []));
  const text = indexesOf((type) => TEXT.has(type));
  const labelled = indexesOf((type) => type === TYPE.enum || type === TYPE.set);
  let unsigned: boolean[] | null = null;
  let collations: number[] | null = null;
  let names: string[] | null = null;
  let values: (readonly string[] | null)[] | null = null;
  let key: number[] | null = null;
  let dimensions: number[] | null = null;
  let geometryTypes: number[] | null = null;
  let visible: boolean[] | null = null;
  while (cursor.left > 0) {
    const type = cursor.uint8();
    const length = cursor.packed();
    const field = new ByteCursor(cursor.buffer, cursor.at, cursor.at + length);
    cursor.take(length);
    switch (type) {
      case 1:
        unsigned = columns.map(() => false);
        for (const [n, i] of indexesOf((t) => NUMERIC.has(t)).entries()) unsigned[i] = bit(field, n);
        break;
      case 2:
      case 10: {
        const indexes = type === 2 ? text : labelled;
        collations ??= columns.map(() => 0);
        const common = field.packed();
        for (const i of indexes) collations[i] = common;
        while (field.left > 0) {
          const i = indexes[field.packed()];
          const collation = field.packed();
          if (i === undefined) throw misplaced('a table map with a charset for no column');
          collations[i] = collation;
        }
        break;
      }
      case 3:
      case 11:
        collations ??= columns.map(() => 0);
        for (const i of type === 3 ? text : labelled) {
          if (field.left > 0) collations[i] = field.packed();
        }
        break;
      case 4:
        names = [];
        while (field.left > 0) names.push(field.utf8(field.packed()));
        if (names.length !== columns.length) throw misplaced('a table map without the names of some columns');
        break;
      case 5:
      case 6:
        values ??= columns.map(() => null);
        for (const i of indexesOf((t) => t === (type === 5 ? TYPE.set : TYPE.enum))) {
          if (field.left === 0) break;
          // Labels are in the charset of the column; only their bytes are certain here (see `labelsOf`).
          const labels: string[] = [];
          for (let n = field.packed(); n > 0; n--) {
            const size = field.packed();
            const from = field.take(size);
            labels.push(field.buffer.latin1Slice(from, from + size));
          }
          values[i] = labels;
        }
        break;
      case 7:
        geometryTypes = columns.map(() => 0);
        for (const i of indexesOf((t) => t === TYPE.geometry)) {
          if (field.left > 0) geometryTypes[i] = field.packed();
        }
        break;
      case 8:
        key = [];
        while (field.left > 0) key.push(field.packed());
        break;
      case 9:
        key = [];
        while (field.left > 0) {
          key.push(field.packed());
          field.packed(); // of how many characters the key is made
        }
        break;
      case 12:
        visible = columns.map((_, i) => bit(field, i));
        break;
      case 13:
        dimensions = columns.map(() => 0);
        for (const i of indexesOf((t) => t === TYPE.vector)) {
          if (field.left > 0) dimensions[i] = field.packed();
        }
        break;
      default: // of a later server
        break;
    }
  }
  if (key?.some((i) => i >= columns.length) === true) throw misplaced('a table map with a key of no column');
  return { unsigned, collations, names, values, key, dimensions, geometryTypes, visible };
}

/** Bit n, the highest bit of a byte first. */
function bit(field: ByteCursor, n: number): boolean {
  const at = field.at + (n >> 3);
  return at < field.end && ((field.buffer[at]! >> (7 - (n & 7))) & 1) === 1;
}
