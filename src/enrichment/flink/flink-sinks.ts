/** Topics of results as tables of Flink, and the statements that fill them. */
import { spelled } from '../run/record-writer.ts';
import type { Sinkable } from '../sources/catalog.ts';
import type { SqlColumn } from '../sources/captured-source.ts';
import { flinkName, flinkType, NoEqual } from './flink-text.ts';
import type { Format } from '../formats/format.ts';
import { type FlinkTopics, kafkaTopic, MS, type Options, withOptions } from './flink-sources.ts';
import { millisOfTimestamp } from './flink-topics.ts';

export interface FlinkSink {
  /** Of the view. */
  readonly name: string;
  readonly columns: readonly SqlColumn[];
  /** Indexes of its key columns, in the order of the key. */
  readonly keyOrder: readonly number[];
  readonly sink: Sinkable;
  /** Whether the last record of a key is what counts. */
  readonly kept: boolean;
  /** Columns of the view that belong to the key besides: the window's. */
  readonly windowKey: readonly string[];
  /** Whether the view has a time. */
  readonly timed: boolean;
  readonly differs: (sentence: string) => void;
}

/** The sink's table, and the INSERT. Throws NoEqual. */
export function flinkSink(
  result: FlinkSink,
  topics: FlinkTopics,
): { readonly table: string; readonly insert: string } {
  const { name, columns, keyOrder, sink, kept, windowKey, timed } = result;
  const keys = keyOrder.flatMap((index) => columns[index] ?? []);
  const values = columns.filter(({ key }) => !key);
  if (sink.valueFormat === 'JSON' && !sink.wrapSingleValue && values.length === 1)
    throw new NoEqual('Flink writes JSON objects, and WRAP_SINGLE_VALUE = FALSE is a bare value');
  if (values.length === 0) throw new NoEqual('Flink writes no records with an empty value');
  if ([sink.keyFormat, sink.valueFormat].includes('DELIMITED'))
    result.differs('DELIMITED makes no difference of an empty text and NULL');
  const own = columns[sink.timestamp?.index ?? -1];
  const label = (column: SqlColumn): string => flinkName(spelled(column, sink.fieldCase));
  const keyNames = [...keys.map(label), ...windowKey.map(flinkName)];
  const fields = [
    ...columns.map((column) => `${label(column)} ${fieldType(column, sink)}`),
    ...windowKey.map((each) => `${flinkName(each)} BIGINT`),
    ...(timed || own !== undefined ? ["`__time` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp'"] : []),
    ...(kept ? [`PRIMARY KEY (${keyNames.join(', ')}) NOT ENFORCED`] : []),
  ];
  // The key of a window has more columns than the group's.
  const keyFormat = windowKey.length === 0 ? sink.keyFormat : 'JSON';
  if (sink.keyFormat === 'JSON' && keyNames.length === 1)
    throw new NoEqual("KEY_FORMAT 'JSON' with one column is a bare value, and Flink writes objects");
  const keyed = keyNames.length > 0 && sink.keyFormat !== 'NONE';
  const options = withOptions([
    ...kafkaTopic(topics, kept ? 'upsert-kafka' : 'kafka', sink.topic),
    ...(keyed || kept ? partFormat('key', keyFormat, sink) : []),
    ...(keyed && !kept ? ([['key.fields', keyNames.map(unquoted).join(';')]] as const) : []),
    ...partFormat('value', sink.valueFormat, sink),
    ...(keyed || kept ? ([['value.fields-include', 'EXCEPT_KEY']] as const) : []),
  ]);
  const table = flinkName(`${name}__result`);
  const selected = [
    ...columns.map((column) => flinkName(column.name)),
    ...windowKey.map(flinkName),
    ...(timed || own !== undefined ? [recordTime(own, result)] : []),
  ];
  // A primary key has no NULLs: groups without a value are left out, here as there.
  const present = kept ? keys.map((column) => `${flinkName(column.name)} IS NOT NULL`) : [];
  const where = present.length === 0 ? '' : `\nWHERE ${present.join(' AND ')}`;
  return {
    table: `CREATE TABLE ${table} (\n  ${fields.join(',\n  ')}\n) ${options}`,
    insert: `INSERT INTO ${table}\nSELECT ${selected.join(', ')}\nFROM ${flinkName(name)}${where}`,
  };
}

/** Names inside of values are spelt as those of columns. */
function fieldType({ type }: SqlColumn, { fieldCase }: Sinkable): string {
  const text = flinkType(type);
  return fieldCase === 'LOWER' ? text.replaceAll(/`(?:[^`]|``)*`/g, (name) => name.toLowerCase()) : text;
}

function unquoted(name: string): string {
  return name.slice(1, -1).replaceAll('``', '`');
}

function recordTime(own: SqlColumn | undefined, { timed, sink }: FlinkSink): string {
  if (own === undefined) return `TO_TIMESTAMP_LTZ(\`${MS}\`, 3)`;
  const ms = millisOfTimestamp(flinkName(own.name), sink.timestamp?.pattern ?? null);
  return `TO_TIMESTAMP_LTZ(${timed ? `COALESCE(${ms}, \`${MS}\`)` : ms}, 3)`;
}

function partFormat(part: 'key' | 'value', format: Format, { delimiter }: Sinkable): Options {
  switch (format) {
    case 'JSON':
      return [
        [`${part}.format`, 'json'],
        [`${part}.json.encode.decimal-as-plain-number`, 'true'],
      ];
    case 'DELIMITED':
      return [
        [`${part}.format`, 'csv'],
        [`${part}.csv.field-delimiter`, delimiter],
        [`${part}.csv.null-literal`, ''],
        [`${part}.csv.write-bigdecimal-in-scientific-notation`, 'false'],
      ];
    case 'KAFKA':
      return [[`${part}.format`, 'raw']];
    case 'AVRO':
      throw new NoEqual(
        "results in AVRO have schemas of the statement's name, and Flink registers others for the same topic",
      );
    case 'NONE':
      throw new NoEqual(`Flink writes no ${part} of format NONE`);
  }
}
