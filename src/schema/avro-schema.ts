/**
 * Connect schema → Avro schema, the text that Confluent's AvroData (fromConnectSchema, connect.meta.data on,
 * enhanced schemas off) registers: the order of keys is Avro's own, so that two producers of one topic agree.
 */
import type { ConnectSchema, ConnectType } from './connect-schema.ts';

const PRIMITIVES: Readonly<Partial<Record<ConnectType, string>>> = {
  int8: 'int',
  int16: 'int',
  int32: 'int',
  int64: 'long',
  float: 'float',
  double: 'double',
  boolean: 'boolean',
  string: 'string',
  bytes: 'bytes',
};

const LOGICAL: ReadonlyMap<string, string> = new Map([
  ['org.apache.kafka.connect.data.Time', 'time-millis'],
  ['org.apache.kafka.connect.data.Timestamp', 'timestamp-millis'],
  ['org.apache.kafka.connect.data.Date', 'date'],
]);

const DECIMAL = 'org.apache.kafka.connect.data.Decimal';
/** What AvroData writes where Connect does not say. */
const DEFAULT_PRECISION = 64;

/**
 * JSON text. Records that occur twice are defined at the first place and named at the others; those in `referred`
 * are defined elsewhere, and named only.
 */
export function renderAvroSchema(schema: ConnectSchema, referred: ReadonlySet<string> = new Set()): string {
  return typeText(schema, { defined: new Set(referred), namespace: null, unnamed: 0 });
}

interface Context {
  /** Full names of the records that stand in the text already. */
  readonly defined: Set<string>;
  readonly namespace: string | null;
  unnamed: number;
}

/** Whether null is the first or the second branch of an optional value's union: its default must be of the first. */
export function nullComesFirst(schema: ConnectSchema): boolean {
  return schema.defaultJson === undefined;
}

function typeText(schema: ConnectSchema, context: Context): string {
  const base = baseText(schema, context);
  if (!schema.optional) return base;
  return nullComesFirst(schema) ? `["null",${base}]` : `[${base},"null"]`;
}

function baseText(schema: ConnectSchema, context: Context): string {
  const primitive = PRIMITIVES[schema.type];
  if (primitive !== undefined) {
    const properties = [...decimalProperties(schema), ...connectProperties(schema)];
    return properties.length === 0 ? `"${primitive}"` : `{"type":"${primitive}",${properties.join(',')}}`;
  }
  const properties = connectProperties(schema)
    .map((text) => `,${text}`)
    .join('');
  if (schema.type === 'array')
    return `{"type":"array","items":${typeText(schema.items!, context)}${properties}}`;
  if (schema.type === 'map')
    return `{"type":"map","values":${typeText(schema.items!, context)}${properties}}`;
  return recordText(schema, context, properties);
}

function recordText(schema: ConnectSchema, context: Context, properties: string): string {
  const fullName = schema.name ?? `io.confluent.connect.avro.ConnectDefault${++context.unnamed}`;
  const dot = fullName.lastIndexOf('.');
  const name = fullName.slice(dot + 1);
  const namespace = dot < 0 ? null : fullName.slice(0, dot);
  const inherited = namespace === context.namespace;
  if (context.defined.has(fullName)) return JSON.stringify(inherited ? name : fullName);
  context.defined.add(fullName);
  const inner: Context = { ...context, namespace };
  const fields = (schema.fields ?? []).map(({ field, schema: type }) => {
    const text = `{"name":${JSON.stringify(field)},"type":${typeText(type, inner)}`;
    const value = type.defaultJson === undefined ? null : defaultText(type);
    if (value !== null) return `${text},"default":${value}}`;
    return type.optional ? `${text},"default":null}` : `${text}}`;
  });
  const head = `{"type":"record","name":${JSON.stringify(name)}`;
  const space = inherited || namespace === null ? '' : `,"namespace":${JSON.stringify(namespace)}`;
  const beside = schema.mapEntry === true ? ',"connect.internal.type":"MapEntry"' : properties;
  return `${head}${space},"fields":[${fields.join(',')}]${beside}}`;
}

function decimalProperties(schema: ConnectSchema): string[] {
  if (schema.name !== DECIMAL) return [];
  const { scale, precision } = decimalDigits(schema);
  return [`"scale":${scale}`, `"precision":${precision}`];
}

function connectProperties(schema: ConnectSchema): string[] {
  const properties: string[] = [];
  const { doc, version, parameters, name } = schema;
  if (doc !== undefined) properties.push(`"connect.doc":${JSON.stringify(doc)}`);
  if (version !== undefined) properties.push(`"connect.version":${version}`);
  if (parameters !== undefined) properties.push(`"connect.parameters":${JSON.stringify(parameters)}`);
  const value = schema.defaultJson === undefined ? null : defaultText(schema);
  if (value !== null) properties.push(`"connect.default":${value}`);
  if (name !== undefined) properties.push(`"connect.name":${JSON.stringify(name)}`);
  if (schema.type === 'int8' || schema.type === 'int16') properties.push(`"connect.type":"${schema.type}"`);
  const logical = logicalType(schema);
  if (logical !== null) properties.push(`"logicalType":"${logical}"`);
  return properties;
}

function logicalType(schema: ConnectSchema): string | null {
  if (schema.name === undefined) return null;
  return schema.name === DECIMAL ? 'decimal' : (LOGICAL.get(schema.name) ?? null);
}

function decimalDigits({ parameters }: ConnectSchema): {
  readonly scale: number;
  readonly precision: number;
} {
  return {
    scale: Number(parameters?.['scale'] ?? 0),
    precision: Number(parameters?.['connect.decimal.precision'] ?? DEFAULT_PRECISION),
  };
}

/** A default as Avro has it: bytes are text with one character a byte. Null where JSON cannot say it. */
function defaultText(schema: ConnectSchema): string | null {
  const text = schema.defaultJson!;
  if (schema.type === 'bytes') {
    return JSON.stringify(Buffer.from(JSON.parse(text) as string, 'base64').toString('latin1'));
  }
  const special = (schema.type === 'float' || schema.type === 'double') && text.startsWith('"');
  return special ? null : text;
}
