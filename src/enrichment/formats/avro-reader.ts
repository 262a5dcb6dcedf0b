/**
 * Avro's writer schema × the columns of a stream → one function a field. Fields are found by their names, as
 * ksqlDB does: exactly, or else whatever their case; a column that the writer does not have is NULL.
 */
import { type Converter, explicit, widening } from '../sql/cast.ts';
import { Decimal } from '../sql/decimal.ts';
import {
  BIGINT,
  BOOLEAN,
  BYTES,
  DATE,
  decimal,
  DOUBLE,
  INTEGER,
  sameType,
  type SqlType,
  STRING,
  TIME,
  TIMESTAMP,
} from '../sql/sql-type.ts';
import type { SqlValue } from '../sql/value.ts';
import { type AvroInput, UNREADABLE } from './avro-input.ts';
import type { AvroRecord, AvroType } from './avro-type.ts';

/** These throw UNREADABLE where the value is not what the column says. */
type Read = (input: AvroInput) => SqlValue;
type Skip = (input: AvroInput) => void;

interface NamedType {
  readonly name: string;
  readonly type: SqlType;
}

/** Reads the columns of a record into a row. */
export class AvroPlan {
  readonly #fields: Fields;

  private constructor(fields: Fields) {
    this.#fields = fields;
  }

  static make(writer: AvroType, columns: readonly NamedType[]): AvroPlan {
    const [only] = columns;
    const record = recordOf(writer);
    const named = record !== null && placesOf(record, columns).some((place) => place >= 0);
    // One column that is not a field of a record.
    if (record === null || (columns.length === 1 && only?.type.kind === 'STRUCT' && !named)) {
      const read = only === undefined || columns.length > 1 ? unreadable : reader(writer, only.type);
      return new AvroPlan({ reads: [read], places: [0] });
    }
    const { reads, places } = fieldsOf(record, columns);
    if (writer.kind !== 'union') return new AvroPlan({ reads, places });
    const at = writer.branches.indexOf(record);
    const branch: Read = (input) => {
      if (input.index() !== at) throw UNREADABLE;
      return null;
    };
    return new AvroPlan({ reads: [branch, ...reads], places: [-1, ...places] });
  }

  /** The row has a place for each column, from `first` on. Throws UNREADABLE. */
  read(input: AvroInput, row: SqlValue[], first: number): void {
    readFields(this.#fields, input, { row, first });
    if (!input.ended) throw UNREADABLE;
  }
}

/** The fields of a record in their order. */
interface Fields {
  readonly reads: readonly Read[];
  /** Place in the row of what each of them reads; −1 for what is passed over. */
  readonly places: readonly number[];
}

function readFields(
  { reads, places }: Fields,
  input: AvroInput,
  { row, first }: { readonly row: SqlValue[]; readonly first: number },
): void {
  for (let i = 0; i < reads.length; i++) {
    const value = reads[i]!(input);
    const place = places[i]!;
    if (place >= 0) row[first + place] = value;
  }
}

function fieldsOf(record: AvroRecord, columns: readonly NamedType[]): Fields {
  const skips = new Map<AvroRecord, Skip>();
  const places = placesOf(record, columns);
  const reads = record.fields.map(({ type }, i): Read => {
    const column = columns[places[i] ?? -1];
    if (column !== undefined) return reader(type, column.type);
    const skip = skipper(type, skips);
    return (input) => {
      skip(input);
      return null;
    };
  });
  return { reads, places };
}

/** The record that a value is, also where it may be null instead. */
function recordOf(type: AvroType): AvroRecord | null {
  if (type.kind === 'record') return type;
  if (type.kind !== 'union') return null;
  const records = type.branches.filter((branch) => branch.kind === 'record');
  const [record] = records;
  return record !== undefined && records.length === 1 ? record : null;
}

/** Of each field the index of its column, −1 where it has none. Each column has one field at most. */
function placesOf({ fields }: AvroRecord, columns: readonly NamedType[]): readonly number[] {
  const names = fields.map(({ name }) => name);
  const upper = names.map((name) => name.toUpperCase());
  const places = fields.map(() => -1);
  for (const [i, { name }] of columns.entries()) {
    const exact = names.indexOf(name);
    const found = exact >= 0 ? exact : upper.indexOf(name.toUpperCase());
    if (found >= 0) places[found] = i;
  }
  return places;
}

const unreadable: Read = () => {
  throw UNREADABLE;
};

function reader(from: AvroType, to: SqlType): Read {
  switch (from.kind) {
    case 'null':
      return () => null;
    case 'union':
      return unionReader(from.branches, to);
    case 'array':
      return arrayReader(from.items, to);
    case 'map':
      return to.kind === 'MAP' ? mapReader({ kind: 'string' }, from.values, to) : unreadable;
    case 'record':
      return to.kind === 'STRUCT' ? structReader(from, to.fields) : unreadable;
    default: {
      const { type, read } = scalar(from);
      if (sameType(type, to)) return read;
      const convert = conversion(from, type, to);
      if (convert === null) return unreadable;
      return (input) => {
        const value = convert(read(input));
        if (value === undefined) throw UNREADABLE;
        return value;
      };
    }
  }
}

type Scalar = Exclude<AvroType, { readonly kind: 'null' | 'union' | 'array' | 'map' | 'record' }>;

/** The SQL type of a scalar as it is. */
export function scalarType(from: Scalar): SqlType {
  return scalar(from).type;
}

function scalar(from: Scalar): { readonly type: SqlType; readonly read: Read } {
  switch (from.kind) {
    case 'boolean':
      return { type: BOOLEAN, read: (input) => input.boolean() };
    case 'int':
      return { type: INT_TYPES.get(from.logical ?? '') ?? INTEGER, read: (input) => input.int() };
    case 'long':
      if (from.logical === 'timestamp-millis' || from.logical === 'local-timestamp-millis')
        return { type: TIMESTAMP, read: instant };
      return { type: BIGINT, read: (input) => input.long() };
    case 'float':
      return { type: DOUBLE, read: (input) => input.float() };
    case 'double':
      return { type: DOUBLE, read: (input) => input.double() };
    case 'string':
      return { type: STRING, read: (input) => input.string() };
    case 'bytes':
      if (from.decimal === null) return { type: BYTES, read: (input) => input.bytes() };
      return decimalScalar(from.decimal);
    case 'fixed': {
      const { size } = from;
      if (from.decimal === null) return { type: BYTES, read: (input) => input.bytes(size) };
      return decimalScalar(from.decimal, size);
    }
    case 'enum': {
      const { symbols } = from;
      return {
        type: STRING,
        read: (input) => {
          const symbol = symbols[input.index()];
          if (symbol === undefined) throw UNREADABLE;
          return symbol;
        },
      };
    }
  }
}

const INT_TYPES: ReadonlyMap<string, SqlType> = new Map<string, SqlType>([
  ['date', DATE],
  ['time-millis', TIME],
]);

const instant: Read = (input) => {
  const ms = input.long();
  if (typeof ms !== 'number') throw UNREADABLE;
  return ms;
};

function decimalScalar(
  { precision, scale }: { readonly precision: number; readonly scale: number },
  size?: number,
): { readonly type: SqlType; readonly read: Read } {
  return { type: decimal(precision, scale), read: (input) => new Decimal(input.unscaled(size), scale) };
}

/** Parts of a millisecond's times in the logical types that are finer. */
const PER_MS: ReadonlyMap<string, number> = new Map([
  ['timestamp-micros', 1_000],
  ['local-timestamp-micros', 1_000],
  ['time-micros', 1_000],
  ['timestamp-nanos', 1_000_000],
  ['local-timestamp-nanos', 1_000_000],
]);

/** What a column takes beside its own type: what widens to it, text, and numbers that are meant as times. */
function conversion(from: Scalar, type: SqlType, to: SqlType): Converter | null {
  if (to.kind === 'STRING' || type.kind === 'STRING') return explicit(type, to);
  if (from.kind === 'long' && type.kind === 'BIGINT') {
    if (to.kind === 'TIMESTAMP' || to.kind === 'TIME')
      return timeConverter(PER_MS.get(from.logical ?? '') ?? 1);
    if (to.kind === 'INTEGER') return explicit(type, to);
  }
  if (type.kind === 'INTEGER' && (to.kind === 'DATE' || to.kind === 'TIME')) return (value) => value;
  return widening(type, to);
}

function timeConverter(perMs: number): Converter {
  return (value) => {
    if (typeof value === 'number') return Math.floor(value / perMs);
    const ms = Math.floor(Number((value as bigint) / BigInt(perMs)));
    return Number.isSafeInteger(ms) ? ms : undefined;
  };
}

function unionReader(branches: readonly AvroType[], to: SqlType): Read {
  const [first, second] = branches;
  if (branches.length === 2 && first?.kind === 'null' && second !== undefined)
    return optionalReader(0, 1, reader(second, to));
  if (branches.length === 2 && second?.kind === 'null' && first !== undefined)
    return optionalReader(1, 0, reader(first, to));
  const reads = branches.map((branch) => reader(branch, to));
  return (input) => {
    const read = reads[input.index()];
    if (read === undefined) throw UNREADABLE;
    return read(input);
  };
}

function optionalReader(nothing: number, something: number, read: Read): Read {
  return (input) => {
    const branch = input.index();
    if (branch === something) return read(input);
    if (branch === nothing) return null;
    throw UNREADABLE;
  };
}

function arrayReader(items: AvroType, to: SqlType): Read {
  if (to.kind === 'MAP') {
    const entry = items.kind === 'record' ? mapEntryOf(items) : null;
    return entry === null ? unreadable : mapReader(entry.key, entry.value, to);
  }
  if (to.kind !== 'ARRAY') return unreadable;
  const read = reader(items, to.element);
  return (input) => {
    const values: SqlValue[] = [];
    for (let count = input.block(); count > 0; count = input.block())
      for (let i = 0; i < count; i++) values.push(read(input));
    return values;
  };
}

/** Kafka Connect's maps with other keys than required text; null for another record. */
export function mapEntryOf({
  mapEntry,
  fields,
}: AvroRecord): { readonly key: AvroType; readonly value: AvroType } | null {
  const [key, value] = fields;
  if (!mapEntry || fields.length !== 2 || key?.name !== 'key' || value?.name !== 'value') return null;
  return { key: key.type, value: value.type };
}

function mapReader(key: AvroType, value: AvroType, to: SqlType & { readonly kind: 'MAP' }): Read {
  const readKey = reader(key, to.key);
  const readValue = reader(value, to.value);
  return (input) => {
    const map = new Map<SqlValue, SqlValue>();
    for (let count = input.block(); count > 0; count = input.block())
      for (let i = 0; i < count; i++) {
        // In this order: the one stands before the other.
        const name = readKey(input);
        map.set(name, readValue(input));
      }
    return map;
  };
}

function structReader(record: AvroRecord, columns: readonly NamedType[]): Read {
  const fields = fieldsOf(record, columns);
  return (input) => {
    const row: SqlValue[] = columns.map(() => null);
    readFields(fields, input, { row, first: 0 });
    return row;
  };
}

/** `made`: of records, which may hold themselves. */
function skipper(type: AvroType, made: Map<AvroRecord, Skip>): Skip {
  switch (type.kind) {
    case 'null':
      return () => {};
    case 'boolean':
      return (input) => input.skip(1);
    case 'int':
    case 'long':
    case 'enum':
      return (input) => void input.long();
    case 'float':
      return (input) => input.skip(4);
    case 'double':
      return (input) => input.skip(8);
    case 'string':
    case 'bytes':
      return (input) => input.skip();
    case 'fixed': {
      const { size } = type;
      return (input) => input.skip(size);
    }
    case 'union': {
      const skips = type.branches.map((branch) => skipper(branch, made));
      return (input) => {
        const skip = skips[input.index()];
        if (skip === undefined) throw UNREADABLE;
        skip(input);
      };
    }
    case 'array':
      return itemsSkipper(skipper(type.items, made));
    case 'map': {
      const value = skipper(type.values, made);
      return itemsSkipper((input) => {
        input.skip();
        value(input);
      });
    }
    case 'record':
      return recordSkipper(type, made);
  }
}

function itemsSkipper(skip: Skip): Skip {
  return (input) => {
    for (let count = input.block(); count > 0; count = input.block())
      for (let i = 0; i < count; i++) skip(input);
  };
}

function recordSkipper(record: AvroRecord, made: Map<AvroRecord, Skip>): Skip {
  const known = made.get(record);
  if (known !== undefined) return known;
  const skips: Skip[] = [];
  const all: Skip = (input) => {
    input.enter();
    for (const skip of skips) skip(input);
    input.leave();
  };
  made.set(record, all);
  for (const { type } of record.fields) skips.push(skipper(type, made));
  return all;
}
