/**
 * A database's types, by oid: what kind of column each makes and how its text is read. Snapshot (COPY text) and
 * stream (pgoutput text) use the same decoders, so the same cell gives the same Value.
 */
import type { ColumnType } from '../../../model/table.ts';
import type { Value } from '../../../model/value.ts';
import { arrayDecoder } from './decode-array.ts';
import { builtinType, isPlainText, type ScalarType } from './builtin-types.ts';
import { decodeText } from './decode-scalar.ts';

/** Runs one statement with text results; parameters are put in by the caller as quoted literals. */
export type Query = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;

export interface ColumnTypeInfo {
  readonly type: ColumnType;
  /** `pg_type.typname`: domains by their own name, arrays as `_int4`. */
  readonly nativeType: string;
  readonly length: number | null;
  readonly scale: number | null;
  /** See Column.opaque. */
  readonly opaque?: boolean;
  /** Text output → Value, as model/table.ts lists. Throws `source.value-unreadable`. */
  readonly decode: (text: string) => Value;
}

export interface TypeRegistry {
  /**
   * How a column of type `oid` with `typmod` (−1: none) is read. `dimensions` is what the table declares for an
   * array (`pg_attribute.attndims`); PostgreSQL does not enforce it. Null where the oid is not known (a type
   * made after the registry was loaded): load another.
   */
  column(oid: number, typmod: number, dimensions?: number): ColumnTypeInfo | null;
}

interface TypeRow {
  readonly name: string;
  readonly kind: string; // pg_type.typtype
  readonly element: number; // of true arrays, else 0
  readonly delimiter: string; // of arrays: the element's
  readonly base: number; // of domains, else 0
  readonly typmod: number; // of domains
}

const TYPES = `SELECT t.oid, t.typname, t.typtype, coalesce(e.oid, 0), coalesce(e.typdelim, ','), t.typbasetype, t.typtypmod
  FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_type e ON e.typarray = t.oid`;
const LABELS = `SELECT enumtypid, enumlabel FROM pg_catalog.pg_enum ORDER BY enumtypid, enumsortorder`;

/** Reads the catalogue; two statements. A type is looked up by oid, extension types are known by name. */
export async function loadTypeRegistry(query: Query): Promise<TypeRegistry> {
  const types = new Map<number, TypeRow>();
  for (const [oid, name, kind, element, delimiter, base, typmod] of await query(TYPES)) {
    types.set(Number(oid), {
      name: name ?? '',
      kind: kind ?? '',
      element: Number(element),
      delimiter: delimiter ?? ',',
      base: Number(base),
      typmod: Number(typmod),
    });
  }
  const labels = new Map<number, string[]>();
  for (const [oid, label] of await query(LABELS)) {
    const list = labels.get(Number(oid));
    if (list === undefined) labels.set(Number(oid), [label ?? '']);
    else list.push(label ?? '');
  }
  return new LoadedTypes(types, labels);
}

class LoadedTypes implements TypeRegistry {
  readonly #types: ReadonlyMap<number, TypeRow>;
  readonly #labels: ReadonlyMap<number, readonly string[]>;
  readonly #cache = new Map<string, ColumnTypeInfo>();

  constructor(types: ReadonlyMap<number, TypeRow>, labels: ReadonlyMap<number, readonly string[]>) {
    this.#types = types;
    this.#labels = labels;
  }

  column(oid: number, typmod: number, dimensions = 1): ColumnTypeInfo | null {
    const cacheKey = `${oid}/${typmod}/${dimensions}`;
    const known = this.#cache.get(cacheKey);
    if (known !== undefined) return known;
    const made = this.#make(oid, typmod, dimensions);
    if (made !== null) this.#cache.set(cacheKey, made);
    return made;
  }

  #make(oid: number, typmod: number, dimensions: number): ColumnTypeInfo | null {
    const row = this.#types.get(oid);
    if (row === undefined) return null;
    // A domain over a domain carries the innermost type's modifier; the outer ones have none of their own.
    if (row.kind === 'd') {
      const base = this.column(row.base, row.typmod === -1 ? typmod : row.typmod, dimensions);
      return base === null ? null : { ...base, nativeType: row.name };
    }
    if (row.element !== 0) {
      const element = this.column(row.element, typmod);
      if (element === null) return null;
      let type: ColumnType = { kind: 'array', element: element.type };
      for (let d = 1; d < dimensions; d++) type = { kind: 'array', element: type };
      const decode = arrayDecoder(element.decode, row.delimiter);
      const { length, scale, opaque } = element;
      return { type, nativeType: row.name, length, scale, opaque: opaque ?? false, decode };
    }
    const scalar = this.#scalar(oid, row, typmod);
    const opaque =
      scalar.type.kind === 'tsvector' || (scalar.type.kind === 'string' && !isPlainText(row.name));
    return { ...scalar, nativeType: row.name, opaque };
  }

  #scalar(oid: number, row: TypeRow, typmod: number): ScalarType {
    if (row.kind === 'e') {
      const values = this.#labels.get(oid) ?? [];
      return { type: { kind: 'enum', values }, length: null, scale: null, decode: decodeText };
    }
    // Composite, range, multirange and pseudo types, and base types nobody here knows: the server's own text.
    const builtin = row.kind === 'b' ? builtinType(row.name, typmod) : null;
    return builtin ?? { type: { kind: 'string' }, length: null, scale: null, decode: decodeText };
  }
}
