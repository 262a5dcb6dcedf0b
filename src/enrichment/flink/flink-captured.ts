/** Captured tables, as tables and views of Flink over the topics that Headwater writes. */
import type { CapturedSource, SqlColumn } from '../sources/captured-source.ts';
import {
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
import { flinkName, flinkString, NoEqual } from './flink-text.ts';
import { type WireColumn, wireColumn } from './wire-columns.ts';

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

function rowType(columns: readonly Wired[]): string {
  return `ROW<${columns.map(({ spelling, wire }) => `${flinkName(spelling)} ${wire.type}`).join(', ')}>`;
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
