/** Columns of results in Avro: the schema that ksqlDB registers for them, and one writer a column. */
import type { BinaryWriter } from '../../emitter/encoders/binary-writer.ts';
import { bigBytes } from '../../emitter/encoders/decimal-bytes.ts';
import type { ConnectSchema, ConnectType } from '../../schema/connect-schema.ts';
import { type Decimal, rescale } from '../sql/decimal.ts';
import type { DecimalType, SqlType } from '../sql/sql-type.ts';
import type { SqlValue } from '../sql/value.ts';
import type { Spelling } from './value-json.ts';

export interface AvroColumn {
  /** As the field is called. */
  readonly label: string;
  readonly type: SqlType;
}

const CONNECT = 'org.apache.kafka.connect.data';

const TYPES: Readonly<Partial<Record<SqlType['kind'], ConnectType>>> = {
  BOOLEAN: 'boolean',
  INTEGER: 'int32',
  BIGINT: 'int64',
  DOUBLE: 'double',
  STRING: 'string',
  BYTES: 'bytes',
  DATE: 'int32',
  TIME: 'int32',
  TIMESTAMP: 'int64',
};

const LOGICAL: Readonly<Partial<Record<SqlType['kind'], string>>> = {
  DATE: `${CONNECT}.Date`,
  TIME: `${CONNECT}.Time`,
  TIMESTAMP: `${CONNECT}.Timestamp`,
};

/**
 * The schema as ksqlDB makes it (AvroSchemas): every field may be null, nested records are called after the path to
 * them, and maps are arrays of entries.
 */
export function avroSchema(
  columns: readonly AvroColumn[],
  { name, bare, spelling }: { readonly name: string; readonly bare: boolean; readonly spelling: Spelling },
): ConnectSchema {
  const [only] = columns;
  if (bare && only !== undefined) return connectSchema(only.type, { name, optional: false, spelling });
  const fields = columns.map(({ label, type }) => ({
    field: label,
    schema: connectSchema(type, { name: `${name}_${label}`, optional: true, spelling }),
  }));
  return { type: 'struct', optional: false, name, fields };
}

interface Naming {
  readonly name: string;
  readonly optional: boolean;
  readonly spelling: Spelling;
}

function connectSchema(type: SqlType, naming: Naming): ConnectSchema {
  const { name, optional, spelling } = naming;
  const inner = (part: string | null): Naming => ({
    name: part === null ? name : `${name}_${part}`,
    optional: true,
    spelling,
  });
  switch (type.kind) {
    case 'DECIMAL':
      return decimalSchema(type, optional);
    case 'ARRAY':
      return { type: 'array', optional, items: connectSchema(type.element, inner(null)) };
    case 'MAP': {
      const fields = [
        { field: 'key', schema: connectSchema(type.key, inner('MapKey')) },
        { field: 'value', schema: connectSchema(type.value, inner('MapValue')) },
      ];
      const entry: ConnectSchema = { type: 'struct', optional: false, name, fields, mapEntry: true };
      return { type: 'array', optional, name, items: entry };
    }
    case 'STRUCT': {
      const fields = type.fields.map((field) => {
        const label = spelling(field.name);
        return { field: label, schema: connectSchema(field.type, inner(label)) };
      });
      return { type: 'struct', optional, name, fields };
    }
    default: {
      const logical = LOGICAL[type.kind];
      const connect = TYPES[type.kind] ?? 'string';
      return { type: connect, optional, ...(logical === undefined ? {} : { name: logical, version: 1 }) };
    }
  }
}

function decimalSchema({ precision, scale }: DecimalType, optional: boolean): ConnectSchema {
  if (precision === null) throw new TypeError('A DECIMAL of no declared size has no Avro type.');
  const parameters = { scale: String(scale), 'connect.decimal.precision': String(precision) };
  return { type: 'bytes', optional, name: `${CONNECT}.Decimal`, version: 1, parameters };
}

export type WriteAvro = (value: SqlValue, out: BinaryWriter) => void;

/** Indexes of the branches of `["null", …]` as they are written. */
const NULL = 0;
const PRESENT = 2;

/** Of a field, which may be null. */
export function optionalWriter(type: SqlType): WriteAvro {
  const write = requiredWriter(type);
  return (value, out) => {
    if (value === null) {
      out.byte(NULL);
      return;
    }
    out.byte(PRESENT);
    write(value, out);
  };
}

/** Never called with null. Static types make the casts in here sound. */
export function requiredWriter(type: SqlType): WriteAvro {
  switch (type.kind) {
    case 'BOOLEAN':
      return (value, out) => out.byte(value === true ? 1 : 0);
    case 'DOUBLE':
      return (value, out) => out.double(value as number);
    case 'STRING':
      return (value, out) => out.string(value as string, 1);
    case 'BYTES':
      return (value, out) => out.blob(value as Uint8Array, 1);
    case 'DECIMAL': {
      const { scale } = type;
      return (value, out) => {
        const decimal = value as Decimal;
        const { coefficient } = scale === null ? decimal : rescale(decimal, scale);
        const n = Number(coefficient);
        if (Number.isSafeInteger(n)) out.twosComplement(n, 1);
        else out.blob(bigBytes(coefficient), 1);
      };
    }
    case 'ARRAY': {
      const item = optionalWriter(type.element);
      return (value, out) => {
        const items = value as readonly SqlValue[];
        if (items.length > 0) out.length(items.length, 1);
        for (const each of items) item(each, out);
        out.byte(0);
      };
    }
    case 'MAP': {
      const writeKey = optionalWriter(type.key);
      const writeValue = optionalWriter(type.value);
      return (value, out) => {
        const map = value as ReadonlyMap<SqlValue, SqlValue>;
        if (map.size > 0) out.length(map.size, 1);
        for (const [key, each] of map) {
          writeKey(key, out);
          writeValue(each, out);
        }
        out.byte(0);
      };
    }
    case 'STRUCT': {
      const fields = type.fields.map((field) => optionalWriter(field.type));
      return (value, out) => {
        const values = value as readonly SqlValue[];
        for (let i = 0; i < fields.length; i++) fields[i]!(values[i] ?? null, out);
      };
    }
    default:
      return (value, out) => {
        if (typeof value === 'bigint') out.zigzagBig(value);
        else out.zigzag(value as number);
      };
  }
}
