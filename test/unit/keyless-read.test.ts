import { describe, expect, test } from 'vitest';
import type { RowChange } from '../../src/model/change.ts';
import { TableSnapshot } from '../../src/snapshot/captured-table.ts';
import { KeylessRead } from '../../src/snapshot/keyless-read.ts';
import type { SnapshotSource, SnapshotView } from '../../src/snapshot/snapshot-source.ts';
import {
  MODEL_POSITIONS,
  type ModelPosition,
  type ModelSource,
  modelTable,
} from '../property/snapshot-model.ts';

const HEAP = modelTable('heap', false);
const never = new AbortController().signal;

/** A read whose view opens when it is told to. */
function opening() {
  const table = new TableSnapshot(
    { id: HEAP.id, key: null, estimatedRows: null, limitation: null },
    { where: null, requested: false, ledger: null },
  );
  const views = [Promise.withResolvers<SnapshotView<ModelPosition, ModelSource>>()];
  let opened = 0;
  const source = {
    openOwnView: () => views[opened++]!.promise,
  } as unknown as SnapshotSource<ModelPosition, ModelSource>;
  const read = new KeylessRead<ModelPosition, ModelSource>(table, MODEL_POSITIONS, () => {});
  let asked = 0;
  /** A view at `lsn`, where transaction n has committed at n. */
  const open = async (lsn: number): Promise<void> => {
    const view = views.at(-1)!;
    views.push(Promise.withResolvers());
    view.resolve({
      position: { lsn, done: 0 },
      sees: (tx: string) => {
        asked++;
        return Number(tx) <= lsn;
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    } as unknown as SnapshotView<ModelPosition, ModelSource>);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const deliver = (from: number, to: number, end = to): void => {
    for (let n = from; n <= to; n++) expect(read.leavesOut(change(n))).toBe(true);
    read.passed({ lsn: end, done: 0 });
  };
  return { read, source, open, deliver, asked: () => asked, openings: () => opened };
}

function change(n: number): RowChange<ModelSource> {
  const tx = { id: String(n), commitTimeUs: n };
  const at = { connector: 'polling' as const };
  return {
    kind: 'row',
    op: 'c',
    table: HEAP,
    before: null,
    after: [n, 0, 0],
    tx,
    seq: 0,
    at,
    snapshot: null,
  };
}

describe('a table without a key, while its view waits for a forgotten transaction', () => {
  test('remembers a bounded number of the transactions that it leaves out', async () => {
    const it = opening();
    it.read.start(it.source, never);
    for (let n = 0; n < 1000; n++) it.deliver(n * 100 + 1, n * 100 + 100);
    await it.open(100_000);
    expect(it.asked()).toBeLessThan(10_200);
    expect(it.read.catchingUp).toBe(true);
    // From the view on changes are delivered.
    expect(it.read.leavesOut(change(100_000))).toBe(true);
    expect(it.read.leavesOut(change(100_001))).toBe(false);
  });

  test.each([
    ['among those remembered', 12_000, 12_001],
    ['among those of which only the end is known', 12_000, 12_000],
  ])('opens another view where one left out is newer than it: %s', async (_, many, last) => {
    const it = opening();
    it.read.start(it.source, never);
    it.deliver(1, many);
    if (last > many) it.deliver(last, last);
    await it.open(last - 1);
    expect([it.read.catchingUp, it.read.started]).toEqual([false, false]);
    it.read.start(it.source, never);
    await it.open(last);
    expect([it.read.catchingUp, it.openings()]).toEqual([true, 2]);
  });
});
