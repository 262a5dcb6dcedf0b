/** Literals and rows of each type that are not what one sees every day, and what is refused. */
import { describe, expect, test } from 'vitest';
import { UNCHANGED, type Value } from '../../src/model/value.ts';
import { type Literal, PRESENT, UNSUPPORTED } from '../../src/readers/oracle/redo/literal.ts';
import { parseRedo } from '../../src/readers/oracle/redo/parse-redo.ts';
import { textDecoder } from '../../src/readers/oracle/types/character-sets.ts';
import { columnDecoder, type ColumnDecoder } from '../../src/readers/oracle/types/column-decoder.ts';
import { parseDataType } from '../../src/readers/oracle/types/column-metadata.ts';
import { UnreadableValue } from '../../src/readers/oracle/types/unreadable-value.ts';

let foreign = 0;

function decoderOf(type: string): ColumnDecoder {
  const dataType = parseDataType(type);
  if (dataType === null) throw new Error(`${type} is no data type`);
  const context = { text: textDecoder('AL32UTF8'), onForeignDate: () => void foreign++ };
  return columnDecoder(dataType, context)!;
}

/** As the log writes it. */
function literal(text: string): Literal {
  return parseRedo(`insert into "A"."B"("C") values (${text});`).values[0]!;
}

const micros = (iso: string): number => Date.parse(iso) * 1000;

describe('from the log', () => {
  test.each<[type: string, text: string, value: Value]>([
    ['NUMBER(5,0)', '-7', -7],
    ['NUMBER', "HEXTORAW('c102')", '1'],
    ['BINARY_DOUBLE', '1.5', 1.5],
    ['NUMBER', "HEXTORAW('80')", '0'],
    ['BINARY_DOUBLE', "'Inf'", Infinity],
    ['BINARY_DOUBLE', "'+Inf'", Infinity],
    ['BINARY_DOUBLE', "'Infinity'", Infinity],
    ['BINARY_DOUBLE', "'-Infinity'", -Infinity],
    ['BINARY_FLOAT', "'-Inf'", -Infinity],
    ['BINARY_DOUBLE', "HEXTORAW('bff8000000000000')", 1.5],
    ['VARCHAR2(9)', '7', '7'],
    ['VARCHAR2(9)', "UNISTR('plain')", 'plain'],
    ['VARCHAR2(9)', "'a'||'b' || UNISTR('\\0063')", 'abc'],
    ['XMLTYPE', "XMLType('<a/>')", '<a/>'],
    ['VARCHAR2(9)', 'LM_EMPTY_STRING', ''],
    ['RAW(4)', "'0aff'", Buffer.from('0aff', 'hex')],
    ['RAW(4)', 'HEXTORAW(NULL)', Buffer.alloc(0)],
    ['BLOB', 'EMPTY_BLOB()', Buffer.alloc(0)],
    ['JSON', "HEXTORAW('ff4a5a')", UNCHANGED],
    ['BOOLEAN', "'TRUE'", true],
    ['BOOLEAN', '1', true],
    ['BOOLEAN', "HEXTORAW('c102')", true],
    ['BOOLEAN', "'false'", false],
    ['BOOLEAN', '0', false],
    ['BOOLEAN', "HEXTORAW('80')", false],
    ['DATE', "TO_DATE('31-DEC-49', 'DD-MON-RR')", micros('2049-12-31T00:00:00Z')],
    ['DATE', "TO_DATE('31-DEC-50', 'DD-MON-RR')", micros('1950-12-31T00:00:00Z')],
    ['DATE', "TO_DATE('31-DEC-1850', 'DD-MON-RRRR')", micros('1850-12-31T00:00:00Z')],
    ['TIMESTAMP(6)', "TO_TIMESTAMP('15-JAN-20 12.30.00.25 AM')", micros('2020-01-15T00:30:00.250Z')],
    ['TIMESTAMP(6)', "TO_TIMESTAMP('15-JAN-20 12.30.00 PM')", micros('2020-01-15T12:30:00Z')],
    [
      'TIMESTAMP(0) WITH TIME ZONE',
      "TO_TIMESTAMP_TZ('15-JAN-20 01.30.00 PM -02:30')",
      '2020-01-15T13:30:00-02:30',
    ],
    [
      'TIMESTAMP(3) WITH TIME ZONE',
      "TO_TIMESTAMP_TZ('15-JAN-20 01.30.00.5 PM +02:00')",
      '2020-01-15T13:30:00.500+02:00',
    ],
    ['TIMESTAMP(0) WITH TIME ZONE', "TO_TIMESTAMP_TZ('2020-01-15 13:30:00 Z')", '2020-01-15T13:30:00Z'],
    ['TIMESTAMP(0) WITH TIME ZONE', "TO_TIMESTAMP_TZ('2020-01-15 13:30:00')", '2020-01-15T13:30:00Z'],
    // The zone's bytes of a DATE or TIMESTAMP are none.
    ['TIMESTAMP(0) WITH TIME ZONE', "HEXTORAW('7878010f0e1f01')", '2020-01-15T13:30:00Z'],
    // A named region: the moment stays, in UTC.
    ['TIMESTAMP(0) WITH TIME ZONE', "HEXTORAW('7878010f0e1f010000000081a0')", '2020-01-15T13:30:00Z'],
    ['TIMESTAMP(0)', "HEXTORAW('7878010f0e1f0100000000143c')", micros('2020-01-15T13:30:00Z')],
    ['DATE', "TO_DATE('2000-02-29', 'YYYY-MM-DD')", micros('2000-02-29T00:00:00Z')],
    ['INTERVAL DAY(2) TO SECOND(6)', "TO_DSINTERVAL('-00 00:00:01')", [0, 0, -1_000_000]],
    ['INTERVAL YEAR(2) TO MONTH', "HEXTORAW('800000013e')", [14, 0, 0]],
  ])('%s %s', (type, text, value) => {
    expect(decoderOf(type).fromRedo(literal(text))).toEqual(value);
  });

  test('of a literal that has no value nothing is known', () => {
    for (const type of ['NUMBER', 'DATE', 'CLOB', 'RAW(3)', 'BOOLEAN', 'JSON']) {
      expect(decoderOf(type).fromRedo(UNSUPPORTED)).toBe(UNCHANGED);
      expect(decoderOf(type).fromRedo(PRESENT)).toBe(UNCHANGED);
      expect(decoderOf(type).fromRedo(null)).toBeNull();
    }
  });

  test('dates without the session’s settings are told of', () => {
    foreign = 0;
    decoderOf('DATE').fromRedo(literal("TO_DATE('2020-01-15', 'YYYY-MM-DD')"));
    expect(foreign).toBe(0);
    decoderOf('DATE').fromRedo(literal("TO_DATE('15-JAN-20', 'DD-MON-RR')"));
    expect(foreign).toBe(1);
  });

  test.each([
    ['NUMBER', "UNISTR('1')", 'a number'],
    ['NUMBER', "'1'||'2'", 'a number'],
    ['NUMBER(5,2)', "'1.2x'", 'a number'],
    ['NUMBER(5,2)', "'1x.20'", 'a number'],
    ['NUMBER(5,2)', "'1.234'", '2 fraction digits'],
    ['NUMBER', "''", 'a number'],
    ['NUMBER', "HEXTORAW('c1')", 'an internal number'],
    ['NUMBER', "HEXTORAW('8000')", 'an internal number'],
    ['NUMBER', "HEXTORAW('c1ff')", 'an internal number'],
    ['NUMBER', 'HEXTORAW(NULL)', 'an internal number'],
    ['BINARY_DOUBLE', "'1,5'", 'a floating point number'],
    ['BINARY_DOUBLE', "HEXTORAW('00')", 'an internal binary float'],
    ['VARCHAR2(9)', "'a'||NULL", 'text'],
    ['VARCHAR2(9)', "'a'||Unsupported Type", 'text'],
    ['VARCHAR2(9)', "TO_DATE('2020-01-01')", 'text'],
    ['VARCHAR2(9)', 'UNISTR(NULL)', 'a string argument'],
    ['VARCHAR2(9)', "UNISTR('\\00')", 'UNISTR text'],
    ['RAW(4)', "'0x'", 'hex digits'],
    ['RAW(4)', '7', 'bytes'],
    ['BOOLEAN', "'yes'", 'true or false'],
    ['BOOLEAN', "UNISTR('true')", 'true or false'],
    ['DATE', "TO_DATE('15-JAN-20 13.30.00 PM')", 'an hour from 1 to 12'],
    ['DATE', "TO_DATE('15-JAN-20 00.30.00 AM')", 'an hour from 1 to 12'],
    ['DATE', "TO_DATE('15-XXX-20')", 'calendar'],
    ['DATE', "TO_DATE('1900-02-29', 'YYYY-MM-DD')", 'calendar'],
    ['DATE', "TO_DATE('soon')", 'a date such as'],
    ['DATE', "TO_DATE('2020-01-15 24:00:00')", 'a time of day'],
    ['DATE', "TO_DATE('2020-01-15 1a:00:00')", 'a date such as'],
    ['DATE', "TO_DATE('2020-01-15 10:0:0000')", 'a date such as'],
    ['DATE', "TO_DATE('2020-01-15x10:00:00')", 'a date such as'],
    ['DATE', "TO_YMINTERVAL('1-1')", 'a date'],
    ['DATE', "HEXTORAW('78')", 'an internal date'],
    ['DATE', "HEXTORAW('7878010f001f01')", 'an internal time of day'],
    ['TIMESTAMP(9)', "HEXTORAW('7878010f0e1f013b9aca00')", 'an internal date'],
    ['TIMESTAMP(0) WITH TIME ZONE', "HEXTORAW('7878010f0e1f0100000000243c')", 'an internal time zone'],
    ['TIMESTAMP(0) WITH TIME ZONE', "TO_TIMESTAMP_TZ('2020-01-15 13:30:00 +16:00')", 'a time zone'],
    ['TIMESTAMP(0) WITH TIME ZONE', "TO_TIMESTAMP_TZ('2020-01-15 13:30:00 +01:60')", 'a time zone'],
    ['INTERVAL YEAR(2) TO MONTH', "TO_YMINTERVAL('1-12')", 'an interval of years and months'],
    ['INTERVAL YEAR(2) TO MONTH', "TO_YMINTERVAL('1')", 'an interval of years and months'],
    ['INTERVAL YEAR(2) TO MONTH', "TO_DSINTERVAL('1 00:00:00')", 'an interval'],
    ['INTERVAL YEAR(2) TO MONTH', "HEXTORAW('00')", 'an internal interval of years'],
    ['INTERVAL DAY(2) TO SECOND(6)', "TO_DSINTERVAL('1')", 'an interval of days and seconds'],
    ['INTERVAL DAY(2) TO SECOND(6)', "HEXTORAW('00')", 'an internal interval of days'],
  ])('%s %s is refused: not %s', (type, text, expected) => {
    const read = (): Value => decoderOf(type).fromRedo(literal(text));
    expect(read).toThrow(UnreadableValue);
    expect(read).toThrow(expected);
  });
});

describe('from rows', () => {
  test.each<[type: string, row: string | Buffer, value: Value]>([
    ['NUMBER', '.5', '0.5'],
    ['BINARY_DOUBLE', 'NaN', NaN],
    ['CLOB', 'text', 'text'],
    ['BLOB', Buffer.from('ff', 'hex'), Buffer.from('ff', 'hex')],
    ['JSON', '{"a":1}', '{"a":1}'],
    ['BOOLEAN', 'false', false],
    ['DATE', '2020-01-15T13:30:00', micros('2020-01-15T13:30:00Z')],
    ['TIMESTAMP(9)', '2020-01-15T13:30:00.000000001', 1_579_095_000_000_000_001n],
    [
      'TIMESTAMP(6) WITH LOCAL TIME ZONE',
      '2020-01-15T13:30:00.000000000+00:00',
      micros('2020-01-15T13:30:00Z'),
    ],
    ['INTERVAL YEAR(2) TO MONTH', '-02-03', [-27, 0, 0]],
    ['INTERVAL DAY(2) TO SECOND(6)', '+01 00:00:00.000001', [0, 1, 1]],
  ])('%s %s', (type, row, value) => {
    expect(decoderOf(type).fromRow(row)).toEqual(value);
  });

  test.each([
    ['RAW(4)', 'text'],
    ['NUMBER', Buffer.from('1')],
    ['CLOB', Buffer.from('1')],
  ])('%s is refused in another form', (type, row) => {
    expect(() => decoderOf(type).fromRow(row)).toThrow(UnreadableValue);
  });

  test.each([
    ['NUMBER', 'T.C'],
    ['ROWID', 'ROWIDTOCHAR(T.C)'],
    ['XMLTYPE', 'XMLSERIALIZE(CONTENT T.C AS CLOB)'],
    ['JSON', 'JSON_SERIALIZE(T.C RETURNING CLOB)'],
    ['BOOLEAN', "CASE WHEN T.C THEN 'true' WHEN NOT T.C THEN 'false' END"],
    ['DATE', `TO_CHAR(T.C,'YYYY-MM-DD"T"HH24:MI:SS')`],
    ['TIMESTAMP(6)', `TO_CHAR(T.C,'YYYY-MM-DD"T"HH24:MI:SS.FF9')`],
    ['TIMESTAMP(6) WITH TIME ZONE', `TO_CHAR(T.C,'YYYY-MM-DD"T"HH24:MI:SS.FF9TZH:TZM')`],
    ['INTERVAL DAY(2) TO SECOND(6)', 'TO_CHAR(T.C)'],
  ])('%s is read as %s', (type, expression) => {
    expect(decoderOf(type).select('T.C')).toBe(expression);
  });
});

describe('types as DDL writes them', () => {
  const shown = (type: string): string => {
    const parsed = parseDataType(type);
    if (parsed === null) return 'not understood';
    const { dataType, length, precision, scale } = parsed;
    return [dataType, length, precision, scale].map((part) => part ?? '-').join(' ');
  };

  test.each([
    ['number', 'NUMBER - - -'],
    ['NUMBER(*)', 'NUMBER - - -'],
    ['NUMBER(*,2)', 'NUMBER - - 2'],
    ['NUMBER ( 9 , -2 )', 'NUMBER - 9 -2'],
    ['NUMBER(9)', 'NUMBER - 9 0'],
    ['DECIMAL', 'NUMBER - 38 0'],
    ['NUMERIC(5,1)', 'NUMBER - 5 1'],
    ['DEC(5)', 'NUMBER - 5 0'],
    ['NUMBER(9) X', 'not understood'],
    ['int', 'NUMBER - 38 0'],
    ['double  precision', 'FLOAT - 126 -'],
    ['REAL', 'FLOAT - 63 -'],
    ['FLOAT', 'FLOAT - 126 -'],
    ['FLOAT(10)', 'FLOAT - 10 -'],
    ['FLOAT(10) X', 'not understood'],
    ['VARCHAR(10)', 'VARCHAR2 10 - -'],
    ['VARCHAR(10) X', 'not understood'],
    ['CHAR', 'CHAR 1 - -'],
    ['VARCHAR2(10 CHAR)', 'VARCHAR2 10 - -'],
    ['NVARCHAR2(10) X', 'not understood'],
    ['TIMESTAMP', 'TIMESTAMP - - 6'],
    ['TIMESTAMP WITH TIME ZONE', 'TIMESTAMP WITH TIME ZONE - - 6'],
    ['TIMESTAMP(2) WITH LOCAL TIME ZONE', 'TIMESTAMP WITH LOCAL TIME ZONE - - 2'],
    ['TIMESTAMP WITH ANY ZONE', 'not understood'],
    ['INTERVAL YEAR TO MONTH', 'INTERVAL YEAR TO MONTH - 2 0'],
    ['INTERVAL DAY TO SECOND', 'INTERVAL DAY TO SECOND - 2 6'],
    ['INTERVAL DAY', 'not understood'],
    ['"MDSYS"."SDO"', 'not understood'],
    ['SDO_GEOMETRY', 'not understood'],
  ])('%s', (type, expected) => {
    expect(shown(type)).toBe(expected);
  });

  test('a scale without a precision has 38 digits at most, and a precision without a scale none behind the point', () => {
    const kind = (precision: number | null, scale: number | null): unknown =>
      columnDecoder(
        { dataType: 'NUMBER', length: null, precision, scale },
        { text: textDecoder('AL32UTF8'), onForeignDate: () => undefined },
      )!.type;
    expect(kind(null, 2)).toEqual({ kind: 'decimal', precision: 38, scale: 2 });
    expect(kind(3, null)).toEqual({ kind: 'int16' });
    expect(kind(2, 5)).toEqual({ kind: 'decimal', precision: 5, scale: 5 });
    expect(kind(17, -2)).toEqual({ kind: 'decimal', precision: 19, scale: 0 });
  });
});
