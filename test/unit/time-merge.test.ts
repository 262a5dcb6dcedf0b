import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { TimeMerge } from '../../src/enrichment/topics/time-merge.ts';

it('keeps nothing of what has been worked off of a partition in which something always waits', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const merge = new TimeMerge<{ readonly offset: number }>(() => {}, [0]);
  const lane = merge.lane(0);
  const kept: WeakRef<object>[] = [];
  const arrives = (offset: number): void => {
    const item = { offset };
    kept.push(new WeakRef(item));
    lane.add(item, offset, 1_000 + offset, 5_000 + offset);
    merge.took({ partition: 0, records: [], position: offset + 1, endAsOf: null });
  };
  arrives(0);
  for (let next = 1; next <= 10_000; next++) {
    arrives(next);
    const head = merge.head();
    const { item, offset, timeMs, arrived } = head!;
    expect([item.offset, offset, timeMs, arrived]).toEqual([next - 1, next - 1, next + 999, next + 4_999]);
    merge.done(head!);
    expect(merge.offsets).toEqual([next]);
  }
  expect(lane.waiting).toBe(1);
  // What a WeakRef has been made of is kept up to the end of the turn.
  await setImmediate();
  collect();
  expect(kept.filter((each) => each.deref() !== undefined).length).toBeLessThan(1_000);
});
