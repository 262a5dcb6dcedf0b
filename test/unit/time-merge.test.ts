import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, it, vi } from 'vitest';
import { TimeMerge } from '../../src/enrichment/topics/time-merge.ts';

afterEach(() => void vi.useRealTimers());

it.each([
  { ageMs: 600, next: [1, 'late'] },
  { ageMs: 10_000, next: null },
])('an end that was found $ageMs ms before the records in front of it are worked off', ({ ageMs, next }) => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  const paused: (readonly [number, boolean])[] = [];
  const merge = new TimeMerge<string>((...each) => void paused.push(each), [0, 0]);
  const told = (partition: number, items: readonly string[], timeMs: number): void => {
    const { offsets } = merge;
    const from = offsets[partition]!;
    for (const [i, item] of items.entries()) merge.lane(partition).add(item, from + i, timeMs, 0);
    merge.took({ partition, records: [], position: from + items.length, endAsOf: Date.now() });
  };
  const head = (): readonly [number, string] | null => {
    const lane = merge.head();
    return lane === null ? null : [lane.partition, lane.item];
  };
  told(0, Array<string>(300).fill('early'), 1_000);
  told(1, ['late'], 3_000);
  // They wait for their tables, and meanwhile nothing more is fetched of the first.
  vi.advanceTimersByTime(ageMs);
  for (let i = 0; i < 300; i++) {
    expect(head()).toEqual([0, 'early']);
    merge.done(merge.head()!);
  }
  expect(paused).toEqual([
    [0, true],
    [0, false],
  ]);
  expect(head()).toEqual(next);
  told(0, ['written meanwhile'], 2_000);
  expect(head()).toEqual([0, 'written meanwhile']);
  merge.done(merge.head()!);
  expect(head()).toEqual([1, 'late']);
});

it('waits no longer than once for a partition whose broker is slow to say that there is nothing', () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  const merge = new TimeMerge<string>(() => {}, [0, 0]);
  merge.lane(1).add('waits', 0, 1_000, 0);
  merge.took({ partition: 1, records: [], position: 1, endAsOf: Date.now() });
  const heads: (string | null)[] = [];
  for (let i = 0; i < 3; i++) {
    const endAsOf = Date.now();
    vi.advanceTimersByTime(1_100);
    merge.took({ partition: 0, records: [], position: 0, endAsOf });
    heads.push(merge.head()?.item ?? null);
  }
  expect(heads).toEqual(['waits', 'waits', 'waits']);
});

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

it('takes nothing that tells its place in the log before all that comes before it, however long ago it came', () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  const merge = new TimeMerge<string>(() => {}, [0, 0]);
  const tookTo = (partition: number, position: number): void =>
    merge.took({ partition, records: [], position, endAsOf: Date.now() });
  const head = (): string | null => merge.head()?.item ?? null;
  merge.becomeExact();
  merge.lane(0).add('second', 0, 2, performance.now());
  vi.advanceTimersByTime(60_000);
  tookTo(0, 1);
  tookTo(1, 0);
  expect([head(), merge.incomplete]).toEqual([null, true]);
  // Two records have been written that nobody sees yet.
  merge.written([1, 2], performance.now());
  expect(head()).toBeNull();
  merge.lane(1).add('first', 0, 1, performance.now());
  tookTo(1, 1);
  // It is the earliest of all that could be there: its own partition has them in order.
  expect(head()).toBe('first');
  merge.done(merge.head()!);
  expect([head(), merge.isWorkedOff(2, 0)]).toEqual([null, false]);
  tookTo(1, 2);
  expect([head(), merge.incomplete]).toEqual(['second', false]);
  merge.done(merge.head()!);
  expect([merge.isWorkedOff(2, 0), merge.isWorkedOff(2, performance.now() + 1)]).toEqual([true, false]);
});

it('waits for a second where nobody says how much has been written', () => {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  const merge = new TimeMerge<string>(() => {}, [0, 0]);
  merge.becomeExact();
  merge.lane(0).add('waits', 0, 2, performance.now());
  const heads = [0, 999, 1].map((ms) => {
    vi.advanceTimersByTime(ms);
    for (const partition of [0, 1])
      merge.took({ partition, records: [], position: 1 - partition, endAsOf: Date.now() });
    return merge.head()?.item ?? null;
  });
  expect(heads).toEqual([null, null, 'waits']);
});
