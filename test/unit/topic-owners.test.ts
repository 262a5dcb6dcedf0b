import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type OwnerOptions, TopicOwners } from '../../src/emitter/topic-owners.ts';
import { plainTableName, type TableId, tableName, tableOfName } from '../../src/model/table.ts';

const id = (schema: string, table: string): TableId => ({ schema, table });

const OPTIONS: OwnerOptions = {
  naming: { name: 'shop', topic: '{name}.{schema}.{table}', routes: [] },
  ownTopic: () => undefined,
  reserved: ['shop.transaction', 'shop.dead-letter'],
  results: ['shop.public.totals'],
  kafka: false,
};

/** Names of the tables that wait, of those captured at the start. */
function waiting(
  tables: readonly TableId[],
  options: Partial<OwnerOptions> = {},
  state: ReadonlyMap<string, string> = new Map(),
): readonly string[] {
  return [...new TopicOwners({ ...OPTIONS, ...options }, tables, state).refused.keys()];
}

const template = (topic: string): Partial<OwnerOptions> => ({ naming: { ...OPTIONS.naming, topic } });

describe('two tables of one topic', () => {
  it.each<[string, readonly TableId[], Partial<OwnerOptions>, readonly string[]]>([
    ['by a dot in their names', [id('a', 'b.c'), id('a.b', 'c'), id('a', 'c')], {}, ['"a.b".c']],
    ['by characters no topic has', [id('a', 'x y'), id('a', 'x_y'), id('a', 'x é')], {}, ['a.x_y']],
    ['by the template', [id('a', 't'), id('b', 't'), id('b', 'u')], template('{name}.{table}'), ['b.t']],
    [
      'which Headwater writes itself',
      [id('a', 'transaction')],
      template('{name}.{table}'),
      ['a.transaction'],
    ],
    [
      'never in Kafka: dots and underscores are one there',
      [id('a', 'x.y'), id('a', 'x_y')],
      { kafka: true },
      ['a.x_y'],
    ],
    ['but not in files', [id('a', 'x.y'), id('a', 'x_y')], {}, []],
  ])('%s', (_, tables, options, expected) => {
    expect(waiting(tables, options)).toEqual(expected);
  });

  it('are let be where the settings bring them there', () => {
    const tables = [id('a', 't'), id('b', 't'), id('c', 't')];
    const routes = [{ match: /^shop\.[ab]\.t$/, topic: 'shop.c.t', keyField: null }];
    expect(waiting(tables, { naming: { ...OPTIONS.naming, routes } })).toEqual([]);
    expect(waiting(tables, { ownTopic: (table) => (table === 'c.t' ? undefined : 'shop.c.t') })).toEqual([]);
    expect(waiting(tables, template('{name}.all'))).toEqual([]);
  });

  it('are let be by name only where nothing else is written', () => {
    expect(waiting([id('a', 't')], { ownTopic: () => 'shop.transaction' })).toEqual(['a.t']);
  });

  it('one waits: that which came later, also after a restart', () => {
    const tables = [id('a', 'b.c'), id('a.b', 'c')];
    const known = new Map([['table/"a.b".c', '{}']]);
    expect(waiting(tables, {}, known)).toEqual(['a.b.c']);
    const paused = (table: string, code: string): ReadonlyMap<string, string> =>
      new Map([
        [`table/${table}`, '{}'],
        [
          `paused/${table}`,
          JSON.stringify({ v: 1, code, message: '', since: '', refused: null, accepted: false }),
        ],
      ]);
    expect(waiting(tables, {}, paused('a.b.c', 'settings.topic-taken'))).toEqual(['a.b.c']);
    expect(waiting(tables, {}, paused('a.b.c', 'schema.incompatible'))).toEqual(['"a.b".c']);
    expect(waiting([id('a', 'b.c')], {}, paused('a.b.c', 'settings.topic-taken'))).toEqual([]);
  });

  it('says which, and what of', () => {
    const { refused } = new TopicOwners(OPTIONS, [id('a', 'b.c'), id('a.b', 'c')], new Map());
    expect(refused.get('"a.b".c')).toMatchObject({
      code: 'settings.topic-taken',
      message: 'The table "a.b".c waits: its topic shop.a.b.c is that of the table a.b.c.',
    });
  });

  it('are found when the second is made', () => {
    const owners = new TopicOwners(OPTIONS, [id('a', 'x y')], new Map());
    expect(owners.claim(id('a', 'x y'), null)).toBeNull();
    expect(owners.claim(id('a', 'z'), null)).toBeNull();
    expect(owners.claim(id('a', 'x_y'), null)).toMatchObject({ code: 'settings.topic-taken' });
    expect(owners.claim(id('public', 'totals'), null)).toMatchObject({ code: 'settings.topic-taken' });
  });

  it('are not made by going on in another topic, whose first one stays the table’s', () => {
    const moved = new Map([['topic/a.t', '{"v":1,"topic":"shop.a.t.v2"}']]);
    const tables = [id('a', 't.v2'), id('a', 't')];
    expect(waiting(tables, {}, new Map([...moved, ['table/a.t', '{}']]))).toEqual(['a.t.v2']);
    const owners = new TopicOwners(OPTIONS, tables, new Map());
    expect(owners.claim(id('a', 't'), 'shop.a.t.v2')).toMatchObject({ code: 'settings.topic-taken' });
    expect(owners.claim(id('a', 't'), 'shop.a.t.v3')).toBeNull();
    expect(owners.claim(id('a', 't.v3'), null)).toMatchObject({ code: 'settings.topic-taken' });
  });

  it('statements yield to tables that are there, and tables that come later to statements', () => {
    const tables = [id('public', 'totals')];
    expect(waiting(tables)).toEqual([]);
    const record = {
      v: 1,
      code: 'settings.topic-taken',
      message: '',
      since: '',
      refused: null,
      accepted: false,
    };
    expect(waiting(tables, {}, new Map([['paused/public.totals', JSON.stringify(record)]]))).toEqual([
      'public.totals',
    ]);
  });
});

describe('names of tables', () => {
  it('are plain, but for a schema with a dot in it', () => {
    expect(tableName(id('public', 'or.ders'))).toBe('public.or.ders');
    expect(tableName(id('a.b', 'c'))).toBe('"a.b".c');
    expect(tableName(id('a"', 'b'))).toBe('a".b');
    expect(tableName(id('"a', 'b".c'))).toBe('"""a".b".c');
    expect(plainTableName(id('a.b', 'c'))).toBe('a.b.c');
  });

  it('are of one table each', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', '.', '"', ' ', '\n', '☃'),
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(text, text, (schema, table) => {
        expect(tableOfName(tableName({ schema, table }))).toEqual({ schema, table });
      }),
    );
    for (const none of ['', 'a', '.a', 'a.', '"a.b', '"a"b', '"".a']) expect(tableOfName(none)).toBeNull();
  });
});
