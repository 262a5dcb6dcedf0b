import { describe, expect, test } from 'vitest';
import { historiesOf, repairOf } from '../../src/daemon/schema-history.ts';
import { PausedTables, pausesTable, type Refusals } from '../../src/emitter/paused-tables.ts';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import type { TableSchema } from '../../src/model/table.ts';
import type { MysqlTable } from '../../src/readers/mysql/catalogue.ts';
import { openColumn } from '../../src/readers/mysql/log-table.ts';
import { SchemaHistory } from '../../src/readers/mysql/schema-history.ts';
import { SchemaVersions } from '../../src/readers/schema-versions.ts';

const TABLE: TableSchema = {
  id: { schema: 'public', table: 'a/b' },
  version: 1,
  columns: [
    {
      name: 'id',
      type: { kind: 'int32' },
      nullable: false,
      default: 5n,
      nativeType: 'int4',
      length: null,
      scale: null,
    },
  ],
  key: [0],
};

/** The state as it is after these changes. */
function applied(
  state: ReadonlyMap<string, string>,
  changes: Iterable<[string, string | null]>,
): Map<string, string> {
  const next = new Map(state);
  for (const [key, value] of changes) {
    if (value === null) next.delete(key);
    else next.set(key, value);
  }
  return next;
}

describe('versions of a table', () => {
  test('go on after a restart, with their positions', () => {
    const first = new SchemaVersions(new Map());
    expect(first.number(TABLE).version).toBe(1);
    const wider = {
      ...TABLE,
      columns: [...TABLE.columns, { ...TABLE.columns[0]!, name: 'b', nullable: true }],
    };
    expect(first.number(wider, '0/1A').version).toBe(2);
    const state = applied(new Map(), first.takeChanged()!);
    expect(historiesOf(state, null)).toMatchObject([
      {
        table: 'public.a/b',
        versions: [
          {
            version: 1,
            from: null,
            key: ['id'],
            columns: [{ name: 'id', nativeType: 'int4', nullable: false }],
          },
          { version: 2, from: '0/1A', columns: [{ name: 'id' }, { name: 'b', nullable: true }] },
        ],
      },
    ]);
    const second = new SchemaVersions(state);
    expect(second.number(wider).version).toBe(2);
    expect(second.takeChanged()).toBeUndefined();
  });

  test('a hundred are kept', () => {
    const versions = new SchemaVersions(new Map());
    let state = new Map<string, string>();
    for (let i = 0; i < 130; i++) {
      versions.number({ ...TABLE, columns: [{ ...TABLE.columns[0]!, name: `c${i}` }] }, `0/${i}`);
      state = applied(state, versions.takeChanged()!);
    }
    const [history] = historiesOf(state, 'public.a/b');
    expect(history!.versions.map(({ version }) => version)).toEqual(
      Array.from({ length: 100 }, (_, i) => i + 31),
    );
  });

  test('repair drops what cannot be read, and the next start takes the shape anew under the next number', () => {
    const before = new SchemaVersions(new Map());
    before.number(TABLE);
    const broken = new Map([
      ['schema/x.y', '{bad'],
      ['history/x.y/3', 'null'],
      ['position', '{}'],
    ]);
    const state = applied(broken, before.takeChanged()!);
    const { changes, dropped, renewed } = repairOf(state, null);
    expect(dropped.toSorted()).toEqual(['history/x.y/3', 'schema/x.y']);
    expect(renewed).toEqual(['public.a/b']);
    const repaired = applied(state, changes);
    expect(repaired.has('position')).toBe(true);
    expect(new SchemaVersions(repaired).number(TABLE).version).toBe(2);
    // Without repair, what cannot be read is as if it were not there.
    expect(new SchemaVersions(state).number(TABLE).version).toBe(1);
  });
});

describe('tables that wait', () => {
  const refusal = new HeadwaterError('schema.incompatible', 'It differs.');
  const refused = {
    subject: 's',
    schema: { type: 'AVRO', text: '"int"', references: [], name: 'a.b' },
  } as const;
  const noTopics = (): Promise<boolean> => Promise.resolve(false);
  const registry = (accepts: () => boolean): Refusals => ({
    refusedBy: (error) => (error === refusal ? refused : null),
    offer: () => Promise.resolve(accepts() ? null : refusal),
  });

  test('wait over restarts, are offered again now and then, and are read anew once they are accepted', async () => {
    let now = 1_000_000;
    let accepts = false;
    const refusals = registry(() => accepts);
    const { tables, resumed } = await PausedTables.restore(new Map(), { refusals, now: () => now });
    expect(resumed).toEqual([]);
    expect(tables.retry(noTopics)).toBeUndefined();
    tables.pause('public.t', refusal);
    expect(tables.reason('public.t')).toMatchObject({ code: 'schema.incompatible', message: 'It differs.' });
    const state = applied(new Map(), tables.takeChanged()!);

    const again = await PausedTables.restore(state, { refusals, now: () => now });
    expect(again.resumed).toEqual([]);
    expect(again.tables.reason('public.t')).not.toBeNull();
    await again.tables.retry(noTopics);
    expect(again.tables.takeChanged()).toBeUndefined();

    accepts = true;
    expect(again.tables.retry(noTopics)).toBeUndefined();
    now += 10_000;
    await again.tables.retry(noTopics);
    const accepted = applied(state, again.tables.takeChanged()!);
    now += 6_000;
    expect(() => again.tables.retry(noTopics)).toThrow(
      expect.objectContaining({ code: 'schema.accepted' }) as Error,
    );
    expect((await PausedTables.restore(accepted, { refusals, now: () => now })).resumed).toEqual([
      'public.t',
    ]);
  });

  test('with another format, or what cannot be read, nothing waits any more', async () => {
    const state = new Map([
      [
        'paused/a.b',
        '{"v":1,"code":"schema.name-invalid","message":"m","since":"","refused":null,"accepted":false}',
      ],
      ['paused/c.d', '{"v":9}'],
    ]);
    expect((await PausedTables.restore(state, { refusals: null })).resumed).toEqual(['a.b', 'c.d']);
  });

  test('what the settings do not fit still waits, and is not read anew in vain', async () => {
    const misfit = new HeadwaterError('settings.key-column-missing', 'There is no qty.');
    const before = await PausedTables.restore(new Map(), { refusals: null });
    before.tables.pause('public.t', misfit);
    const state = applied(new Map(), before.tables.takeChanged()!);
    const still = await PausedTables.restore(state, {
      refusals: null,
      misfits: [{ table: 'public.t', error: misfit }],
    });
    expect(still.resumed).toEqual([]);
    expect([...still.tables.all().keys()]).toEqual(['public.t']);
    expect((await PausedTables.restore(state, { refusals: null })).resumed).toEqual(['public.t']);
  });

  test('a topic that cannot be had is waited for, over restarts too', async () => {
    let now = 1_000_000;
    const options = { refusals: null, now: () => now };
    const missing = new HeadwaterError('delivery.topic-missing', 'It is not there.', {
      details: { topic: 'shop.t' },
    });
    const before = await PausedTables.restore(new Map(), options);
    before.tables.pause('public.t', missing);
    const state = applied(new Map(), before.tables.takeChanged()!);
    const { tables, resumed } = await PausedTables.restore(state, options);
    expect(resumed).toEqual([]);
    await tables.retry(noTopics);
    expect(tables.takeChanged()).toBeUndefined();
    now += 10_000;
    const asked: string[] = [];
    await tables.retry((topic) => Promise.resolve(asked.push(topic) > 0));
    expect(asked).toEqual(['shop.t']);
    const accepted = applied(state, tables.takeChanged()!);
    expect((await PausedTables.restore(accepted, options)).resumed).toEqual(['public.t']);
  });

  test('only what is about one table’s schema makes it wait', () => {
    expect(pausesTable(refusal)).toBe(refusal);
    expect(pausesTable(new HeadwaterError('schema.incompatible-stop', 'x'))).toBeNull();
    expect(pausesTable(new HeadwaterError('registry.unreachable', 'x'))).toBeNull();
    expect(pausesTable(new Error('x'))).toBeNull();
  });
});

describe('the histories of other sources are shown too', () => {
  const shown = (text: object) =>
    historiesOf(new Map([['schema/shop.t', JSON.stringify(text)]]), null).map(({ versions }) => versions);

  test('MySQL keeps a version each, and all numbers in one', () => {
    const history = new SchemaHistory(new Map());
    const wider = { ...TABLE, columns: [...TABLE.columns, { ...TABLE.columns[0]!, name: 'b' }] };
    const declared = (schema: TableSchema): MysqlTable => ({
      id: schema.id,
      key: schema.key,
      charset: null,
      comment: null,
      columns: schema.columns.map(({ name }) => ({ ...openColumn(name), columnType: 'int unsigned' })),
    });
    history.number(TABLE, declared(TABLE));
    history.number(wider, declared(wider), { file: 'b.1', pos: 4 });
    const state = applied(new Map(), history.takeChanged()!);
    const versions = [
      { version: 1, from: null, columns: [{ name: 'id', nativeType: 'int unsigned' }], key: ['id'] },
      { version: 2, from: '{"file":"b.1","pos":4}', columns: [{ name: 'id' }, { name: 'b' }], key: ['id'] },
    ];
    expect(historiesOf(state, null)).toMatchObject([{ table: 'public.a/b', versions }]);
    const again = new SchemaHistory(state);
    const numbers = [TABLE, wider].map((schema) => again.number(schema, declared(schema)).version);
    expect(numbers).toEqual([1, 2]);
    expect(again.takeChanged()).toBeUndefined();
  });

  test('MySQL: what an earlier version of Headwater kept, the columns of the last version', () => {
    const id = { name: 'id', columnType: 'int unsigned', dataType: 'int', nullable: false };
    const stored = {
      version: 2,
      table: { id: { schema: 'shop', table: 't' }, columns: [id], key: [0] },
      versions: [
        { version: 1, since: null, shape: 'a' },
        { version: 2, since: { file: 'b.1', pos: 4 }, shape: 'b' },
      ],
    };
    expect(shown(stored)).toEqual([
      [
        { version: 1, from: null, columns: [], key: [] },
        {
          version: 2,
          from: '{"file":"b.1","pos":4}',
          columns: [{ name: 'id', nativeType: 'int unsigned', nullable: false }],
          key: ['id'],
        },
      ],
    ]);
    const { changes } = repairOf(new Map([['schema/shop.t', JSON.stringify(stored)]]), null);
    expect(JSON.parse(changes.get('schema/shop.t')!)).toEqual({ ...stored, table: null });
  });

  test('Oracle keeps all of them', () => {
    const columns = [{ name: 'ID', dataType: 'NUMBER', nullable: false }];
    expect(shown({ v: 1, versions: [{ version: 1, from: '77', columns, key: ['ID'] }] })).toEqual([
      [
        {
          version: 1,
          from: '77',
          columns: [{ name: 'ID', nativeType: 'NUMBER', nullable: false }],
          key: ['ID'],
        },
      ],
    ]);
  });
});
