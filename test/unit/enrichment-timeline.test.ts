import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Timeline } from '../../src/enrichment/state/timeline.ts';
import type { StoredRow } from '../../src/enrichment/state/table-store.ts';

/** A table of three keys that a log of transactions moves on, and the timeline that remembers. */
class Table {
  readonly timeline = new Timeline<number>(
    { head: () => Promise.resolve(this.ends), nudge: () => {}, compare: (a, b) => a - b },
    'start',
  );
  readonly rows = new Map<number, StoredRow>();
  ends = 0;

  put(key: number, row: StoredRow | null): void {
    this.timeline.replaced(0, key, this.rows.get(key) ?? null);
    if (row === null) this.rows.delete(key);
    else this.rows.set(key, row);
  }

  see(key: number): StoredRow | null {
    const then = this.timeline.row(0, key);
    return then === undefined ? (this.rows.get(key) ?? null) : then;
  }
}

const transaction = fc.record({
  /** Commit times may fall from one transaction to the next. */
  step: fc.integer({ min: -2, max: 5 }),
  changes: fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.option(fc.integer())), { maxLength: 4 }),
});

describe('a captured table as events of another log see it', () => {
  it('is that after the last transaction committed up to the time of the event, never half of one', () => {
    fc.assert(
      fc.property(
        fc.array(transaction, { maxLength: 20 }),
        fc.array(fc.record({ at: fc.nat(20), time: fc.integer({ min: -5, max: 60 }) }), { maxLength: 20 }),
        (log, events) => {
          const table = new Table();
          const cursor = table.timeline.cursor();
          const states: { time: number; rows: ReadonlyMap<number, StoredRow> }[] = [
            { time: -Infinity, rows: new Map() },
          ];
          let seen = 0;
          const look = (time: number): void => {
            let state = seen;
            for (const [i, each] of states.entries()) if (each.time <= time) state = Math.max(state, i);
            seen = state;
            table.timeline.enter(cursor, time);
            for (const key of [0, 1, 2]) expect(table.see(key)).toBe(states[state]?.rows.get(key) ?? null);
            table.timeline.leave();
          };
          let time = 0;
          for (const [i, { step, changes }] of log.entries()) {
            time += step;
            for (const [key, value] of changes) {
              table.put(key, value === null ? null : [value]);
              // In the middle of a transaction.
              for (const event of events) if (event.at === i) look(event.time);
            }
            table.timeline.committed(time, String(i));
            if (changes.length > 0)
              states.push({ time: Math.max(states.at(-1)?.time ?? 0, time), rows: new Map(table.rows) });
            for (const event of events) if (event.at === i) look(event.time);
          }
        },
      ),
    );
  });

  it('is kept for a query that begins late', () => {
    const table = new Table();
    const start = table.timeline.cursor();
    table.put(1, ['old']);
    table.timeline.committed(10, 'a');
    table.put(1, ['new']);
    table.timeline.committed(20, 'b');
    const cursor = table.timeline.cursor();
    table.timeline.release(start);
    table.timeline.enter(cursor, 15);
    expect([table.see(1), cursor.position]).toEqual([['old'], 'a']);
    table.timeline.enter(cursor, 25);
    expect([table.see(1), cursor.position]).toEqual([['new'], 'b']);
    // Nothing goes back.
    table.timeline.enter(cursor, 15);
    expect(table.see(1)).toEqual(['new']);
  });

  it('has a horizon that moves on an idle database too', async () => {
    const { timeline } = new Table();
    timeline.committed(1_000, 'a');
    // Another transaction may be of the same millisecond.
    expect([timeline.horizon, timeline.live]).toEqual([999, false]);
    const before = Date.now();
    timeline.ask();
    const after = Date.now();
    await Promise.resolve();
    expect(timeline.horizon).toBe(999);
    timeline.passed(0);
    // And one that the head does not hold may still come in the millisecond in which that was asked for.
    expect(timeline.horizon).toBeGreaterThanOrEqual(before - 1);
    expect(timeline.horizon).toBeLessThan(after);
    expect(timeline.live).toBe(true);
  });
});
