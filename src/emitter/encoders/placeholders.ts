/**
 * What stands in a record for a value that the log does not hold, as JSON text: Debezium's typed forms of
 * `unavailable.value.placeholder`, and what it fills required fields and computed defaults with. Taken from
 * recordings (test/fixtures/goldens/postgres).
 */
import type { Column, ColumnType } from '../../model/table.ts';
import { type Profile, typeSchema } from '../../schema/column-schema.ts';
import type { ConnectSchema } from '../../schema/connect-schema.ts';

const PLACEHOLDER = '__debezium_unavailable_value';
const PLACEHOLDER_BASE64 = Buffer.from(PLACEHOLDER).toString('base64');
/** java.util.UUID.nameUUIDFromBytes of the placeholder. */
const PLACEHOLDER_UUID = 'b68a35a7-17ad-35b3-af2a-ae46edb4545a';

/**
 * For UNCHANGED. Where Debezium has no placeholder of the type it writes null, which would say NULL; there the
 * nearest of its forms is used. A header names the columns in any case.
 */
export function unavailableJson(column: Column, profile: Profile): string {
  return placeholderFor(column.type, typeSchema(column.type, profile), column.nullable);
}

function placeholderFor(type: ColumnType, schema: ConnectSchema, nullable: boolean): string {
  switch (schema.type) {
    case 'string':
      if (type.kind === 'hstore') return JSON.stringify(JSON.stringify({ [PLACEHOLDER]: PLACEHOLDER }));
      return JSON.stringify(PLACEHOLDER);
    case 'bytes':
      return JSON.stringify(PLACEHOLDER_BASE64);
    case 'array':
      return arrayPlaceholder(type, schema);
    case 'struct':
      return structPlaceholder(schema);
    default:
      // PostgreSQL never leaves out types of fixed size; Oracle does where supplemental logging lacks the column.
      return nullable ? 'null' : absentJson(schema);
  }
}

function arrayPlaceholder(type: ColumnType, schema: ConnectSchema): string {
  const { items } = schema;
  if (items === undefined || items.type === 'boolean') return '[]';
  // For numbers, dates and times Debezium lists the placeholder's characters.
  if (items.type.startsWith('int') || items.type === 'float' || items.type === 'double') {
    return JSON.stringify([...Buffer.from(PLACEHOLDER)]);
  }
  const element: ColumnType = type.kind === 'array' ? type.element : { kind: 'string' };
  if (element.kind === 'uuid') return JSON.stringify([PLACEHOLDER_UUID]);
  if (element.kind === 'hstore') return JSON.stringify([PLACEHOLDER]);
  return `[${placeholderFor(element, items, true)}]`;
}

function structPlaceholder(schema: ConnectSchema): string {
  const names = (schema.fields ?? []).map((f) => f.field);
  if (names.includes('scale')) return `{"scale":0,"value":"${PLACEHOLDER_BASE64}"}`;
  if (names.includes('x')) return absentJson(schema); // a point is never stored out of line
  return `{"wkb":"${PLACEHOLDER_BASE64}","srid":null}`;
}

/** For a required field that the row image does not hold: zero, the empty string, the epoch. */
export function absentJson(schema: ConnectSchema): string {
  switch (schema.name) {
    case 'io.debezium.time.ZonedTimestamp':
      return '"1970-01-01T00:00:00Z"';
    case 'io.debezium.time.ZonedTime':
      return '"00:00:00Z"';
    case 'org.apache.kafka.connect.data.Decimal':
      return '"AA=="';
    case 'io.debezium.data.VariableScaleDecimal':
      return '{"scale":0,"value":"AA=="}';
    case 'io.debezium.data.geometry.Point':
      return '{"x":0.0,"y":0.0,"wkb":"AQEAAAAAAAAAAAAAAAAAAAAAAAAA","srid":null}';
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
        .map((f) => `${JSON.stringify(f.field)}:${f.schema.optional ? 'null' : absentJson(f.schema)}`)
        .join(',')}}`;
    default:
      return '0';
  }
}

/** In a schema, for a default that the database computes. */
export function computedDefaultJson(schema: ConnectSchema): string {
  switch (schema.name) {
    case 'io.debezium.time.ZonedTimestamp':
      return '"1970-01-01T00:00:00.000000Z"';
    case 'io.debezium.data.Json':
      return '"{}"';
    case 'io.debezium.data.Uuid':
      return '"00000000-0000-0000-0000-000000000000"';
    default:
      return absentJson(schema);
  }
}
