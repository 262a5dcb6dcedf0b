/** `npm run bench -- encoders`: what turning one change of `orders` into its record costs, in each format. */
import avsc from 'avsc';
import protobuf from 'protobufjs';
import { jsonEncoding } from '../src/emitter/encoders/json.ts';
import { registeredEncoding, type RegisteredOptions } from '../src/emitter/encoders/registered.ts';
import type { Encoding, Envelope } from '../src/emitter/encoders/encoder.ts';
import type { Column, ColumnType, TableSchema } from '../src/model/table.ts';
import type { Row } from '../src/model/value.ts';
import { postgresSourceBlock } from '../src/readers/postgres/source-block.ts';
import type { PostgresSource, PostgresTx } from '../src/readers/postgres/source-info.ts';
import { median } from './report.ts';
import { sampleEvents } from './sample-event.ts';
import { printTable } from './table.ts';

const ROWS = 10_000;
const PER_TRANSACTION = 100;

export async function benchEncoders({
  events,
  repeat,
}: {
  readonly events: number;
  readonly repeat: number;
}): Promise<void> {
  const changes = sampleChanges();
  const block = postgresSourceBlock('shop', 'shop');
  const out = Buffer.allocUnsafe(4 * 1024 * 1024);
  const rows: (string | number)[][] = [];
  const add = (name: string, encode: (i: number, at: number) => number): void => {
    const runs = Array.from({ length: repeat + 1 }, () => timed(events, out, encode));
    runs.shift(); // the compiler's
    const micros = median(runs.map((run) => run.micros / events));
    rows.push([name, micros.toFixed(2), Math.round(1e6 / micros), Math.round(runs[0]!.bytes / events)]);
  };
  const copy = (bytes: string | Uint8Array | null, at: number): number => {
    if (!(bytes instanceof Uint8Array)) throw new TypeError('An encoder for Kafka made no bytes');
    out.set(bytes, at);
    return at + bytes.length;
  };

  const texts = new Map<string, string>();
  const registered = (format: RegisteredOptions['format']): Encoding =>
    registeredEncoding({
      format,
      profile: 'debezium',
      names: 'none',
      references: false,
      registrar: {
        id: ({ part }, { text }) => {
          texts.set(`${format} ${part}`, text);
          return Promise.resolve(1);
        },
        reference: () => Promise.reject(new Error('The benchmark has no references')),
        takeChanged: () => undefined,
      },
    });
  const json = (withSchema: boolean): Encoding =>
    jsonEncoding({ profile: 'debezium', withSchema, rows: 'bytes' });
  const encodings: readonly (readonly [name: string, encoding: Encoding])[] = [
    ['Headwater, json', json(false)],
    ['Headwater, json-with-schema', json(true)],
    ['Headwater, json-schema', registered('json-schema')],
    ['Headwater, avro', registered('avro')],
    ['Headwater, protobuf', registered('protobuf')],
  ];
  for (const [name, encoding] of encodings) {
    const encoder = await encoding.table({
      table: ORDERS,
      key: ORDERS.key,
      fields: ORDERS.columns.map((_, i) => i),
      topic: 'shop.public.orders',
      source: block.schema,
      writeSource: () => {},
      envelope: 'full',
    });
    const sourceText = block.forTable(ORDERS.id);
    const sourceValues = block.valuesForTable(ORDERS.id);
    const asText = encoding.blocks === 'text';
    const envelope: Envelope = {
      op: 'u',
      before: null,
      after: null,
      source: '',
      at: null,
      snapshot: null,
      transaction: 'null',
      sourceValues: [],
      place: null,
      timeUs: 0,
    };
    add(name, (i, at) => {
      const change = changes[i % ROWS]!;
      envelope.before = change.before;
      envelope.after = change.after;
      if (asText) envelope.source = sourceText(change.at, null);
      else envelope.sourceValues = sourceValues(change.at, null);
      if (i % 500 === 0) envelope.timeUs = 1_795_250_477_500_000 + i;
      const written = copy(encoder.key(change.after), at);
      return copy(encoder.value(envelope), written) - at;
    });
  }
  addPeers(texts, (name, key, value) =>
    add(name, (i, at) => {
      const written = copy(key(i % ROWS), at);
      return copy(value(i % ROWS), written) - at;
    }),
  );
  const samples = sampleEvents(ROWS);
  const objects = samples.map(
    ({ value }) => JSON.parse(value) as { readonly after: { readonly id: number } },
  );
  add('JSON.stringify of ready objects', (i, at) => {
    const object = objects[i % ROWS]!;
    const written = at + out.write(JSON.stringify({ id: object.after.id }), at, 'latin1');
    return written + out.write(JSON.stringify(object), written, 'latin1') - at;
  });
  add('ready text, only written', (i, at) => {
    const { key, value } = samples[i % ROWS]!;
    const written = at + out.write(key, at, 'latin1');
    return written + out.write(value, written, 'latin1') - at;
  });
  console.log('\nKey and value of an update with before and after, bytes written included');
  printTable(['', 'CPU µs/event', 'events/CPU s', 'bytes'], rows);
}

function timed(
  events: number,
  out: Buffer,
  encode: (i: number, at: number) => number,
): { readonly micros: number; readonly bytes: number } {
  const before = process.cpuUsage();
  let at = 0;
  let bytes = 0;
  for (let i = 0; i < events; i++) {
    const length = encode(i, at);
    bytes += length;
    at += length;
    if (at > out.length - 65_536) at = 0;
  }
  // Processor time, the collector's threads included: the clock also counts what others do on the machine.
  const { user, system } = process.cpuUsage(before);
  return { micros: user + system, bytes };
}

/**
 * avsc and protobufjs with our schemas, and with objects that are ready: what a program that has the row as an
 * object would pay. Nanoseconds are left at microseconds, since neither library takes integers past 2^53 for them.
 */
function addPeers(
  texts: ReadonlyMap<string, string>,
  add: (name: string, key: (i: number) => Uint8Array, value: (i: number) => Uint8Array) => void,
): void {
  interface Sample {
    before: { amount: unknown };
    after: { id: number; amount: unknown };
    source: { ts_us: number; ts_ns: number };
    ts_us: number;
    ts_ns: number;
  }
  const samples = (amount: (base64: string) => unknown): Sample[] =>
    sampleEvents(ROWS).map(({ value }) => {
      const event = JSON.parse(value) as Sample;
      event.ts_ns = event.ts_us;
      event.source.ts_ns = event.source.ts_us;
      for (const row of [event.before, event.after]) row.amount = amount(String(row.amount));
      return event;
    });
  const avro = (part: string): avsc.Type =>
    avsc.Type.forSchema(JSON.parse(texts.get(`avro ${part}`)!) as avsc.Schema);
  const [avroKey, avroValue] = [avro('key'), avro('value')];
  const forAvro = samples((base64) => Buffer.from(base64, 'base64'));
  add(
    'avsc, ready objects',
    (i) => avroKey.toBuffer({ id: forAvro[i]!.after.id }),
    (i) => avroValue.toBuffer(forAvro[i]),
  );
  const root = new protobuf.Root();
  protobuf.parse(DECIMAL, root, { keepCase: true });
  for (const part of ['key', 'value'])
    protobuf.parse(texts.get(`protobuf ${part}`)!, root, { keepCase: true });
  root.resolveAll();
  const key = root.lookupType('shop.public.orders.Key');
  const envelope = root.lookupType('shop.public.orders.Envelope');
  const forProtobuf = samples((base64) => ({
    value: Buffer.from(base64, 'base64'),
    precision: 10,
    scale: 2,
  }));
  add(
    'protobufjs, ready objects',
    (i) => key.encode({ id: forProtobuf[i]!.after.id }).finish(),
    (i) => envelope.encode(forProtobuf[i] as unknown as Record<string, unknown>).finish(),
  );
}

const DECIMAL = `syntax = "proto3"; package confluent.type;
message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }`;

interface SampleChange {
  readonly before: Row;
  readonly after: Row;
  readonly at: PostgresSource;
}

function sampleChanges(): SampleChange[] {
  const notes = ['leave at the door', 'call before delivery', 'gift wrapping, no invoice in the box', null];
  let tx: PostgresTx | null = null;
  return Array.from({ length: ROWS }, (_, i) => {
    const lsn = 3_000_000_000 + i * 170;
    if (tx === null || i % PER_TRANSACTION === 0) {
      const xid = 700 + i / PER_TRANSACTION;
      const commitTimeUs = 1_795_250_477_000_000 + i * 97;
      const ends = { commitLsn: lsn + 17_000, beginLsn: lsn, lastCommitLsn: lsn - 40 };
      tx = { id: String(xid), xid, commitTimeUs, ...ends };
    }
    const row = (status: string, cents: number, updated: number): Row => [
      1 + ((i * 7919) % 1_000_000),
      (i * 31) % 100_000,
      status,
      `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`,
      notes[i % notes.length]!,
      1_709_287_200_000_000 + i * 17_123_457,
      updated,
    ];
    return {
      before: row('paid', 10_000 + i, 1_709_380_800_000_000 + i * 17_654_321),
      after: row('shipped', 20_000 + i, 1_795_250_476_900_000 + i * 97),
      at: { connector: 'postgresql', lsn, tx },
    };
  });
}

function column(name: string, type: ColumnType, nativeType: string): Column {
  const [length, scale] =
    type.kind === 'decimal'
      ? [type.precision, type.scale]
      : type.kind === 'string'
        ? [64, null]
        : [null, null];
  return { name, type, nativeType, nullable: name === 'note', default: undefined, length, scale };
}

const ORDERS: TableSchema = {
  id: { schema: 'public', table: 'orders' },
  version: 1,
  columns: [
    column('id', { kind: 'int64' }, 'int8'),
    column('customer_id', { kind: 'int32' }, 'int4'),
    column('status', { kind: 'string' }, 'varchar'),
    column('amount', { kind: 'decimal', precision: 10, scale: 2 }, 'numeric'),
    column('note', { kind: 'string' }, 'varchar'),
    column('created_at', { kind: 'timestamptz', precision: 6 }, 'timestamptz'),
    column('updated_at', { kind: 'timestamptz', precision: 6 }, 'timestamptz'),
  ],
  key: [0],
};
