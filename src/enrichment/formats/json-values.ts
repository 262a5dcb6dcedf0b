/** JSON values → SQL values, as lenient as ksqlDB: text for numbers, anything for text. */
import { isTimeNumber } from '../sql/civil-time.ts';
import { explicit } from '../sql/cast.ts';
import { type SqlType, STRING } from '../sql/sql-type.ts';
import { bigintValue, type SqlValue } from '../sql/value.ts';
import { ExactNumber, jsonText } from '../sql/exact-json.ts';

/** Of a value that is not null. Answers undefined where the column's type cannot hold it. */
export type JsonReader = (json: unknown) => SqlValue | undefined;

export function jsonReader(type: SqlType): JsonReader {
  const parse = explicit(STRING, type);
  const fromText: JsonReader = (json) => (typeof json === 'string' ? parse?.(json) : undefined);
  switch (type.kind) {
    case 'BOOLEAN':
      return (json) => (typeof json === 'boolean' ? json : fromText(json));
    case 'INTEGER':
      return (json) =>
        typeof json === 'number'
          ? Number.isInteger(json) && json === (json | 0)
            ? json
            : undefined
          : fromText(json);
    case 'BIGINT':
      return (json) => {
        if (typeof json === 'number') {
          if (Number.isSafeInteger(json)) return json;
          return Number.isInteger(json) ? (bigintValue(BigInt(json)) ?? undefined) : undefined;
        }
        return fromText(json instanceof ExactNumber ? json.text : json);
      };
    case 'DOUBLE':
      return (json) => {
        if (typeof json === 'number') return json;
        if (json instanceof ExactNumber) return Number(json.text);
        if (json === 'NaN' || json === 'Infinity' || json === '-Infinity') return Number(json);
        return fromText(json);
      };
    case 'DECIMAL':
      return (json) =>
        fromText(typeof json === 'number' ? String(json) : json instanceof ExactNumber ? json.text : json);
    case 'STRING':
      return (json) => (typeof json === 'string' ? json : jsonText(json));
    case 'BYTES':
      return (json) => (typeof json === 'string' ? base64Bytes(json) : undefined);
    case 'DATE':
    case 'TIME':
    case 'TIMESTAMP': {
      const { kind } = type;
      return (json) => {
        const n = json instanceof ExactNumber ? Number(json.text) : json;
        return typeof n === 'number' ? (isTimeNumber(kind, n) ? n : undefined) : fromText(n);
      };
    }
    case 'ARRAY': {
      const read = jsonReader(type.element);
      return (json) => {
        if (!Array.isArray(json)) return undefined;
        const items: SqlValue[] = [];
        for (const item of json as readonly unknown[]) {
          const value = item === null ? null : read(item);
          if (value === undefined) return undefined;
          items.push(value);
        }
        return items;
      };
    }
    case 'MAP': {
      const readKey = jsonReader(type.key);
      const read = jsonReader(type.value);
      return (json) => {
        if (!isObject(json)) return undefined;
        const map = new Map<SqlValue, SqlValue>();
        for (const [name, item] of Object.entries(json)) {
          const key = readKey(name);
          const value = item === null ? null : read(item);
          if (key === undefined || value === undefined) return undefined;
          map.set(key, value);
        }
        return map;
      };
    }
    case 'STRUCT': {
      const fields = new FieldReader(type.fields);
      return (json) => {
        if (!isObject(json)) return undefined;
        const values: SqlValue[] = [];
        return fields.read(json, values) ? values : undefined;
      };
    }
  }
}

export function isObject(json: unknown): json is Readonly<Record<string, unknown>> {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && !(json instanceof ExactNumber);
}

interface Field {
  readonly name: string;
  readonly read: JsonReader;
}

/** A field's name as it was met. */
interface Met {
  /** Index of the column; −1 for none. */
  readonly column: number;
  readonly exact: boolean;
}

const NONE: Met = { column: -1, exact: false };
/** Names that are kept: a topic whose records have ever other ones is not to fill the memory. */
const MOST_MET = 1_000;

/** The named fields of an object, in their order. Names match exactly, or else whatever their case. */
export class FieldReader {
  readonly #fields: readonly Field[];
  readonly #met = new Map<string, Met>();

  constructor(fields: readonly { readonly name: string; readonly type: SqlType }[]) {
    this.#fields = fields.map(({ name, type }) => ({ name, read: jsonReader(type) }));
    for (const [column, { name }] of fields.entries()) this.#met.set(name, { column, exact: true });
  }

  get count(): number {
    return this.#fields.length;
  }

  /** Index of the column that a field of that name is, whatever its case; −1 for none. */
  columnOf(name: string): number {
    return (this.#met.get(name) ?? this.#meet(name)).column;
  }

  /** Of a column, and of a value that is not null. Undefined where it does not fit. */
  value(column: number, json: unknown): SqlValue | undefined {
    return this.#fields[column]!.read(json);
  }

  /** Appends a value for each; what is not there is NULL. False where a value does not fit its type. */
  read(json: Readonly<Record<string, unknown>>, into: SqlValue[]): boolean {
    const fields = this.#fields;
    const first = into.length;
    for (let i = 0; i < fields.length; i++) into.push(null);
    for (const name in json) {
      const { column, exact } = this.#met.get(name) ?? this.#meet(name);
      if (column < 0 || (!exact && Object.hasOwn(json, fields[column]!.name))) continue;
      const found = json[name];
      if (found === null) continue;
      const value = fields[column]!.read(found);
      if (value === undefined) return false;
      into[first + column] = value;
    }
    return true;
  }

  #meet(name: string): Met {
    const upper = name.toUpperCase();
    const column = this.#fields.findIndex((field) => field.name.toUpperCase() === upper);
    const met = column < 0 ? NONE : { column, exact: false };
    if (this.#met.size < MOST_MET) this.#met.set(name, met);
    return met;
  }
}

/** Node reads base64 of any kind of text; only what it gives back the same was meant. */
export function base64Bytes(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '') ? bytes : undefined;
}
