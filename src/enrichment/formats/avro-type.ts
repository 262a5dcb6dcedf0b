/** Avro's schemas (1.11, https://avro.apache.org/docs/1.11.1/specification/) as far as reading records needs them. */

export type AvroType =
  | { readonly kind: 'null' }
  | { readonly kind: 'boolean' | 'float' | 'double' | 'string' }
  | { readonly kind: 'int' | 'long'; readonly logical: string | null }
  | { readonly kind: 'bytes'; readonly decimal: DecimalSize | null }
  | { readonly kind: 'fixed'; readonly size: number; readonly decimal: DecimalSize | null }
  | { readonly kind: 'enum'; readonly symbols: readonly string[] }
  | { readonly kind: 'array'; readonly items: AvroType }
  | { readonly kind: 'map'; readonly values: AvroType }
  | { readonly kind: 'union'; readonly branches: readonly AvroType[] }
  | AvroRecord;

export interface DecimalSize {
  readonly precision: number;
  readonly scale: number;
}

/** A record may hold itself. */
export interface AvroRecord {
  readonly kind: 'record';
  readonly name: string;
  readonly fields: readonly AvroField[];
  /** Key and value of a map, as Kafka Connect writes maps whose keys are not required text. */
  readonly mapEntry: boolean;
}

export interface AvroField {
  readonly name: string;
  readonly type: AvroType;
}

/** Of a text that is no schema. */
export class AvroSchemaError extends Error {}

/** Full names that a schema may use without defining them. */
export type AvroNames = Map<string, AvroType>;

/** `names` gains what the text defines. Throws AvroSchemaError. */
export function parseAvro(text: string, names: AvroNames = new Map()): AvroType {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new AvroSchemaError('the text is not JSON');
  }
  return parseType(json, { names, namespace: '', depth: 0 });
}

interface Context {
  readonly names: AvroNames;
  readonly namespace: string;
  /** Types around this one. */
  readonly depth: number;
}

/** Types within types: what the registry answers could otherwise fill the stack. */
const MOST_NESTED = 500;
/** Digits of a decimal. More than any column has, and few enough to reckon with. */
const MOST_DIGITS = 20_000;

type Json = Readonly<Record<string, unknown>>;

function parseType(json: unknown, around: Context): AvroType {
  const context = { ...around, depth: around.depth + 1 };
  if (context.depth > MOST_NESTED) throw new AvroSchemaError('types are nested too deeply');
  if (typeof json === 'string') return simpleType(json, {}, context);
  if (Array.isArray(json))
    return { kind: 'union', branches: json.map((branch: unknown) => parseType(branch, context)) };
  if (typeof json !== 'object' || json === null) throw new AvroSchemaError('a type is missing');
  const schema = json as Json;
  const { type } = schema;
  switch (type) {
    case 'record':
    case 'error':
      return recordType(schema, context);
    case 'enum': {
      if (!isTexts(schema['symbols'])) throw new AvroSchemaError('an enum has no symbols');
      return named(schema, { kind: 'enum', symbols: schema['symbols'] }, context);
    }
    case 'fixed': {
      const size = Number(schema['size']);
      if (!Number.isSafeInteger(size) || size < 0) throw new AvroSchemaError('a fixed has no size');
      return named(schema, { kind: 'fixed', size, decimal: decimalOf(schema) }, context);
    }
    case 'array':
      return { kind: 'array', items: parseType(schema['items'], context) };
    case 'map':
      return { kind: 'map', values: parseType(schema['values'], context) };
    default:
      return typeof type === 'string' ? simpleType(type, schema, context) : parseType(type, context);
  }
}

function isTexts(json: unknown): json is readonly string[] {
  return Array.isArray(json) && json.every((item) => typeof item === 'string');
}

/** A primitive, with what stands beside it, or the name of a type. */
function simpleType(name: string, beside: Json, { names, namespace }: Context): AvroType {
  switch (name) {
    case 'null':
    case 'boolean':
    case 'float':
    case 'double':
    case 'string':
      return { kind: name };
    case 'int':
    case 'long': {
      const logical = beside['logicalType'];
      return { kind: name, logical: typeof logical === 'string' ? logical : null };
    }
    case 'bytes':
      return { kind: 'bytes', decimal: decimalOf(beside) };
    default: {
      const known = names.get(fullName(name, namespace)) ?? names.get(name);
      if (known === undefined) throw new AvroSchemaError(`the type ${name} is not defined`);
      return known;
    }
  }
}

function decimalOf({ logicalType, precision, scale = 0 }: Json): DecimalSize | null {
  if (logicalType !== 'decimal') return null;
  const valid =
    Number.isSafeInteger(precision) &&
    Number.isSafeInteger(scale) &&
    Number(scale) >= 0 &&
    Number(precision) >= Number(scale) &&
    Number(precision) <= MOST_DIGITS;
  // One that is not valid is to be ignored, says the specification.
  return valid ? { precision: Number(precision), scale: Number(scale) } : null;
}

function recordType(schema: Json, context: Context): AvroType {
  const fields: AvroField[] = [];
  const name = nameOf(schema, context);
  const mapEntry =
    schema['connect.internal.type'] === 'MapEntry' || name === 'io.confluent.connect.avro.MapEntry';
  const record: AvroRecord = { kind: 'record', name, fields, mapEntry };
  // Before its fields, which may be of this very type.
  context.names.set(name, record);
  const listed: unknown = schema['fields'];
  if (!Array.isArray(listed)) throw new AvroSchemaError(`the record ${name} has no fields`);
  const inner: Context = {
    ...context,
    namespace: name.slice(0, Math.max(name.lastIndexOf('.'), 0)),
  };
  for (const field of listed as readonly (Json | null)[]) {
    const own = field?.['name'];
    if (typeof own !== 'string') throw new AvroSchemaError(`a field of the record ${name} has no name`);
    fields.push({ name: own, type: parseType(field?.['type'], inner) });
  }
  return record;
}

function named(schema: Json, type: AvroType, context: Context): AvroType {
  context.names.set(nameOf(schema, context), type);
  return type;
}

function nameOf({ name, namespace }: Json, context: Context): string {
  if (typeof name !== 'string') throw new AvroSchemaError('a record, enum or fixed has no name');
  return fullName(name, typeof namespace === 'string' ? namespace : context.namespace);
}

function fullName(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;
}
