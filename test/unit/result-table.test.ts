import { describe, expect, it } from 'vitest';
import { MemoryTables } from '../../src/enrichment/state/memory-tables.ts';
import { ResultTable, type ShownRow } from '../../src/enrichment/state/result-table.ts';
import { INTEGER } from '../../src/enrichment/sql/sql-type.ts';

function table(): ResultTable {
  const column = { name: 'ID', type: INTEGER, key: true, spelling: 'id' };
  const store = new MemoryTables({ limit: 1 << 30, onExceeded: () => {} }).refilled();
  return new ResultTable([column], store);
}

const shown = (count: number): readonly ShownRow[] =>
  Array.from({ length: count }, (_, id) => ({ row: [id], window: null }));

describe('the rows of a checkpoint', () => {
  it('are put in while the process does other things', async () => {
    let turns = 0;
    const turn = (): void => {
      turns++;
      handle = setImmediate(turn);
    };
    let handle = setImmediate(turn);
    const results = table();
    await results.restore(shown(10_500), new AbortController().signal);
    clearImmediate(handle);
    expect(turns).toBeGreaterThanOrEqual(10);
    expect(results.rows.visible).toBe(true);
  });

  it('are left when it is to stop, and are then none', async () => {
    const results = table();
    const stop = new AbortController();
    const restoring = results.restore(shown(10_500), stop.signal);
    stop.abort();
    await expect(restoring).rejects.toThrow('abort');
    expect(results.rows.visible).toBe(false);
  });
});
