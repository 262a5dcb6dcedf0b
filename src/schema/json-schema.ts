/**
 * Connect schema → JSON Schema (draft 7), as Confluent's JsonSchemaData (fromConnectSchema) has it: `title` is the
 * Connect name, `connect.index` the place of a field, and what may be null is `oneOf` null and the type.
 */
import type { ConnectSchema, ConnectType } from './connect-schema.ts';

const TYPES: Readonly<Record<ConnectType, string>> = {
  int8: 'integer',
  int16: 'integer',
  int32: 'integer',
  int64: 'integer',
  float: 'number',
  double: 'number',
  boolean: 'boolean',
  string: 'string',
  bytes: 'string',
  array: 'array',
  map: 'object',
  struct: 'object',
};

/** Types that JSON Schema does not tell apart; Connect's name for them. */
const CONNECT_TYPES: ReadonlyMap<ConnectType, string> = new Map([
  ['int8', 'int8'],
  ['int16', 'int16'],
  ['int32', 'int32'],
  ['int64', 'int64'],
  ['float', 'float32'],
  ['double', 'float64'],
  ['bytes', 'bytes'],
  ['map', 'map'],
]);

/** JSON text. */
export function renderJsonSchema(schema: ConnectSchema): string {
  return schemaText(schema, null);
}

function schemaText(schema: ConnectSchema, index: number | null): string {
  const place = index === null ? [] : [`"connect.index":${index}`];
  const parts = typeParts(schema);
  if (!schema.optional) return `{${[...parts, ...place].join(',')}}`;
  return `{${[`"oneOf":[{"type":"null"},{${parts.join(',')}}]`, ...place].join(',')}}`;
}

function typeParts(schema: ConnectSchema): string[] {
  const { name, version, doc, parameters, defaultJson, items, fields } = schema;
  const parts = [`"type":"${TYPES[schema.type]}"`];
  if (name !== undefined) parts.push(`"title":${JSON.stringify(name)}`);
  if (doc !== undefined) parts.push(`"description":${JSON.stringify(doc)}`);
  if (defaultJson !== undefined) parts.push(`"default":${defaultJson}`);
  if (version !== undefined) parts.push(`"connect.version":${version}`);
  if (parameters !== undefined) parts.push(`"connect.parameters":${JSON.stringify(parameters)}`);
  const connect = CONNECT_TYPES.get(schema.type);
  if (connect !== undefined) parts.push(`"connect.type":"${connect}"`);
  if (items !== undefined) {
    const key = schema.type === 'map' ? 'additionalProperties' : 'items';
    parts.push(`"${key}":${schemaText(items, null)}`);
  }
  if (fields !== undefined) {
    const properties = fields.map(
      ({ field, schema: type }, i) => `${JSON.stringify(field)}:${schemaText(type, i)}`,
    );
    parts.push(`"properties":{${properties.join(',')}}`);
  }
  return parts;
}
