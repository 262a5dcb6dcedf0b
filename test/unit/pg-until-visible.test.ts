/** Waiting until a transaction that the log has told of can be seen. */
import { expect, test } from 'vitest';
import { untilVisible } from '../../src/readers/postgres/until-visible.ts';

/** Asks of a server whose snapshots are these, the last one for ever; how often it was asked. */
async function asked(xid: number, ...snapshots: readonly string[]): Promise<number> {
  let count = 0;
  await untilVisible((sql) => {
    expect(sql).toContain('pg_current_snapshot');
    return Promise.resolve([[snapshots[Math.min(count++, snapshots.length - 1)]!]]);
  }, xid);
  return count;
}

test('asks until the snapshot shows it, and once where it does at once', async () => {
  expect(await asked(700, '701:701:')).toBe(1);
  expect(await asked(700, '690:700:690', '700:705:700,702', '702:705:702')).toBe(3);
});

test('knows ids of 32 bits beyond their first round', async () => {
  const round = 2 ** 32;
  expect(await asked(5, `${round + 5}:${round + 9}:${round + 5}`, `${round + 9}:${round + 9}:`)).toBe(2);
});

test('goes on in the end where no standby confirms the commit', async () => {
  expect(await asked(700, '700:701:700')).toBeGreaterThan(10);
});
