import { beforeEach, describe, expect, test } from 'vitest';
import type { Emitter, EmitterOptions } from '../../src/emitter/emitter.ts';
import { createEmitter } from '../../src/emitter/record-emitter.ts';
import { jsonEncoding } from '../../src/emitter/encoders/json.ts';
import { PausedTables } from '../../src/emitter/paused-tables.ts';
import type { Sink, SinkRecord, TopicHandle } from '../../src/emitter/sink.ts';
import type { Pausing } from '../../src/emitter/table-routes.ts';
import { TopicOwners } from '../../src/emitter/topic-owners.ts';
import type { TableSettings } from '../../src/emitter/table-rules.ts';
import type { ColumnRules } from '../../src/emitter/transforms/column-rules.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { Batch } from '../../src/model/batch.ts';
import type { Change, RowChange, TableDescription } from '../../src/model/change.ts';
import type { Column, ColumnType, TableId, TableSchema } from '../../src/model/table.ts';
import { type Image, type RawFormat, RawRow } from '../../src/model/raw-row.ts';
import { ABSENT, UNCHANGED } from '../../src/model/value.ts';
import { postgresSourceBlock } from '../../src/readers/postgres/source-block.ts';
import type { PostgresSource, PostgresTx } from '../../src/readers/postgres/source-info.ts';
import { PLAIN_EMITTER } from '../support/emitter-options.ts';

interface Written {
  readonly topic: string;
  readonly key: unknown;
  // Parsed JSON whose shape is what the tests are about.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly value: any;
  readonly headers: Readonly<Record<string, unknown>>;
}

const written: Written[] = [];
const failures: { table: TableId; error: HeadwaterError }[] = [];

/** Topics that are not there. */
const denied = new Set<string>();

function fakeSink(): Sink {
  const parse = (text: string | Uint8Array | null): unknown =>
    text === null ? null : JSON.parse(String(text));
  return {
    topic: (name: string) =>
      denied.has(name)
        ? Promise.reject(
            new HeadwaterError('delivery.topic-missing', 'It is not there.', { details: { topic: name } }),
          )
        : Promise.resolve({ name }),
    append(topic: TopicHandle, record: SinkRecord) {
      written.push({
        topic: topic.name,
        key: parse(record.key),
        value: parse(record.value),
        headers: Object.fromEntries((record.headers ?? []).map(([name, value]) => [name, parse(value)])),
      });
    },
  } as unknown as Sink;
}

function emitterWith(
  options: Partial<EmitterOptions> = {},
  format: 'json' | 'json-with-schema' = 'json',
  pausing?: Pausing,
): Emitter {
  return createEmitter(
    {
      ...PLAIN_EMITTER,
      heartbeats: true,
      onDeadLetter: (table, error) => failures.push({ table, error }),
      ...options,
    },
    {
      encoding: jsonEncoding({ profile: 'debezium', withSchema: format === 'json-with-schema' }),
      block: postgresSourceBlock('shop', 'shopdb'),
      sink: fakeSink(),
      ...(pausing === undefined ? {} : { pausing }),
    },
  );
}

function column(name: string, type: ColumnType, nullable = true): Column {
  return { name, type, nullable, default: undefined, nativeType: type.kind, length: null, scale: null };
}

function table(name: string, columns: readonly Column[], key: readonly number[]): TableSchema {
  return { id: { schema: 'public', table: name }, version: 1, columns, key };
}

const ORDERS = table(
  'orders',
  [
    column('id', { kind: 'int32' }, false),
    column('note', { kind: 'string' }),
    column('qty', { kind: 'int32' }, false),
  ],
  [0],
);

const TX: PostgresTx = {
  id: '7',
  xid: 7,
  commitTimeUs: 1_700_000_000_123_456,
  commitLsn: 900,
  beginLsn: 500,
  lastCommitLsn: 400,
};
const at = (lsn: number): PostgresSource => ({ connector: 'postgresql', lsn, tx: TX });

function row(
  op: RowChange['op'],
  before: Image | null,
  after: Image | null,
  seq = 0,
  of = ORDERS,
): RowChange<PostgresSource> {
  return { kind: 'row', op, table: of, before, after, tx: TX, seq, at: at(600 + seq), snapshot: null };
}

const TEXT: RawFormat = {
  columns: 3,
  decode(bytes, from, to, column) {
    const text = bytes.toString('utf8', from, to);
    if (column === 1) return text;
    if (column === 2 && !/^\d+$/.test(text))
      throw new HeadwaterError('source.value-unreadable', 'A value is not an int4.');
    return Number(text);
  },
  locate(bytes, start, end, into) {
    let from = start;
    for (let i = 0; i < 3; i++) {
      const comma = bytes.indexOf(',', from);
      into[2 * i] = from;
      into[2 * i + 1] = (i === 2 ? end : comma) - from;
      from = comma + 1;
    }
  },
};

const NO_RULES: ColumnRules = {
  include: null,
  exclude: [],
  mask: new Map(),
  truncate: new Map(),
  rename: new Map(),
};

function tablesWith(settings: TableSettings): Partial<EmitterOptions> {
  return { tables: new Map([['public.orders', settings]]) };
}

/** `id,note,qty` that nobody has decoded. */
function textRow(line: string): RawRow {
  const bytes = Buffer.from(line);
  return new RawRow(bytes, 0, bytes.length, TEXT);
}

async function emit(emitter: Emitter, ...changes: Change<PostgresSource>[]) {
  const batch: Batch<unknown> = { changes, bytes: 0, resume: null };
  await emitter.prepare(batch);
  return emitter.emit(batch);
}

beforeEach(() => {
  written.length = 0;
  denied.clear();
  failures.length = 0;
});

test('one batch may hold changes of many versions of a table', async () => {
  const versions = [1, 2, 3, 4].map((version) => ({ ...ORDERS, version }));
  const changes = versions.map((version, seq) => row('c', null, [seq, 'x', 1], seq, version));
  const emitter = emitterWith();
  expect(await emit(emitter, ...changes)).toMatchObject({ records: 4 });
  expect(await emit(emitter, ...changes.slice(2))).toMatchObject({ records: 2 });
});

describe('rows', () => {
  test('a create has Debezium’s envelope, field by field', async () => {
    const counts = await emit(emitterWith(), row('c', null, [1, 'a "b"', 2]));
    expect(counts).toMatchObject({ creates: 1, transactions: 1, records: 1 });
    const [record] = written;
    expect(record).toMatchObject({ topic: 'shop.public.orders', key: { id: 1 }, headers: {} });
    expect(Object.keys(record!.value)).toEqual([
      'before',
      'after',
      'source',
      'transaction',
      'op',
      'ts_ms',
      'ts_us',
      'ts_ns',
    ]);
    expect(record!.value).toMatchObject({
      before: null,
      after: { id: 1, note: 'a "b"', qty: 2 },
      transaction: null,
      op: 'c',
    });
    expect(record!.value.source).toEqual({
      version: '3.2.0.Final',
      connector: 'postgresql',
      name: 'shop',
      ts_ms: 1_700_000_000_123,
      snapshot: 'false',
      db: 'shopdb',
      sequence: '["400","600"]',
      ts_us: 1_700_000_000_123_456,
      ts_ns: 1_700_000_000_123_456_000,
      schema: 'public',
      table: 'orders',
      txId: 7,
      lsn: 600,
      xmin: null,
    });
    expect(Math.abs(record!.value.ts_ms - Date.now())).toBeLessThan(60_000);
  });

  test('a delete is followed by a tombstone with the same key', async () => {
    await emit(emitterWith(), row('d', [1, ABSENT, ABSENT], null));
    expect(written.map(({ key, value }) => [key, value?.op ?? null])).toEqual([
      [{ id: 1 }, 'd'],
      [{ id: 1 }, null],
    ]);
    expect(written[0]!.value.before).toEqual({ id: 1, note: null, qty: null });
  });

  test('no tombstones where they are not wanted', async () => {
    const counts = await emit(
      emitterWith({ tombstones: false }),
      row('d', [1, 'x', 2], null),
      row('u', [1, 'x', 2], [3, 'x', 2], 1),
    );
    expect(written.map(({ value }) => value?.op)).toEqual(['d', 'd', 'c']);
    expect(counts).toMatchObject({ deletes: 1, updates: 1, records: 3 });
  });

  test('a changed key is a delete, a tombstone and a create that point to each other', async () => {
    await emit(emitterWith(), row('u', [1, ABSENT, ABSENT], [5, 'x', 2]));
    expect(written.map(({ key, value, headers }) => [key, value?.op ?? null, headers])).toEqual([
      [{ id: 1 }, 'd', { '__debezium.newkey': { id: 5 } }],
      [{ id: 1 }, null, { '__debezium.newkey': { id: 5 } }],
      [{ id: 5 }, 'c', { '__debezium.oldkey': { id: 1 } }],
    ]);
    expect(written[2]!.value).toMatchObject({ before: null, after: { id: 5 } });
  });

  test('an update whose old row has the same key stays an update', async () => {
    await emit(emitterWith(), row('u', [1, 'old', 2], [1, 'new', 2]));
    expect(written.map(({ value }) => value.op)).toEqual(['u']);
    expect(written[0]!.value.before.note).toBe('old');
  });

  test('byte keys are compared by what they hold', async () => {
    const blobs = table('blobs', [column('k', { kind: 'bytes' }, false)], [0]);
    await emit(emitterWith(), row('u', [new Uint8Array([1])], [new Uint8Array([1])], 0, blobs));
    await emit(emitterWith(), row('u', [new Uint8Array([1])], [new Uint8Array([2])], 0, blobs));
    expect(written.map(({ value }) => value?.op ?? null)).toEqual(['u', 'd', null, 'c']);
  });

  test('a table without a key has null keys', async () => {
    const log = table('log', ORDERS.columns, []);
    await emit(emitterWith(), row('c', null, [1, 'x', 2], 0, log));
    expect(written[0]!.key).toBeNull();
  });

  test('settings may name another key and topic', async () => {
    const tables = new Map([['public.orders', { key: ['qty', 'id'], topic: 'my orders' }]]);
    await emit(emitterWith({ tables }), row('c', null, [1, 'x', 2]));
    expect(written[0]).toMatchObject({ topic: 'my_orders', key: { qty: 2, id: 1 } });
    expect(Object.keys(written[0]!.key as object)).toEqual(['qty', 'id']);
  });

  test('a delete whose old row lacks the key of the settings does not go out with another key', async () => {
    const emitter = emitterWith({ tables: new Map([['public.orders', { key: ['note'] }]]) });
    await emit(emitter, row('d', [1, ABSENT, ABSENT], null), row('d', [1, 'a', 2], null, 1));
    expect(written.map(({ topic, key }) => [topic, key])).toEqual([
      ['shop.dead-letter', { name: 'shop', table: 'public.orders' }],
      ['shop.public.orders', { note: 'a' }],
      ['shop.public.orders', { note: 'a' }],
    ]);
    expect(failures).toMatchObject([{ error: { code: 'delivery.key-unknown' } }]);
  });

  test('a key of the settings that the table lacks is refused', async () => {
    const tables = new Map([['public.orders', { key: ['nope'] }]]);
    await expect(emit(emitterWith({ tables }), row('c', null, [1, 'x', 2]))).rejects.toMatchObject({
      code: 'settings.key-column-missing',
    });
  });

  test('a gap that was skipped is told in a notification', async () => {
    const emitter = emitterWith({}, 'json-with-schema');
    const data = { from: '1', to: '2', reason: 'the slot is gone' };
    await emitter.notify({ aggregateType: 'Gap', type: 'SKIPPED', data }, 1_700_000_000_000);
    expect(written).toHaveLength(1);
    const { topic, key, value } = written[0]!;
    expect(topic).toBe('shop.notification');
    expect(value.schema.name).toBe('io.debezium.connector.common.Notification');
    expect(value.payload).toEqual({
      id: (key as { payload: { id: string } }).payload.id,
      aggregate_type: 'Gap',
      type: 'SKIPPED',
      additional_data: data,
      timestamp: 1_700_000_000_000,
    });
  });

  test('unwrapped: the row alone, and a delete is its tombstone', async () => {
    await emit(
      emitterWith({ envelope: 'unwrapped' }),
      row('c', null, [1, 'x', 2]),
      row('d', [1, ABSENT, ABSENT], null, 1),
    );
    expect(written.map(({ key, value }) => [key, value])).toEqual([
      [{ id: 1 }, { id: 1, note: 'x', qty: 2 }],
      [{ id: 1 }, null],
    ]);
  });

  test('with a schema, a required column that the log lacks is filled in and named in a header', async () => {
    await emit(emitterWith({}, 'json-with-schema'), row('d', [1, ABSENT, ABSENT], null));
    expect(written[0]!.value.payload.before).toEqual({ id: 1, note: null, qty: 0 });
    expect(written[0]!.headers).toEqual({ '__headwater.absent': ['qty'] });
    expect(written[1]!.headers).toEqual({});
  });

  test('an unchanged value out of line is Debezium’s placeholder, and named in a header', async () => {
    await emit(emitterWith(), row('u', null, [1, UNCHANGED, 2]));
    expect(written[0]!.value.after.note).toBe('__debezium_unavailable_value');
    expect(written[0]!.headers).toEqual({ '__headwater.unavailable': ['note'] });
  });
});

describe('a row that cannot be encoded', () => {
  test('lies in the dead-letter topic with its position and cause; the others go on', async () => {
    const broken = row('c', null, [1, 'fine', 'not a number']);
    const counts = await emit(emitterWith(), broken, row('c', null, [2, 'x', 3], 1), { ...broken, seq: 2 });
    expect(written.map(({ topic }) => topic)).toEqual([
      'shop.dead-letter',
      'shop.public.orders',
      'shop.dead-letter',
    ]);
    expect(written[0]!.value).toMatchObject({
      table: 'public.orders',
      topic: 'shop.public.orders',
      op: 'c',
      source: { lsn: 600 },
      after: { id: 1, note: 'fine', qty: 'not a number' },
      cause: { code: 'internal.bug' },
    });
    expect(failures).toHaveLength(2);
    expect(failures[0]!.table).toEqual(ORDERS.id);
    expect(failures[0]!.error.message).not.toContain('not a number');
    expect(counts.records).toBe(3);
  });
});

describe('a row that could not be read', () => {
  test('lies in the dead-letter topic with its position and cause, without values', async () => {
    const unreadable = new HeadwaterError('source.value-unreadable', 'A value of qty is not an int4.');
    const counts = await emit(
      emitterWith(),
      { ...row('u', [1, 'secret', ABSENT], [1, 'secret', ABSENT]), unreadable },
      row('c', null, [2, 'x', 3], 1),
    );
    expect(written.map(({ topic }) => topic)).toEqual(['shop.dead-letter', 'shop.public.orders']);
    expect(written[0]!.value).toMatchObject({
      table: 'public.orders',
      op: 'u',
      source: { lsn: 600 },
      before: null,
      after: null,
      cause: { code: 'source.value-unreadable', message: 'A value of qty is not an int4.' },
    });
    expect(failures).toEqual([{ table: ORDERS.id, error: unreadable }]);
    expect(counts).toMatchObject({ updates: 0, creates: 1, records: 2 });
  });

  test('of columns without names no rule is asked and no schema made; values are shown where none is masked', async () => {
    const nameless: TableSchema = {
      ...table('orders', [column('@1', { kind: 'int32' })], []),
      version: 0,
      nameless: true,
    };
    const unreadable = new HeadwaterError('source.schema-unknown', 'Nobody knows.');
    const change = { ...row('c', null, [5]), table: nameless, unreadable };
    for (const [columns, shown] of [
      [{}, { '@1': 5 }],
      [{ columns: { ...NO_RULES, mask: new Map([['note', 3]]) } }, {}],
    ] as const) {
      written.length = failures.length = 0;
      const options = tablesWith({ key: ['qty'], ...columns });
      await emit(emitterWith(options, 'json-with-schema'), change, row('c', null, [2, 'x', 3], 1));
      expect(written.map(({ topic }) => topic)).toEqual(['shop.dead-letter', 'shop.public.orders']);
      expect(written[0]!.value).toMatchObject({ after: shown, cause: { code: 'source.schema-unknown' } });
      expect(failures).toEqual([{ table: ORDERS.id, error: unreadable }]);
    }
  });

  test('lies there too where its text was to be encoded as it is', async () => {
    await emit(emitterWith(), row('c', null, textRow('1,x,secret')), row('c', null, textRow('2,y,3'), 1));
    expect(written.map(({ topic }) => topic)).toEqual(['shop.dead-letter', 'shop.public.orders']);
    expect(written[0]!.value).toMatchObject({ op: 'c', before: null, after: null });
    expect(JSON.stringify(written[0])).not.toContain('secret');
    expect(written[1]).toMatchObject({ key: { id: 2 }, value: { after: { id: 2, note: 'y', qty: 3 } } });
    expect(failures).toMatchObject([{ table: ORDERS.id, error: { code: 'source.value-unreadable' } }]);
  });
});

describe('a row of text that cannot be read', () => {
  const seldomRead = row('c', null, textRow('1,x,secret'));

  test.each<[string, Partial<EmitterOptions>]>([
    ['masks', tablesWith({ columns: { ...NO_RULES, mask: new Map([['note', 3]]) } })],
    ['a filter', tablesWith({ filter: () => () => 'keep' })],
  ])('lies in the dead-letter topic alone with %s too', async (_, options) => {
    const counts = await emit(emitterWith(options), seldomRead, row('c', null, textRow('2,y,3'), 1));
    expect(written.map(({ topic }) => topic)).toEqual(['shop.dead-letter', 'shop.public.orders']);
    expect(JSON.stringify(written[0])).not.toContain('secret');
    expect(counts).toMatchObject({ records: 2 });
  });

  test('does so where updates are compared', async () => {
    await emit(emitterWith({ skipUnchanged: true }), row('u', textRow('1,x,secret'), textRow('1,x,2')));
    expect(written.map(({ topic }) => topic)).toEqual(['shop.dead-letter']);
  });
});

describe('a table that its settings no longer fit', () => {
  const narrower: TableSchema = { ...ORDERS, version: 2, columns: ORDERS.columns.slice(0, 1) };
  const wider: TableSchema = { ...ORDERS, version: 3 };
  const other = table('other', ORDERS.columns, [0]);
  const failing = (): never => {
    throw new HeadwaterError('enrich.statement-invalid', 'There is no qty.');
  };

  async function pausing(
    state: ReadonlyMap<string, string>,
  ): Promise<{ readonly paused: string[]; readonly parts: Pausing }> {
    const paused: string[] = [];
    const { tables } = await PausedTables.restore(state, { refusals: null });
    const onPaused = (id: TableId, { code }: HeadwaterError): void => void paused.push(`${id.table} ${code}`);
    const { name, topic, routes } = PLAIN_EMITTER;
    const naming = { name, topic, routes };
    const owners = new TopicOwners(
      { naming, ownTopic: () => null, reserved: [], results: [], kafka: true },
      [],
      state,
    );
    return { paused, parts: { tables, owners, state, onPaused, onIncompatible: 'pause' } };
  }

  test.each<[string, string, TableSettings]>([
    ['key', 'settings.key-column-missing', { key: ['qty'] }],
    ['header', 'settings.column-missing', { headers: new Map([['amount', 'qty']]) }],
    [
      'filter',
      'enrich.statement-invalid',
      { filter: ({ columns }) => (columns.length < 3 ? failing() : () => 'keep') },
    ],
  ])('after a DDL is left out alone, until it fits again: %s', async (_, code, settings) => {
    const { paused, parts } = await pausing(new Map());
    const emitter = emitterWith(tablesWith(settings), 'json', parts);
    await emit(emitter, row('c', null, [1, 'x', 2]));
    await emit(emitter, row('c', null, [2], 1, narrower), row('c', null, [3, 'y', 4], 2, other));
    expect(written.map(({ topic }) => topic)).toEqual(['shop.public.orders', 'shop.public.other']);
    expect(paused).toEqual([`orders ${code}`]);
    const noted = emitter.takeState()!.get('paused/public.orders')!;
    expect(JSON.parse(noted)).toMatchObject({ code, accepted: false });
    await emit(emitter, row('c', null, [4, 'z', 5], 3, wider));
    expect(written).toHaveLength(2);
    expect(JSON.parse(emitter.takeState()!.get('paused/public.orders')!)).toMatchObject({ accepted: true });
  });

  test('is left out where its topic cannot be had; the others go on', async () => {
    const { paused, parts } = await pausing(new Map([['position', '{}']]));
    denied.add('shop.public.orders');
    const emitter = emitterWith({}, 'json', parts);
    await emit(emitter, row('c', null, [1, 'x', 2]), row('c', null, [3, 'y', 4], 2, other));
    expect(written.map(({ topic }) => topic)).toEqual(['shop.public.other']);
    expect(paused).toEqual(['orders delivery.topic-missing']);
    const noted = emitter.takeState()!.get('paused/public.orders')!;
    expect(JSON.parse(noted)).toMatchObject({ topic: 'shop.public.orders', accepted: false });
    const first = await pausing(new Map());
    const refused = emit(emitterWith({}, 'json', first.parts), row('c', null, [1, 'x', 2]));
    await expect(refused).rejects.toMatchObject({ code: 'delivery.topic-missing' });
  });

  test('is left out where its topic is another table’s, at the first start too', async () => {
    const { paused, parts } = await pausing(new Map());
    const second = table('or_ders', ORDERS.columns, [0]);
    const first = table('or ders', ORDERS.columns, [0]);
    const dotted = table('or.ders', ORDERS.columns, [0]);
    denied.add('shop.public.or.ders');
    const rows = [first, second, dotted].map((each, i) => row('c', null, [i, 'x', 2], i, each));
    const emitter = emitterWith({}, 'json', parts);
    await emit(emitter, ...rows, row('c', null, [3, 'x', 2], 3, { ...second, version: 2 }));
    expect(written.map(({ topic, key }) => [topic, key])).toEqual([['shop.public.or_ders', { id: 0 }]]);
    expect(paused.map((each) => each.split(' settings')[0])).toEqual(['or_ders', 'or.ders', 'or_ders']);
    expect([...emitter.takeState()!.keys()]).toEqual(['paused/public.or_ders', 'paused/public.or.ders']);
  });

  test('is left out after a start that finds it so; the first start of a pipeline is refused', async () => {
    const settings = tablesWith({ key: ['qty'] });
    const begun = await pausing(new Map([['position', '{}']]));
    await emit(emitterWith(settings, 'json', begun.parts), row('c', null, [2], 0, narrower));
    expect(begun.paused).toEqual(['orders settings.key-column-missing']);
    const { parts } = await pausing(new Map());
    await expect(
      emit(emitterWith(settings, 'json', parts), row('c', null, [2], 0, narrower)),
    ).rejects.toMatchObject({ code: 'settings.key-column-missing' });
  });
});

describe('rows as text', () => {
  test('are updated where the key is the same, and deleted and created where it is another', async () => {
    await emit(
      emitterWith(),
      row('u', textRow('1,a,1'), textRow('1,b,2')),
      row('u', textRow('1,b,2'), textRow('2,b,2'), 1),
      row('u', [2, 'b', 2], textRow('3,b,2'), 2),
      row('u', textRow('3,b,2'), textRow('03,c,2'), 3),
    );
    expect(written.map(({ key, value }) => [(key as { id: number }).id, value?.op ?? null])).toEqual([
      [1, 'u'],
      ...[
        [1, 'd'],
        [1, null],
        [2, 'c'],
      ],
      ...[
        [2, 'd'],
        [2, null],
        [3, 'c'],
      ],
      [3, 'u'],
    ]);
  });
});

describe('a transaction that is delivered in several pieces', () => {
  const mark = { '__headwater.split': 7 }; // text that the fake sink reads as JSON
  const headers = (): unknown[] => written.map((each) => each.headers);

  test('says so from the second on, in all its records and in no other', async () => {
    const emitter = emitterWith();
    await emit(emitter, row('c', null, [1, 'x', 1]));
    emitter.split();
    await emit(emitter, row('u', null, [1, UNCHANGED, 2], 1), row('d', [1, ABSENT, ABSENT], null, 2));
    const unavailable = { '__headwater.unavailable': ['note'] };
    expect(headers()).toEqual([{}, { ...unavailable, ...mark }, mark, mark]);
    written.length = 0;
    emitter.heartbeat(1);
    await emit(emitter, { ...row('c', null, [2, 'x', 1]), tx: { ...TX, id: '8' } });
    await emit(emitter, { ...row('r', null, [3, 'x', 1]), tx: null });
    expect(headers()).toEqual([{}, {}, {}]);
  });

  test('and so does its rest after a restart', async () => {
    const schema = { kind: 'schema', id: ORDERS.id, table: ORDERS, previous: null, ddl: null } as const;
    const next = { ...row('c', null, [4, 'x', 4]), tx: { ...TX, id: '8' } };
    await emit(emitterWith(), { ...schema, tx: TX, at: at(600) }, row('c', null, [1, 'x', 1], 5), next);
    expect(headers()).toEqual([mark, {}]);
  });
});

describe('side records', () => {
  test('truncates are left out unless asked for', async () => {
    const truncate = { kind: 'truncate', table: ORDERS, tx: TX, seq: 0, at: at(600) } as const;
    expect(await emit(emitterWith(), truncate)).toMatchObject({ truncates: 1, records: 0 });
    await emit(emitterWith({ truncates: true }), truncate);
    expect(written).toHaveLength(1);
    expect(written[0]).toMatchObject({
      topic: 'shop.public.orders',
      key: null,
      value: { op: 't', before: null, after: null },
    });
  });

  test('messages go to a topic of their own', async () => {
    const message = {
      kind: 'message',
      prefix: 'p',
      content: new Uint8Array([0, 255]),
      tx: TX,
      seq: 0,
      at: at(600),
    } as const;
    await emit(emitterWith(), message);
    expect(written[0]).toMatchObject({
      topic: 'shop.message',
      key: { prefix: 'p' },
      value: { op: 'm', message: { prefix: 'p', content: 'AP8=' }, source: { table: '', lsn: 600 } },
    });
    expect(await emit(emitterWith({ messages: false }), message)).toMatchObject({ messages: 1, records: 0 });
  });

  test('transaction metadata counts records as Debezium does, both halves of a key change', async () => {
    const emitter = emitterWith({ transactionMetadata: true });
    await emit(
      emitter,
      { kind: 'begin', tx: TX, at: at(500) },
      row('c', null, [1, 'x', 2], 0),
      row('u', [1, ABSENT, ABSENT], [5, 'x', 2], 1),
      row('c', null, [1], 2, table('other', [column('id', { kind: 'int32' }, false)], [0])),
      { kind: 'end', tx: TX, at: at(900) },
    );
    const blocks = written
      .filter(({ value }) => value?.op !== undefined)
      .map(({ value }) => value.transaction);
    expect(blocks).toEqual([
      { id: '7:600', total_order: 1, data_collection_order: 1 },
      { id: '7:601', total_order: 2, data_collection_order: 2 },
      { id: '7:601', total_order: 3, data_collection_order: 3 },
      { id: '7:602', total_order: 4, data_collection_order: 1 },
    ]);
    const markers = written.filter(({ topic }) => topic === 'shop.transaction');
    expect(markers.map(({ key, value }) => [key, value])).toEqual([
      [
        { id: '7:500' },
        { status: 'BEGIN', id: '7:500', event_count: null, data_collections: null, ts_ms: 1_700_000_000_123 },
      ],
      [
        { id: '7:900' },
        {
          status: 'END',
          id: '7:900',
          event_count: 4,
          data_collections: [
            { data_collection: 'public.orders', event_count: 3 },
            { data_collection: 'public.other', event_count: 1 },
          ],
          ts_ms: 1_700_000_000_123,
        },
      ],
    ]);
  });

  test('a heartbeat', async () => {
    const emitter = emitterWith();
    await emit(emitter);
    emitter.heartbeat(1_700_000_000_999);
    expect(written).toEqual([
      {
        topic: '__debezium-heartbeat.shop',
        key: { serverName: 'shop' },
        value: { ts_ms: 1_700_000_000_999 },
        headers: {},
      },
    ]);
  });
});

test('a new version of a table is encoded with its own columns', async () => {
  const emitter = emitterWith();
  const wider: TableSchema = {
    ...ORDERS,
    version: 2,
    columns: [...ORDERS.columns, column('extra', { kind: 'string' })],
  };
  await emit(
    emitter,
    row('c', null, [1, 'x', 2]),
    { kind: 'schema', id: ORDERS.id, table: wider, previous: ORDERS, ddl: null, tx: TX, at: at(601) },
    row('c', null, [2, 'y', 3, 'z'], 1, wider),
  );
  expect(written.map(({ value }) => Object.keys(value.after))).toEqual([
    ['id', 'note', 'qty'],
    ['id', 'note', 'qty', 'extra'],
  ]);
  expect([...emitter.tables()]).toMatchObject([{ topic: 'shop.public.orders', events: 2 }]);
});

test('snapshot rows carry their marker and no transaction', async () => {
  const stand: PostgresTx = { ...TX, lastCommitLsn: null };
  const read: RowChange<PostgresSource> = {
    ...row('r', null, [1, 'x', 2]),
    tx: null,
    at: { connector: 'postgresql', lsn: 50, tx: stand },
    snapshot: 'first',
  };
  await emit(emitterWith({ transactionMetadata: true }), read, { ...read, snapshot: 'last' });
  expect(
    written.map(({ value }) => [value.source.snapshot, value.source.sequence, value.transaction]),
  ).toEqual([
    ['first', '[null,"50"]', null],
    ['last', '[null,"50"]', null],
  ]);
});

describe('changes of tables', () => {
  const schema = (description: TableDescription | null | undefined): Change<PostgresSource> => ({
    kind: 'schema',
    id: { schema: 'shop', table: 'a "b"' },
    table: description == null ? null : ORDERS,
    previous: null,
    ddl: 'CREATE TABLE …',
    ...(description === undefined ? {} : { description }),
    tx: null,
    at: at(1),
  });
  const description: TableDescription = {
    defaultCharset: 'utf8mb4',
    key: ['id'],
    comment: null,
    columns: [
      {
        name: 'id',
        jdbcType: 4,
        typeName: 'INT',
        charset: null,
        length: null,
        scale: null,
        optional: false,
        autoIncremented: true,
        generated: false,
        comment: null,
        defaultExpression: null,
        enumValues: null,
      },
    ],
  };

  test('are records of the topic that has the pipeline’s name, as Debezium writes them', async () => {
    await emit(emitterWith(), schema(description), schema(null));
    expect(written.map(({ topic, key }) => [topic, key])).toEqual([
      ['shop', { databaseName: 'shop' }],
      ['shop', { databaseName: 'shop' }],
    ]);
    expect(written[0]!.value).toMatchObject({
      databaseName: 'shop',
      schemaName: null,
      ddl: 'CREATE TABLE …',
      tableChanges: [
        {
          type: 'CREATE',
          id: '"shop"."a ""b"""',
          table: {
            defaultCharsetName: 'utf8mb4',
            primaryKeyColumnNames: ['id'],
            columns: [{ name: 'id', jdbcType: 4, nativeType: null, typeExpression: 'INT', position: 1 }],
          },
        },
      ],
    });
    expect(written[1]!.value.tableChanges).toEqual([{ type: 'DROP', id: '"shop"."a ""b"""', table: null }]);
  });

  test('are none where the settings or the source have none', async () => {
    await emit(emitterWith({ schemaChanges: false }), schema(description));
    await emit(emitterWith(), schema(undefined));
    expect(written).toEqual([]);
  });
});
