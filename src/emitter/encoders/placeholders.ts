/**
 * What stands in a record for a value that the log does not hold, per column type, as JSON text:
 * Debezium's `unavailable.value.placeholder` in its typed forms (PostgresValueConverter, unchanged TOAST), and
 * the values it fills required fields with.
 */
import type { Column, ColumnType } from '../../model/table.ts';
import { type Profile, typeSchema } from '../../schema/column-schema.ts';
import type { ConnectSchema } from '../../schema/connect-schema.ts';

const PLACEHOLDER = '__debezium_unavailable_value';
const PLACEHOLDER_BASE64 = Buffer.from(PLACEHOLDER).toString('base64');

/** For UNCHANGED. */
export function unavailableJson(column: Column, profile: Profile): string {
  return placeholderFor(column.type, typeSchema(column.type, column.nativeType, profile));
}

function placeholderFor(type: ColumnType, schema: ConnectSchema): string {
  switch (schema.type) {
    case 'string':
      if (type.kind === 'hstore') return JSON.stringify(JSON.stringify({ [PLACEHOLDER]: PLACEHOLDER }));
      return JSON.stringify(PLACEHOLDER);
    case 'bytes':
      return JSON.stringify(PLACEHOLDER_BASE64);
    case 'array':
      return arrayPlaceholder(type, schema);
    case 'struct':
      // Only numerics of more than a thousand digits and geometries get here.
      return schema.fields?.some((f) => f.field === 'wkb')
        ? `{"wkb":"${PLACEHOLDER_BASE64}","srid":null}`
        : `{"scale":0,"value":"${PLACEHOLDER_BASE64}"}`;
    default:
      return zeroJson(schema);
  }
}

function arrayPlaceholder(type: ColumnType, schema: ConnectSchema): string {
  const items = schema.items;
  if (items === undefined) return '[]';
  const numbers = items.type.startsWith('int') || items.type === 'float' || items.type === 'double';
  // Debezium's sentinel for arrays of numbers: the placeholder's characters, one by one.
  if (numbers) return JSON.stringify([...Buffer.from(PLACEHOLDER)]);
  const element: ColumnType = type.kind === 'array' ? type.element : { kind: 'string' };
  return `[${placeholderFor(element, items)}]`;
}

/** What Debezium writes for a required field without a value: zero, the empty string, the epoch. */
export function zeroJson(schema: ConnectSchema): string {
  switch (schema.name) {
    case 'io.debezium.time.ZonedTimestamp':
      return '"1970-01-01T00:00:00.000000Z"';
    case 'io.debezium.time.ZonedTime':
      return '"00:00:00Z"';
    case 'io.debezium.data.Json':
      return '"{}"';
    case 'org.apache.kafka.connect.data.Decimal':
      return '"AA=="';
    case 'io.debezium.data.VariableScaleDecimal':
      return '{"scale":0,"value":"AA=="}';
    default:
  }
  switch (schema.type) {
    case 'boolean':
      return 'false';
    case 'string':
    case 'bytes':
      return '""';
    case 'array':
      return '[]';
    case 'struct':
      return `{${(schema.fields ?? [])
        .map((f) => `${JSON.stringify(f.field)}:${f.schema.optional ? 'null' : zeroJson(f.schema)}`)
        .join(',')}}`;
    default:
      return '0';
  }
}
