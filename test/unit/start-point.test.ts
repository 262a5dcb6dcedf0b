import { expect, test } from 'vitest';
import type { JsonValue, PositionCodec } from '../../src/model/position.ts';
import { SILENT } from '../../src/observability/log.ts';
import { startPoint } from '../../src/pipeline/start-point.ts';
import type { Opened } from '../../src/readers/reader.ts';

const codec: PositionCodec<number> = {
  encode: (position) => position,
  decode: (json: JsonValue) => Number(json),
  compare: (a, b) => a - b,
  insideTransaction: () => false,
};
const checkpoint = { epoch: 1, position: 5, commitTimeUs: null, identity: 'log' };
const request = (where: string | null): string =>
  JSON.stringify({ v: 1, where, requestedAt: '2026-01-01T00:00:00.000Z' });
const WIDE = JSON.stringify({ v: 1, requestedAt: '2026-01-01T00:00:00.000Z' });
const restored = new Map([
  ['table/s.b', 'ledger'],
  ['request/s.a', request('id = 1')],
  ['request/s.b', request('id = 2')],
  ['request/s.c', request(null)],
]);

function start(opened: Opened<number>, onGap: 'resnapshot' | 'skip_with_marker', resumed: readonly string[]) {
  return startPoint(opened, checkpoint, restored, { name: 'shop', resumed, onGap, codec, log: SILENT });
}

test('after a gap tables are read whole, whatever part of them was asked for before', () => {
  const gap: Opened<number> = { continuity: { kind: 'gap', reason: 'gone', start: 9 }, identity: 'new' };
  const { known, state } = start(gap, 'resnapshot', []);
  expect([known.get('request/s.a'), known.get('request/s.b')]).toEqual([WIDE, WIDE]);
  expect([state.get('request/s.a'), state.get('table/s.b')]).toEqual([WIDE, null]);
  expect(known.get('request/s.c')).toBe(request(null));
  expect(start(gap, 'skip_with_marker', []).known.get('request/s.a')).toBe(request('id = 1'));
});

test('so is a table that waited, and no other', () => {
  const { known } = start({ continuity: { kind: 'continuous' }, identity: 'log' }, 'resnapshot', ['s.b']);
  expect(known.get('request/s.b')).toBe(WIDE);
  expect(known.get('request/s.a')).toBe(request('id = 1'));
});
