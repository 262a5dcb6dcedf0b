import { describe, expect, it } from 'vitest';
import { Decimal } from '../../src/enrichment/sql/decimal.ts';
import type { Problem } from '../../src/enrichment/sql/frame.ts';
import { typeText } from '../../src/enrichment/sql/sql-type.ts';
import { evaluate } from '../support/compiled-expression.ts';
import type { SqlValue } from '../../src/enrichment/sql/value.ts';

/** Value, type and problems of an expression without columns. */
function run(expression: string): { value: unknown; type: string; problems: readonly Problem[] } {
  const { value, type, problems } = evaluate(expression);
  return { value: plain(value), type: type === null ? 'NULL' : typeText(type), problems };
}

function plain(value: SqlValue): unknown {
  if (value instanceof Decimal) return `${value.toString()}m`;
  if (value instanceof Map) return [...(value as ReadonlyMap<SqlValue, SqlValue>)];
  return Array.isArray(value) ? (value as readonly SqlValue[]).map(plain) : value;
}

const NONE = 'CAST(NULL AS STRING)';

describe('what expressions give', () => {
  it.each<[string, unknown]>([
    // literals and operators
    ['2147483648', 2147483648],
    ['-9223372036854775808', -9223372036854775808n],
    ['9007199254740993', 9007199254740993n],
    ['1.50', '1.50m'],
    ['1.5E0', 1.5],
    ["'it''s'", "it's"],
    ["'a' + 'b' || 'c'", 'abc'],
    ['7 / 2', 3],
    ['-7 / 2', -3],
    ['-7 % 3', -1],
    ['1 + 2 * 3 - 4', 3],
    ['1.10 + 2', '3.10m'],
    ['5 * 19.9', '99.5m'],
    ['5 * 19.9E0', 99.5],
    ['1.0 / 3', '0.333333333333m'],
    ['NOT (1 = 1 AND 2 > 3)', true],
    [`NULL = 1`, null],
    ['NULL IS NULL', true],
    ['FALSE AND NULL', false],
    ['TRUE OR NULL', true],
    ['TRUE AND CAST(NULL AS BOOLEAN)', null],
    ['1 IN (2, NULL)', null],
    ['1 NOT IN (2, 3)', true],
    ['2 BETWEEN 1 AND 3', true],
    ['2 NOT BETWEEN 1 AND 3', false],
    [`1 IS DISTINCT FROM NULL`, true],
    ["'50%' LIKE '50\\%' ESCAPE '\\'", true],
    ["'abcbd' LIKE 'a%b_'", true],
    ["'abc' NOT LIKE '_c%'", true],
    ["CASE WHEN 1 > 2 THEN 'a' WHEN NULL THEN 'b' END", null],
    ["CASE 2 WHEN 1 THEN 'one' WHEN 2 THEN 'two' ELSE 'many' END", 'two'],
    ['CASE WHEN TRUE THEN 1 ELSE 2.5 END', '1.0m'],
    // collections
    ['ARRAY[1, 2, 3][-1]', 3],
    ["MAP('a' := 1)['a']", 1],
    ["MAP('a' := 1)['b']", null],
    ['STRUCT(a := 1, b := ARRAY[2])->b[1]', 2],
    ['ARRAY_LENGTH(ARRAY[1, NULL])', 2],
    ['ARRAY_CONTAINS(ARRAY[1, 2], 2)', true],
    ["ARRAY_JOIN(ARRAY[1, NULL, 3], '-')", '1-null-3'],
    ["MAP_KEYS(MAP('a' := 1, 'b' := 2))", ['a', 'b']],
    ["MAP_VALUES(MAP('a' := 1, 'b' := 2))", [1, 2]],
    // casts
    ["CAST('12' AS BIGINT)", 12],
    ['CAST(12.9 AS INT)', 12],
    ["CAST('1.005' AS DECIMAL(4, 2))", '1.01m'],
    ['CAST(1.5E0 AS STRING)', '1.5'],
    ['CAST(2.0E0 AS STRING)', '2.0'],
    ['CAST(TRUE AS STRING)', 'true'],
    ["CAST('2024-02-29' AS DATE)", 19782],
    ["CAST(CAST('2024-02-29T10:00:00' AS TIMESTAMP) AS STRING)", '2024-02-29T10:00:00.000'],
    ["CAST(CAST('2024-02-29T10:00:00+02:00' AS TIMESTAMP) AS TIME)", 28_800_000],
    // general
    [`COALESCE(${NONE}, 'x')`, 'x'],
    ['IFNULL(CAST(NULL AS INT), 5)', 5],
    ['NULLIF(3, 3)', null],
    ['NULLIF(3, NULL)', 3],
    ['GREATEST(1, NULL, 3.5)', '3.5m'],
    ["LEAST('b', 'a')", 'a'],
    // strings
    [`CONCAT('a', ${NONE}, 'b')`, 'ab'],
    [`CONCAT_WS('-', 'a', ${NONE}, 'b')`, 'a-b'],
    [`CONCAT_WS(${NONE}, 'a', 'b')`, null],
    ["INITCAP('the qUICK  fox')", 'The Quick  Fox'],
    ["INSTR('corporate floor', 'or')", 2],
    ["INSTR('corporate floor', 'or', 3, 2)", 14],
    ["INSTR('corporate floor', 'or', -3, 2)", 2],
    ["INSTR('abc', 'z')", 0],
    ["LCASE('ÄB')", 'äb'],
    ["UCASE('äb')", 'ÄB'],
    ["LEN('abc')", 3],
    ["TRIM('  a ')", 'a'],
    ["LPAD('foo', 7, 'Bar')", 'BarBfoo'],
    ["RPAD('foo', 2, 'x')", 'fo'],
    ["LPAD('foo', -1, 'x')", null],
    ["REGEXP_EXTRACT('(.*) (.*)', 'hello there', 2)", 'there'],
    ["REGEXP_EXTRACT('z', 'abc')", null],
    ["REGEXP_REPLACE('a1b22', '[0-9]+', '#')", 'a#b#'],
    ["REPLACE('a.b.c', '.', '')", 'abc'],
    ["SPLIT('a,b,', ',')", ['a', 'b', '']],
    ["SUBSTRING('stream', 2, 3)", 'tre'],
    ["SUBSTRING('stream', -3)", 'eam'],
    [`EXTRACTJSONFIELD('{"a":{"b":[1,12345678901234567890]}}', '$.a.b[1]')`, '12345678901234567890'],
    [`EXTRACTJSONFIELD('{"a":{"b":[1,2.50]}}', '$.a')`, '{"b":[1,2.50]}'],
    [`EXTRACTJSONFIELD('{"a b":"x"}', '$[''a b'']')`, 'x'],
    [`EXTRACTJSONFIELD('{"a":1}', '$.constructor')`, null],
    // numbers
    ['ABS(-2.50)', '2.50m'],
    ['CEIL(-1.5)', '-1m'],
    ['CEIL(1.2E0)', 2],
    ['FLOOR(-1.5)', '-2m'],
    ['ROUND(-1.5)', '-1m'],
    ['ROUND(2.5)', '3m'],
    ['ROUND(1.245, 2)', '1.250m'],
    ['ROUND(2.5E0)', 3],
    ['ROUND(-2.5E0)', -2],
    ['ROUND(1.25E0, 1)', 1.3],
    ['SIGN(-4.2)', -1],
    ['SQRT(9)', 3],
    // times
    ["STRINGTOTIMESTAMP('2021-03-28 03:30', 'yyyy-MM-dd HH:mm', 'Europe/Berlin')", 1616895000000],
    ["TIMESTAMPTOSTRING(1616895000000, 'yyyy-MM-dd HH:mm XXX', 'Europe/Berlin')", '2021-03-28 03:30 +02:00'],
    ["TIMESTAMPTOSTRING(0, 'EEE, d MMM yyyy h:mm a z')", 'Thu, 1 Jan 1970 12:00 AM UTC'],
    ["FORMAT_TIMESTAMP(FROM_UNIXTIME(1), 'yyyyMMdd''T''HHmmss.SSSX')", '19700101T000000.001Z'],
    ["PARSE_TIMESTAMP('20200131123000', 'yyyyMMddHHmmss')", 1580473800000],
    ["PARSE_TIMESTAMP('2020-01-31', 'yyyy-MM-dd[ HH:mm]')", 1580428800000],
    ["UNIX_TIMESTAMP(PARSE_TIMESTAMP('2020-01-31 01:00 +0100', 'yyyy-MM-dd HH:mm Z'))", 1580428800000],
    ["STRINGTODATE('31/01/2020', 'dd/MM/yyyy')", 18292],
    ["DATETOSTRING(18292, 'd. MMMM yy')", '31. January 20'],
    ["FORMAT_DATE(PARSE_DATE('2020-366', 'yyyy-DDD'), 'yyyy-MM-dd')", '2020-12-31'],
    ["UNIX_DATE(CAST('1970-01-02' AS DATE))", 1],
    ["CAST(CONVERT_TZ(FROM_UNIXTIME(0), 'UTC', 'America/New_York') AS STRING)", '1969-12-31T19:00:00.000'],
  ])('%s', (expression, expected) => {
    const { value, problems } = run(expression);
    expect(value).toEqual(expected);
    expect(problems).toEqual([]);
  });

  it.each<[string, Problem]>([
    ['1 / 0', 'division-by-zero'],
    ['1.0 % 0', 'division-by-zero'],
    ['2147483647 + 1', 'overflow'],
    ['9223372036854775807 * 2', 'overflow'],
    ["CAST('x' AS INT)", 'cast'],
    ["CAST('12345678901' AS INT)", 'cast'],
    ["CAST('2023-02-29' AS DATE)", 'cast'],
    ['CAST(123.45 AS DECIMAL(3, 2))', 'cast'],
    ['ARRAY[1][2]', 'index'],
    ["EXTRACTJSONFIELD('{', '$.a')", 'json'],
    ["REGEXP_EXTRACT(CONCAT('(', ''), 'a')", 'pattern'],
    ["PARSE_DATE('2020-13-01', 'yyyy-MM-dd')", 'time'],
    ["TIMESTAMPTOSTRING(9223372036854775807, 'yyyy')", 'time'],
  ])('%s is NULL and said', (expression, problem) => {
    expect(run(expression)).toMatchObject({ value: null, problems: [problem] });
  });

  it.each([
    ['1.10 * 2', 'DECIMAL(14, 2)'],
    ['1.5 + 2.25', 'DECIMAL(4, 2)'],
    ['1.0 / 3.0', 'DECIMAL(8, 6)'],
    ['1 + 2147483648', 'BIGINT'],
    ['1.5 + 1E0', 'DOUBLE'],
    ['ROUND(1.5)', 'DECIMAL(2, 0)'],
    ['ROUND(1E0)', 'BIGINT'],
    ["SPLIT('a', 'b')", 'ARRAY<STRING>'],
    ['STRUCT(a := 1)', 'STRUCT<A INTEGER>'],
    ['NULL', 'NULL'],
  ])('%s is %s', (expression, type) => {
    expect(run(expression).type).toBe(type);
  });
});
