/**
 * Texts from databases and topics may be as long, as deep and as repetitive as somebody likes. Whatever reads them ends
 * with a value or an error of its own: it neither hangs (a search that tries all ways to split a text would take hours
 * at these lengths, and the test's time runs out) nor fills the stack.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { splitDelimited } from '../../src/enrichment/formats/delimited.ts';
import { type Format, partReader } from '../../src/enrichment/formats/format.ts';
import { jsonText, parseAsWritten, parseJson } from '../../src/enrichment/sql/exact-json.ts';
import { parseDate, parseTime, parseTimestamp } from '../../src/enrichment/sql/civil-time.ts';
import { parseDecimal } from '../../src/enrichment/sql/decimal.ts';
import { BIGINT, DATE, decimal, DOUBLE, type SqlType, STRING } from '../../src/enrichment/sql/sql-type.ts';
import { alteredColumns, createdColumns } from '../../src/readers/mysql/ddl/column-names.ts';
import { recognise } from '../../src/readers/mysql/ddl/statement.ts';
import { parseColumnType } from '../../src/readers/mysql/types/column-type.ts';
import { parseDdl } from '../../src/readers/oracle/ddl.ts';
import { parseRedo } from '../../src/readers/oracle/redo/parse-redo.ts';
import { decodeHstore } from '../../src/readers/postgres/types/decode-hstore.ts';
import { readDefault } from '../../src/readers/postgres/types/column-default.ts';
import type { ColumnTypeInfo } from '../../src/readers/postgres/types/type-registry.ts';
import { TEXT_DECODERS } from '../support/text-decoders.ts';

const TEXT_COLUMN: ColumnTypeInfo = {
  type: { kind: 'string' },
  nativeType: 'text',
  length: null,
  scale: null,
  decode: (text) => text,
};
const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  ...TEXT_DECODERS,
  'a default of PostgreSQL': (text) => readDefault(text, TEXT_COLUMN),
  'a statement of MySQL': (text) => recognise({ sql: text }, 'd'),
  'a statement of MySQL without escapes': (text) => recognise({ sql: text, plainBackslashes: true }, 'd'),
  'columns of a new table of MySQL': (text) => createdColumns({ sql: text }),
  'columns of an altered table of MySQL': (text) => alteredColumns({ sql: text }, ['a']),
  'a column type of MySQL': parseColumnType,
  'redo of Oracle': parseRedo,
  'DDL of Oracle': parseDdl,
  parseDecimal,
  parseDate,
  parseTime,
  parseTimestamp,
  splitDelimited: (text) => splitDelimited(text, ','),
  parseJson,
  parseAsWritten,
};

const BEGINNINGS = [
  ...[
    '',
    '1',
    "'",
    '"',
    '`',
    '(',
    '{',
    '[',
    '\\x',
    '"a"=>',
    '2020-01-01T',
    '2020-01-01 ',
    '12:00:00',
    '1 day ',
  ],
  ...['1::', "'a'::", "enum('", 'ALTER TABLE t ADD c ', 'CREATE TABLE t (a ', 'RENAME TABLE '],
  ...['insert into "A"."B"("C") values (', 'update "A"."B" set "C" = ', 'delete from "A"."B" where "C" = \''],
];
const PIECES = [
  ...[
    ' ',
    "'",
    '"',
    '`',
    '(',
    ')',
    '[',
    '{',
    '}',
    '1',
    '0',
    'a',
    ',',
    '.',
    '-',
    '+',
    ':',
    ';',
    '#',
    '\n',
    '\0',
  ],
  ...['::a', '::', '\\', "\\'", "''", '/*', '*/', '--', ' ,', "','", '1e', '||', "' || '", '=>', '"a"=>"b",'],
  ...['AND ', "TO_DATE('", 'HEXTORAW(', 'é', '{"a":', 'T'],
];
/** The same over and over, between something and something else. */
const long = fc
  .tuple(
    fc.constantFrom(...BEGINNINGS),
    fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 2 }).map((pieces) => pieces.join('')),
    fc.constantFrom('', 'x', ')', "'", '"', '(', '!', ']'),
  )
  .map(([beginning, piece, ending]) => beginning + piece.repeat(Math.ceil(200_000 / piece.length)) + ending);

/** What `read` throws where that is no error of its own. */
function fault(read: (text: string) => unknown, text: string): unknown {
  try {
    read(text);
    return null;
  } catch (error) {
    return error instanceof RangeError || error instanceof TypeError ? error : null;
  }
}

test.each(Object.entries(READERS))('%s', (_name, read) => {
  fc.assert(
    fc.property(long, (text) => {
      expect(fault(read, text)).toBeNull();
    }),
    { numRuns: 40 },
  );
});

test.each<[keyof typeof READERS, string, string, string]>([
  ['parseDecimal', '', ' ', 'x'],
  ['parseTimestamp', '2020-01-01T', ' ', 'x'],
  ['a default of PostgreSQL', "'a'", '::text', '('],
  ['a statement of MySQL', '', "\\'", ''],
  ['parseJson', '', '[', ''],
  ['parseAsWritten', '', '{"a":', ''],
])('%s, as it once hung or fell: %j, then a million of %j', (name, beginning, piece, ending) => {
  expect(fault(READERS[name]!, beginning + piece.repeat(1_000_000) + ending)).toBeNull();
});

describe('texts of many megabytes are read', () => {
  const LONG = 'a'.repeat(20_000_000);

  test.each(["'", '"', '`'])('in a statement of MySQL, between %s', (quote) => {
    expect(recognise({ sql: `CREATE TABLE t (a INT COMMENT ${quote}${LONG}${quote})` }, 'd')).toMatchObject({
      ids: [{ schema: 'd', table: 't' }],
    });
  });

  test('in hstore', () => {
    expect(decodeHstore(`"a"=>"${LONG}", "b"=>NULL`)).toBe(`{"a":"${LONG}","b":null}`);
  });
});

describe('JSON', () => {
  const nested = (depth: number, inside: string): string =>
    '[{"a":'.repeat(depth / 2) + inside + '}]'.repeat(depth / 2);

  test.each([parseJson, parseAsWritten])('as deep as Java reads it is read and printed, by %o', (parse) => {
    for (const inside of ['1', '"[[[[{{{{"', '12345678901234567890'])
      expect(jsonText(parse(nested(1_000, inside)))).toBe(nested(1_000, inside));
  });

  test.each([parseJson, parseAsWritten])('that is deeper is none, by %o', (parse) => {
    expect(() => parse(nested(1_002, '1'))).toThrow(SyntaxError);
  });

  test('with many brackets that are no depth is read', () => {
    const wide = JSON.stringify([
      ...Array.from({ length: 5_000 }, () => [{ a: '[["{\\' }]),
      '{'.repeat(5_000),
    ]);
    expect(jsonText(parseJson(wide))).toBe(wide);
  });
});

describe('a record of a topic', () => {
  const types: readonly SqlType[] = [
    STRING,
    BIGINT,
    DOUBLE,
    DATE,
    decimal(10, 2),
    { kind: 'ARRAY', element: STRING },
    { kind: 'MAP', key: STRING, value: BIGINT },
  ];

  test.each<Format>(['JSON', 'DELIMITED', 'KAFKA'])('in %s is read or is none', (format) => {
    const record = fc.oneof(
      long,
      long.map((text) => JSON.stringify(text)),
      long.map((text) => `{"A":${JSON.stringify(text)}}`),
    );
    const scalars = types.slice(0, format === 'JSON' ? types.length : format === 'KAFKA' ? 3 : 5);
    fc.assert(
      fc.property(record, fc.constantFrom(...scalars), fc.boolean(), (text, type, bare) => {
        const part = partReader(
          [{ name: 'A', type }],
          { format, delimiter: ',', bare },
          { reader: null, signal: new AbortController().signal },
        );
        const into: unknown[] = [];
        if (part.read(Buffer.from(text), into as never)) expect(into).toHaveLength(1);
      }),
      { numRuns: 100 },
    );
  });
});
