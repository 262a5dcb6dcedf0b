/** A window of more rows than are remembered, which breaks off again and again. */
import { expect, test } from 'vitest';
import type { RedoRow } from '../../src/readers/oracle/mining/redo-row.ts';
import { ReadOnce } from '../../src/readers/oracle/mining/read-once.ts';

const PER_SCN = 1_000;
const SCNS = 140;

function row(scn: number, n: number): RedoRow {
  return {
    scn: BigInt(scn),
    thread: 1,
    rsId: `0x${scn}.${n}`,
    ssn: 0,
    code: 1,
    undo: false,
    rowId: null,
    xid: '01',
  } as unknown as RedoRow; // what rows are told apart by
}

/** Reads from where it is to be read; answers whether it came to the end. */
function read(
  once: ReadOnce,
  seen: Map<string, number>,
  { upTo, breakAt }: { upTo: number; breakAt: number },
): boolean {
  let count = 0;
  for (let scn = Number(once.low(0n)) + 1; scn <= upTo; scn++) {
    for (let n = 0; n < PER_SCN; n++) {
      if (count++ === breakAt) {
        once.windowFailed();
        return false;
      }
      const each = row(scn, n);
      if (once.isNew(each)) seen.set(each.rsId, (seen.get(each.rsId) ?? 0) + 1);
    }
  }
  once.windowDone(BigInt(upTo));
  return true;
}

test('gives each row once, and does not go back to what lies long behind', () => {
  const once = new ReadOnce();
  const seen = new Map<string, number>();
  for (const breakAt of [500, 30_500, 70_001, 60_000]) {
    expect(read(once, seen, { upTo: SCNS, breakAt })).toBe(false);
  }
  // 50,000 rows are remembered, and those of the SCN that was under way.
  expect(Number(once.low(0n))).toBeGreaterThan(50);
  // A shorter window, as after a time-out, and then the rest.
  expect(read(once, seen, { upTo: SCNS - 5, breakAt: Infinity })).toBe(true);
  expect(once.low(BigInt(SCNS - 5))).toBe(BigInt(SCNS - 5));
  for (let scn = SCNS - 4; scn <= SCNS; scn++) {
    for (let n = 0; n < PER_SCN; n++) {
      const each = row(scn, n);
      if (once.isNew(each)) seen.set(each.rsId, (seen.get(each.rsId) ?? 0) + 1);
    }
  }
  expect(seen.size).toBe(SCNS * PER_SCN);
  expect([...seen.values()].filter((times) => times !== 1)).toEqual([]);
});
