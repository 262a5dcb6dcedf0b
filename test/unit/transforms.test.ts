import { createHash, createHmac } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import type { EmitterOptions } from '../../src/emitter/emitter.ts';
import { OutboxMessages } from '../../src/emitter/outbox-messages.ts';
import { createEmitter } from '../../src/emitter/record-emitter.ts';
import { jsonEncoding } from '../../src/emitter/encoders/json.ts';
import type { Sink, SinkRecord, TopicHandle } from '../../src/emitter/sink.ts';
import type { ColumnRules } from '../../src/emitter/transforms/column-rules.ts';
import { Outbox } from '../../src/emitter/transforms/outbox.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { Batch } from '../../src/model/batch.ts';
import type { RowChange } from '../../src/model/change.ts';
import type { Column, ColumnType, TableSchema } from '../../src/model/table.ts';
import { ABSENT, type Row, UNCHANGED } from '../../src/model/value.ts';
import { postgresSourceBlock } from '../../src/readers/postgres/source-block.ts';
import type { PostgresSource, PostgresTx } from '../../src/readers/postgres/source-info.ts';
import { PLAIN_EMITTER } from '../support/emitter-options.ts';

interface Written {
  readonly topic: string;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly timestamp: number;
}

const written: Written[] = [];
const unused: (readonly string[])[] = [];

beforeEach(() => {
  written.length = 0;
  unused.length = 0;
});

const text = (bytes: string | Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes).toString();

const sink = {
  topic: (name: string) => Promise.resolve({ name }),
  append({ name }: TopicHandle, record: SinkRecord) {
    written.push({
      topic: name,
      key: text(record.key),
      value: text(record.value),
      headers: Object.fromEntries((record.headers ?? []).map(([header, value]) => [header, text(value)!])),
      timestamp: record.timestamp,
    });
  },
} as unknown as Sink;

function column(name: string, type: ColumnType, nullable = true): Column {
  return { name, type, nullable, default: undefined, nativeType: type.kind, length: null, scale: null };
}

const USERS: TableSchema = {
  id: { schema: 'public', table: 'users' },
  version: 1,
  columns: [
    column('id', { kind: 'int32' }, false),
    column('email', { kind: 'string' }, false),
    column('age', { kind: 'int32' }),
    column('photo', { kind: 'bytes' }),
    column('seen', { kind: 'timestamptz', precision: null }),
  ],
  key: [0],
};
const PHOTO = Uint8Array.of(1, 2, 3, 4);
const SEEN = 1_700_000_000_000_000;
const ANN: Row = [1, 'ann@example.org', 44, PHOTO, SEEN];

const TX: PostgresTx = {
  id: '7',
  xid: 7,
  commitTimeUs: SEEN,
  commitLsn: 900,
  beginLsn: 500,
  lastCommitLsn: 400,
};

function change(
  op: RowChange['op'],
  before: Row | null,
  after: Row | null,
  table = USERS,
): RowChange<PostgresSource> {
  const at: PostgresSource = { connector: 'postgresql', lsn: 600, tx: TX };
  return { kind: 'row', op, table, before, after, tx: TX, seq: 0, at, snapshot: null };
}

async function emit(
  options: Partial<EmitterOptions>,
  changes: readonly RowChange<PostgresSource>[],
  format: { withSchema: boolean } = { withSchema: false },
): Promise<readonly Written[]> {
  const emitter = createEmitter(
    {
      ...PLAIN_EMITTER,
      onUnusedRules: (_, rules) => unused.push(rules),
      onDeadLetter: () => {},
      ...options,
    },
    {
      encoding: jsonEncoding({ profile: 'debezium', ...format }),
      block: postgresSourceBlock('shop', 'shopdb'),
      sink,
    },
  );
  const batch: Batch<unknown> = { changes, bytes: 0, resume: null };
  await emitter.prepare(batch);
  emitter.emit(batch);
  return written;
}

function columns(rules: Partial<ColumnRules>): Partial<EmitterOptions> {
  const none: ColumnRules = {
    include: null,
    exclude: [],
    mask: new Map(),
    truncate: new Map(),
    rename: new Map(),
  };
  return { tables: new Map([['public.users', { columns: { ...none, ...rules } }]]) };
}

const after = (record: Written | undefined): unknown => JSON.parse(record!.value!).after;

describe('columns', () => {
  test('excluded ones are in no image, and stay in the key', async () => {
    const [record] = await emit(columns({ exclude: ['id', 'email', 'photo', 'seen'] }), [
      change('u', ANN, [1, 'ann@example.org', 45, PHOTO, SEEN]),
    ]);
    expect(record!.key).toBe('{"id":1}');
    expect(JSON.parse(record!.value!)).toMatchObject({ before: { age: 44 }, after: { age: 45 } });
    expect(record!.value).not.toContain('ann@');
  });

  test('only the included are there, in the order of the table', async () => {
    const [record] = await emit(columns({ include: ['age', 'id'] }), [change('c', null, ANN)]);
    expect(Object.keys(after(record) as object)).toEqual(['id', 'age']);
  });

  test('renamed ones have the new name in key, row and schema', async () => {
    const [record] = await emit(
      columns({ rename: new Map([['id', 'user_id']]), include: ['id'] }),
      [change('c', null, ANN)],
      { withSchema: true },
    );
    expect(JSON.parse(record!.key!).payload).toEqual({ user_id: 1 });
    const { schema, payload } = JSON.parse(record!.value!);
    expect(payload.after).toEqual({ user_id: 1 });
    expect(schema.fields[0].fields).toEqual([{ type: 'int32', optional: false, field: 'user_id' }]);
  });

  test('masks and lengths', async () => {
    const [record] = await emit(
      {
        ...columns({
          mask: new Map<string, 'hash' | 'null' | number>([
            ['email', 'hash'],
            ['age', 5],
            ['seen', 'null'],
          ]),
          truncate: new Map([['photo', 2]]),
        }),
        hashKey: null,
      },
      [change('c', null, ANN)],
    );
    expect(after(record)).toEqual({
      id: 1,
      email: createHash('sha256').update('ann@example.org').digest('hex'),
      age: '*****',
      photo: Buffer.from([1, 2]).toString('base64'),
      seen: null,
    });
  });

  test('a hash with a key is an HMAC, and the schema of what is masked is that of text', async () => {
    const [record] = await emit(
      { ...columns({ mask: new Map([['age', 'hash']]) }), hashKey: 'k' },
      [change('c', null, ANN)],
      { withSchema: true },
    );
    const { schema, payload } = JSON.parse(record!.value!);
    expect(payload.after.age).toBe(createHmac('sha256', 'k').update('44').digest('hex'));
    expect(schema.fields[1].fields[2]).toEqual({ type: 'string', optional: true, field: 'age' });
  });

  test('NULL and what the log does not hold are not masked into something', async () => {
    const [record] = await emit(
      columns({
        mask: new Map<string, 'hash' | number>([
          ['email', 'hash'],
          ['age', 3],
        ]),
      }),
      [change('u', [1, ABSENT, null, ABSENT, ABSENT], [1, UNCHANGED, null, null, null])],
    );
    const { before, after: row } = JSON.parse(record!.value!);
    expect(before).toMatchObject({ email: null, age: null });
    expect(row).toMatchObject({ email: '__debezium_unavailable_value', age: null });
  });

  test('a character is not cut in two', async () => {
    const [record] = await emit(columns({ truncate: new Map([['email', 2]]) }), [
      change('c', null, [1, 'a😀b', null, null, null]),
    ]);
    expect(after(record)).toMatchObject({ email: 'a😀' });
  });

  test('what a change leaves in the dead-letter topic is masked as its record would be', async () => {
    const bad = change('c', null, [1, 'ann@example.org', true, null, null]);
    const [letter] = await emit(columns({ mask: new Map([['email', 3]]), exclude: ['photo'] }), [bad]);
    expect(letter!.topic).toBe('shop.dead-letter');
    expect(letter!.value).not.toContain('ann@');
    expect(Object.keys(JSON.parse(letter!.value!).after)).toEqual(['id', 'email', 'age', 'seen']);
  });

  test('a rule for a column that is not there is told', async () => {
    await emit(columns({ exclude: ['emial'], mask: new Map([['ssn', 'null']]) }), [change('c', null, ANN)]);
    expect(unused).toEqual([['exclude: emial', 'mask: ssn']]);
  });

  test('two columns of one name are refused', async () => {
    const rules = columns({ rename: new Map([['age', 'email']]) });
    await expect(emit(rules, [change('c', null, ANN)])).rejects.toMatchObject({
      code: 'settings.column-twice',
      message: 'Two columns of public.users would be called email in its records.',
    });
  });
});

describe('routes', () => {
  const route = {
    match: /^(?:shop\.(\w+)\.users)$/,
    topic: 'all.users',
    keyField: { name: 'from', value: '$1' },
  };

  test('several tables in one topic keep their keys apart', async () => {
    const [record] = await emit({ routes: [route] }, [change('c', null, ANN)]);
    expect(record).toMatchObject({ topic: 'all.users', key: '{"id":1,"from":"public"}' });
    expect(after(record)).not.toHaveProperty('from');
  });

  test('by default the key has the topic of the table itself', async () => {
    const [record] = await emit({ routes: [{ ...route, keyField: { name: 'from', value: null } }] }, [
      change('d', ANN, null),
    ]);
    expect(record!.key).toBe('{"id":1,"from":"shop.public.users"}');
  });

  test('a table without a key stays without', async () => {
    const [record] = await emit({ routes: [route] }, [change('c', null, ANN, { ...USERS, key: [] })]);
    expect(record).toMatchObject({ topic: 'all.users', key: null });
  });

  test('the topic that the settings give a table is not routed', async () => {
    const tables = new Map([['public.users', { topic: 'mine' }]]);
    const [record] = await emit({ routes: [route], tables }, [change('c', null, ANN)]);
    expect(record!.topic).toBe('mine');
  });
});

describe('what makes no record', () => {
  test('operations that are skipped', async () => {
    await emit({ skipOperations: ['d', 'r'] }, [
      change('c', null, ANN),
      change('r', null, ANN),
      change('d', ANN, null),
    ]);
    expect(written.map(({ value }) => JSON.parse(value!).op)).toEqual(['c']);
  });

  test('an update that changes nothing that is shown', async () => {
    const options = { ...columns({ exclude: ['age'] }), skipUnchanged: true };
    await emit(options, [
      change('u', ANN, [1, 'ann@example.org', 45, Uint8Array.from(PHOTO), SEEN]),
      change('u', ANN, [1, 'new@example.org', 45, PHOTO, SEEN]),
      change('u', [1, ABSENT, ABSENT, ABSENT, ABSENT], ANN), // nobody knows what it was
    ]);
    expect(written).toHaveLength(2);
  });
});

describe('headers', () => {
  test('of every record, and from columns; a delete has those of the old row', async () => {
    const options = {
      headers: new Map([['team', 'billing']]),
      tables: new Map([
        [
          'public.users',
          {
            headers: new Map([
              ['who', 'email'],
              ['when', 'seen'],
            ]),
          },
        ],
      ]),
    };
    await emit(options, [change('d', ANN, null)]);
    expect(written[0]!.headers).toEqual({
      team: 'billing',
      who: 'ann@example.org',
      when: '2023-11-14T22:13:20.000000Z',
    });
    expect(written[1]).toMatchObject({ value: null, headers: {} });
  });
});

describe('unwrapped', () => {
  const unwrapped = {
    deletes: 'rewrite',
    fields: ['op', 'table', 'source.ts_ms', 'lsn'],
    headers: ['op'],
  } as const;

  test('fields and headers from the envelope; a delete is the old row, then a tombstone', async () => {
    await emit({ ...columns({ include: ['id'] }), envelope: 'unwrapped', unwrapped }, [
      change('c', null, ANN),
      change('d', ANN, null),
    ]);
    const added = { __table: 'users', __source_ts_ms: SEEN / 1000, __lsn: 600 };
    expect(written.map(({ value, headers }) => [JSON.parse(value ?? 'null'), headers])).toEqual([
      [{ id: 1, __deleted: 'false', __op: 'c', ...added }, { __op: 'c' }],
      [{ id: 1, __deleted: 'true', __op: 'd', ...added }, { __op: 'd' }],
      [null, {}],
    ]);
  });

  test('deletes are tombstones, or nothing', async () => {
    const options = { envelope: 'unwrapped', ...columns({ include: ['id'] }) } as const;
    await emit(options, [change('d', ANN, null)]);
    expect(written.map(({ value }) => value)).toEqual([null]);
    written.length = 0;
    await emit({ ...options, unwrapped: { deletes: 'drop', fields: [], headers: [] } }, [
      change('d', ANN, null),
      change('u', ANN, [2, ...ANN.slice(1)]),
    ]);
    expect(written.map(({ key, value }) => [key, value])).toEqual([['{"id":2}', '{"id":2}']]);
  });

  test('a name that the envelope does not have is refused with those that it has', async () => {
    const options = { envelope: 'unwrapped', unwrapped: { ...unwrapped, fields: ['sauce.lsn'] } } as const;
    await expect(emit(options, [change('c', null, ANN)])).rejects.toThrow(
      /^emit.unwrapped asks for sauce.lsn, which is none of op, .* lsn, xmin\.$/,
    );
  });
});

describe('outbox', () => {
  const OUTBOX: TableSchema = {
    id: { schema: 'public', table: 'outbox' },
    version: 1,
    columns: [
      column('id', { kind: 'uuid' }, false),
      column('aggregatetype', { kind: 'string' }, false),
      column('aggregateid', { kind: 'string' }, false),
      column('type', { kind: 'string' }, false),
      column('payload', { kind: 'json' }),
      column('at', { kind: 'timestamptz', precision: null }),
    ],
    key: [0],
  };
  const outbox = {
    table: 'public.outbox',
    topic: 'outbox.event.{route}',
    routeBy: 'aggregatetype',
    id: 'id',
    key: 'aggregateid',
    payload: 'payload',
    timestamp: 'at',
    headers: new Map([['eventType', 'type']]),
  };
  const MESSAGE: Row = ['u-1', 'order/s', '17', 'OrderCreated', '{"total": 5}', SEEN];

  test('an insert is a message: text as it is, topic by the row, time by the column', async () => {
    await emit({ outbox }, [change('c', null, MESSAGE, OUTBOX), change('c', null, ANN)]);
    expect(written[0]).toEqual({
      topic: 'outbox.event.order_s',
      key: '17',
      value: '{"total": 5}',
      headers: { id: 'u-1', eventType: 'OrderCreated' },
      timestamp: SEEN / 1000,
    });
    expect(written[1]!.timestamp).toBeGreaterThan(SEEN / 1000); // the next record has its own again
  });

  test('deletes and updates say nothing', async () => {
    await emit({ outbox }, [change('u', MESSAGE, MESSAGE, OUTBOX), change('d', MESSAGE, null, OUTBOX)]);
    expect(written).toEqual([]);
  });

  test('a payload of bytes stays bytes; NULL is a tombstone', async () => {
    const bytes = {
      ...OUTBOX,
      columns: OUTBOX.columns.map((c) => (c.name === 'payload' ? column('payload', { kind: 'bytes' }) : c)),
    };
    await emit({ outbox }, [
      change('c', null, ['u-1', 'a', '1', 't', Buffer.from('raw'), null], bytes),
      change('c', null, ['u-2', 'a', '1', 't', null, null], bytes),
    ]);
    expect(written.map(({ value }) => value)).toEqual(['raw', null]);
  });

  test('a row that cannot be read is a dead letter, and no half of a message', async () => {
    const unreadable = new HeadwaterError('source.value-unreadable', 'A value of payload is not json.');
    const half = change('c', null, ['u-1', 'order', '17', 't', ABSENT, null], OUTBOX);
    const records = await emit({ outbox }, [{ ...half, unreadable }, change('c', null, MESSAGE, OUTBOX)]);
    expect(records.map(({ topic }) => topic)).toEqual(['shop.dead-letter', 'outbox.event.order_s']);
    expect(JSON.parse(records[0]!.value!)).toMatchObject({
      table: 'public.outbox',
      topic: 'outbox.event.{route}',
      before: null,
      after: null,
      cause: { code: 'source.value-unreadable' },
    });
  });

  const causeOf = ({ value }: { readonly value: string | null }): unknown => JSON.parse(value!);

  test('a column that is missing makes dead letters of the messages, and the others go on', async () => {
    const options = { outbox: { ...outbox, key: 'agregateid' } };
    const records = await emit(options, [change('c', null, MESSAGE, OUTBOX), change('c', null, ANN)]);
    expect(records.map(({ topic }) => topic)).toEqual(['shop.dead-letter', 'shop.public.users']);
    expect(causeOf(records[0]!)).toMatchObject({
      table: 'public.outbox',
      after: { aggregateid: '17', type: 'OrderCreated' },
      cause: {
        code: 'settings.column-missing',
        message: 'The outbox in the settings needs the column agregateid, which public.outbox does not have.',
      },
    });
  });

  test('a route that makes no name of a topic is a dead letter', async () => {
    const long: Row = ['u-1', 'r'.repeat(300), '17', 't', null, null];
    const records = await emit({ outbox }, [
      change('c', null, long, OUTBOX),
      change('c', null, MESSAGE, OUTBOX),
    ]);
    expect(records.map(({ topic }) => topic)).toEqual(['shop.dead-letter', 'outbox.event.order_s']);
    const { cause } = causeOf(records[0]!) as { cause: { code: string; message: string } };
    expect(cause.code).toBe('delivery.topic-invalid');
    expect(cause.message).toMatch(/public\.outbox .* 313 characters/);
    expect(cause.message).not.toContain('rrr');
  });

  test('a topic that cannot be had keeps nobody waiting, and is asked for again', async () => {
    let now = 0;
    let there = false;
    const asked: string[] = [];
    const messages = new OutboxMessages(
      new Outbox(outbox, 'debezium'),
      {
        topic: (name: string) => {
          asked.push(name);
          return there
            ? Promise.resolve({ name })
            : Promise.reject(new HeadwaterError('delivery.topic-missing', 'It is not there.'));
        },
      } as unknown as Sink,
      () => now,
    );
    const message = change('c', null, MESSAGE, OUTBOX);
    const prepared = async (): Promise<unknown> => {
      const waiting: Promise<unknown>[] = [];
      messages.prepare(message, waiting);
      await Promise.all(waiting);
      return messages.of(message);
    };
    expect(await prepared()).toMatchObject({ error: { code: 'delivery.topic-missing' } });
    there = true;
    expect(await prepared()).toMatchObject({ error: { code: 'delivery.topic-missing' } });
    now = 10_000;
    expect(await prepared()).toEqual({ topic: { name: 'outbox.event.order_s' } });
    expect(asked).toHaveLength(2);
  });
});
