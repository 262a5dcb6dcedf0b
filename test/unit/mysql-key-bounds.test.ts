import { expect, test } from 'vitest';
import { boundItem, boundOf, isOrderable, rangeConditions } from '../../src/readers/mysql/key-bounds.ts';
import type { MysqlColumn } from '../../src/readers/mysql/types/mysql-column.ts';

function column(name: string, dataType: string, charset: string | null = null): MysqlColumn {
  return {
    name,
    dataType,
    columnType: dataType,
    unsigned: false,
    length: null,
    scale: null,
    fraction: null,
    charset,
    collation: null,
    values: null,
    nullable: false,
    default: null,
    autoIncrement: false,
    generated: null,
    comment: null,
    srid: null,
    invisible: false,
  };
}

const KEY = [column('a`b', 'int'), column('t', 'varchar', 'latin1'), column('d', 'double')];

test('a bound is put in order by the columns one after the other', () => {
  const bound = boundOf(KEY, [Buffer.from('-5'), Buffer.from([0xe9, 0x27]), Buffer.from('0.1')]);
  expect(bound).toBe('["-5","e927","0.1"]');
  expect(rangeConditions(KEY, { from: bound, to: '["7"]' })).toEqual([
    "((`a``b` > -5) OR (`a``b` = -5 AND `t` > _latin1 X'e927') OR (`a``b` = -5 AND `t` = _latin1 X'e927' AND `d` > 0.1e0))",
    '`a``b` <= 7',
  ]);
  expect(rangeConditions(KEY, { from: null, to: bound })[0]).toContain('`d` <= 0.1e0');
});

test('labels are ordered by number, times as they are printed', () => {
  const label = column('e', 'enum', 'utf8mb4');
  expect(boundItem(label)).toBe('`e`+0');
  expect(boundItem(column('n', 'int'))).toBeNull();
  expect(rangeConditions([label], { from: '["2"]', to: null })).toEqual(['`e` > 2']);
  const time = [column('x', 'datetime')];
  expect(rangeConditions(time, { from: '["2024-01-01 00:00:00"]', to: null })).toEqual([
    "`x` > '2024-01-01 00:00:00'",
  ]);
  expect(isOrderable(column('g', 'geometry'))).toBe(false);
});

/** The ledger is state that somebody may have touched. */
test.each([
  ['["1; DROP TABLE t"]', [column('a', 'int')]],
  ['["1", "2"]', [column('a', 'int')]],
  ['[]', [column('a', 'int')]],
  ['["zz"]', [column('a', 'varchar', 'latin1')]],
  ['["00\') OR 1=1 --"]', [column('a', 'varbinary')]],
  ['[1]', [column('a', 'int')]],
])('%s is no bound', (bound, columns) => {
  expect(() => rangeConditions(columns, { from: bound, to: null })).toThrow(/bound of a chunk/);
});
