import { expect, test } from 'vitest';
import { nameCaseFinding } from '../../src/readers/mysql/preflight-name-case.ts';

test('names with upper-case letters are told of where the log may have them in lower case', () => {
  const tables = ['orders', 'Bills'].map((table) => ({ id: { schema: 'shop', table } }));
  expect(nameCaseFinding('2', tables)).toMatchObject({
    level: 'warning',
    message: expect.stringContaining('changes of shop.Bills may') as string,
  });
  expect(nameCaseFinding('2', tables.slice(0, 1))).toBeNull();
  for (const other of ['0', '1', undefined]) expect(nameCaseFinding(other, tables)).toBeNull();
});
