/**
 * One form for the values of a Connect schema, whatever they were read from: integers are bigint, floats numbers,
 * bytes hexadecimal text, null where there is none.
 */
import avsc from 'avsc';
import type { JsonTree } from '../../src/emitter/encoders/connect-json.ts';
import type { ConnectSchema } from '../../src/schema/connect-schema.ts';

export type Tree =
  null | boolean | bigint | number | string | readonly Tree[] | { readonly [field: string]: Tree };

/** From the JSON that Connect's converter writes. */
export function treeOfJson(schema: ConnectSchema, json: JsonTree): Tree {
  if (json === null) return null;
  switch (schema.type) {
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
      return BigInt(json as number | bigint);
    case 'float':
      return Math.fround(Number(json));
    case 'double':
      return Number(json);
    case 'bytes':
      return Buffer.from(json as string, 'base64').toString('hex');
    case 'array':
      return (json as readonly JsonTree[]).map((item) => treeOfJson(schema.items!, item));
    case 'map':
      return entries(json as Record<string, JsonTree>, (item) => treeOfJson(schema.items!, item));
    case 'struct':
      return struct(schema, (field, type) =>
        treeOfJson(type, (json as Record<string, JsonTree>)[field] ?? null),
      );
    default:
      return json;
  }
}

/** From what avsc makes of Avro with unions wrapped: `{"int": 1}`. */
export function treeOfAvro(schema: ConnectSchema, value: unknown): Tree {
  if (value === null) return null;
  if (schema.optional) {
    const [branch] = Object.values(value as Record<string, unknown>);
    return treeOfAvro({ ...schema, optional: false }, branch);
  }
  switch (schema.type) {
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
      return BigInt(value as number | bigint);
    case 'bytes':
      return (value as Buffer).toString('hex');
    case 'array':
      return (value as unknown[]).map((item) => treeOfAvro(schema.items!, item));
    case 'map':
      return entries(value as Record<string, unknown>, (item) => treeOfAvro(schema.items!, item));
    case 'struct':
      return struct(schema, (field, type) => treeOfAvro(type, (value as Record<string, unknown>)[field]));
    default:
      return value as boolean | number | string;
  }
}

function struct(schema: ConnectSchema, of: (field: string, type: ConnectSchema) => Tree): Tree {
  return Object.fromEntries((schema.fields ?? []).map(({ field, schema: type }) => [field, of(field, type)]));
}

function entries<T>(object: Readonly<Record<string, T>>, of: (item: T) => Tree): Tree {
  return Object.fromEntries(Object.entries(object).map(([name, item]) => [name, of(item)]));
}

const LONG = avsc.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (n: bigint) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(n);
    return buffer;
  },
  fromJSON: BigInt,
  toJSON: String,
  isValid: (n: unknown) => typeof n === 'bigint',
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
});

/** avsc's reader of a schema, an implementation of Avro that is not ours. */
export function avscType(schemaText: string): avsc.Type {
  return avsc.Type.forSchema(JSON.parse(schemaText) as avsc.Schema, {
    wrapUnions: true,
    // Also where it has properties; avsc's own long loses precision past 2^52.
    typeHook: (schema) =>
      typeof schema === 'object' && 'type' in schema && schema.type === 'long' ? LONG : undefined,
    registry: { long: LONG },
  });
}

/** What a required field has that is not in the message, as proto3 defines it. */
const ZEROS: Readonly<Partial<Record<ConnectSchema['type'], Tree>>> = {
  int8: 0n,
  int16: 0n,
  int32: 0n,
  int64: 0n,
  float: 0,
  double: 0,
  boolean: false,
  string: '',
  bytes: '',
};

/** From what protobufjs makes of a message: absent fields are null, 64 bits are text. */
export function treeOfProtobuf(schema: ConnectSchema, value: unknown): Tree {
  if (value === undefined || value === null) return schema.optional ? null : (ZEROS[schema.type] ?? null);
  if (schema.name === 'org.apache.kafka.connect.data.Decimal') {
    return Buffer.from((value as { readonly value?: Uint8Array }).value ?? []).toString('hex');
  }
  switch (schema.type) {
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
      return BigInt(value as number | string);
    case 'bytes':
      return Buffer.from(value as Uint8Array).toString('hex');
    case 'array':
      return (value as unknown[]).map((item) => treeOfProtobuf(schema.items!, item));
    case 'map':
      return entries(value as Record<string, unknown>, (item) => treeOfProtobuf(schema.items!, item));
    case 'struct':
      return struct(schema, (field, type) => treeOfProtobuf(type, (value as Record<string, unknown>)[field]));
    default:
      return value as boolean | number | string;
  }
}
