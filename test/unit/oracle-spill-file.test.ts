/** Transactions on disk: records of any length, whatever the reads that they are cut by. */
import { mkdtempSync, rmSync, truncateSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SpillFile } from '../../src/readers/oracle/transactions/spill-file.ts';

const BUFFER = 256 * 1024;
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'headwater-spill-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function allOf(file: SpillFile): Promise<string[]> {
  const records: string[] = [];
  for await (const some of file.records()) records.push(...some);
  return records;
}

test.each([
  ['none', []],
  ['empty ones', ['', '', 'x']],
  ['one that is longer than three reads', ['a', 'b'.repeat(3 * BUFFER + 17), 'c']],
  ['a length that is cut by the end of a read', ['d'.repeat(BUFFER - 4 - 2), 'e', 'f']],
  ['a character that is cut by the end of a read', [`${'g'.repeat(BUFFER - 4 - 1)}é`, 'h']],
  ['many that fill several buffers', Array.from({ length: 3_000 }, (_, i) => `${i}:${'i'.repeat(400)}`)],
])('%s', async (_, records) => {
  const path = join(directory, 'x.seg');
  const file = await SpillFile.create(path);
  const half = Math.floor(records.length / 2);
  await file.append(records.slice(0, half));
  await file.append(records.slice(half));
  expect(await allOf(file)).toEqual(records);
  await file.remove();
  expect(existsSync(path)).toBe(false);
});

test('a file that somebody has cut is no transaction', async () => {
  const path = join(directory, 'x.seg');
  const file = await SpillFile.create(path);
  await file.append(['abc', 'def']);
  truncateSync(path, 9);
  await expect(allOf(file)).rejects.toMatchObject({ code: 'internal.bug' });
  await file.remove();
});

test('a disk that does not take it is an error that says which, and what to do', async () => {
  const path = join(directory, 'none', 'x.seg');
  await expect(SpillFile.create(path)).rejects.toMatchObject({
    code: 'delivery.disk',
    message: expect.stringContaining(`${path} (ENOENT)`) as string,
    fix: expect.stringContaining('state.dir') as string,
  });
});
