/** Random histories: the reader, wherever it is restarted and however the windows fall, against the naive truth. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Harness } from '../support/oracle/harness.ts';
import { historyOf, type History, steps } from '../support/oracle/random-history.ts';

const shown = (h: Harness): string[] =>
  h.events.map(
    ({ op, table, after, before }) =>
      `${op} ${table} ${(after ?? before)!['ID']} ${(after ?? before)!['NAME']}`,
  );

const windows = fc.integer({ min: 1, max: 40 }).map((size) => ({
  windowStart: BigInt(size),
  windowLeast: 1n,
  windowMost: BigInt(size),
}));

test('every committed change once and in order, for any windows, and any memory', async () => {
  await fc.assert(
    fc.asyncProperty(
      steps,
      windows,
      fc.integer({ min: 300, max: 5_000 }),
      fc.boolean(),
      async (list, limits, bytes, lobs) => {
        const history = historyOf(list);
        const h = new Harness(history.server, {
          lobs,
          limits: { ...limits, transactionBytes: bytes, bufferBytes: bytes * 2 },
        });
        await h.poll(history.end);
        expect(shown(h)).toEqual(history.events);
        expect(h.warnings).toEqual([]);
        expect(await h.close()).toEqual([]);
      },
    ),
    { numRuns: 150 },
  );
});

test('a crash behind any event, as often as one likes: nothing missing, nothing twice', async () => {
  await fc.assert(
    fc.asyncProperty(steps, windows, fc.array(fc.nat(), { maxLength: 4 }), async (list, limits, crashes) => {
      const history = historyOf(list);
      const h = new Harness(history.server, { limits: { ...limits, batchChanges: 1 } });
      for (const crash of crashes) {
        await h.poll(2000n + BigInt(crash % Number(history.end - 2000n)));
        await h.restart(crash % (h.events.length + 1));
      }
      await h.poll(history.end);
      expect(shown(h)).toEqual(history.events);
      expect(await h.close()).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

test('errors of the server at any row: the window is read again, each row once', async () => {
  const faults = fc.array(
    fc.record({
      on: fc.constantFrom('FETCH', 'START_LOGMNR', 'ADD_LOGFILE'),
      rows: fc.nat(60),
      message: fc.constantFrom(
        'ORA-00310: archived log',
        'ORA-01306: start',
        'NJS-123: call timeout',
        'ORA-03113: end-of-file',
      ),
    }),
    { maxLength: 3 },
  );
  await fc.assert(
    fc.asyncProperty(steps, windows, faults, async (list, limits, planned) => {
      const history = historyOf(list);
      const h = new Harness(history.server, { limits: { ...limits, batchChanges: 3 } });
      for (const { on, rows, message } of planned) {
        history.server.faults.push(
          on === 'FETCH' ? { on, afterRows: rows, message, times: 1 } : { on, message, times: 1 },
        );
      }
      await untilDone(h, history);
      expect(shown(h)).toEqual(history.events);
      expect(await h.close()).toEqual([]);
    }),
    { numRuns: 150 },
  );
});

test('a snapshot at any SCN and the stream behind it give the table as it is', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(), async (list, at) => {
      const history = historyOf(list);
      const scn = 2000n + BigInt(at % Number(history.end - 2000n));
      history.server.currentScn = scn;
      // All transactions that are open then began behind SCN 2000.
      history.server.openTransactions = [2005n];
      const h = new Harness(history.server, {}, null);
      await h.open();
      await h.poll(history.end);
      const rows = new Map(history.rowsAt(scn));
      for (const { op, table, after, before } of h.events) {
        const place = `${table} ${(after ?? before)!['ID']}`;
        if (op === 'd') rows.delete(place);
        else rows.set(place, after!['NAME']!);
      }
      expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(history.rows));
      expect(await h.close()).toEqual([]);
    }),
    { numRuns: 100 },
  );
});

/** As the supervisor would: another attempt, from what is stored. */
async function untilDone(h: Harness, history: History): Promise<void> {
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      await h.poll(history.end);
      return;
    } catch {
      await h.restart();
    }
  }
  throw new Error('it does not come to an end');
}
