import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openDiskTables } from '../../src/enrichment/state/disk-tables.ts';

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'headwater-tables-'))));
afterEach(() => rmSync(dir, { recursive: true }));

it('tables that are filled anew begin with nothing, whatever an earlier run has left there', async () => {
  for (let run = 0; run < 2; run++) {
    await using stores = await openDiskTables(dir, 'shop', 2);
    const rows = stores.refilled(0);
    expect([rows.size, [...rows.entries()]]).toEqual([0, []]);
    for (let key = 0; key < 5; key++) rows.put(key, [key]);
    expect([rows.size, [...rows.entries()].length]).toEqual([5, 5]);
  }
});

it('says where they cannot be kept', async () => {
  await using stores = await openDiskTables(dir, 'shop');
  writeFileSync(join(dir, 'shop.refilled.lmdb'), '');
  expect(() => stores.refilled(0)).toThrow(
    expect.objectContaining({
      code: 'delivery.disk',
      message: `The joined tables in ${dir} cannot be opened.`,
    }),
  );
});
