import { describe, expect, test } from 'vitest';
import { LetteredRows } from '../../src/daemon/replay-plan.ts';
import type { Column, ColumnType, TableSchema } from '../../src/model/table.ts';
import { quoteIdent, quoteLiteral } from '../../src/readers/postgres/wire/quoting.ts';

const SQL = { ident: quoteIdent, literal: quoteLiteral };

function column(name: string, type: ColumnType): Column {
  return { name, type, nullable: false, default: undefined, nativeType: '', length: null, scale: null };
}

function schema(types: readonly ColumnType[]): TableSchema {
  return {
    id: { schema: 'public', table: 't' },
    version: 1,
    columns: types.map((type, i) => column(`k${i}`, type)),
    key: types.map((_, i) => i),
  };
}

function planOf(types: readonly ColumnType[], letters: readonly Record<string, string | number | null>[]) {
  const rows = new LetteredRows(schema(types), undefined, SQL);
  for (const after of letters) rows.add({ op: 'u', before: null, after });
  return rows.plan();
}

describe('rows of dead letters', () => {
  test('are named by their keys, each once', () => {
    const letters = [
      { k0: 1, k1: "it's" },
      { k0: '9007199254740993', k1: 'a\\' },
      { k0: 1, k1: "it's" },
    ];
    expect(planOf([{ kind: 'int64' }, { kind: 'string' }], letters)).toEqual({
      table: 'public.t',
      letters: 3,
      deletes: 0,
      rows: 2,
      where: `("k0" = 1 AND "k1" = 'it''s') OR ("k0" = 9007199254740993 AND "k1" =  E'a\\\\')`,
      whole: null,
    });
  });

  test('a change of the key names both rows', () => {
    const rows = new LetteredRows(schema([{ kind: 'int32' }]), undefined, SQL);
    rows.add({ op: 'u', before: { k0: 1 }, after: { k0: 2 } });
    rows.add({ op: 'd', before: { k0: 3 }, after: null });
    expect(rows.plan()).toMatchObject({ rows: 3, deletes: 1, where: '"k0" = 2 OR "k0" = 1 OR "k0" = 3' });
  });

  test.each([
    ['no key', [], [{ k0: 1 }]],
    ['a value that is no number', [{ kind: 'int32' }], [{ k0: '1 OR 1=1' }]],
    ['a value that the log did not hold', [{ kind: 'string' }], [{ k0: 'absent' }]],
    ['a null', [{ kind: 'uuid' }], [{ k0: null }]],
    ['a type whose letter is not its text', [{ kind: 'date' }], [{ k0: 19_000 }]],
    [
      'more than a condition can hold',
      [{ kind: 'int32' }],
      Array.from({ length: 5_000 }, (_, k0) => ({ k0 })),
    ],
  ] as const)('%s: all of the table has to be read', (_what, types, letters) => {
    expect(planOf(types, letters)).toMatchObject({
      where: null,
      rows: 0,
      whole: expect.any(String) as string,
    });
  });

  test('a key that records do not show as it is', () => {
    const columns = {
      include: null,
      exclude: [],
      mask: new Map([['k0', 'hash' as const]]),
      truncate: new Map<string, number>(),
      rename: new Map<string, string>(),
    };
    const settings = { key: null, topic: null, columns, headers: new Map<string, string>(), filter: null };
    const rows = new LetteredRows(schema([{ kind: 'string' }]), settings, SQL);
    rows.add({ op: 'c', before: null, after: { k0: 'x' } });
    expect(rows.plan()).toMatchObject({ where: null });
  });

  test('none', () => expect(planOf([{ kind: 'int32' }], [])).toBeNull());
});
