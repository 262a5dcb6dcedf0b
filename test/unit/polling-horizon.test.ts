import { describe, expect, it } from 'vitest';
import type { PollMark } from '../../src/readers/poll-dialect.ts';
import { Horizon } from '../../src/readers/polling/horizon.ts';

const S = 1_000_000;

/** A mark at so many seconds; transactions below `oldest` have finished, and all are below `next`. */
function mark(
  second: number,
  running: readonly string[] = [],
  versions: readonly [oldest: number, next: number] | null = null,
): PollMark {
  return {
    clockUs: second * S,
    clockRuns: true,
    running,
    startedUs: null,
    told: true,
    hidden: false,
    versions: versions === null ? null : { oldest: BigInt(versions[0]), next: BigInt(versions[1]) },
  };
}

const at = (ms: number): { from: number; to: number } => ({ from: ms, to: ms });

describe('the horizon', () => {
  it('is where the server’s clock stood when nothing was running', () => {
    const horizon = new Horizon();
    expect(horizon.settledUs).toBeNull();
    horizon.add(mark(10), at(0));
    expect(horizon.settledUs).toBe(10 * S);
  });

  it('stays before a transaction for as long as it runs, and whatever began meanwhile', () => {
    const horizon = new Horizon();
    horizon.add(mark(10), at(0));
    horizon.add(mark(11, ['a']), at(1_000));
    horizon.add(mark(12, ['a', 'b']), at(2_000));
    expect(horizon.settledUs).toBe(10 * S);
    expect(horizon.waitingUs(15 * S)).toBe(4 * S);
    horizon.add(mark(13, ['b']), at(3_000));
    expect(horizon.settledUs).toBe(11 * S);
    horizon.add(mark(14), at(4_000));
    expect(horizon.settledUs).toBe(14 * S);
  });

  it('stays where it is while nobody says who runs', () => {
    const horizon = new Horizon();
    horizon.add(mark(10), at(0));
    horizon.add({ ...mark(11), hidden: true }, at(1_000));
    expect(horizon.settledUs).toBe(10 * S);
    expect(horizon.number).toBe(1);
    horizon.add({ ...mark(12), hidden: true }, at(2_000));
    expect(horizon.hiddenUs(15 * S)).toBe(4 * S);
    horizon.add(mark(13, ['a']), at(3_000));
    expect(horizon.settledUs).toBe(10 * S);
    expect(horizon.hiddenUs(15 * S)).toBe(0);
    horizon.add(mark(14), at(4_000));
    expect(horizon.settledUs).toBe(14 * S);
  });

  it('waits until what a transaction has written is read too, behind whatever holds that back', () => {
    const horizon = new Horizon();
    horizon.add(mark(10, ['a'], [100, 100]), at(0));
    // It took the number 103 and has ended; 101 still runs, so nothing from 101 on is read yet.
    horizon.add(mark(11, ['b'], [101, 104]), at(1_000));
    expect(horizon.settledUs).toBeNull();
    horizon.add(mark(12, [], [104, 104]), at(2_000));
    expect(horizon.settledUs).toBe(12 * S);
  });

  it('tells when the clock was set back, and to which moment at the earliest', () => {
    const horizon = new Horizon();
    horizon.add(mark(10_000), at(0));
    expect(horizon.add(mark(10_005), at(5_000))).toBeNull();
    // An hour back, at some moment of the last five seconds.
    expect(horizon.add(mark(6_410), at(10_000))).toBe(6_405 * S);
    expect(horizon.settledUs).toBe(6_410 * S);
  });

  it('tells of a step that is smaller than the pause between two marks', () => {
    const horizon = new Horizon();
    horizon.add(mark(100), { from: 0, to: 1_000 });
    expect(horizon.add(mark(110), { from: 11_000, to: 11_500 })).toBeNull();
    // It should show 120 or so. The eleven seconds before are the most that have passed since.
    expect(horizon.add(mark(116), { from: 21_500, to: 22_500 })).toBe(104.5 * S);
  });

  it('expects of a clock that stands still between transactions that it does not go back', () => {
    const horizon = new Horizon();
    const standby = (second: number): PollMark => ({ ...mark(second), clockRuns: false });
    horizon.add(standby(100), at(0));
    expect(horizon.add(standby(100), at(60_000))).toBeNull();
    expect(horizon.add(standby(90), at(61_000))).toBe(89 * S);
  });

  it('keeps few marks while one transaction stays open for days, and none of them settles', () => {
    const horizon = new Horizon();
    for (let second = 1; second <= 10_000; second++)
      horizon.add(mark(second, ['a', `s${second}`]), at(second * 1_000));
    expect(horizon.settledUs).toBeNull();
    horizon.add(mark(10_001), at(10_001_000));
    expect(horizon.settledUs).toBe(10_001 * S);
  });

  it('knows settled marks by their number and age', () => {
    const horizon = new Horizon();
    for (let second = 1; second <= 5; second++) horizon.add(mark(second), at(second * 1_000));
    expect(horizon.settledBefore(0)).toBeNull();
    expect(horizon.settledBefore(3 * S)).toBe(3);
    expect(horizon.settledBefore(9 * S)).toBe(5);
  });
});
