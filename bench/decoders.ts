/** `npm run bench -- decoders`: what turning one record of a topic into a row of a stream costs, in each format. */
import avsc from 'avsc';
import { type PartReader, partReader } from '../src/enrichment/formats/format.ts';
import { partWriter } from '../src/enrichment/formats/part-writer.ts';
import type { SchemaReader } from '../src/enrichment/formats/registry-access.ts';
import { BIGINT, INTEGER, STRING } from '../src/enrichment/sql/sql-type.ts';
import type { SqlValue } from '../src/enrichment/sql/value.ts';
import { registeredPrefix } from '../src/schema/registry/record-prefix.ts';
import { cpuMicros } from './cpu-micros.ts';
import { median } from './report.ts';
import { printTable } from './table.ts';

const ROWS = 10_000;

/** The ratings of ksqlDB's talks, as their generator writes them. */
const SCHEMA = {
  type: 'record',
  name: 'Rating',
  namespace: 'ksql',
  fields: [
    { name: 'rating_id', type: 'long' },
    { name: 'user_id', type: 'int' },
    { name: 'stars', type: 'int' },
    { name: 'route_id', type: 'int' },
    { name: 'rating_time', type: 'long' },
    { name: 'channel', type: 'string' },
    { name: 'message', type: ['null', 'string'] },
  ],
} as const satisfies avsc.Schema;

const TYPES = { long: BIGINT, int: INTEGER, string: STRING };
const COLUMNS = SCHEMA.fields.map(({ name, type }, index) => ({
  name: name.toUpperCase(),
  label: name,
  index,
  type: typeof type === 'string' ? TYPES[type] : STRING,
}));

const MESSAGES = [
  'why is it so difficult to keep the bathrooms clean ?',
  'your team here rocks!',
  'thank you for the most friendly, helpful experience today at your new lounge',
  null,
];
const CHANNELS = ['iOS', 'android', 'web', 'ios-test'];

export async function benchDecoders({
  events,
  repeat,
}: {
  readonly events: number;
  readonly repeat: number;
}): Promise<void> {
  const values = Array.from({ length: ROWS }, (_, i) => ({
    rating_id: 1_000_000 + i,
    user_id: (i * 7919) % 100_000,
    stars: 1 + (i % 5),
    route_id: (i * 31) % 10_000,
    rating_time: 1_700_000_000_000 + i * 97,
    channel: CHANNELS[i % CHANNELS.length]!,
    message: MESSAGES[i % MESSAGES.length]!,
  }));
  const type = avsc.Type.forSchema(SCHEMA);
  const avro = values.map((value) => Buffer.concat([registeredPrefix(1), type.toBuffer(value)]));
  const json = values.map((value) => Buffer.from(JSON.stringify(value)));
  const write = partWriter(COLUMNS, {
    format: 'DELIMITED',
    delimiter: ',',
    bare: false,
    spelling: (name) => name,
    prefix: null,
  });
  const delimited = values.map((value) => Buffer.from(write(Object.values(value)) ?? ''));
  const reader: SchemaReader = {
    byId: () => Promise.resolve({ type: 'AVRO', text: JSON.stringify(SCHEMA), references: [] }),
    latest: () => Promise.resolve(null),
    version: () => Promise.resolve(null),
  };
  const schemas = { reader, signal: new AbortController().signal };
  const part = (format: 'AVRO' | 'JSON' | 'DELIMITED', columns = COLUMNS): PartReader =>
    partReader(columns, { format, delimiter: ',', bare: false }, schemas);
  const rows: (string | number)[][] = [];
  const add = (name: string, records: readonly Buffer[], read: (record: Buffer) => void): void => {
    const runs = Array.from({ length: repeat + 1 }, () => timed(events, records, read));
    runs.shift(); // the compiler's
    const micros = median(runs) / events;
    const bytes = records.reduce((sum, record) => sum + record.length, 0) / records.length;
    rows.push([name, micros.toFixed(2), Math.round(1e6 / micros), Math.round(bytes)]);
  };
  const ours = async (name: string, records: readonly Buffer[], one: PartReader): Promise<void> => {
    await one.prepare?.(records[0]!);
    const row: SqlValue[] = [];
    add(name, records, (record) => {
      row.length = 0;
      if (one.prepare?.(record) != null || !one.read(record, row)) throw new Error('It was not read');
    });
  };
  await ours('Headwater, AVRO', avro, part('AVRO'));
  await ours('Headwater, AVRO, two of its columns', avro, part('AVRO', COLUMNS.slice(1, 3)));
  await ours('Headwater, JSON', json, part('JSON'));
  await ours('Headwater, DELIMITED', delimited, part('DELIMITED'));
  add('avsc', avro, (record) => type.decode(record, 5));
  add('JSON.parse', json, (record) => JSON.parse(record.toString('utf8')));
  console.log('\nOne record of seven fields as a row');
  printTable(['', 'CPU µs/record', 'records/CPU s', 'bytes'], rows);
}

/** CPU microseconds. */
function timed(events: number, records: readonly Buffer[], read: (record: Buffer) => void): number {
  return cpuMicros(() => {
    for (let i = 0; i < events; i++) read(records[i % ROWS]!);
  });
}
