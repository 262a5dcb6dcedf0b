/** Columns of captured tables as their records hold them, and as statements see them. */
import type { ColumnType } from '../../model/table.ts';
import { type Profile, typeSchema } from '../../schema/column-schema.ts';
import type { ConnectSchema } from '../../schema/connect-schema.ts';
import { columnType } from '../sources/captured-columns.ts';
import type { SqlType } from '../sql/sql-type.ts';
import { flinkType, floorDivided, millisOfIso, NoEqual } from './flink-text.ts';

export interface WireColumn {
  /** Flink's type of the field. */
  readonly type: string;
  /** The field's value as the type that statements know. */
  readonly read: (field: string) => string;
}

export interface WireOptions {
  readonly profile: Profile;
  readonly avro: boolean;
}

const asIs = (type: string): WireColumn => ({ type, read: (field) => field });

/** Throws NoEqual. */
export function wireColumn(type: ColumnType, options: WireOptions): WireColumn {
  if (type.kind === 'uint64' && type.overflow === 'wrap' && options.profile === 'debezium')
    throw new NoEqual('an unsigned number that wraps around has no equal');
  return fieldOf(typeSchema(type, options.profile), columnType(type), options);
}

function fieldOf(schema: ConnectSchema, type: SqlType, options: WireOptions): WireColumn {
  switch (schema.name) {
    case 'org.apache.kafka.connect.data.Decimal':
      if (options.avro) return asIs(flinkType(type));
      throw new NoEqual(
        'a DECIMAL is base64 there, which Flink cannot read; write it as text with emit.profile: safe',
      );
    case 'io.debezium.time.Date':
    case 'io.debezium.time.Time':
      return asIs('INT');
    case 'io.debezium.time.MicroTime':
      if (type.kind === 'BIGINT') return asIs('BIGINT');
      return { type: 'BIGINT', read: (field) => `CAST(${field} / 1000 AS INT)` };
    case 'io.debezium.time.Timestamp':
      return asIs('BIGINT');
    case 'io.debezium.time.MicroTimestamp':
      return { type: 'BIGINT', read: (field) => floorDivided(field, 1_000) };
    case 'io.debezium.time.NanoTimestamp':
      return { type: 'BIGINT', read: (field) => floorDivided(field, 1_000_000) };
    case 'io.debezium.time.ZonedTimestamp':
    case 'io.debezium.time.IsoTimestamp':
      return { type: 'STRING', read: type.kind === 'TIMESTAMP' ? millisOfIso : (field) => field };
    case 'io.debezium.time.MicroDuration':
    case 'io.debezium.time.Interval':
      throw new NoEqual('an interval has no equal');
    default:
      return plainField(schema, type, options);
  }
}

function plainField(schema: ConnectSchema, type: SqlType, options: WireOptions): WireColumn {
  switch (schema.type) {
    case 'boolean':
      return asIs('BOOLEAN');
    case 'int8':
    case 'int16':
    case 'int32':
      return asIs('INT');
    case 'int64':
      if (type.kind === 'DECIMAL')
        return { type: 'BIGINT', read: (field) => `CAST(${field} AS ${flinkType(type)})` };
      return asIs('BIGINT');
    case 'float':
      return options.avro ? { type: 'FLOAT', read: (field) => `CAST(${field} AS DOUBLE)` } : asIs('DOUBLE');
    case 'double':
      return asIs('DOUBLE');
    case 'bytes':
      return asIs('BYTES');
    case 'string':
      return { type: 'STRING', read: textReader(type) };
    case 'array': {
      const element = type.kind === 'ARRAY' ? type.element : null;
      if (element === null || schema.items === undefined)
        throw new NoEqual('an array of this kind has no equal');
      const item = fieldOf(schema.items, element, options);
      if (item.read('x') !== 'x') throw new NoEqual('an array of such values has no equal');
      return asIs(`ARRAY<${item.type}>`);
    }
    default:
      throw new NoEqual(`${schema.name ?? schema.type} has no equal`);
  }
}

/** As the profile `safe` writes numbers, dates and times. */
function textReader(type: SqlType): WireColumn['read'] {
  switch (type.kind) {
    case 'DECIMAL':
      return (field) => `TRY_CAST(${field} AS ${flinkType(type)})`;
    case 'DATE':
      return (field) => `CAST(${floorDivided(`UNIX_TIMESTAMP(${field} || ' 00:00:00')`, 86_400)} AS INT)`;
    case 'BIGINT':
      throw new NoEqual('a duration is text there');
    case 'TIME':
      return (field) => `CAST(${millisOfIso(`('1970-01-01T' || ${field})`)} AS INT)`;
    default:
      return (field) => field;
  }
}
