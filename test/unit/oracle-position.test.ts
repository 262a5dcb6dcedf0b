import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { JsonValue } from '../../src/model/position.ts';
import {
  isDelivered,
  ORACLE_POSITIONS,
  type OraclePosition,
  positionAt,
  withCommit,
} from '../../src/readers/oracle/position.ts';
import { xid } from '../support/oracle/redo-script.ts';

const codec = ORACLE_POSITIONS;
const scn = fc.bigInt({ min: 0n, max: 2n ** 63n });
const positions: fc.Arbitrary<OraclePosition> = fc
  .tuple(
    fc.array(scn, { minLength: 3, maxLength: 3 }),
    fc.array(
      fc.tuple(fc.integer({ min: 1, max: 9 }), scn, fc.array(fc.nat(9), { minLength: 1, maxLength: 3 })),
      { maxLength: 3 },
    ),
    fc.option(fc.integer({ min: 1, max: 1e9 }), { nil: null }),
  )
  .map(([scns, marks, done]) => {
    const [first, second, third] = scns.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0)) as [
      bigint,
      bigint,
      bigint,
    ];
    return {
      scn: first,
      read: second,
      upTo: third,
      commits: new Map(marks.map(([thread, at, xids]) => [thread, { scn: at, xids: xids.map(xid) }])),
      mid: done === null ? null : { xid: xid(7), done, filter: 'f' },
    };
  });

test('what is encoded is decoded the same', () => {
  fc.assert(
    fc.property(positions, (position) => {
      const again = codec.decode(JSON.parse(JSON.stringify(codec.encode(position))) as JsonValue);
      expect(again).toEqual(position);
      expect(codec.compare(position, again)).toBe(0);
      expect(codec.insideTransaction(again)).toBe(position.mid !== null);
    }),
  );
});

test('each further commit is a step ahead, also at the same SCN and on another thread', () => {
  let position = positionAt(100n);
  for (const [at, thread, n] of [
    [101n, 1, 1],
    [101n, 1, 2],
    [101n, 2, 3],
    [105n, 1, 4],
    [106n, 2, 5],
  ] as const) {
    const commit = { scn: at, thread, xid: xid(n) };
    expect(isDelivered(position, commit)).toBe(false);
    const next = { ...position, commits: withCommit(position.commits, commit) };
    expect(codec.compare(position, next)).toBeLessThan(0);
    expect(isDelivered(next, commit)).toBe(true);
    position = next;
  }
  expect(codec.compare(position, positionAt(106n))).toBeLessThan(0);
});

test.each<[string, JsonValue]>([
  ['nothing', null],
  ['another source’s', { lsn: '0/1' }],
  ['a number for an SCN', { scn: 1, read: '1', up_to: '1', commit_scn: '' }],
  ['mining behind what is delivered', { scn: '5', read: '4', up_to: '6', commit_scn: '' }],
  ['a mark without a transaction', { scn: '1', read: '1', up_to: '1', commit_scn: '5:1:' }],
  ['an XID that is none', { scn: '1', read: '1', up_to: '1', commit_scn: '5:1:xyz' }],
  [
    'nothing done',
    { scn: '1', read: '1', up_to: '1', commit_scn: '', mid: { tx_id: xid(1), done: 0, filter: '' } },
  ],
])('%s is refused', (_, json) => {
  expect(() => codec.decode(json)).toThrow(/An Oracle position has the form/);
});
