import { describe, expect, test } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { ABSENT, UNCHANGED, type Value } from '../../src/model/value.ts';
import { parseRedo } from '../../src/readers/oracle/redo/parse-redo.ts';
import { assertMalformed, Malformed } from '../../src/readers/oracle/redo/redo-cursor.ts';
import { rowImages, UnknownColumn } from '../../src/readers/oracle/redo/row-images.ts';
import { modelOf } from '../support/oracle/table-models.ts';

/** Statements in the forms that Oracle's documentation and other readers of LogMiner show. */
const STAFF = { ID: 'NUMBER(9,0)', NAME: 'VARCHAR2(60)', PAY: 'NUMBER(10,2)', HIRED: 'DATE' };
const TIMES = {
  ID: 'NUMBER(9,0)',
  D: 'DATE',
  T3: 'TIMESTAMP(3)',
  T9: 'TIMESTAMP(9)',
  TZ: 'TIMESTAMP(6) WITH TIME ZONE',
  TL: 'TIMESTAMP(6) WITH LOCAL TIME ZONE',
};
const NATIONAL = { ID: 'NUMBER(9,0)', T: 'NVARCHAR2(100)' };
const LOBS = { ID: 'NUMBER(9,0)', R: 'RAW(16)', B: 'BLOB', C: 'CLOB' };
const SPANS = { ID: 'NUMBER(9,0)', YM: 'INTERVAL YEAR(3) TO MONTH', DS: 'INTERVAL DAY(3) TO SECOND(9)' };
const FLOATS = { F: 'BINARY_FLOAT', D: 'BINARY_DOUBLE', X: 'FLOAT(126)' };
const BIG = { N: 'NUMBER' };

const at = (text: string): number => Date.parse(text) * 1000;

interface Example {
  readonly title: string;
  readonly sql: string;
  readonly types: Readonly<Record<string, string>>;
  readonly before?: readonly Value[];
  readonly after?: readonly Value[];
}

const HIRED = at('2021-06-07T08:09:10Z');
const TO_HIRED = "TO_DATE('2021-06-07 08:09:10', 'YYYY-MM-DD HH24:MI:SS')";

const EXAMPLES: readonly Example[] = [
  {
    title: 'an insert whose values are all strings',
    types: STAFF,
    sql: `insert into "HR"."STAFF"("ID","NAME","PAY","HIRED") values ('41','Ada','99.5',${TO_HIRED});`,
    after: [41, 'Ada', '99.50', HIRED],
  },
  {
    title: 'a space before the columns, and NULLs',
    types: STAFF,
    sql: `insert into "HR"."STAFF" ("ID","NAME","PAY","HIRED") values ('42',NULL,NULL,NULL);`,
    after: [42, null, null, null],
  },
  {
    title: 'numbers without apostrophes; a column that is not listed is NULL',
    types: STAFF,
    sql: `insert into "HR"."STAFF"("ID","PAY") values (43,-.25);`,
    after: [43, null, '-0.25', null],
  },
  {
    title: 'thirty-eight digits',
    types: BIG,
    sql: `insert into "HR"."STAFF"("N") values ('98765432109876543210987654321098765432');`,
    after: ['98765432109876543210987654321098765432'],
  },
  {
    title: 'an exponent',
    types: BIG,
    sql: `insert into "HR"."STAFF"("N") values ('-2.5E+4');`,
    after: ['-25000'],
  },
  {
    title: 'a small exponent',
    types: BIG,
    sql: `insert into "HR"."STAFF"("N") values (12e-3);`,
    after: ['0.012'],
  },
  { title: 'minus zero', types: BIG, sql: `insert into "HR"."STAFF"("N") values ('-0.00');`, after: ['0'] },
  {
    title: 'an update with all columns',
    types: STAFF,
    sql: `update "HR"."STAFF" set "PAY" = '100' where "ID" = '41' and "NAME" = 'Ada' and "PAY" = '99.5' and "HIRED" = ${TO_HIRED};`,
    before: [41, 'Ada', '99.50', HIRED],
    after: [41, 'Ada', '100.00', HIRED],
  },
  {
    title: 'NULL in the set clause, IS NULL in the where clause',
    types: STAFF,
    sql: `update "HR"."STAFF" set "NAME" = NULL, "PAY" = '1' where "ID" = '41' and "NAME" = 'Ada' and "PAY" IS NULL and "HIRED" IS NULL;`,
    before: [41, 'Ada', null, null],
    after: [41, null, '1.00', null],
  },
  {
    title: 'an update with the key alone: the rest is not known before, and unchanged after',
    types: STAFF,
    sql: `update "HR"."STAFF" set "PAY" = '2' where "ID" = '41';`,
    before: [41, ABSENT, ABSENT, ABSENT],
    after: [41, UNCHANGED, '2.00', UNCHANGED],
  },
  {
    title: 'an update without a where clause',
    types: STAFF,
    sql: `update "HR"."STAFF" set "NAME" = 'x';`,
    before: [ABSENT, ABSENT, ABSENT, ABSENT],
    after: [UNCHANGED, 'x', UNCHANGED, UNCHANGED],
  },
  {
    title: 'an update of the key',
    types: STAFF,
    sql: `update "HR"."STAFF" set "ID" = '410' where "ID" = '41' and "NAME" = 'Ada';`,
    before: [41, 'Ada', ABSENT, ABSENT],
    after: [410, 'Ada', UNCHANGED, UNCHANGED],
  },
  {
    title: 'a delete',
    types: STAFF,
    sql: `delete from "HR"."STAFF" where "ID" = '41' and "NAME" = 'Ada' and "PAY" = '2' and "HIRED" IS NULL;`,
    before: [41, 'Ada', '2.00', null],
  },
  {
    title: 'a delete without a where clause',
    types: STAFF,
    sql: `delete from "HR"."STAFF";`,
    before: [ABSENT, ABSENT, ABSENT, ABSENT],
  },
  {
    title: 'an alias on set and where',
    types: STAFF,
    sql: `update "HR"."STAFF" a set a."NAME" = 'y' where a."ID" = '3' and a."NAME" IS NULL;`,
    before: [3, null, ABSENT, ABSENT],
    after: [3, 'y', UNCHANGED, UNCHANGED],
  },
  {
    title: 'an alias on a delete',
    types: STAFF,
    sql: `delete from "HR"."STAFF" a where a."ID" = '3';`,
    before: [3, ABSENT, ABSENT, ABSENT],
  },
  {
    title: 'apostrophes',
    types: STAFF,
    sql: `insert into "HR"."STAFF"("ID","NAME") values ('1','''quoted'' and D''Arcy''s');`,
    after: [1, "'quoted' and D'Arcy's", null, null],
  },
  {
    title: 'what looks like the statement inside a string',
    types: STAFF,
    sql: `insert into "HR"."STAFF"("ID","NAME") values ('1','a, b) where "ID" = NULL\nor c; || /* */');`,
    after: [1, 'a, b) where "ID" = NULL\nor c; || /* */', null, null],
  },
  {
    title: 'text NULL and text that looks like a call',
    types: STAFF,
    sql: `update "HR"."STAFF" set "NAME" = 'NULL' where "ID" = '1' and "NAME" = 'HEXTORAW(''00'')';`,
    before: [1, "HEXTORAW('00')", ABSENT, ABSENT],
    after: [1, 'NULL', UNCHANGED, UNCHANGED],
  },
  {
    title: 'the empty string, in both forms',
    types: STAFF,
    sql: `update "HR"."STAFF" set "NAME" = LM_EMPTY_STRING where "ID" = '1' and "NAME" = '';`,
    before: [1, '', ABSENT, ABSENT],
    after: [1, '', UNCHANGED, UNCHANGED],
  },
  {
    title: 'UNISTR with escapes, pairs and apostrophes, concatenated in any spacing',
    types: NATIONAL,
    sql: `update "HR"."STAFF" set "T" = UNISTR('\\0416\\\\')||UNISTR('\\D83D\\DE00')  ||  'x' where "ID" = '1' and "T" = UNISTR('d\\2019 it''s');`,
    before: [1, "d’ it's"],
    after: [1, 'Ж\\😀x'],
  },
  {
    title: 'dates and timestamps of every kind; a dot at the end is no fraction',
    types: TIMES,
    sql: `insert into "HR"."STAFF"("ID","D","T3","T9","TZ","TL") values ('1',TO_DATE('1998-12-31 23:59:58', 'YYYY-MM-DD HH24:MI:SS'),TO_TIMESTAMP('2020-02-29 01:02:03.'),TO_TIMESTAMP('2020-02-29 01:02:03.123456789'),TO_TIMESTAMP_TZ('2020-02-29 01:02:03.500000 -05:30'),TO_TIMESTAMP_TZ('2020-02-29 01:02:03.000001 +02:00'));`,
    after: [
      1,
      at('1998-12-31T23:59:58Z'),
      at('2020-02-29T01:02:03Z'),
      BigInt(at('2020-02-29T01:02:03Z')) * 1000n + 123_456_789n,
      '2020-02-29T01:02:03.500000-05:30',
      at('2020-02-28T23:02:03Z') + 1,
    ],
  },
  {
    title: 'the forms of a session that lost its settings',
    types: TIMES,
    sql: `delete from "HR"."STAFF" where "D" = TO_DATE('15-MAY-21', 'DD-MON-RR') and "T3" = TO_TIMESTAMP('15-JAN-79 12.30.00.250000 AM');`,
    before: [ABSENT, at('2021-05-15T00:00:00Z'), at('1979-01-15T00:30:00.250Z'), ABSENT, ABSENT, ABSENT],
  },
  {
    title: 'the first year, and one past 2^53 microseconds',
    types: TIMES,
    sql: `update "HR"."STAFF" set "D" = TO_DATE('9999-12-31 23:59:59') where "ID" = '1' and "D" = TO_DATE('0001-01-01 00:00:00');`,
    before: [1, BigInt(Date.parse('0001-01-01T00:00:00Z')) * 1000n, ABSENT, ABSENT, ABSENT, ABSENT],
    after: [
      1,
      BigInt(Date.parse('9999-12-31T23:59:59Z')) * 1000n,
      UNCHANGED,
      UNCHANGED,
      UNCHANGED,
      UNCHANGED,
    ],
  },
  {
    title: 'intervals of both signs',
    types: SPANS,
    sql: `update "HR"."STAFF" set "YM" = TO_YMINTERVAL('-03-06'), "DS" = TO_DSINTERVAL('-001 02:03:04.56') where "ID" = '1' and "YM" = TO_YMINTERVAL('+001-06') and "DS" = TO_DSINTERVAL('+001 02:03:04.567890123');`,
    before: [1, [18, 0, 0], [0, 1, 7_384_567_890, 123]],
    after: [1, [-42, 0, 0], [0, -1, -7_384_560_000]],
  },
  {
    title: 'RAW and empty LOBs',
    types: LOBS,
    sql: `insert into "HR"."STAFF"("ID","R","B","C") values ('1',HEXTORAW('00ff10'),EMPTY_BLOB(),EMPTY_CLOB());`,
    after: [1, Buffer.from('00ff10', 'hex'), Buffer.alloc(0), ''],
  },
  {
    title: 'LOBs set in an update, and LOBs not mentioned',
    types: LOBS,
    sql: `update "HR"."STAFF" set "B" = HEXTORAW('cafe'), "C" = NULL where "ID" = '1' and "R" = HEXTORAW('01');`,
    before: [1, Buffer.from('01', 'hex'), UNCHANGED, UNCHANGED],
    after: [1, Buffer.from('01', 'hex'), Buffer.from('cafe', 'hex'), null],
  },
  {
    title: 'binary floats and their special values',
    types: FLOATS,
    sql: `insert into "HR"."STAFF"("F","D","X") values ('-Inf','Nan','3.140');`,
    after: [-Infinity, NaN, '3.14'],
  },
  {
    title: 'the largest double',
    types: FLOATS,
    sql: `insert into "HR"."STAFF"("F","D","X") values ('1.5','1.7976931348623157E+308',NULL);`,
    after: [1.5, Number.MAX_VALUE, null],
  },
  {
    title: 'Unsupported Type, everywhere',
    types: { ID: 'NUMBER(9,0)', U: 'VARCHAR2(10)' },
    sql: `update "HR"."STAFF" set "U" = Unsupported Type where "ID" = '1' and "U" = Unsupported Type;`,
    before: [1, UNCHANGED],
    after: [1, UNCHANGED],
  },
  {
    title: 'without a dictionary: columns by position, values in internal encodings',
    types: { A: 'NUMBER(9,0)', B: 'VARCHAR2(20)', C: 'DATE', D: 'NUMBER' },
    sql: `insert into "UNKNOWN"."OBJ# 90001"("COL 1","COL 2","COL 3","COL 4") values (HEXTORAW('c102'),HEXTORAW('416461'),HEXTORAW('78790607090a0b'),HEXTORAW('3e5b66'));`,
    after: [1, 'Ada', HIRED, '-10'],
  },
  {
    title: 'internal encodings of timestamps, with a zone and with a named region',
    types: {
      A: 'TIMESTAMP(6)',
      B: 'TIMESTAMP(6) WITH TIME ZONE',
      C: 'TIMESTAMP(0) WITH TIME ZONE',
      D: 'NUMBER(5,4)',
    },
    sql: `delete from "UNKNOWN"."OBJ# 90001" where "COL 1" = HEXTORAW('78790607090a0b1dcd6500') and "COL 2" = HEXTORAW('78790607090a0b000000001a3c') and "COL 3" = HEXTORAW('78790607090a0b000000009a14') and "COL 4" = HEXTORAW('c00c33');`,
    before: [HIRED + 500_000, '2021-06-07T14:09:10.000000+06:00', '2021-06-07T08:09:10Z', '0.1150'],
  },
  {
    title: 'internal encodings of intervals and floats',
    types: {
      A: 'INTERVAL YEAR TO MONTH',
      B: 'INTERVAL DAY TO SECOND',
      C: 'BINARY_FLOAT',
      D: 'BINARY_DOUBLE',
    },
    sql: `insert into "UNKNOWN"."OBJ# 90001"("COL 1","COL 2","COL 3","COL 4") values (HEXTORAW('800000023e'),HEXTORAW('800000013d3c3d80000000'),HEXTORAW('bfc00000'),HEXTORAW('400fffffffffffff'));`,
    after: [[26, 0, 0], [0, 1, 3_601_000_000], 1.5, -1],
  },
  {
    title: 'the internal encoding of an interval with nanoseconds, below zero',
    types: { A: 'INTERVAL DAY TO SECOND(9)' },
    sql: `insert into "UNKNOWN"."OBJ# 90001"("COL 1") values (HEXTORAW('7fffffff3c3c3b7fffffff'));`,
    after: [[0, -1, -1_000_000, -1]],
  },
  {
    title: 'the hidden column of row archival',
    types: STAFF,
    sql: `insert into "HR"."STAFF"("ORA_ARCHIVE_STATE","ID","NAME") values ('0','1','a');`,
    after: [1, 'a', null, null],
  },
  {
    title: 'a comment before a value',
    types: { ID: 'NUMBER(9,0)', J: 'BLOB' },
    sql: `insert into "HR"."STAFF"("ID","J") values ('1',/* JSON */ EMPTY_BLOB());`,
    after: [1, Buffer.alloc(0)],
  },
  {
    title: 'names with blanks, lower case, apostrophes and accents',
    types: { 'Order Id': 'NUMBER(9,0)', naïve: 'VARCHAR2(9)' },
    sql: `insert into "It's"."My Table"("Order Id","naïve") values ('1','b');`,
    after: [1, 'b'],
  },
  {
    title: 'apostrophes that are not doubled',
    types: STAFF,
    sql: `update "HR"."STAFF" set "NAME" = 'd'Arcy, l'été', "PAY" = '1' where "ID" = '4' and "NAME" = 'it's';`,
    before: [4, "it's", ABSENT, ABSENT],
    after: [4, "d'Arcy, l'été", '1.00', UNCHANGED],
  },
  {
    title: 'apostrophes that are not doubled, in values and at the end of a string',
    types: STAFF,
    sql: `insert into "HR"."STAFF"("NAME","ID") values ('the boys' o''clock''','5');`,
    after: [5, "the boys' o'clock'", null, null],
  },
  {
    title: 'IS NOT NULL says nothing about the value',
    types: STAFF,
    sql: `delete from "HR"."STAFF" where "ID" = '1' and "NAME" IS NOT NULL;`,
    before: [1, ABSENT, ABSENT, ABSENT],
  },
  {
    title: 'no semicolon; or between predicates',
    types: STAFF,
    sql: `update "HR"."STAFF" set "NAME" = 'z' where "ID" = '1' or "NAME" = NULL`,
    before: [1, null, ABSENT, ABSENT],
    after: [1, 'z', UNCHANGED, UNCHANGED],
  },
];

describe('SQL_REDO', () => {
  test.each(EXAMPLES)('$title', ({ sql, types, before, after }) => {
    const images = rowImages(parseRedo(sql), modelOf(types));
    expect(images.before).toEqual(before ?? null);
    expect(images.after).toEqual(after ?? null);
  });

  test('ROWID is kept apart, and which pass read the statement is told', () => {
    const statement = parseRedo(
      `delete from "HR"."STAFF" where "ID" = '3' and ROWID = 'AAASJqAANAAAAnkAAI';`,
    );
    expect(statement).toMatchObject({ rowid: 'AAASJqAANAAAAnkAAI', relaxed: false, whereNames: ['ID'] });
    expect(parseRedo(`delete from "A"."B" where "C" = 'it's';`).relaxed).toBe(true);
  });

  test.each([
    [`delete from "A"."B" where "C" = 'it's' or "D" = 'x';`, ["it's", 'x']],
    [`delete from "A"."B" a where a."C" = 'it's' and a."D" = 'x';`, ["it's", 'x']],
  ])('an apostrophe that is not doubled does not end a value: %s', (sql, values) => {
    expect(parseRedo(sql)).toMatchObject({ whereNames: ['C', 'D'], whereValues: values, relaxed: true });
  });

  test.each([
    [`/* JSON */ EMPTY_BLOB()`, { kind: 'call', name: 'EMPTY_BLOB' }],
    ['LM_EMPTY_STRING', ''],
    [`a/b')`, null],
  ])('what follows such a value: %s', (next, value) => {
    const parse = (): unknown => parseRedo(`insert into "A"."B"("C","D") values ('it's',${next});`).values[1];
    if (value === null) expect(parse).toThrow(HeadwaterError);
    else if (typeof value === 'string') expect(parse()).toBe(value);
    else expect(parse()).toMatchObject(value);
  });

  test('a table may have more columns than names are remembered of', () => {
    const names = Array.from({ length: 2_600 }, (_, i) => `C${i}`);
    const sql = `insert into "A"."B"(${names.map((name) => `"${name}"`).join(',')}) values (${names.map((_, i) => `'${i}'`).join(',')});`;
    for (let time = 0; time < 2; time++) expect(parseRedo(sql).names).toEqual(names);
  });

  test('only what is malformed is told as such', () => {
    const bug = new TypeError('a bug');
    expect(() => assertMalformed(bug)).toThrow(bug);
    expect(() => assertMalformed(new Malformed('not so', 7))).not.toThrow();
  });

  test('bytes of a single-byte character set', () => {
    const model = modelOf({ A: 'VARCHAR2(4)', B: 'NVARCHAR2(4)' }, { characterSet: 'WE8ISO8859P1' });
    const statement = parseRedo(
      `insert into "UNKNOWN"."OBJ# 1"("COL 1","COL 2") values (HEXTORAW('e480'),HEXTORAW('00e42603'));`,
    );
    expect(rowImages(statement, model).after).toEqual(['ä\u0080', 'ä☃']);
  });

  test('bytes of a character set that cannot be decoded name it', () => {
    const model = modelOf({ A: 'VARCHAR2(4)' }, { characterSet: 'AR8ADOS710' });
    const statement = parseRedo(`insert into "UNKNOWN"."OBJ# 1"("COL 1") values (HEXTORAW('e4'));`);
    expect(() => rowImages(statement, model)).toThrow(/AR8ADOS710/);
  });

  test.each([
    ['cut off in a string', `insert into "A"."B"("C") values ('abc`, 'unterminated string'],
    ['cut off behind a comma', `insert into "A"."B"("C","D") values ('abc',`, 'a value expected'],
    ['cut off in a name', `delete from "A"."B" where "C`, 'unterminated name'],
    ['more values than columns', `insert into "A"."B"("C") values ('1','2');`, 'another number of values'],
    ['something behind the end', `delete from "A"."B"; drop`, 'behind its end'],
    [
      'a call that is none of the grammar',
      `insert into "A"."B"("C") values (SYSDATE());`,
      'a value expected',
    ],
    ['nested calls', `insert into "A"."B"("C") values (UNISTR(UNISTR('x')));`, 'a value expected'],
    ['another statement', `merge into "A"."B"`, 'not an insert, update or delete'],
    ['an open comment', `insert into "A"."B"("C") values (/* x`, 'unterminated comment'],
    ['a slash', `insert into "A"."B"("C") values (/x);`, 'a value expected'],
    ['an exponent without digits', `insert into "A"."B"("C") values (1e)`, 'without its exponent'],
    ['nothing', '', 'not an insert, update or delete'],
  ])('%s is an error, never a part of a row', (_, sql, message) => {
    expect(() => parseRedo(sql)).toThrow(message);
    try {
      parseRedo(sql);
    } catch (error) {
      expect(error).toBeInstanceOf(HeadwaterError);
      expect((error as HeadwaterError).code).toBe('source.redo-unreadable');
    }
  });

  test.each([
    [
      'an odd number of hex digits',
      LOBS,
      `insert into "HR"."STAFF"("R") values (HEXTORAW('123'));`,
      'hex digits',
    ],
    ['a letter for a number', STAFF, `insert into "HR"."STAFF"("ID") values ('x');`, 'a number'],
    [
      'a fraction in a whole number',
      STAFF,
      `insert into "HR"."STAFF"("ID") values ('1.5');`,
      'a whole number',
    ],
    ['a number without end', BIG, `insert into "HR"."STAFF"("N") values ('1e9999');`, 'up to 10^126'],
    [
      'a day that no month has',
      TIMES,
      `insert into "HR"."STAFF"("D") values (TO_DATE('2021-02-30'));`,
      'calendar',
    ],
    ['a string for a date', TIMES, `insert into "HR"."STAFF"("D") values ('2021-02-03');`, 'a date'],
  ])('%s is an error that names the column and not the value', (_, types, sql, expected) => {
    expect(() => rowImages(parseRedo(sql), modelOf(types))).toThrow(expected);
    expect(() => rowImages(parseRedo(sql), modelOf(types))).toThrow(/HR\.STAFF .* column/);
  });

  test('a column that the model does not have', () => {
    const statement = parseRedo(`insert into "HR"."STAFF"("ID","COLOUR") values ('1','red');`);
    expect(() => rowImages(statement, modelOf(STAFF))).toThrow(UnknownColumn);
  });
});
