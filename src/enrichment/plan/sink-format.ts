/** How the records of a query's result are written, of the properties of CREATE … AS and what it reads. */
import type { SqlColumn } from '../sources/captured-source.ts';
import { isCompacted, type Sinkable, type Source } from '../sources/catalog.ts';
import type { Format } from '../formats/format.ts';
import { isKafkaType } from '../formats/kafka-primitive.ts';
import type { Properties } from '../sources/properties.ts';
import type { SqlType } from '../sql/sql-type.ts';
import { timestampColumn } from '../sources/timestamp-column.ts';
import { checkFormat } from '../sources/topic-source.ts';

const FULL_NAME = /^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*$/;
const FIELD_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What ksqlDB calls the records of a stream or table. */
export function defaultSchemaNames(name: string): Sinkable['schemaNames'] {
  const namespace = 'io.confluent.ksql.avro_schemas';
  return { key: `${namespace}.${name}Key`, value: `${namespace}.KsqlDataSourceSchema` };
}

export interface SinkStatement {
  readonly name: string;
  readonly topic: string;
  readonly columns: readonly SqlColumn[];
  /** The first source of its FROM: formats are those of it where the statement names none. */
  readonly from: Source;
  /** Whether there is a registry. */
  readonly registry: boolean;
}

/** Throws HeadwaterError where the properties and columns do not fit together. */
export function sinkFormat(properties: Properties, statement: SinkStatement): Sinkable {
  const { name, topic, columns, from, registry } = statement;
  const keys = columns.filter(({ key }) => key);
  const values = columns.filter(({ key }) => !key);
  const inherited = formatsOf(from);
  const keyFormat = properties.format('KEY_FORMAT') ?? keyFormatFor(keys, inherited?.keyFormat ?? null);
  const ownValueFormat = properties.format('VALUE_FORMAT');
  const valueFormat = ownValueFormat ?? inherited?.valueFormat ?? 'JSON';
  const fieldCase = properties.choice('FIELD_CASE', ['UPPER', 'LOWER', 'SOURCE']) ?? 'UPPER';
  checkFormat(properties, 'KEY_FORMAT', { format: keyFormat, columns: keys, registry });
  checkFormat(properties, 'VALUE_FORMAT', { format: valueFormat, columns: values, registry });
  const names = defaultSchemaNames(name);
  const spell = ({ name: column, spelling }: SqlColumn): string =>
    fieldCase === 'SOURCE' ? spelling : fieldCase === 'LOWER' ? column.toLowerCase() : column;
  const wish = {
    partitions: properties.count('PARTITIONS') ?? partitionsOf(from),
    replicas: properties.count('REPLICAS'),
    config: topicConfig(properties),
  };
  if (keys.length === 0 && isCompacted({ wish }))
    throw properties.error(
      'CLEANUP_POLICY',
      'a compacted topic keeps the last record of each key, and these have none: PARTITION BY gives them one',
    );
  if (keyFormat === 'AVRO') checkAvro(properties, 'KEY_FORMAT', keys, spell);
  if (valueFormat === 'AVRO') checkAvro(properties, 'VALUE_FORMAT', values, spell);
  return {
    topic,
    keyFormat,
    valueFormat,
    delimiter: properties.delimiter() ?? (ownValueFormat === null ? inherited?.delimiter : null) ?? ',',
    schemaNames: {
      key: schemaName(properties, ['KEY_SCHEMA_FULL_NAME']) ?? names.key,
      value: schemaName(properties, ['VALUE_AVRO_SCHEMA_FULL_NAME', 'VALUE_SCHEMA_FULL_NAME']) ?? names.value,
    },
    fieldCase,
    wrapSingleValue: properties.flag('WRAP_SINGLE_VALUE') ?? true,
    timestamp: timestampColumn(properties, columns),
    onError: properties.choice('ON_ERROR', ['LOG', 'STOP', 'DLQ']) ?? 'LOG',
    wish,
  };
}

/** Null for a captured table: its rows come from the log. */
export function formatsOf(source: Source): Pick<Sinkable, 'keyFormat' | 'valueFormat' | 'delimiter'> | null {
  return source.topic ?? (source.kind === 'STREAM' ? source.sink : (source.result?.sink ?? null));
}

/** As far as statements say it. */
function partitionsOf(source: Source): number | null {
  const stream = source.kind === 'STREAM' ? source : source.result;
  return stream?.topic?.create?.partitions ?? stream?.sink?.wish.partitions ?? null;
}

/** Where the statement does not say. KAFKA holds one column only, and NONE none. */
function keyFormatFor(keys: readonly SqlColumn[], inherited: Format | null): Format {
  const [first] = keys;
  if (first === undefined) return 'NONE';
  if (inherited !== null && inherited !== 'KAFKA' && inherited !== 'NONE') return inherited;
  return keys.length === 1 && isKafkaType(first.type) ? 'KAFKA' : 'JSON';
}

/** Avro has letters, digits and underscores in names only, and decimals of declared sizes. */
function checkAvro(
  properties: Properties,
  key: 'KEY_FORMAT' | 'VALUE_FORMAT',
  columns: readonly SqlColumn[],
  spell: (column: SqlColumn) => string,
): void {
  const seen = new Set<string>();
  for (const column of columns) {
    if (hasAnyDecimal(column.type))
      throw properties.error(
        key,
        `AVRO needs the size of a DECIMAL, and ${column.name} has none: CAST(${column.name} AS DECIMAL(38, 10)) or as it suits`,
      );
    const label = spell(column);
    const wrong = [label, ...namesWithin(column.type)].find((name) => !FIELD_NAME.test(name));
    if (wrong !== undefined)
      throw properties.error(
        key,
        `AVRO allows letters, digits and underscores in names, and there is ${JSON.stringify(wrong)}; name it with AS`,
      );
    if (seen.has(label))
      throw properties.error(key, `two columns are called ${label} as FIELD_CASE has them`);
    seen.add(label);
  }
}

function hasAnyDecimal(type: SqlType): boolean {
  switch (type.kind) {
    case 'DECIMAL':
      return type.precision === null;
    case 'ARRAY':
      return hasAnyDecimal(type.element);
    case 'MAP':
      return hasAnyDecimal(type.key) || hasAnyDecimal(type.value);
    case 'STRUCT':
      return type.fields.some((field) => hasAnyDecimal(field.type));
    default:
      return false;
  }
}

function namesWithin(type: SqlType): readonly string[] {
  switch (type.kind) {
    case 'ARRAY':
      return namesWithin(type.element);
    case 'MAP':
      return [...namesWithin(type.key), ...namesWithin(type.value)];
    case 'STRUCT':
      return type.fields.flatMap((field) => [field.name, ...namesWithin(field.type)]);
    default:
      return [];
  }
}

function schemaName(properties: Properties, keys: readonly string[]): string | null {
  for (const key of keys) {
    const name = properties.text(key);
    if (name === null) continue;
    if (FULL_NAME.test(name)) return name;
    throw properties.error(key, `${key} is a full name such as com.example.Order`);
  }
  return null;
}

function topicConfig(properties: Properties): Readonly<Record<string, string>> {
  const retention = properties.count('RETENTION_MS');
  const cleanup = properties.choice('CLEANUP_POLICY', ['COMPACT', 'DELETE', 'COMPACT,DELETE']);
  return {
    ...(retention === null ? {} : { 'retention.ms': String(retention) }),
    ...(cleanup === null ? {} : { 'cleanup.policy': cleanup.toLowerCase() }),
  };
}
