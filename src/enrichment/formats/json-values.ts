/** JSON values → SQL values, as lenient as ksqlDB: text for numbers, anything for text. */
import { explicit } from '../sql/cast.ts';
import { type SqlType, STRING } from '../sql/sql-type.ts';
import { bigintValue, type SqlValue } from '../sql/value.ts';
import { ExactNumber, jsonText } from './exact-json.ts';

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
    case 'TIMESTAMP':
      return (json) => {
        const n = json instanceof ExactNumber ? Number(json.text) : json;
        return typeof n === 'number' ? (Number.isSafeInteger(n) ? n : undefined) : fromText(n);
      };
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
  /** Spellings it was found under: most writers keep to one. */
  readonly spellings: string[];
  readonly read: JsonReader;
}

const MOST_SPELLINGS = 4;

/** The named fields of an object, in their order. Names match exactly, or else whatever their case. */
export class FieldReader {
  readonly #fields: readonly Field[];

  constructor(fields: readonly { readonly name: string; readonly type: SqlType }[]) {
    this.#fields = fields.map(({ name, type }) => ({ name, spellings: [name], read: jsonReader(type) }));
  }

  /** Appends a value for each; what is not there is NULL. False where a value does not fit its type. */
  read(json: Readonly<Record<string, unknown>>, into: SqlValue[]): boolean {
    for (const field of this.#fields) {
      const found = fieldOf(json, field);
      const value = found === null || found === undefined ? null : field.read(found);
      if (value === undefined) return false;
      into.push(value);
    }
    return true;
  }
}

function fieldOf(json: Readonly<Record<string, unknown>>, { name, spellings }: Field): unknown {
  for (const spelling of spellings) if (Object.hasOwn(json, spelling)) return json[spelling];
  for (const key of Object.keys(json)) {
    if (key.length !== name.length || key.toUpperCase() !== name.toUpperCase()) continue;
    if (spellings.length < MOST_SPELLINGS) spellings.push(key);
    return json[key];
  }
  return null;
}

/** Node reads base64 of any kind of text; only what it gives back the same was meant. */
function base64Bytes(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '') ? bytes : undefined;
}
