/** Topics of results as tables of Flink, and the statements that fill them. */
import { spelled } from '../record-writer.ts';
import type { Sinkable } from '../catalog.ts';
import type { SqlColumn } from '../captured-source.ts';
import { flinkName, flinkType, NoEqual } from './flink-text.ts';
import { type FlinkTopics, kafkaTopic, MS, withOptions } from './flink-sources.ts';

export interface FlinkSink {
  /** Of the view. */
  readonly name: string;
  readonly columns: readonly SqlColumn[];
  readonly sink: Sinkable;
  /** Whether the last record of a key is what counts. */
  readonly kept: boolean;
  /** Columns of the view that belong to the key besides: the window's. */
  readonly windowKey: readonly string[];
  /** Whether the view has a time. */
  readonly timed: boolean;
}

/** The sink's table, and the INSERT. Throws NoEqual. */
export function flinkSink(
  result: FlinkSink,
  topics: FlinkTopics,
): { readonly table: string; readonly insert: string } {
  const { name, columns, sink, kept, windowKey, timed } = result;
  const keys = columns.filter(({ key }) => key);
  const values = columns.filter(({ key }) => !key);
  if (!sink.wrapSingleValue && values.length === 1)
    throw new NoEqual('Flink writes JSON objects, and WRAP_SINGLE_VALUE = FALSE is a bare value');
  if (values.length === 0) throw new NoEqual('Flink writes no records with an empty value');
  const own = sink.timestampColumn === null ? undefined : columns[sink.timestampColumn];
  const label = (column: SqlColumn): string => flinkName(spelled(column, sink.fieldCase));
  const keyNames = [...keys.map(label), ...windowKey.map(flinkName)];
  const fields = [
    ...columns.map((column) => `${label(column)} ${fieldType(column, sink)}`),
    ...windowKey.map((each) => `${flinkName(each)} BIGINT`),
    ...(timed || own !== undefined ? ["`__time` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp'"] : []),
    ...(kept ? [`PRIMARY KEY (${keyNames.join(', ')}) NOT ENFORCED`] : []),
  ];
  const bare = sink.keyFormat === 'KAFKA' && windowKey.length === 0;
  if (sink.keyFormat === 'JSON' && keyNames.length === 1)
    throw new NoEqual("KEY_FORMAT 'JSON' with one column is a bare value, and Flink writes objects");
  const keyed = keyNames.length > 0 && sink.keyFormat !== 'NONE';
  const options = withOptions([
    ...kafkaTopic(topics, kept ? 'upsert-kafka' : 'kafka', sink.topic),
    ...(keyed || kept ? ([['key.format', bare ? 'raw' : 'json']] as const) : []),
    ...(keyed && !kept ? ([['key.fields', keyNames.map(unquoted).join(';')]] as const) : []),
    ['value.format', 'json'],
    ['value.json.encode.decimal-as-plain-number', 'true'],
    ...(keyed || kept ? ([['value.fields-include', 'EXCEPT_KEY']] as const) : []),
  ]);
  const table = flinkName(`${name}__result`);
  const selected = [
    ...columns.map((column) => flinkName(column.name)),
    ...windowKey.map(flinkName),
    ...(timed || own !== undefined ? [recordTime(own, timed)] : []),
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

function recordTime(own: SqlColumn | undefined, timed: boolean): string {
  if (own === undefined) return `TO_TIMESTAMP_LTZ(\`${MS}\`, 3)`;
  const ms = flinkName(own.name);
  return `TO_TIMESTAMP_LTZ(${timed ? `COALESCE(${ms}, \`${MS}\`)` : ms}, 3)`;
}
