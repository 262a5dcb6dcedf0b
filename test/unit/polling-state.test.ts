import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ABSENT, type Value } from '../../src/model/value.ts';
import { localTime } from '../../src/readers/local-time.ts';
import { beginAt, decodeCursor, encodeCursor } from '../../src/readers/polling/cursor.ts';
import { POLL_POSITIONS } from '../../src/readers/polling/position.ts';
import { RowState } from '../../src/readers/polling/row-state.ts';
import { hashOf, textOfValues, valuesOfText } from '../../src/readers/polling/row-text.ts';

let dir: string;
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'row-state-'))));
afterEach(() => rmSync(dir, { recursive: true }));

const TABLE = 'public.t';
const opened = (kept: string | null, limitBytes = 1e9): RowState =>
  new RowState({ path: join(dir, 'rows.sqlite'), limitBytes }, kept);
const key = (n: number): Uint8Array => Buffer.from(String(n));
const row = (text: string, stamp = 0): Parameters<RowState['put']>[2] => ({
  hash: hashOf(text),
  row: text,
  version: 1,
  stamp,
});

/** One batch of rows; the position's `kept` after it. */
function batch(state: RowState, number: number, rows: Readonly<Record<number, string | null>>): string {
  state.begin(number);
  for (const [n, text] of Object.entries(rows)) {
    if (text === null) state.remove(TABLE, key(Number(n)));
    else state.put(TABLE, key(Number(n)), row(text));
  }
  state.end();
  return state.kept;
}

function contents(state: RowState): Readonly<Record<number, string>> {
  const found: Record<number, string> = {};
  for (let n = 0; n < 10; n++) {
    const known = state.get(TABLE, key(n));
    if (known?.row != null) found[n] = known.row;
  }
  return found;
}

describe('the row state', () => {
  it('is undone to the checkpoint’s batch, whatever came after it', () => {
    let state = opened(null);
    batch(state, 1, { 1: 'a', 2: 'b' });
    const durable = batch(state, 2, { 1: 'A' });
    state.confirm(2);
    batch(state, 3, { 1: null, 2: 'B', 3: 'c' });
    batch(state, 4, { 1: 'again', 3: null });
    state.close();
    state = opened(durable);
    expect(state.fresh).toBe(false);
    expect(contents(state)).toEqual({ 1: 'A', 2: 'b' });
    // Numbers are used again, and undone again.
    batch(state, 3, { 2: 'other' });
    state.close();
    state = opened(durable);
    expect(contents(state)).toEqual({ 1: 'A', 2: 'b' });
    state.close();
  });

  it('begins anew where it does not know the checkpoint: lost, or another machine’s', () => {
    let state = opened(null);
    state.beginTable(TABLE);
    const mine = batch(state, 1, { 1: 'a' });
    state.close();
    for (const kept of ['0123456789abcdef:1', `${mine.split(':')[0]}:7`, null]) {
      state = opened(kept);
      expect(state.fresh).toBe(true);
      expect(contents(state)).toEqual({});
      expect(state.isComplete(TABLE)).toBe(false);
      state.close();
    }
  });

  it('holds what any history of batches, confirmations and restarts has made durable', () => {
    const step = fc.record({
      rows: fc.dictionary(fc.constantFrom('0', '1', '2', '3'), fc.option(fc.string({ maxLength: 3 })), {
        minKeys: 1,
      }),
      afterwards: fc.constantFrom('go on', 'confirm', 'crash'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        let state = opened(null);
        let durable = { kept: state.kept, number: 0, rows: contents(state) };
        let number = 0;
        for (const { rows, afterwards } of steps) {
          batch(state, ++number, rows);
          if (afterwards === 'confirm') {
            durable = { kept: state.kept, number, rows: contents(state) };
            state.confirm(number);
          } else if (afterwards === 'crash') {
            state.close();
            state = opened(durable.kept);
            ({ number } = durable);
            expect(contents(state)).toEqual(durable.rows);
          }
        }
        state.close();
      }),
      { numRuns: 30 },
    );
  });

  it('compares all that is known with what is seen by this process; polling that goes on knows nothing of it', () => {
    let state = opened(null);
    const durable = batch(state, 40, { 1: 'a', 2: 'b', 3: 'c' });
    state.touch(TABLE, key(3), 44);
    const stamp = state.beginComparison();
    expect(stamp).toBe(45);
    state.touch(TABLE, key(1), stamp);
    state.close();
    state = opened(durable);
    const again = state.beginComparison();
    expect(again).toBe(46);
    state.touch(TABLE, key(2), again);
    const unseen = (before: number): readonly string[] =>
      state.unseen(TABLE, before, 9).map((each) => Buffer.from(each).toString());
    expect(unseen(again)).toEqual(['1', '3']);
    state.close();
    state = opened(durable);
    state.goOnFrom(40);
    // By the number of the next batch, as a sweep does.
    expect(unseen(41)).toEqual(['1', '2', '3']);
    state.touch(TABLE, key(2), 50);
    expect(state.beginComparison()).toBe(51);
    expect(unseen(51)).toEqual(['1', '2', '3']);
    state.close();
  });

  it('holds nothing for seen that a killed process has seen behind the checkpoint', () => {
    let state = opened(null);
    const durable = batch(state, 3, { 1: 'a' });
    state.together(() => state.seed(TABLE, key(2), row('b', 5)));
    state.touch(TABLE, key(1), 6);
    state.close();
    state = opened(durable);
    state.goOnFrom(3);
    expect(state.unseen(TABLE, 4, 9).map((each) => Buffer.from(each).toString())).toEqual(['1', '2']);
    expect(state.unseen(TABLE, 3, 9)).toEqual([]);
    state.close();
  });

  it('is not suppressed by what a snapshot has read, where that differs from what was delivered', () => {
    const state = opened(null);
    batch(state, 1, { 1: 'a' });
    state.together(() => {
      state.seed(TABLE, key(1), row('older or newer'));
      state.seed(TABLE, key(2), row('b'));
    });
    expect(state.get(TABLE, key(1))?.hash).toHaveLength(0);
    expect(state.get(TABLE, key(2))).toMatchObject({ row: 'b' });
    state.close();
  });

  it('forgets what was not seen, and gives what is gone', () => {
    const state = opened(null);
    state.begin(5);
    state.put(TABLE, key(1), row('a', 5));
    state.put(TABLE, key(2), row('b', 5));
    state.end();
    state.touch(TABLE, key(2), 9);
    expect(state.unseen(TABLE, 9, 10).map((found) => Buffer.from(found).toString())).toEqual(['1']);
    expect(state.forget(TABLE, { notSeenSince: 9, batch: 10, limit: 5 })).toBe(1);
    expect(contents(state)).toEqual({ 2: 'b' });
    state.close();
  });

  it('takes no further rows when it is full, and says that it does not know all', () => {
    const state = opened(null, 0);
    state.beginTable(TABLE);
    batch(state, 1, { 1: 'a' });
    batch(state, 2, { 1: 'A', 2: 'b' });
    expect(contents(state)).toEqual({ 1: 'A' });
    expect(state.isComplete(TABLE)).toBe(false);
    const { kept } = state;
    state.close();
    const roomier = opened(kept);
    expect(roomier.full).toBe(false);
    expect(roomier.isComplete(TABLE)).toBe(false);
    roomier.close();
  });
});

describe('rows as text', () => {
  const value: fc.Arbitrary<Value> = fc.oneof(
    fc.constantFrom<Value>(null, true, false, ABSENT, -0, Infinity, -Infinity, NaN),
    fc.double(),
    fc.bigInt(),
    fc.string(),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.array(fc.oneof(fc.string(), fc.bigInt(), fc.constant(null))),
  );

  it('come back as they were', () => {
    fc.assert(
      fc.property(fc.array(value), (row) => {
        expect(valuesOfText(textOfValues(row))).toEqual(row);
      }),
    );
  });
});

describe('cursors and positions', () => {
  it('come back as they were', () => {
    const cursor = {
      ...beginAt({ from: 2n ** 40n, us: 17, aheadUs: -5 }),
      value: '9',
      pass: { to: 3n, scan: 1, after: ['x', ''] },
    };
    expect(decodeCursor(encodeCursor(cursor), 'poll/t')).toEqual(cursor);
    const position = { round: 1, batch: 2, kept: 'ab:2', from: { from: '7', us: null } };
    expect(POLL_POSITIONS.decode(POLL_POSITIONS.encode(position))).toEqual(position);
  });

  it('refuse whatever else there may be', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(() => decodeCursor(text, 'poll/t')).toThrowError(
          expect.objectContaining({ code: 'state.position-invalid' }),
        );
      }),
    );
    for (const json of [null, 1, [], { lsn: '0/1' }, { polling: 1 }, { polling: 1, round: '1', batch: 2 }]) {
      expect(() => POLL_POSITIONS.decode(json)).toThrowError(
        expect.objectContaining({ code: 'state.position-invalid' }),
      );
    }
  });
});

describe('local times', () => {
  it('are those of the zone, in winter and in summer', () => {
    const at = (text: string): number => Date.parse(`${text}Z`);
    expect(localTime(at('2026-01-15T12:00:00.25'), 'Europe/Berlin')).toBe(at('2026-01-15T13:00:00.25'));
    expect(localTime(at('2026-07-15T22:30:00'), 'Europe/Berlin')).toBe(at('2026-07-16T00:30:00'));
    expect(localTime(at('2026-07-15T22:30:00'), 'UTC')).toBe(at('2026-07-15T22:30:00'));
  });

  it('of an unknown zone are no later than any zone’s', () => {
    const now = Date.parse('2026-07-15T22:30:00Z');
    for (const zone of Intl.supportedValuesOf('timeZone')) {
      expect(localTime(now, null)).toBeLessThanOrEqual(localTime(now, zone));
    }
  });
});
