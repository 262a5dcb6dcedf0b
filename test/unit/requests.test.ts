import { expect, test } from 'vitest';
import type { Daemon } from '../../src/daemon/daemon.ts';
import { carryOut, type PipelineRequest } from '../../src/daemon/requests.ts';

/** A daemon of one pipeline whose tables are in these states; edits are durable at once. */
function daemonWith(tables: Readonly<Record<string, string>>) {
  const edits: string[] = [];
  const task = {
    settings: { name: 'shop' },
    status: () => ({
      state: 'streaming',
      tables: Object.entries(tables).map(([table, state]) => ({ table, state })),
    }),
    control: {
      edit: (state: ReadonlyMap<string, string | null>) => {
        edits.push(...state.keys());
        return Promise.resolve();
      },
    },
  };
  const ask = (request: PipelineRequest) =>
    carryOut({ pipeline: () => task } as unknown as Daemon, 'shop', request, 1000);
  return { ask, edits };
}

test('some rows of a table cannot be asked for while the rest of it is unread', async () => {
  const { ask, edits } = daemonWith({ 's.read': 'streaming', 's.half': 'snapshotting', 's.none': 'waiting' });
  for (const table of ['s.half', 's.none']) {
    await expect(
      ask({ action: 'snapshot', tables: ['s.read', table], where: 'id = 1' }),
    ).rejects.toMatchObject({ code: 'request.not-running', details: { table } });
  }
  expect(edits).toEqual([]);
  await ask({ action: 'snapshot', tables: ['s.read'], where: 'id = 1' });
  await ask({ action: 'snapshot', tables: ['s.half'], where: null });
  expect(edits).toEqual(['table/s.read', 'request/s.read', 'table/s.half', 'request/s.half']);
});
