/** What all sources of a script share: where records are, times, options, views over a topic with rows. */
import type { TableId, TableSchema } from '../../model/table.ts';
import type { Profile } from '../../schema/column-schema.ts';
import type { ShownColumns } from '../sources/captured-columns.ts';
import { flinkName, flinkString, interval } from './flink-text.ts';

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

export const COMMITTED = ['properties.isolation.level', 'read_committed'] as const;
export const READ: Options = [COMMITTED, ['scan.startup.mode', 'earliest-offset']];

/** For a stream, which has its time in `TIME`. */
export function watermark(delayMs: number): string {
  const delay = delayMs === 0 ? '' : ` - ${interval(delayMs)}`;
  return `WATERMARK FOR \`${TIME}\` AS \`${TIME}\`${delay}`;
}

/** Over the table of a topic of that name. */
export function rowView(view: string, name: string, columns: readonly string[]): string {
  return `CREATE VIEW ${flinkName(view)} AS\nSELECT ${columns.join(', ')}\nFROM ${flinkName(`${name}__topic`)}`;
}

export function versionsOf(name: string): string {
  return `${name}__versions`;
}
