import { describe, expect, test } from 'vitest';
import { FilterText } from '../../src/enrichment/plan/row-filter.ts';
import type { Column, ColumnType, TableSchema } from '../../src/model/table.ts';
import { ABSENT, type Row, UNCHANGED } from '../../src/model/value.ts';

function column(name: string, type: ColumnType): Column {
  return { name, type, nullable: true, default: undefined, nativeType: type.kind, length: null, scale: null };
}

const ORDERS: TableSchema = {
  id: { schema: 'public', table: 'orders' },
  version: 1,
  columns: [
    column('id', { kind: 'int32' }),
    column('status', { kind: 'string' }),
    column('price', { kind: 'decimal', precision: 10, scale: 2 }),
  ],
  key: [0],
};

function filter(text: string) {
  return new FilterText(text).compile(ORDERS, (table) =>
    table.columns.map((each, index) => ({ index, column: each, write: null })),
  );
}

const row = (status: Row[number], price: Row[number] = '1.00'): Row => [1, status, price];

describe('a row is kept where the condition is true of it', () => {
  const paid = filter("status = 'paid' AND price >= 10");

  test('when it is made, and when it is read', () => {
    expect(paid('c', null, row('paid', '10.00'))).toBe('keep');
    expect(paid('r', null, row('paid', '9.99'))).toBe('skip');
    expect(paid('c', null, row(null, '10.00'))).toBe('skip');
  });

  test('a change that takes it out is a delete, one that keeps it out is none', () => {
    expect(paid('u', row('paid', '10.00'), row('paid', '11.00'))).toBe('keep');
    expect(paid('u', row('new', '10.00'), row('paid', '10.00'))).toBe('keep');
    expect(paid('u', row('paid', '10.00'), row('void', '10.00'))).toBe('leave');
    expect(paid('u', row('new', '10.00'), row('void', '10.00'))).toBe('skip');
  });

  test('where the log does not hold the old row it may have been one of them', () => {
    const key: Row = [1, ABSENT, ABSENT];
    expect(paid('u', key, row('void', '10.00'))).toBe('leave');
    expect(paid('d', key, null)).toBe('keep');
    expect(paid('d', row('void', '10.00'), null)).toBe('skip');
    expect(paid('u', null, row('void', '10.00'))).toBe('leave');
  });

  test('a value that did not change is that of the old row', () => {
    expect(paid('u', row('paid', '10.00'), [1, UNCHANGED, '12.00'])).toBe('keep');
    expect(paid('u', [1, ABSENT, ABSENT], [1, UNCHANGED, '12.00'])).toBe('keep'); // nobody knows
  });
});

describe('what is no condition on the table is refused with its place', () => {
  test.each([
    ["status = 'paid' extra", 'line 1:17: a filter is one condition, and something stands behind it'],
    ['stauts IS NULL', 'line 1:1: there is no column STAUTS in public.orders; did you mean STATUS?'],
    ['price', 'line 1:1:'],
    ['status =', 'line 1:9:'],
  ])('%s', (text, message) => {
    expect(() => filter(text)).toThrow(message);
  });
});
