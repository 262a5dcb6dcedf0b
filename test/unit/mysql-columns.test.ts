/** What is known of a MySQL column → the model's: types, and defaults as Debezium's recordings have them. */
import { expect, test } from 'vitest';
import { columnDefaultJson } from '../../src/emitter/encoders/default-json.ts';
import { parseColumnType } from '../../src/readers/mysql/types/column-type.ts';
import { columnOf, type MysqlColumn, type MysqlDefault } from '../../src/readers/mysql/types/mysql-column.ts';

const OPTIONS = { zeroDates: 'null', unsignedOverflow: 'quarantine' } as const;

function column(columnType: string, more: Partial<MysqlColumn> = {}): MysqlColumn {
  return {
    name: 'c',
    dataType: /^\w+/.exec(columnType)![0],
    columnType,
    ...parseColumnType(columnType),
    charset: null,
    collation: null,
    nullable: true,
    default: null,
    autoIncrement: false,
    generated: null,
    comment: null,
    srid: null,
    invisible: false,
    ...more,
  };
}

test.each([
  ['int(10) unsigned zerofill', { unsigned: true, length: null }],
  ['int zerofill', { unsigned: true }],
  ['decimal(10,2) unsigned', { unsigned: true, length: 10, scale: 2 }],
  ['decimal(5)', { length: 5, scale: 0 }],
  ['float', { length: null, scale: null }],
  ['float(7,2)', { length: 7, scale: 2 }],
  ['bit(12)', { length: 12 }],
  ['datetime(3)', { fraction: 3, length: null }],
  ['time', { fraction: 0 }],
  ['varchar(20)', { length: 20 }],
  ["enum('a','it''s','x\\\\y','l\\n,)')", { values: ['a', "it's", 'x\\y', 'l\n,)'] }],
  ['', { unsigned: false, values: null }],
])('%s', (columnType, parts) => {
  expect(parseColumnType(columnType)).toMatchObject(parts);
});

const literal = (text: string): MysqlDefault => ({ literal: text });
const NOW: MysqlDefault = { expression: 'CURRENT_TIMESTAMP' };
const REQUIRED = { nullable: false };

/** Most of these are columns of recordings of Debezium 3.2 (test/fixtures/goldens/mysql, default_value.sql). */
test.each<[string, MysqlDefault | null, Partial<MysqlColumn>, string | undefined]>([
  ['int', literal('5'), {}, '5'],
  ['int', literal('1.6'), {}, '2'],
  ['tinyint(1)', literal('TRUE'), {}, '1'],
  ['bigint unsigned', literal('18446744073709551615'), {}, undefined],
  ['bit(1)', literal("b'1'"), {}, 'true'],
  ['bit(10)', literal("b'101000010'"), {}, '"QgE="'],
  ['bit(25)', literal("b'10110000100001111'"), {}, '"D2EBAA=="'],
  ['decimal(7,5)', literal('12.678'), {}, '"E1hY"'],
  ['decimal(10,2)', literal('1e-1'), {}, '"Cg=="'],
  ['decimal(3,0)', literal('-1.5'), {}, '"/g=="'],
  ['float', literal('5.6'), {}, '5.6'],
  ['double', literal('1'), {}, '1'],
  ['year(4)', literal('1'), {}, '2001'],
  ['year(4)', literal('0000'), {}, '0'],
  ['date', literal('1976-08-23'), {}, '2426'],
  ['date', literal('0000-00-00'), {}, undefined],
  ['date', literal('0000-00-00'), REQUIRED, '0'],
  ['datetime', literal('2018-01-03 00:00:10'), {}, '1514937610000'],
  ['datetime(6)', literal('2018-01-03 00:00:10.123456'), {}, '1514937610123456'],
  ['timestamp', literal('1970-01-01 00:00:01'), {}, '"1970-01-01T00:00:01Z"'],
  ['time(1)', literal('-23:45:56.7'), {}, '-85556700000'],
  ['time(6)', literal('123:00:00.123456'), {}, '442800123456'],
  ['datetime', NOW, {}, '0'],
  ['timestamp', NOW, {}, undefined],
  ['timestamp', NOW, REQUIRED, '"1970-01-01T00:00:00Z"'],
  ['int', { expression: '(1 + 1)' }, {}, undefined],
  ['varchar(10)', literal("it's"), {}, '"it\'s"'],
  ["enum('b2c','b2b')", literal('b2c'), {}, '"b2c"'],
  ['binary(4)', literal('0x6162'), {}, '"YWIAAA=="'],
  ['varbinary(4)', literal("x'00ff'"), {}, '"AP8="'],
  ['int', literal('nonsense'), {}, undefined],
  ['int', null, {}, undefined],
])('%s default %j', (columnType, found, more, json) => {
  const made = columnOf(column(columnType, { default: found, ...more }), OPTIONS);
  if (columnType === 'bigint unsigned') expect(made.default).toBe(18_446_744_073_709_551_615n);
  else expect(columnDefaultJson(made, 'debezium')).toBe(json);
});

test('a type that is not known is text, and optional', () => {
  expect(columnOf(column('xmltype'), OPTIONS)).toMatchObject({ type: { kind: 'string' }, opaque: true });
  expect(columnOf(column('varchar(5)'), OPTIONS).opaque).toBeUndefined();
});
