/** A Kafka topic as a statement declares it, and how its records become rows. */
import type { SqlColumn } from './captured-source.ts';
import type { Declared } from '../plan/declared.ts';
import type { Format, FormatColumn } from '../formats/format.ts';
import { isKafkaType } from '../formats/kafka-primitive.ts';
import { Properties } from './properties.ts';
import type { CreateSource } from '../sql/ast.ts';
import { notSupported, sqlError } from '../sql/sql-error.ts';
import { typeText } from '../sql/sql-type.ts';
import { type TimestampColumn, timestampColumn } from './timestamp-column.ts';

const TOPIC_PROPERTIES = [
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
  'REPLICATION',
] as const;

export interface TopicSource {
  /** The stream or table, and where its statement came from, for errors. */
  readonly declaredAs: string;
  readonly topic: string;
  readonly columns: readonly SqlColumn[];
  readonly keyFormat: Format;
  readonly valueFormat: Format;
  readonly delimiter: string;
  readonly wrapSingleValue: boolean;
  readonly timestamp: TimestampColumn | null;
  /** Of a table: whether an instance that shares it with others has the rows of its partitions only. */
  readonly partitioned: boolean;
  /** Whether clients may not insert into it. */
  readonly readOnly: boolean;
  /** How the topic is made where it is missing; null: it has to be there. */
  readonly create: { readonly partitions: number; readonly replicas: number | null } | null;
}

/** What each event, and each row of a window, has beside its columns. */
const PSEUDO_COLUMNS: ReadonlySet<string> = new Set(['ROWTIME', 'WINDOWSTART', 'WINDOWEND']);

export function topicProperties({ parsed }: Declared, statement: CreateSource): Properties {
  return new Properties(parsed.source, statement.at, statement.properties, TOPIC_PROPERTIES);
}

export interface TopicContext {
  /** Columns that the registry has given. */
  readonly inferred: (part: 'key' | 'value') => readonly FormatColumn[];
  /** Whether there is a registry. */
  readonly registry: boolean;
}

/** Throws HeadwaterError where the statement's properties and columns do not fit together. */
export function topicSource(
  declared: Declared,
  statement: CreateSource,
  { inferred, registry }: TopicContext,
): TopicSource {
  const { source } = declared.parsed;
  const isTable = statement.type === 'TABLE';
  const properties = topicProperties(declared, statement);
  const topic = properties.topic('KAFKA_TOPIC') ?? statement.name;
  const written = statement.columns.map(({ name, type, role, at }): SqlColumn => {
    if (role === 'HEADERS') throw notSupported(source, at, 'columns of headers are not in this version');
    if (role === 'PRIMARY KEY' && !isTable)
      throw sqlError(source, at, 'a stream has a KEY, and only a table a PRIMARY KEY');
    if (role === 'KEY' && isTable) throw sqlError(source, at, 'the key of a table is its PRIMARY KEY');
    return { name, type, key: role !== 'VALUE', spelling: name };
  });
  const given = (part: 'key' | 'value'): readonly SqlColumn[] =>
    inferred(part).map(({ name, type }) => ({ name, type, key: part === 'key', spelling: name }));
  const known = [...given('key'), ...written];
  // What the value repeats of the key is the same.
  const columns = [
    ...known,
    ...given('value').filter(({ name }) => !known.some((each) => each.name === name)),
  ];
  const keys = columns.filter(({ key }) => key);
  const values = columns.filter(({ key }) => !key);
  const valueFormat = properties.format('VALUE_FORMAT');
  if (valueFormat === null)
    throw sqlError(source, statement.at, "a topic needs a format: write WITH (…, VALUE_FORMAT = 'JSON')");
  const keyFormat = properties.format('KEY_FORMAT') ?? 'KAFKA';
  checkFormat(properties, 'KEY_FORMAT', { format: keyFormat, columns: keys, registry });
  checkFormat(properties, 'VALUE_FORMAT', { format: valueFormat, columns: values, registry });
  if (columns.length === 0)
    throw sqlError(
      source,
      statement.at,
      'a topic needs its columns: write them behind the name, (NAME TYPE, …)',
    );
  if (isTable && keys.length === 0)
    throw sqlError(
      source,
      statement.at,
      'a table over a topic needs its key: write PRIMARY KEY behind the column that the keys of the records hold',
    );
  const seen = new Set<string>();
  for (const [i, { name }] of columns.entries()) {
    if (PSEUDO_COLUMNS.has(name))
      throw sqlError(
        source,
        statement.columns[i]?.at ?? statement.at,
        `no column can be called ${name}, which every query knows; call it \`${name.toLowerCase()}\`: fields of JSON are found whatever their case`,
      );
    if (seen.has(name))
      throw sqlError(source, statement.columns[i]?.at ?? statement.at, `there are two columns ${name}`);
    seen.add(name);
  }
  const partitions = properties.count('PARTITIONS');
  const replication = properties.choice('REPLICATION', ['FULL', 'PARTITIONED']);
  if (replication !== null && !isTable)
    throw properties.error('REPLICATION', 'REPLICATION is of a table; a stream has none');
  return {
    declaredAs: declaredAs(declared, statement),
    topic,
    columns,
    keyFormat,
    valueFormat,
    delimiter: properties.delimiter() ?? ',',
    wrapSingleValue: properties.flag('WRAP_SINGLE_VALUE') ?? true,
    timestamp: timestampColumn(properties, columns),
    partitioned: replication === 'PARTITIONED',
    readOnly: statement.readOnly,
    create: partitions === null ? null : { partitions, replicas: properties.count('REPLICAS') },
  };
}

function declaredAs({ origin, made }: Declared, { type, name }: CreateSource): string {
  const whose = made === null ? `in ${origin ?? 'the settings'}` : `a client's statement ${made.number}`;
  return `the ${type.toLowerCase()} ${name} (${whose})`;
}

interface CheckedPart {
  readonly format: Format;
  readonly columns: readonly FormatColumn[];
  /** Whether there is a registry. */
  readonly registry: boolean;
}

/** Which columns a format can hold. */
export function checkFormat(
  properties: Properties,
  key: 'KEY_FORMAT' | 'VALUE_FORMAT',
  { format, columns, registry }: CheckedPart,
): void {
  if (format === 'AVRO' && !registry)
    throw properties.error(
      key,
      'AVRO needs a schema registry, and the settings name none: set emit.registry with its url',
      'enrich.no-registry',
    );
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
