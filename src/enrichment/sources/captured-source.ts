/** A captured table as a statement uses it: only the columns that statements name are read and kept. */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type TableId, type TableSchema, tableName } from '../../model/table.ts';
import { type Image, valueOf } from '../../model/raw-row.ts';
import { ABSENT, UNCHANGED, type Value } from '../../model/value.ts';
import {
  columnType,
  type ShownColumn,
  type ShownColumns,
  type ValueReader,
  valueReader,
} from './captured-columns.ts';
import { type Converter, explicit, widening } from '../sql/cast.ts';
import type { Problem } from '../sql/frame.ts';
import { sameType, type SqlType, typeText } from '../sql/sql-type.ts';
import type { KeyValue, SqlValue } from '../sql/value.ts';
import { tableKey } from './table-source.ts';

export interface SqlColumn {
  readonly name: string;
  readonly type: SqlType;
  readonly key: boolean;
  /** As the database spells it. */
  readonly spelling: string;
}

export class CapturedSource {
  readonly id: TableId;
  readonly columns: readonly SqlColumn[];
  readonly #table: TableSchema;
  readonly #shown: ShownColumns;
  /** Columns in use: index into `columns` → place in the rows that readers make. */
  readonly #slots = new Map<number, number>();
  readonly #readers = new Map<TableSchema, RowReader>();
  #lenient = false;
  #closed = false;
  #last: TableSchema | null = null;
  #lastReader: RowReader | null = null;

  constructor(table: TableSchema, shown: ShownColumns) {
    this.id = table.id;
    this.#table = table;
    this.#shown = shown;
    const columns = shown(table);
    const folded = columns.map(({ column }) => column.name.toUpperCase());
    this.columns = columns.map(({ index, column }, i) => {
      const name = folded[i] ?? column.name;
      return {
        // Two columns that differ only in case keep it.
        name: folded.indexOf(name) === folded.lastIndexOf(name) ? name : column.name,
        type: columnType(column.type),
        key: table.key.includes(index),
        spelling: column.name,
      };
    });
    if (table.key.some((index) => !columns.some((each) => each.index === index))) {
      throw new HeadwaterError(
        'settings.invalid',
        `The settings leave out a key column of ${tableName(table.id)}, which a statement reads.`,
      );
    }
  }

  get keys(): readonly SqlColumn[] {
    return this.columns.filter(({ key }) => key);
  }

  /** Where rows will hold that column. */
  slot(column: number): number {
    let slot = this.#slots.get(column);
    if (slot === undefined) this.#slots.set(column, (slot = this.#slots.size));
    return slot;
  }

  /** No more columns come into use: rows are kept as they are. */
  close(): void {
    this.#closed = true;
  }

  /** Whether rows hold that column, or may yet. */
  holds(column: number): boolean {
    return !this.#closed || this.#slots.has(column);
  }

  /** The same table with no column in use. */
  fresh(): CapturedSource {
    return new CapturedSource(this.#table, this.#shown);
  }

  /** Columns in use, in the order of their slots. */
  get used(): readonly SqlColumn[] {
    return [...this.#slots.keys()].flatMap((index) => this.columns[index] ?? []);
  }

  /**
   * From here on rows of versions that do not fit are taken for older than the table as it was described: their
   * values are cast, and columns they do not have are NULL.
   */
  takeOlder(): void {
    this.#lenient = true;
    this.#last = null;
    this.#readers.clear();
  }

  /** For rows of that version of the table. Throws `enrich.table-changed`. */
  reader(table: TableSchema): RowReader {
    if (table === this.#last && this.#lastReader !== null) return this.#lastReader;
    let reader = this.#readers.get(table);
    if (reader === undefined) {
      if (this.#readers.size > 8) this.#readers.clear();
      this.#readers.set(table, (reader = this.#makeReader(table)));
    }
    this.#last = table;
    this.#lastReader = reader;
    return reader;
  }

  #makeReader(table: TableSchema): RowReader {
    const shown = this.#shown(table);
    const byName = new Map(shown.map((each) => [each.column.name, each]));
    const fields = this.used.map((column) => this.#field(table, column, byName.get(column.spelling)));
    const keys = this.keys.map((column) => {
      const field = this.#field(table, column, byName.get(column.spelling));
      return field === null ? null : { ...field, type: column.type };
    });
    const whole = keys.flatMap((key) => key ?? []);
    const adapted =
      whole.length < keys.length || [...fields, ...keys].some((field) => field?.adapted !== false);
    // A row without all of its key is none that could be found again.
    return new RowReader(fields, whole.length < keys.length ? [] : whole, adapted);
  }

  /** Null for a column that rows of an older version do not have yet. */
  #field(table: TableSchema, column: SqlColumn, found: ShownColumn | undefined): Field | null {
    if (found === undefined) {
      if (this.#lenient || table.version < this.#table.version) return null;
      throw this.#changed(column, 'is gone');
    }
    const type = columnType(found.column.type);
    const same = sameType(type, column.type);
    const wider = same ? null : widening(type, column.type);
    const adapted = !same && wider === null;
    if (adapted && !this.#lenient) throw this.#changed(column, `has become ${typeText(type)}`);
    const convert = adapted ? (explicit(type, column.type) ?? nothingLike) : wider;
    const { index, write } = found;
    return { index, write, read: valueReader(found.column.type), convert, key: column.key, adapted };
  }

  #changed(column: SqlColumn, what: string): HeadwaterError {
    return new HeadwaterError(
      'enrich.table-changed',
      `The column ${column.spelling} of ${tableName(this.id)}, which statements use, ${what}.`,
      { details: { table: tableName(this.id), column: column.spelling } },
    );
  }
}

/** Of a type that no other converts to. */
const nothingLike: Converter = () => undefined;

interface Field {
  readonly index: number;
  readonly write: ShownColumn['write'];
  readonly read: ValueReader;
  readonly convert: Converter | null;
  readonly key: boolean;
  /** Whether the type is another one than the statements know, which its own does not widen to. */
  readonly adapted: boolean;
}

export class RowReader {
  readonly #fields: readonly (Field | null)[];
  readonly #keys: readonly (Field & { readonly type: SqlType })[];

  /** Whether the rows are of a version that is older than the statements, and does not fit them. */
  readonly adapted: boolean;

  constructor(
    fields: readonly (Field | null)[],
    keys: readonly (Field & { readonly type: SqlType })[],
    adapted: boolean,
  ) {
    this.#fields = fields;
    this.#keys = keys;
    this.adapted = adapted;
  }

  /**
   * A row by slots. A value that the log left out is taken from `before`, the row's image before the change, or
   * from `known`, the row as it was kept; where neither has it, it is NULL with a note.
   */
  row(
    row: Image,
    { before, known }: { readonly before: Image | null; readonly known: readonly SqlValue[] | null },
    note: (problem: Problem) => void,
  ): readonly SqlValue[] {
    const values: SqlValue[] = [];
    for (let slot = 0; slot < this.#fields.length; slot++) {
      const field = this.#fields[slot];
      if (field == null) values.push(null);
      else {
        let value = valueOf(row, field.index);
        if (isMissing(value) && before !== null) value = valueOf(before, field.index);
        if (!isMissing(value)) values.push(readField(field, value, note));
        else if (known !== null) values.push(known[slot] ?? null);
        else {
          note('value-not-in-log');
          values.push(null);
        }
      }
    }
    return values;
  }

  /** The row as it was; null where the log does not hold all of it, so that nothing is taken for NULL. */
  image(row: Image, note: (problem: Problem) => void): readonly SqlValue[] | null {
    const whole = this.#fields.every((field) => field !== null && !isMissing(valueOf(row, field.index)));
    return whole ? this.row(row, { before: null, known: null }, note) : null;
  }

  /** Of a deleted row: its key, the other columns NULL. */
  remains(row: Image, note: (problem: Problem) => void): readonly SqlValue[] {
    return this.#fields.map((field) =>
      field === null || !field.key ? null : readField(field, valueOf(row, field.index), note),
    );
  }

  /** Null where the log does not hold the key, or it is none. */
  key(row: Image, note: (problem: Problem) => void): KeyValue | null {
    if (this.#keys.length === 0) return null;
    const parts: SqlValue[] = [];
    for (const field of this.#keys) {
      const value = readField(field, valueOf(row, field.index), note);
      if (value === null) return null;
      parts.push(value);
    }
    return tableKey(
      this.#keys.map(({ type }) => type),
      parts,
    );
  }
}

function isMissing(value: Value): boolean {
  return value === UNCHANGED || value === ABSENT;
}

/** What is not there is NULL. */
function readField(field: Field, raw: Value, note: (problem: Problem) => void): SqlValue {
  if (raw === null || isMissing(raw)) return null;
  const shown = field.write === null ? raw : field.write(raw);
  const value = shown === null ? null : field.read(shown);
  if (value === null) return null;
  const converted = value === undefined || field.convert === null ? value : field.convert(value);
  if (converted !== undefined) return converted;
  note('value-not-representable');
  return null;
}

/** For errors about tables that the source does not let us read. */
export function unreadable(table: string, cause: unknown): HeadwaterError {
  return new HeadwaterError(
    'enrich.table-unreadable',
    `The table ${table}, which statements join with, cannot be read.`,
    { details: { table }, cause },
  );
}
