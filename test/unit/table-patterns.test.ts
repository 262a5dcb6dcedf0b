import { describe, expect, it } from 'vitest';
import type { TableId } from '../../src/model/table.ts';
import { compileTablePatterns } from '../../src/readers/table-patterns.ts';
import { quoteIdent, quoteLiteral } from '../../src/readers/postgres/wire/quoting.ts';

function id(name: string): TableId {
  const dot = name.indexOf('.');
  return { schema: name.slice(0, dot), table: name.slice(dot + 1) };
}

function matching(patterns: readonly string[], names: readonly string[]): readonly string[] {
  const compiled = compileTablePatterns(patterns);
  return names.filter((name) => compiled.matches(id(name)));
}

const NAMES = [
  'public.orders',
  'public.orders_2024',
  'public.customers',
  'sales.orders',
  'public.a.b',
  'x.O"dd [1]',
];

describe('table patterns', () => {
  it.each<[readonly string[], readonly string[]]>([
    [['public.orders'], ['public.orders']],
    [['public.*'], ['public.orders', 'public.orders_2024', 'public.customers', 'public.a.b']],
    [['*.orders'], ['public.orders', 'sales.orders']],
    [['public.orders*', '!public.*_2024'], ['public.orders']],
    [['public.{orders,customers}'], ['public.orders', 'public.customers']],
    [['/public\\.o.*/'], ['public.orders', 'public.orders_2024']],
    [['/orders/'], []],
    [['/.*\\.orders/', '!/sales\\..*/'], ['public.orders']],
    [['!public.*'], ['sales.orders', 'x.O"dd [1]']],
    [['public.a.b'], ['public.a.b']],
    [['x.O"dd [1]'], ['x.O"dd [1]']],
  ])('%j', (patterns, expected) => {
    expect(matching(patterns, NAMES)).toEqual(expected);
  });

  it('tells tables apart whose schema holds a dot', () => {
    const ids = [
      { schema: 'a.b', table: 'c' },
      { schema: 'a', table: 'b.c' },
    ];
    const schemas = (...patterns: string[]): readonly string[] =>
      ids.filter((each) => compileTablePatterns(patterns).matches(each)).map(({ schema }) => schema);
    expect(schemas('a.b.c')).toEqual(['a.b', 'a']);
    expect(schemas('"a.b".c')).toEqual(['a.b']);
    expect(schemas('a.*', '!"a.b".*')).toEqual(['a']);
    expect(compileTablePatterns(['"a.b".c', 'a.b.c']).unmatched(ids)).toEqual([]);
    expect(compileTablePatterns(['"a.b".c', 'a.b.c']).unmatched([ids[1]!])).toEqual(['"a.b".c']);
  });

  it('says which pattern matches nothing', () => {
    const compiled = compileTablePatterns(['public.*', 'publik.*', '/none/', '!public.x']);
    expect(compiled.unmatched(NAMES.map(id))).toEqual(['publik.*', '/none/']);
  });

  it('refuses a broken regular expression', () => {
    expect(() => compileTablePatterns(['/a(/'])).toThrow(
      expect.objectContaining({ code: 'settings.invalid' }),
    );
  });
});

describe('quoting', () => {
  it('leaves no way out of identifier or literal', () => {
    expect(quoteIdent('a"b')).toBe('"a""b"');
    expect(quoteLiteral("it's")).toBe("'it''s'");
    expect(quoteLiteral("\\' OR 1")).toBe(" E'\\\\'' OR 1'");
    expect(() => quoteIdent('a\0b')).toThrow(RangeError);
  });
});
