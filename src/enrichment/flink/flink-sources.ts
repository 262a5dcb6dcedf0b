/** What statements read, as tables and views of Flink: topics of captured tables, and topics of others. */
import type { TableId, TableSchema } from '../../model/table.ts';
import type { Profile } from '../../schema/column-schema.ts';
import type { CapturedSource, SqlColumn } from '../sources/captured-source.ts';
import type { ShownColumns } from '../sources/captured-columns.ts';
import type { TopicSource } from '../sources/topic-source.ts';
import { millisOfPattern } from './flink-expression.ts';
import { flinkName, flinkString, flinkType, interval, losesDigits, millisOf, NoEqual } from './flink-text.ts';
import { type WireColumn, wireColumn } from './wire-columns.ts';

/** Where records are, and how they are written. */
export interface FlinkTopics {
  readonly brokers: readonly string[];
  readonly format: 'json' | 'json-with-schema' | 'avro' | 'protobuf' | 'json-schema';
  readonly profile: Profile;
  readonly envelope: 'full' | 'unwrapped';
  /** Of the schema registry; null without. */
  readonly registry: string | null;
  readonly describe: (table: TableId) => TableSchema | null;
  readonly shown: ShownColumns;
  readonly topicOf: (table: TableId) => string;
}

/** The time attribute of a stream, and the same as milliseconds. */
export const TIME = '__TIME';
export const MS = '__MS';
/** Since when a row of a versioned table is as it is. */
export const SINCE = '__SINCE';

export type Options = readonly (readonly [key: string, value: string])[];

export function withOptions(options: Options): string {
  const lines = options.map(([key, value]) => `  ${flinkString(key)} = ${flinkString(value)}`);
  return `WITH (\n${lines.join(',\n')}\n)`;
}

export function kafkaTopic({ brokers }: FlinkTopics, connector: string, topic: string): Options {
  return [
    ['connector', connector],
    ['topic', topic],
    ['properties.bootstrap.servers', brokers.join(',')],
  ];
}

const COMMITTED = ['properties.isolation.level', 'read_committed'] as const;
const READ: Options = [COMMITTED, ['scan.startup.mode', 'earliest-offset']];

/** Where the rows of a first snapshot come from, as `source.snapshot` says; those read again later are changes. */
const FIRST_SNAPSHOT = ['true', 'first', 'first_in_data_collection', 'last_in_data_collection', 'last'];

interface Wired extends SqlColumn {
  readonly wire: WireColumn;
}

/** Columns in use, and the key. Throws NoEqual. */
function wired(captured: CapturedSource, topics: FlinkTopics): readonly Wired[] {
  const { format, envelope, profile } = topics;
  if (envelope === 'unwrapped')
    throw new NoEqual('emit.envelope: unwrapped leaves out what changes are; Flink needs the full envelope');
  if (format === 'protobuf' || format === 'json-schema')
    throw new NoEqual(`Flink has no format that reads change events as emit.format: ${format} writes them`);
  const table = topics.describe(captured.id);
  if (table === null) throw new TypeError('A captured table of a compiled statement is described.');
  const shown = topics.shown(table);
  const used = captured.used;
  return captured.columns.flatMap((column, i) => {
    const type = shown[i]?.column.type;
    if (type === undefined || (!column.key && !used.includes(column))) return [];
    try {
      return [{ ...column, wire: wireColumn(type, { profile, avro: format === 'avro' }) }];
    } catch (error) {
      if (!(error instanceof NoEqual)) throw error;
      throw new NoEqual(`the column ${column.spelling} of its records: ${error.message}`);
    }
  });
}

function changeFormat({ format, registry }: FlinkTopics): Options {
  if (format === 'avro')
    return [
      ['value.format', 'debezium-avro-confluent'],
      ['value.debezium-avro-confluent.url', registry ?? ''],
    ];
  return [
    ['value.format', 'debezium-json'],
    ...(format === 'json-with-schema'
      ? ([['value.debezium-json.schema-include', 'true']] satisfies Options)
      : []),
  ];
}

/** The rows of a captured table with all their versions, and two views: as they are, and with their times. */
export function capturedTable(
  name: string,
  captured: CapturedSource,
  topics: FlinkTopics,
): readonly string[] {
  const columns = wired(captured, topics);
  const keys = columns.filter(({ key }) => key).map(({ spelling }) => flinkName(spelling));
  const fields = columns.map(
    ({ spelling, wire, key }) => `${flinkName(spelling)} ${wire.type}${key ? ' NOT NULL' : ''}`,
  );
  const timed = !keepsDeleted(captured, topics);
  const lines = [
    ...fields,
    ...(timed
      ? [
          "`__committed` TIMESTAMP_LTZ(3) METADATA FROM 'value.source.timestamp' VIRTUAL",
          "`__source` MAP<STRING, STRING> METADATA FROM 'value.source.properties' VIRTUAL",
          ...sinceLines("`__source`['snapshot']", '`__committed`'),
        ]
      : []),
    `PRIMARY KEY (${keys.join(', ')}) NOT ENFORCED`,
  ];
  const topic = topics.topicOf(captured.id);
  const table = flinkName(`${name}__topic`);
  const options = withOptions([...kafkaTopic(topics, 'kafka', topic), ...READ, ...changeFormat(topics)]);
  const rows = columns.map(
    ({ name, spelling, wire }) => `${wire.read(flinkName(spelling))} AS ${flinkName(name)}`,
  );
  const definition = `CREATE TABLE ${table} (\n  ${lines.join(',\n  ')}\n) ${options}`;
  return timed
    ? [definition, rowView(name, name, rows), rowView(versionsOf(name), name, [...rows, flinkName(SINCE)])]
    : [definition, rowView(name, name, rows), ...changesAsVersions(name, { columns, topic }, topics)];
}

/**
 * Whether the versions of a captured table hold those of deleted rows, with \`__OP\` \`d\`: Flink's format for changes in
 * Avro tells no times of them, so that they are read as what they are, and the last one of a key is its version.
 */
export function keepsDeleted(captured: CapturedSource | null, { format }: FlinkTopics): boolean {
  return captured !== null && format === 'avro';
}

function changesAsVersions(
  name: string,
  { columns, topic }: { readonly columns: readonly Wired[]; readonly topic: string },
  topics: FlinkTopics,
): readonly string[] {
  const row = rowType(columns);
  const lines = [
    `\`before\` ${row}`,
    `\`after\` ${row}`,
    '`source` ROW<`ts_ms` BIGINT, `snapshot` STRING>',
    '`op` STRING',
    ...sinceLines('`source`.`snapshot`', 'TO_TIMESTAMP_LTZ(`source`.`ts_ms`, 3)'),
  ];
  const changes = flinkName(`${name}__changes`);
  const options = withOptions([
    ...kafkaTopic(topics, 'kafka', topic),
    ...READ,
    ['value.format', 'avro-confluent'],
    ['value.avro-confluent.url', topics.registry ?? ''],
  ]);
  const of = (image: string, { spelling, wire }: Wired): string =>
    wire.read(`${flinkName(image)}.${flinkName(spelling)}`);
  const items = columns.map((column) => {
    const after = of('after', column);
    const value = column.key
      ? `CASE WHEN \`op\` = 'd' THEN ${of('before', column)} ELSE ${after} END`
      : after;
    return `${value} AS ${flinkName(column.name)}`;
  });
  const names = columns.map((column) => flinkName(column.name));
  const keys = columns.filter(({ key }) => key).map((column) => flinkName(column.name));
  const shown = [...names, '`__OP`', flinkName(SINCE)].join(', ');
  return [
    `CREATE TABLE ${changes} (\n  ${lines.join(',\n  ')}\n) ${options}`,
    `CREATE VIEW ${flinkName(versionsOf(name))} AS
SELECT ${shown}
FROM (SELECT ${shown}, ROW_NUMBER() OVER (PARTITION BY ${keys.join(', ')} ORDER BY \`${SINCE}\` DESC) AS \`__N\`
FROM (SELECT ${items.join(', ')}, \`op\` AS \`__OP\`, \`${SINCE}\` FROM ${changes} WHERE \`op\` IN ('c', 'u', 'r', 'd')))
WHERE \`__N\` = 1`,
  ];
}

/** Since when a row is as it is: always, where the first snapshot found it so. */
function sinceLines(snapshot: string, committed: string): readonly string[] {
  const first = FIRST_SNAPSHOT.map(flinkString).join(', ');
  return [
    `\`${SINCE}\` AS CASE WHEN ${snapshot} IN (${first}) THEN TO_TIMESTAMP_LTZ(0, 3) ELSE ${committed} END`,
    `WATERMARK FOR \`${SINCE}\` AS \`${SINCE}\``,
  ];
}

/** Over the table of a topic of that name. */
function rowView(view: string, name: string, columns: readonly string[]): string {
  return `CREATE VIEW ${flinkName(view)} AS\nSELECT ${columns.join(', ')}\nFROM ${flinkName(`${name}__topic`)}`;
}

function rowType(columns: readonly Wired[]): string {
  return `ROW<${columns.map(({ spelling, wire }) => `${flinkName(spelling)} ${wire.type}`).join(', ')}>`;
}

export function versionsOf(name: string): string {
  return `${name}__versions`;
}

/** The change events of a captured table: what of them is asked for is in columns before and behind the row's. */
export function capturedStream(
  name: string,
  { captured, delayMs }: { readonly captured: CapturedSource; readonly delayMs: number },
  topics: FlinkTopics,
): readonly string[] {
  const columns = wired(captured, topics);
  const withSchema = topics.format === 'json-with-schema';
  const row = rowType(columns);
  const envelope = [
    ['before', row],
    ['after', row],
    ['source', 'ROW<`ts_ms` BIGINT>'],
    ['op', 'STRING'],
  ] as const;
  const fields = withSchema
    ? [`\`payload\` ROW<${envelope.map(([field, type]) => `${flinkName(field)} ${type}`).join(', ')}>`]
    : envelope.map(([field, type]) => `${flinkName(field)} ${type}`);
  const at = (field: string): string => (withSchema ? `\`payload\`.${flinkName(field)}` : flinkName(field));
  const ms = `${at('source')}.\`ts_ms\``;
  const lines = [...fields, `\`${TIME}\` AS TO_TIMESTAMP_LTZ(${ms}, 3)`, watermark(delayMs)];
  const format: Options =
    topics.format === 'avro'
      ? [
          ['value.format', 'avro-confluent'],
          ['value.avro-confluent.url', topics.registry ?? ''],
        ]
      : [['value.format', 'json']];
  const table = flinkName(`${name}__topic`);
  const options = withOptions([
    ...kafkaTopic(topics, 'kafka', topics.topicOf(captured.id)),
    ...READ,
    ...format,
  ]);
  const of = (image: string, { spelling, wire }: Wired): string =>
    wire.read(`${at(image)}.${flinkName(spelling)}`);
  const now = columns.map((column) => {
    // Of a deleted row its key is left.
    const value = column.key
      ? `CASE WHEN ${at('op')} = 'd' THEN ${of('before', column)} ELSE ${of('after', column)} END`
      : of('after', column);
    return `${value} AS ${flinkName(column.name)}`;
  });
  const before = columns.map(
    (column) => `${of('before', column)} AS ${flinkName(`__BEFORE_${column.name}`)}`,
  );
  const facts = [
    `${at('op')} AS \`__OP\``,
    `${at('before')} IS NOT NULL AS \`__KNOWN\``,
    `${ms} AS \`${MS}\``,
    `\`${TIME}\``,
  ];
  return [
    `CREATE TABLE ${table} (\n  ${lines.join(',\n  ')}\n) ${options}`,
    `CREATE VIEW ${flinkName(name)} AS\nSELECT ${[...now, ...before, ...facts].join(', ')}\nFROM ${table}\nWHERE ${at('op')} IN ('c', 'u', 'r', 'd')`,
  ];
}

function watermark(delayMs: number): string {
  const delay = delayMs === 0 ? '' : ` - ${interval(delayMs)}`;
  return `WATERMARK FOR \`${TIME}\` AS \`${TIME}\`${delay}`;
}

/** Letters of java.time that stand for a zone. */
const ZONE = /[VzOXxZ]/;

/** A topic with records of anybody's. Throws NoEqual. */
export function topicStream(
  name: string,
  {
    topic,
    delayMs,
    differs,
  }: {
    readonly topic: TopicSource;
    readonly delayMs: number;
    readonly differs: (sentence: string) => void;
  },
  topics: FlinkTopics,
): readonly string[] {
  const { columns, keyFormat, valueFormat, timestamp } = topic;
  const keys = columns.filter(({ key }) => key);
  const values = columns.filter(({ key }) => !key);
  if (values.length === 0) throw new NoEqual('Flink needs a column of the value');
  if (valueFormat === 'JSON' && !topic.wrapSingleValue && values.length === 1)
    throw new NoEqual('Flink reads JSON objects, and WRAP_SINGLE_VALUE = FALSE is a bare value');
  noteFormats(topic, differs);
  const fields = [
    ...keys.flatMap((column) => spellings(column, keyFormat)),
    ...values.flatMap((column) => spellings(column, valueFormat)),
  ];
  const read = (column: SqlColumn): string => readField(column, topic);
  const timed = timestamp === null ? null : columns[timestamp.index];
  const { time, ms } = timeOf(
    timed == null ? null : { text: read(timed), pattern: timestamp?.pattern ?? null },
  );
  const lines = [
    ...fields.map((field) => `${flinkName(field.name)} ${field.type}`),
    ...(timed == null ? [`\`__record_time\` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL`] : []),
    `\`${TIME}\` AS ${time}`,
    watermark(delayMs),
  ];
  const table = flinkName(`${name}__topic`);
  const options = withOptions([
    ...kafkaTopic(topics, 'kafka', topic.topic),
    ...READ,
    ...(keys.length === 0
      ? []
      : [
          ...partFormat('key', keyFormat, topic),
          [
            'key.fields',
            keys
              .flatMap((column) => spellings(column, keyFormat))
              .map((field) => field.name)
              .join(';'),
          ] as const,
          ['value.fields-include', 'EXCEPT_KEY'] as const,
        ]),
    ...partFormat('value', valueFormat, topic),
  ]);
  const shown = columns.map((column) => `${read(column)} AS ${flinkName(column.name)}`);
  const known = timed == null ? '' : `\nWHERE ${ms} IS NOT NULL`;
  return [
    `CREATE TABLE ${table} (\n  ${lines.join(',\n  ')}\n) ${options}`,
    `CREATE VIEW ${flinkName(name)} AS\nSELECT ${shown.join(', ')}, ${ms} AS \`${MS}\`, \`${TIME}\`\nFROM ${table}${known}`,
  ];
}

/**
 * The rows that a topic holds, the last record of a key being its row, and two views: as they are, and with their times.
 * Throws NoEqual.
 */
export function topicTable(
  name: string,
  { topic, differs }: { readonly topic: TopicSource; readonly differs: (sentence: string) => void },
  topics: FlinkTopics,
): readonly string[] {
  const { columns, keyFormat, valueFormat, timestamp } = topic;
  const keys = columns.filter(({ key }) => key);
  const values = columns.filter(({ key }) => !key);
  if (keyFormat === 'JSON')
    throw new NoEqual(
      'the key of its records is JSON, whose fields may be spelt in upper or in lower case, and a PRIMARY KEY of Flink is one field',
    );
  if (values.length === 0) throw new NoEqual('Flink needs a column of the value');
  if (valueFormat === 'JSON' && !topic.wrapSingleValue && values.length === 1)
    throw new NoEqual('Flink reads JSON objects, and WRAP_SINGLE_VALUE = FALSE is a bare value');
  if (timestamp !== null)
    throw new NoEqual('TIMESTAMP names a column, which a record that deletes a row does not have');
  noteFormats(topic, differs);
  differs(
    'an event of before a row’s record does not find the row, where Headwater’s first events see the topic as it was when it began',
  );
  differs(
    'a deleted row is gone since its last record for events that are joined later, whatever their time: Flink gives a record without value no time',
  );
  const key = keys.map((column) => flinkName(column.name)).join(', ');
  const lines = [
    ...keys.map((column) => `${flinkName(column.name)} ${flinkType(column.type)} NOT NULL`),
    ...values
      .flatMap((column) => spellings(column, valueFormat))
      .map((field) => `${flinkName(field.name)} ${field.type}`),
    `\`${SINCE}\` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL`,
    `WATERMARK FOR \`${SINCE}\` AS \`${SINCE}\``,
    `PRIMARY KEY (${key}) NOT ENFORCED`,
  ];
  const table = flinkName(`${name}__topic`);
  const options = withOptions([
    ...kafkaTopic(topics, 'upsert-kafka', topic.topic),
    COMMITTED,
    ...partFormat('key', keyFormat, topic),
    ...partFormat('value', valueFormat, topic),
    ['value.fields-include', 'EXCEPT_KEY'],
  ]);
  const rows = columns.map((column) => `${readField(column, topic)} AS ${flinkName(column.name)}`);
  return [
    `CREATE TABLE ${table} (\n  ${lines.join(',\n  ')}\n) ${options}`,
    rowView(name, name, rows),
    rowView(versionsOf(name), name, [...rows, flinkName(SINCE)]),
  ];
}

/** What is not quite the same with a topic's formats and types. */
function noteFormats(
  { columns, keyFormat, valueFormat }: TopicSource,
  differs: (sentence: string) => void,
): void {
  if (columns.some(({ type }) => losesDigits(type)))
    differs('DECIMAL without a size, or with more than 38 digits, is DECIMAL(38, 18) or DECIMAL(38, s)');
  if (valueFormat === 'JSON') {
    differs('fields are found in upper and in lower case, and in no other spelling');
    differs('a field that is not of its column’s type is NULL; Headwater leaves the record out');
  }
  if ([keyFormat, valueFormat].includes('DELIMITED'))
    differs('DELIMITED makes no difference of an empty text and NULL');
}

function readField(column: SqlColumn, { keyFormat, valueFormat }: TopicSource): string {
  const own = spellings(column, column.key ? keyFormat : valueFormat).map((field) => flinkName(field.name));
  const [first, second] = own;
  if (second === undefined) return first ?? '';
  const { type } = column;
  return type.kind === 'STRUCT'
    ? `COALESCE(${first}, CAST(${second} AS ${flinkType(type)}))`
    : `COALESCE(${first}, ${second})`;
}

/** A record without a time is left out, but not before Flink has looked at its time. */
function timeOf(column: { readonly text: string; readonly pattern: string | null } | null): {
  readonly time: string;
  readonly ms: string;
} {
  if (column === null) {
    const time = '`__record_time`';
    return { time, ms: millisOf(time) };
  }
  const ms = millisOfTimestamp(column.text, column.pattern);
  return { ms, time: `TO_TIMESTAMP_LTZ(COALESCE(${ms}, 0), 3)` };
}

/** Milliseconds of the column that TIMESTAMP names; `pattern` null where it has them. Throws NoEqual. */
export function millisOfTimestamp(text: string, pattern: string | null): string {
  if (pattern !== null && ZONE.test(pattern.replaceAll(/'[^']*'/g, '')))
    throw new NoEqual('TIMESTAMP_FORMAT has a zone, which TO_TIMESTAMP does not know');
  return pattern === null ? text : millisOfPattern(text, pattern);
}

/** Fields of JSON have the names that they are written with. */
function spellings(
  { name, type }: SqlColumn,
  format: TopicSource['valueFormat'],
): readonly { readonly name: string; readonly type: string }[] {
  const own = { name, type: flinkType(type) };
  const lower = name.toLowerCase();
  if (format !== 'JSON' || lower === name) return [own];
  return [own, { name: lower, type: lowerFields(own.type) }];
}

/** Names of fields inside of a ROW are quoted, and types are not. */
function lowerFields(type: string): string {
  return type.replaceAll(/`(?:[^`]|``)*`/g, (name) => name.toLowerCase());
}

function partFormat(
  part: 'key' | 'value',
  format: TopicSource['valueFormat'],
  { delimiter }: Pick<TopicSource, 'delimiter'>,
): Options {
  switch (format) {
    case 'KAFKA':
      return [[`${part}.format`, 'raw']];
    case 'JSON':
      return [
        [`${part}.format`, 'json'],
        [`${part}.json.ignore-parse-errors`, 'true'],
      ];
    case 'DELIMITED':
      return [
        [`${part}.format`, 'csv'],
        [`${part}.csv.field-delimiter`, delimiter],
        [`${part}.csv.null-literal`, ''],
        [`${part}.csv.ignore-parse-errors`, 'true'],
      ];
    case 'AVRO':
      throw new NoEqual(
        'a topic in AVRO is read by its fields in any case, and Flink takes each that is not spelt as its column for NULL',
      );
    case 'NONE':
      return [];
  }
}
