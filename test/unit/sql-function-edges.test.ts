/** Each function of the first release: NULL, wrong types, and what lies at the ends of its values. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Decimal } from '../../src/enrichment/sql/decimal.ts';
import type { Problem } from '../../src/enrichment/sql/frame.ts';
import { AGGREGATE_NAMES } from '../../src/enrichment/sql/functions/aggregates.ts';
import { FUNCTIONS } from '../../src/enrichment/sql/functions/registry.ts';
import {
  BIGINT,
  DATE,
  DOUBLE,
  INTEGER,
  type SqlType,
  STRING,
  TIMESTAMP,
} from '../../src/enrichment/sql/sql-type.ts';
import { evaluate } from '../support/compiled-expression.ts';
import type { SqlValue } from '../../src/enrichment/sql/value.ts';

/** What a table may hold, and no literal is. */
const COLUMNS: Readonly<Record<string, readonly [SqlType, SqlValue]>> = {
  NAN: [DOUBLE, NaN],
  LARGE: [DOUBLE, 1e308],
  LEAST_LONG: [BIGINT, -(2n ** 63n)],
  LAST_DAY: [DATE, 2 ** 31 - 1],
  LAST_TIME: [TIMESTAMP, Number.MAX_SAFE_INTEGER],
  TEXT: [STRING, 'some text'],
  PATTERN: [STRING, '('],
  NOTHING: [INTEGER, null],
};

function run(expression: string): { value: unknown; problems: readonly Problem[] } {
  const { value, problems } = evaluate(expression, COLUMNS);
  return { value: value instanceof Decimal ? `${value.toString()}m` : value, problems };
}

const JSON_TEXT = `'{"a":1}'`;
const STAMP = "CAST('2024-02-29T10:00:00' AS TIMESTAMP)";
const DAY = "CAST('2024-02-29' AS DATE)";
/** Arguments that fit; those at the places in `known` may be NULL. */
const CALLS: Readonly<
  Record<string, { readonly args: readonly string[]; readonly known?: 'all' | number[] }>
> = {
  COALESCE: { args: ['1', '2'], known: 'all' },
  IFNULL: { args: ['1', '2'], known: 'all' },
  NULLIF: { args: ['1', '2'], known: [1] },
  GREATEST: { args: ['1', '2'], known: 'all' },
  LEAST: { args: ['1', '2'], known: 'all' },
  AS_VALUE: { args: ['1'] },
  CONCAT: { args: ["'a'", "'b'"], known: 'all' },
  CONCAT_WS: { args: ["'-'", "'a'", "'b'"], known: [1, 2] },
  INITCAP: { args: ["'a'"] },
  INSTR: { args: ["'abc'", "'b'", '1', '1'] },
  LCASE: { args: ["'A'"] },
  UCASE: { args: ["'a'"] },
  LEN: { args: ["'a'"] },
  LPAD: { args: ["'a'", '3', "'x'"] },
  RPAD: { args: ["'a'", '3', "'x'"] },
  TRIM: { args: ["' a '"] },
  REGEXP_EXTRACT: { args: ["'(a)'", "'a'", '1'] },
  REGEXP_REPLACE: { args: ["'a'", "'a'", "'b'"] },
  REPLACE: { args: ["'a'", "'a'", "'b'"] },
  SPLIT: { args: ["'a,b'", "','"] },
  SUBSTRING: { args: ["'abc'", '1', '2'] },
  EXTRACTJSONFIELD: { args: [JSON_TEXT, "'$.a'"] },
  ABS: { args: ['-1'] },
  CEIL: { args: ['1.5'] },
  FLOOR: { args: ['1.5'] },
  ROUND: { args: ['1.55', '1'] },
  SIGN: { args: ['-1'] },
  SQRT: { args: ['4'] },
  UNIX_TIMESTAMP: { args: [STAMP] },
  UNIX_DATE: { args: [DAY] },
  FROM_UNIXTIME: { args: ['1'] },
  STRINGTOTIMESTAMP: { args: ["'2024'", "'yyyy'", "'UTC'"] },
  PARSE_TIMESTAMP: { args: ["'2024'", "'yyyy'", "'UTC'"] },
  TIMESTAMPTOSTRING: { args: ['1', "'yyyy'", "'UTC'"] },
  FORMAT_TIMESTAMP: { args: [STAMP, "'yyyy'", "'UTC'"] },
  STRINGTODATE: { args: ["'2024'", "'yyyy'"] },
  PARSE_DATE: { args: ["'2024'", "'yyyy'"] },
  DATETOSTRING: { args: ['1', "'yyyy'"] },
  FORMAT_DATE: { args: [DAY, "'yyyy'"] },
  CONVERT_TZ: { args: [STAMP, "'UTC'", "'+01:00'"] },
  ARRAY_LENGTH: { args: ['ARRAY[1]'] },
  ARRAY_CONTAINS: { args: ['ARRAY[1]', '1'], known: [1] },
  ARRAY_JOIN: { args: ['ARRAY[1]', "'-'"], known: [1] },
  MAP_KEYS: { args: ["MAP('a' := 1)"] },
  MAP_VALUES: { args: ["MAP('a' := 1)"] },
};
/** Any type is theirs. */
const OF_ANY_TYPE = new Set(['COALESCE', 'IFNULL', 'NULLIF', 'GREATEST', 'LEAST', 'AS_VALUE']);

describe('each function', () => {
  it('is called here, and in the docs as are the aggregates', () => {
    expect(Object.keys(CALLS).toSorted()).toEqual([...FUNCTIONS.keys()].toSorted());
    const docs = readFileSync('docs/enrichment.md', 'utf8');
    const own = ['EXPLODE', 'CDC_OP', 'CDC_BEFORE', 'CDC_CHANGED', 'CDC_TX', 'CDC_POS'];
    const named = [...FUNCTIONS.keys(), ...AGGREGATE_NAMES, ...own, 'CAST', 'CASE'];
    expect(named.filter((name) => !new RegExp(`\`${name}[\`(]`).test(docs))).toEqual([]);
  });

  const calls = Object.entries(CALLS);
  it.each(calls)('%s gives a value, and NULL for NULL unless it knows NULL', (name, { args, known = [] }) => {
    expect(run(`${name}(${args.join(', ')})`)).toMatchObject({ problems: [] });
    expect(run(`${name}(${args.join(', ')})`).value).not.toBeNull();
    for (const [i, arg] of args.entries()) {
      // NULL of the type that belongs there, however it is computed.
      const nothing = `CASE WHEN 1 = 2 THEN ${arg} END`;
      const { value, problems } = run(
        `${name}(${args.map((own, j) => (i === j ? nothing : own)).join(', ')})`,
      );
      expect(problems).toEqual([]);
      if (known === 'all' || known.includes(i)) expect(value).not.toBeNull();
      else expect(value).toBeNull();
    }
  });

  it.each(calls.filter(([name]) => !OF_ANY_TYPE.has(name)))(
    '%s points to an argument of a wrong type',
    (name, { args }) => {
      for (const i of args.keys()) {
        const wrong = 'STRUCT(x := 1)';
        const before = `SELECT ${name}(${args
          .slice(0, i)
          .map((arg) => `${arg}, `)
          .join('')}`;
        const call = `${name}(${args.map((own, j) => (i === j ? wrong : own)).join(', ')})`;
        expect(() => run(call)).toThrow(
          new RegExp(`^line 1:${before.length + 1}: argument ${i + 1} of ${name} `),
        );
      }
    },
  );

  it.each(calls)('%s says how it is called where arguments are missing', (name) => {
    expect(() => run(`${name}()`)).toThrow(
      new RegExp(`^line 1:8: ${name} .*write (${name}\\(|ROWTIME)|^line 1:8: ${name} takes`),
    );
  });
});

describe('at the ends of values', () => {
  it.each<[string, unknown, readonly Problem[]]>([
    ["SUBSTRING('abc', 0)", 'abc', []],
    ["SUBSTRING('abc', -9, 2)", 'ab', []],
    ["SUBSTRING('abc', 9)", '', []],
    ["SUBSTRING('abc', 2, -1)", '', []],
    ["INSTR('aaa', 'a', 1, 4)", 0, []],
    ["LPAD('a', 2000000, 'x')", null, []],
    ["LPAD('a', 5, '')", null, []],
    ["SPLIT('', ',')", [''], []],
    ["SPLIT('abc', '')", ['a', 'b', 'c'], []],
    ["REPLACE('a', '', '-')", 'a', []],
    ['CONCAT(CAST(NULL AS STRING), CAST(NULL AS STRING))', '', []],
    ['ARRAY_JOIN(ARRAY[1, 2], CAST(NULL AS STRING))', '12', []],
    ['ARRAY_CONTAINS(ARRAY[1, NULL], NULL)', true, []],
    // Regular expressions: flags in front, classes, groups that are not there.
    ["REGEXP_EXTRACT('(?i)SOME', text)", 'some', []],
    ["REGEXP_EXTRACT('(?is)^SOME.T', text)", 'some t', []],
    ["REGEXP_EXTRACT('\\p{Lu}', 'aÄ')", 'Ä', []],
    ["REGEXP_EXTRACT('a\\-b', 'a-b')", 'a-b', []],
    ["REGEXP_EXTRACT('a(b)?', 'ac', 1)", null, []],
    ["REGEXP_EXTRACT('a', 'a', 5)", null, []],
    ["REGEXP_REPLACE('a1', '([0-9])', '<$1>')", 'a<1>', []],
    ['REGEXP_EXTRACT(pattern, text)', null, ['pattern']],
    // Numbers.
    ['ABS(least_long)', null, ['overflow']],
    ['-least_long', null, ['overflow']],
    ['least_long / -1', null, ['overflow']],
    ['SIGN(nan)', null, ['overflow']],
    ['ROUND(nan)', null, ['overflow']],
    ['ROUND(large)', null, ['overflow']],
    ['ROUND(nothing, 1)', null, []],
    ['ROUND(155, -1)', 160, []],
    ['ROUND(-155, -1)', -150, []],
    ['ROUND(155, 3)', 155, []],
    ['ROUND(2147483647, -1)', null, ['overflow']],
    ['ROUND(9223372036854775807, -19)', null, ['overflow']],
    ['ROUND(9223372036854775807, -20)', 0, []],
    ['ROUND(155.55, -1)', '160.00m', []],
    ['ROUND(155.55, -3)', '0.00m', []],
    ['ROUND(155.55, -1000000000)', '0.00m', []],
    ['ROUND(155.55, 9)', '155.55m', []],
    [`ROUND(${'9'.repeat(150)}.5, -149)`, `10${'0'.repeat(149)}.0m`, []],
    ['ROUND(155E0, -1)', 160, []],
    ['CAST(large AS BIGINT)', null, ['cast']],
    ['CAST(nan AS DECIMAL(4, 2))', null, ['cast']],
    // Times: behind the end of the calendar there are no zones.
    ["CONVERT_TZ(last_time, 'UTC', 'Europe/Berlin')", null, ['time']],
    ["FORMAT_TIMESTAMP(last_time, 'yyyy')", null, ['time']],
    ["FORMAT_DATE(last_day, 'yyyy')", null, ['time']],
    ["STRINGTOTIMESTAMP('275760-09-13', 'yyyyyy-MM-dd', 'Europe/Berlin')", 8_639_999_992_800_000, []],
    ['FROM_UNIXTIME(8640000000000001)', null, ['time']],
    ['CAST(last_day AS TIMESTAMP)', null, ['cast']],
    ["CAST('999999999-01-01' AS DATE)", null, ['cast']],
    ["CAST('999999999-01-01' AS TIMESTAMP)", null, ['cast']],
    ["CAST('5874897-12-31' AS DATE)", 2_145_042_905, []],
    ["PARSE_DATE('2024-02-30', 'yyyy-MM-dd')", null, ['time']],
    // Conditions.
    ['nothing = nothing', null, []],
    ['NOT (nothing = 1)', null, []],
    ['nothing IN (1)', null, []],
    ['1 NOT IN (2, nothing)', null, []],
    ['nothing BETWEEN 1 AND 2', null, []],
    ['text LIKE CAST(NULL AS STRING)', null, []],
    // Of CASE only what is needed is computed.
    ['CASE WHEN TRUE THEN 1 WHEN 1 / 0 = 1 THEN 2 END', 1, []],
    ['CASE WHEN FALSE THEN 1 / 0 ELSE 2 END', 2, []],
    ['COALESCE(1, 1 / 0)', 1, []],
    ['ARRAY[1, 2][0]', null, ['index']],
    ['ARRAY[1, 2][-2]', 1, []],
    ['ARRAY[1, 2][-3]', null, ['index']],
  ])('%s', (expression, value, problems) => {
    expect(run(expression)).toEqual({ value, problems });
  });

  it('a pattern that stands in the statement is checked with it', () => {
    expect(() => run("REGEXP_REPLACE(text, '(', 'x')")).toThrow(/^line 1:29: this is no regular expression/);
  });
});
