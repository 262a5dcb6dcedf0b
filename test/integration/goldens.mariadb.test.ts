import { expect, test } from 'vitest';
import { runGoldens } from '../support/goldens.ts';

test('the records are those of a recorded Debezium, but for its listed defects', async () => {
  const { records, expected, unexpected } = await runGoldens('mariadb');
  expect(unexpected).toEqual([]);
  expect(records).toBeGreaterThan(300);
  // A rule that applies to nothing has lost its reason to be.
  expect(expected.size).toBeGreaterThan(7);
});
