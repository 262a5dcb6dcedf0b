/** A Kafka topic as a statement declares it, and how its records become rows. */
import type { SqlColumn } from './captured-source.ts';
import type { Declared } from './declared.ts';
import type { Format, FormatColumn } from './formats/format.ts';
import { isKafkaType } from './formats/kafka-primitive.ts';
import { Properties } from './properties.ts';
import type { CreateSource } from './sql/ast.ts';
import { MS_PER_DAY } from './sql/civil-time.ts';
import { notSupported, sqlError } from './sql/sql-error.ts';
import { type SqlType, typeText } from './sql/sql-type.ts';
import { compilePattern } from './sql/time-pattern.ts';
import type { SqlValue } from './sql/value.ts';

export const TOPIC_PROPERTIES = [
  'KAFKA_TOPIC',
  'KEY_FORMAT',
  'VALUE_FORMAT',
  'FORMAT',
  'VALUE_DELIMITER',
  'TIMESTAMP',
  'TIMESTAMP_FORMAT',
  'PARTITIONS',
  'REPLICAS',
  'WRAP_SINGLE_VALUE',
] as const;

export interface TopicSource {
  readonly topic: string;
  readonly columns: readonly SqlColumn[];
  readonly keyFormat: Format;
  readonly valueFormat: Format;
  readonly delimiter: string;
  readonly wrapSingleValue: boolean;
  readonly timestamp: TimestampColumn | null;
  /** How the topic is made where it is missing; null: it has to be there. */
  readonly create: { readonly partitions: number; readonly replicas: number | null } | null;
}

interface TimestampColumn {
  readonly index: number;
  /** Of java.time; null for a number of milliseconds. */
  readonly pattern: string | null;
  /** Milliseconds since the epoch; null where the value is no time. */
  readonly read: (value: SqlValue) => number | null;
}

export function topicProperties({ parsed }: Declared, statement: CreateSource): Properties {
  return new Properties(parsed.source, statement.at, statement.properties, TOPIC_PROPERTIES);
}

/** Throws HeadwaterError where the statement's properties and columns do not fit together. */
export function topicSource(declared: Declared, statement: CreateSource): TopicSource {
  const { source } = declared.parsed;
  if (statement.type === 'TABLE')
    throw notSupported(
      source,
      statement.at,
      'a TABLE is a captured table in this version (CDC_TABLE); a topic can be a STREAM',
    );
  const properties = topicProperties(declared, statement);
  const topic = properties.topic('KAFKA_TOPIC') ?? statement.name;
  const columns = statement.columns.map(({ name, type, role, at }): SqlColumn => {
    if (role === 'HEADERS') throw notSupported(source, at, 'columns of headers are not in this version');
    if (role === 'PRIMARY KEY')
      throw sqlError(source, at, 'a stream has a KEY, and only a table a PRIMARY KEY');
    return { name, type, key: role !== 'VALUE', spelling: name };
  });
  const keys = columns.filter(({ key }) => key);
  const values = columns.filter(({ key }) => !key);
  if (columns.length === 0)
    throw sqlError(
      source,
      statement.at,
      'a topic needs its columns: write them behind the name, (NAME TYPE, …)',
    );
  const seen = new Set<string>();
  for (const [i, { name }] of columns.entries()) {
    if (seen.has(name))
      throw sqlError(source, statement.columns[i]?.at ?? statement.at, `there are two columns ${name}`);
    seen.add(name);
  }
  const valueFormat = properties.format('VALUE_FORMAT');
  if (valueFormat === null)
    throw sqlError(source, statement.at, "a topic needs a format: write WITH (…, VALUE_FORMAT = 'JSON')");
  const keyFormat = properties.format('KEY_FORMAT') ?? 'KAFKA';
  checkFormat(properties, 'KEY_FORMAT', { format: keyFormat, columns: keys });
  checkFormat(properties, 'VALUE_FORMAT', { format: valueFormat, columns: values });
  const partitions = properties.count('PARTITIONS');
  return {
    topic,
    columns,
    keyFormat,
    valueFormat,
    delimiter: properties.delimiter(),
    wrapSingleValue: properties.flag('WRAP_SINGLE_VALUE') ?? true,
    timestamp: timestampColumn(properties, columns),
    create: partitions === null ? null : { partitions, replicas: properties.count('REPLICAS') },
  };
}

/** Which columns a format can hold. */
export function checkFormat(
  properties: Properties,
  key: 'KEY_FORMAT' | 'VALUE_FORMAT',
  { format, columns }: { readonly format: Format; readonly columns: readonly FormatColumn[] },
): void {
  const [first] = columns;
  if (first === undefined) return;
  if (format === 'KAFKA' && (columns.length > 1 || !isKafkaType(first.type)))
    throw properties.error(
      key,
      `KAFKA holds one column of type INTEGER, BIGINT, DOUBLE or STRING; write ${key} = 'JSON'`,
    );
  if (format === 'NONE')
    throw properties.error(key, `NONE holds no columns, and there is ${first.name}; write another ${key}`);
  const nested = columns.find(({ type }) => ['ARRAY', 'MAP', 'STRUCT'].includes(type.kind));
  if (format === 'DELIMITED' && nested !== undefined)
    throw properties.error(key, `DELIMITED cannot hold ${nested.name}, which is ${typeText(nested.type)}`);
}

function timestampColumn(properties: Properties, columns: readonly SqlColumn[]): TimestampColumn | null {
  const name = properties.text('TIMESTAMP');
  const pattern = properties.text('TIMESTAMP_FORMAT');
  if (name === null) {
    if (pattern !== null)
      throw properties.error(
        'TIMESTAMP_FORMAT',
        'TIMESTAMP_FORMAT needs TIMESTAMP, the column it is the pattern of',
      );
    return null;
  }
  const index = columns.findIndex((column) => column.name === name || column.name === name.toUpperCase());
  const type = columns[index]?.type;
  if (type === undefined) throw properties.error('TIMESTAMP', `there is no column ${name}`);
  return { index, pattern, read: timestampReader(properties, type, pattern) };
}

function timestampReader(
  properties: Properties,
  type: SqlType,
  pattern: string | null,
): TimestampColumn['read'] {
  if (type.kind === 'BIGINT' || type.kind === 'TIMESTAMP') {
    if (pattern !== null)
      throw properties.error('TIMESTAMP_FORMAT', `a ${type.kind} is milliseconds and has no pattern`);
    return (value) => (typeof value === 'number' ? value : null);
  }
  if (type.kind !== 'STRING')
    throw properties.error('TIMESTAMP', 'TIMESTAMP names a BIGINT, a TIMESTAMP or a VARCHAR column');
  if (pattern === null)
    throw properties.error(
      'TIMESTAMP',
      "a VARCHAR needs its pattern: TIMESTAMP_FORMAT = 'yyyy-MM-dd HH:mm:ss'",
    );
  const compiled = compilePattern(pattern);
  if (compiled === null)
    throw properties.error('TIMESTAMP_FORMAT', 'this is no pattern of java.time.format.DateTimeFormatter');
  return (value) => {
    const parsed = typeof value === 'string' ? compiled.parse(value) : null;
    if (parsed === null || parsed.days === null) return null;
    const local = parsed.days * MS_PER_DAY + parsed.time;
    return local - (parsed.zone?.local(local) ?? 0);
  };
}
