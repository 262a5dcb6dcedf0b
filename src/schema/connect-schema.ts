/**
 * Kafka Connect's schema model, as far as change events need it, and its JSON form exactly as Connect's
 * JsonConverter writes it (`schemas.enable=true`): the order of keys is part of the form.
 */

export type ConnectType =
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'float'
  | 'double'
  | 'boolean'
  | 'string'
  | 'bytes'
  | 'array'
  | 'map'
  | 'struct';

export interface ConnectSchema {
  readonly type: ConnectType;
  readonly optional: boolean;
  /** Semantic type, e.g. `io.debezium.time.Date`; structs: the record's name. */
  readonly name?: string;
  readonly version?: number;
  readonly doc?: string;
  readonly parameters?: Readonly<Record<string, string>>;
  /** The default as the JSON text the value would have. */
  readonly defaultJson?: string;
  /** Of arrays, and the values of maps. */
  readonly items?: ConnectSchema;
  /** Of structs, in order. */
  readonly fields?: readonly ConnectField[];
  /** Structs: key and value of a map whose keys are not required text, as AvroData writes it. Avro alone asks. */
  readonly mapEntry?: true;
}

export interface ConnectField {
  readonly field: string;
  readonly schema: ConnectSchema;
}

/** JSON text of a schema; `field` is the name it has inside a struct. */
export function renderConnectSchema(schema: ConnectSchema, field?: string): string {
  const parts = [`"type":${JSON.stringify(schema.type)}`];
  if (schema.fields !== undefined) {
    parts.push(`"fields":[${schema.fields.map((f) => renderConnectSchema(f.schema, f.field)).join(',')}]`);
  }
  if (schema.items !== undefined) {
    if (schema.type === 'map') {
      parts.push('"keys":{"type":"string","optional":false}');
      parts.push(`"values":${renderConnectSchema(schema.items)}`);
    } else {
      parts.push(`"items":${renderConnectSchema(schema.items)}`);
    }
  }
  parts.push(`"optional":${schema.optional}`);
  if (schema.name !== undefined) parts.push(`"name":${JSON.stringify(schema.name)}`);
  if (schema.version !== undefined) parts.push(`"version":${schema.version}`);
  if (schema.doc !== undefined) parts.push(`"doc":${JSON.stringify(schema.doc)}`);
  if (schema.parameters !== undefined) parts.push(`"parameters":${JSON.stringify(schema.parameters)}`);
  if (schema.defaultJson !== undefined) parts.push(`"default":${schema.defaultJson}`);
  if (field !== undefined) parts.push(`"field":${JSON.stringify(field)}`);
  return `{${parts.join(',')}}`;
}

export const STRING: ConnectSchema = { type: 'string', optional: false };
export const OPTIONAL_STRING: ConnectSchema = { type: 'string', optional: true };
export const INT64: ConnectSchema = { type: 'int64', optional: false };
export const OPTIONAL_INT64: ConnectSchema = { type: 'int64', optional: true };

/** A struct from name and fields in order. */
export function struct(
  head: { readonly name: string; readonly version?: number; readonly optional?: boolean },
  fields: readonly (readonly [field: string, schema: ConnectSchema])[],
): ConnectSchema {
  return {
    type: 'struct',
    optional: head.optional ?? false,
    name: head.name,
    ...(head.version === undefined ? {} : { version: head.version }),
    fields: fields.map(([field, schema]) => ({ field, schema })),
  };
}
