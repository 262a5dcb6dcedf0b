/** What differs between two schemas of a subject, for people: one line a field, whatever the format. */
import type { SchemaText } from './named-schema.ts';

/** `Value.qty: int → string`, `Value.note: added (null|string)`, `Value.old: removed`; none where only texts differ. */
export function schemaDifference(before: SchemaText, after: SchemaText): readonly string[] {
  if (before.type !== after.type) return [`format: ${before.type} → ${after.type}`];
  const was = fieldsOf(before);
  const is = fieldsOf(after);
  const lines: string[] = [];
  for (const [field, type] of was) {
    const now = is.get(field);
    if (now === undefined) lines.push(`${field}: removed (${type})`);
    else if (now !== type) lines.push(`${field}: ${type} → ${now}`);
  }
  for (const [field, type] of is) if (!was.has(field)) lines.push(`${field}: added (${type})`);
  return lines;
}

/** Record and field → type; empty where the text cannot be read. */
function fieldsOf({ type, text }: SchemaText): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  if (type === 'PROTOBUF') {
    protobufFields(text, fields);
    return fields;
  }
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch {
    return fields;
  }
  if (type === 'AVRO') avroType(schema, fields);
  else jsonType(schema, '', fields);
  return fields;
}

interface Json {
  readonly [key: string]: unknown;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function avroType(schema: unknown, fields: Map<string, string>): string {
  if (typeof schema === 'string') return schema;
  if (Array.isArray(schema)) return schema.map((branch) => avroType(branch, fields)).join('|');
  if (!isObject(schema)) return 'unknown';
  const { type, name } = schema;
  if (type === 'array') return `array of ${avroType(schema['items'], fields)}`;
  if (type === 'map') return `map of ${avroType(schema['values'], fields)}`;
  if (Array.isArray(schema['fields'])) {
    for (const field of schema['fields'].filter(isObject)) {
      const has = 'default' in field ? ` = ${JSON.stringify(field['default'])}` : '';
      fields.set(`${textOf(name)}.${textOf(field['name'])}`, avroType(field['type'], fields) + has);
    }
    return textOf(name);
  }
  const semantic = schema['connect.name'] ?? schema['logicalType'];
  const digits =
    schema['logicalType'] === 'decimal' ? `(${textOf(schema['precision'])},${textOf(schema['scale'])})` : '';
  return semantic === undefined ? textOf(type) : `${textOf(type)} ${textOf(semantic)}${digits}`;
}

function jsonType(schema: unknown, path: string, fields: Map<string, string>): string {
  if (!isObject(schema)) return 'unknown';
  const { oneOf, type, title, properties } = schema;
  if (Array.isArray(oneOf)) return oneOf.map((branch) => jsonType(branch, path, fields)).join('|');
  if (isObject(properties)) {
    const prefix = path === '' ? '' : `${path}.`;
    for (const [name, property] of Object.entries(properties)) {
      fields.set(prefix + name, jsonType(property, prefix + name, fields));
    }
    return title === undefined ? 'object' : textOf(title);
  }
  if (type === 'array') return `array of ${jsonType(schema['items'], path, fields)}`;
  return `${textOf(schema['connect.type'] ?? type)}${title === undefined ? '' : ` ${textOf(title)}`}`;
}

/** Of text as protobuf-schema.ts writes it, and as registries give it back: a statement a line. */
function protobufFields(text: string, fields: Map<string, string>): void {
  const open: string[] = [];
  for (const line of text.split(/(?<=[{};])/)) {
    const statement = line.replaceAll(/\s+/g, ' ').trim();
    const message = /message (\w+) \{$/.exec(statement);
    if (message !== null) open.push(message[1]!);
    else if (statement.endsWith('{')) open.push('');
    else if (statement.startsWith('}')) open.pop();
    const field = /^(?:\} ?)?((?:optional |repeated )?[\w.<>, ]+?) (\w+) = (\d+)/.exec(statement);
    if (field !== null) fields.set(`${open.at(-1) ?? ''}.${field[2]}`, `${field[1]} = ${field[3]}`);
  }
}
