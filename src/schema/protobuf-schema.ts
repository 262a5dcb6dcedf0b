/**
 * Connect schema → Protobuf (proto3), as Confluent's ProtobufData (fromConnectSchema) has it with
 * `optional.for.nullables` on, without which null and zero would be the same: one message a file, those it
 * consists of nested in it, fields numbered in order, Connect's logical types as messages of their own.
 */
import { HeadwaterError } from '../errors/headwater-error.ts';
import type { ConnectSchema, ConnectType } from './connect-schema.ts';

const SCALARS: Readonly<Partial<Record<ConnectType, string>>> = {
  int8: 'int32',
  int16: 'int32',
  int32: 'int32',
  int64: 'int64',
  float: 'float',
  double: 'double',
  boolean: 'bool',
  string: 'string',
  bytes: 'bytes',
};

export const CONNECT_DECIMAL = 'org.apache.kafka.connect.data.Decimal';

const DECIMAL = { type: 'confluent.type.Decimal', file: 'confluent/type/decimal.proto' };
const META = 'confluent/meta.proto';

interface File {
  readonly imports: Set<string>;
}

/** Text of a `.proto` file whose first message is the schema. */
export function renderProtobufSchema(schema: ConnectSchema): string {
  const fullName = schema.name ?? 'ConnectDefault1';
  const dot = fullName.lastIndexOf('.');
  const file: File = { imports: new Set() };
  const message = messageText(schema, fullName.slice(dot + 1), { file, indent: '' });
  const lines = ['syntax = "proto3";'];
  if (dot >= 0) lines.push(`package ${fullName.slice(0, dot)};`);
  lines.push('', ...[...file.imports].sort().map((path) => `import "${path}";`));
  if (file.imports.size > 0) lines.push('');
  return `${lines.join('\n')}${message}`;
}

/** Name of the message type of a nested struct; a field cannot have the same. */
function messageName(schema: ConnectSchema, field: string): string {
  const name = (schema.name ?? 'ConnectDefault').split('.').at(-1)!;
  return name === field ? `${name}Message` : name;
}

interface Context {
  readonly file: File;
  readonly indent: string;
}

function messageText(schema: ConnectSchema, name: string, { file, indent }: Context): string {
  const inner = `${indent}  `;
  const nested = new Map<string, string>();
  const lines: string[] = [];
  for (const [i, { field, schema: type }] of (schema.fields ?? []).entries()) {
    lines.push(`${inner}${fieldText(type, { field, number: i + 1, nested, file, indent: inner })}`);
  }
  return `${indent}message ${name} {\n${lines.join('\n')}\n${[...nested.values()].map((text) => `\n${text}`).join('')}${indent}}\n`;
}

interface FieldContext extends Context {
  readonly field: string;
  readonly number: number;
  /** Messages that the one under way defines: name → text. */
  readonly nested: Map<string, string>;
}

function fieldText(schema: ConnectSchema, context: FieldContext): string {
  const { field, number } = context;
  if (schema.type === 'map') return `map<string, ${typeText(schema.items!, context)}> ${field} = ${number};`;
  const repeated = schema.type === 'array';
  const value = repeated ? schema.items! : schema;
  if (value.type === 'array') {
    throw new HeadwaterError(
      'schema.value-unrepresentable',
      `The column ${field} is an array of arrays, which Protobuf does not have.`,
      { details: { column: field } },
    );
  }
  const label = repeated ? 'repeated ' : schema.optional ? 'optional ' : '';
  return `${label}${typeText(value, context)} ${field} = ${number}${metaText(value, context)};`;
}

function typeText(schema: ConnectSchema, context: FieldContext): string {
  if (schema.name === CONNECT_DECIMAL) {
    context.file.imports.add(DECIMAL.file);
    return DECIMAL.type;
  }
  const scalar = SCALARS[schema.type];
  if (scalar !== undefined) return scalar;
  const name = messageName(schema, context.field);
  if (!context.nested.has(name)) context.nested.set(name, messageText(schema, name, context));
  return name;
}

/** What Connect knows of a field and Protobuf has no word for. */
function metaText(schema: ConnectSchema, { file }: FieldContext): string {
  const params: string[] = [];
  if (schema.name === CONNECT_DECIMAL) {
    const { parameters = {} } = schema;
    const precision = parameters['connect.decimal.precision'];
    if (precision !== undefined) params.push(`{ key: "precision", value: "${precision}" }`);
    params.push(`{ key: "scale", value: "${parameters['scale'] ?? '0'}" }`);
  } else if (schema.type === 'int8' || schema.type === 'int16') {
    params.push(`{ key: "connect.type", value: "${schema.type}" }`);
  }
  if (params.length === 0) return '';
  file.imports.add(META);
  return ` [(confluent.field_meta) = { params: [${params.join(', ')}] }]`;
}
