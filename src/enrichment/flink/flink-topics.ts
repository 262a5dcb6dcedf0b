/** Topics of anybody's, as tables and views of Flink. */
import type { SqlColumn } from '../sources/captured-source.ts';
import type { TopicSource } from '../sources/topic-source.ts';
import { millisOfPattern } from './flink-expression.ts';
import {
  COMMITTED,
  type FlinkTopics,
  kafkaTopic,
  MS,
  type Options,
  READ,
  rowView,
  SINCE,
  TIME,
  versionsOf,
  watermark,
  withOptions,
} from './flink-sources.ts';
import { flinkName, flinkType, losesDigits, millisOf, NoEqual } from './flink-text.ts';

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
