/**
 * The Connect schema of a column, in both profiles.
 *
 * - `debezium`: the semantic types of Debezium 3.2.0.Final with its default settings (decimal.handling.mode
 *   precise, time.precision.mode adaptive, interval numeric, hstore json, binary bytes).
 * - `safe`: decimals as strings, dates and times as ISO 8601 strings, so that nothing needs decoding.
 */
import type { Column, ColumnType } from '../model/table.ts';
import type { ConnectSchema } from './connect-schema.ts';

export type Profile = 'debezium' | 'safe';

/** Debezium's struct for decimals without a declared scale. */
const VARIABLE_SCALE_DECIMAL: ConnectSchema = {
  type: 'struct',
  optional: false,
  name: 'io.debezium.data.VariableScaleDecimal',
  version: 1,
  doc: 'Variable scaled decimal',
  fields: [
    { field: 'scale', schema: { type: 'int32', optional: false } },
    { field: 'value', schema: { type: 'bytes', optional: false } },
  ],
};

const POINT: ConnectSchema = {
  type: 'struct',
  optional: false,
  name: 'io.debezium.data.geometry.Point',
  version: 1,
  doc: 'Geometry (POINT)',
  fields: [
    { field: 'x', schema: { type: 'double', optional: false } },
    { field: 'y', schema: { type: 'double', optional: false } },
    { field: 'wkb', schema: { type: 'bytes', optional: true } },
    { field: 'srid', schema: { type: 'int32', optional: true } },
  ],
};

/** The schema of a column's values without its default, required. */
export function typeSchema(type: ColumnType, profile: Profile): ConnectSchema {
  switch (type.kind) {
    case 'boolean':
    case 'int8':
    case 'int16':
    case 'int32':
    case 'int64':
    case 'string':
    case 'bytes':
      return { type: type.kind, optional: false };
    case 'uint64':
      return { type: unsignedAsText(type, profile) ? 'string' : 'int64', optional: false };
    case 'year':
      return semantic('int32', 'io.debezium.time.Year');
    case 'float32':
      return { type: 'float', optional: false };
    case 'float64':
      return { type: 'double', optional: false };
    case 'json':
    case 'hstore':
      return semantic('string', 'io.debezium.data.Json');
    case 'xml':
      return semantic('string', 'io.debezium.data.Xml');
    case 'zonedtimestamp':
      return semantic('string', 'io.debezium.time.ZonedTimestamp');
    case 'uuid':
      return semantic('string', 'io.debezium.data.Uuid');
    case 'ltree':
      return semantic('string', 'io.debezium.data.Ltree');
    case 'tsvector': // left out by Debezium 3.2; its later name for it would surprise consumers of 3.2
      return { type: 'string', optional: false };
    case 'enum':
      return semantic('string', 'io.debezium.data.Enum', { allowed: allowed(type) });
    case 'set':
      return semantic('string', 'io.debezium.data.EnumSet', { allowed: allowed(type) });
    case 'bits':
      return semantic('bytes', 'io.debezium.data.Bits', { length: String(type.length ?? 2_147_483_647) });
    case 'decimal':
      return decimalSchema(type.precision, type.scale, profile);
    case 'date':
    case 'time':
    case 'timetz':
    case 'duration':
    case 'timestamp':
    case 'timestamptz':
    case 'interval':
      return profile === 'safe'
        ? isoSchema(type.kind)
        : temporalSchema(type.kind, 'precision' in type ? type.precision : null);
    case 'point':
      return POINT;
    case 'geometry':
      return geometrySchema('Geometry');
    case 'geography':
      return geometrySchema('Geography');
    case 'vector':
      return type.element === 'float32'
        ? vectorSchema('io.debezium.data.FloatVector', 'float')
        : vectorSchema('io.debezium.data.DoubleVector', 'double');
    case 'array':
      return {
        type: 'array',
        optional: false,
        items: { ...typeSchema(type.element, profile), optional: true },
      };
  }
}

/**
 * Whether a column's field may be null. A key column keeps what the table says. Columns that Debezium leaves out
 * are optional, so that a consumer's table requires the same columns as with Debezium.
 */
export function isOptional(column: Column, inKey: boolean, profile: Profile): boolean {
  if (profile === 'safe') return !inKey || column.nullable;
  return column.nullable || (!inKey && column.opaque === true);
}

function semantic(
  type: ConnectSchema['type'],
  name: string,
  parameters?: Readonly<Record<string, string>>,
): ConnectSchema {
  return { type, optional: false, name, version: 1, ...(parameters === undefined ? {} : { parameters }) };
}

/** `safe` needs every value exactly; so does the operator who asks for it. */
export function unsignedAsText(type: ColumnType & { readonly kind: 'uint64' }, profile: Profile): boolean {
  return profile === 'safe' || type.overflow === 'string';
}

function allowed({ values, escaped }: ColumnType & { readonly kind: 'enum' | 'set' }): string {
  return (escaped === true ? values.map((value) => value.replaceAll(',', '\\,')) : values).join(',');
}

function decimalSchema(precision: number | null, scale: number | null, profile: Profile): ConnectSchema {
  if (profile === 'safe') return { type: 'string', optional: false };
  if (scale === null) return VARIABLE_SCALE_DECIMAL;
  return semantic('bytes', 'org.apache.kafka.connect.data.Decimal', {
    scale: String(scale),
    ...(precision === null ? {} : { 'connect.decimal.precision': String(precision) }),
  });
}

type Temporal = 'date' | 'time' | 'timetz' | 'duration' | 'timestamp' | 'timestamptz' | 'interval';

function temporalSchema(kind: Temporal, precision: number | null): ConnectSchema {
  const milliseconds = precision !== null && precision <= 3;
  switch (kind) {
    case 'date':
      return semantic('int32', 'io.debezium.time.Date');
    case 'time':
      return milliseconds
        ? semantic('int32', 'io.debezium.time.Time')
        : semantic('int64', 'io.debezium.time.MicroTime');
    case 'timetz':
      return semantic('string', 'io.debezium.time.ZonedTime');
    case 'duration':
      return semantic('int64', 'io.debezium.time.MicroTime');
    case 'timestamp':
      if (precision !== null && precision > 6) return semantic('int64', 'io.debezium.time.NanoTimestamp');
      return semantic(
        'int64',
        milliseconds ? 'io.debezium.time.Timestamp' : 'io.debezium.time.MicroTimestamp',
      );
    case 'timestamptz':
      return semantic('string', 'io.debezium.time.ZonedTimestamp');
    case 'interval':
      return semantic('int64', 'io.debezium.time.MicroDuration');
  }
}

/** Dates and times carry no semantic name in `safe`: Debezium's own ISO names mean forms with a zone. */
function isoSchema(kind: Temporal): ConnectSchema {
  switch (kind) {
    case 'timestamp':
      return semantic('string', 'io.debezium.time.IsoTimestamp');
    case 'timestamptz':
      return semantic('string', 'io.debezium.time.ZonedTimestamp');
    case 'interval':
      return semantic('string', 'io.debezium.time.Interval');
    default:
      return { type: 'string', optional: false };
  }
}

function geometrySchema(name: 'Geometry' | 'Geography'): ConnectSchema {
  return {
    type: 'struct',
    optional: false,
    name: `io.debezium.data.geometry.${name}`,
    version: 1,
    doc: name,
    fields: [
      { field: 'wkb', schema: { type: 'bytes', optional: false } },
      { field: 'srid', schema: { type: 'int32', optional: true } },
    ],
  };
}

function vectorSchema(name: string, element: 'float' | 'double'): ConnectSchema {
  return { type: 'array', optional: false, name, version: 1, items: { type: element, optional: false } };
}
