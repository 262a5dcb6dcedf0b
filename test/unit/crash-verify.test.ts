import { describe, expect, it } from 'vitest';
import { type TopicRecord, verify } from '../crash/verify.ts';
import type { Op } from '../crash/workload.ts';

const KEY = '[1]';

function op(kind: Op['op'], rev: number): Op {
  return { table: 'accounts', key: KEY, op: kind, rev };
}

function record(kind: 'r' | 'c' | 'u' | 'd', rev: number, partition = 0): TopicRecord {
  const row = { id: 1, rev };
  return {
    table: 'accounts',
    partition,
    offset: BigInt(rev),
    key: KEY,
    value: {
      op: kind,
      before: kind === 'd' ? { id: 1, rev: null } : null,
      after: kind === 'd' ? null : row,
      source: { lsn: rev },
    },
  };
}

const committed = [op('c', 1), op('u', 2), op('u', 3), op('d', 3), op('c', 5)];
const problems = (records: TopicRecord[], streamedFrom = 2): readonly string[] =>
  verify(committed, records, streamedFrom).problems;

describe('the crash test’s verifier', () => {
  it('accepts a snapshot row followed by each later change once', () => {
    expect(problems([record('r', 2), record('u', 3), record('d', 3), record('c', 5)])).toEqual([]);
  });
  it('accepts a snapshot row that comes after changes it already contains', () => {
    expect(problems([record('u', 3), record('r', 3), record('d', 3), record('c', 5)])).toEqual([]);
  });
  it('finds a missing change', () => {
    expect(problems([record('r', 2), record('d', 3), record('c', 5)])).not.toEqual([]);
    expect(problems([record('r', 2), record('u', 3), record('d', 3)])).not.toEqual([]);
  });
  it('finds a change that comes twice', () => {
    expect(
      problems([record('r', 2), record('u', 3), record('u', 3), record('d', 3), record('c', 5)]),
    ).not.toEqual([]);
  });
  it('finds changes out of order', () => {
    expect(problems([record('r', 2), record('d', 3), record('u', 3), record('c', 5)])).not.toEqual([]);
  });
  it('finds a snapshot row that comes twice, is stale, or comes too early', () => {
    const rest = [record('u', 3), record('d', 3), record('c', 5)];
    expect(problems([record('r', 2), record('r', 2), ...rest])).not.toEqual([]);
    expect(problems([rest[0]!, record('r', 2), rest[1]!, rest[2]!])).not.toEqual([]);
    expect(problems([record('r', 3), ...rest])).not.toEqual([]);
  });
  it('finds a key in two partitions and a key nobody wrote', () => {
    expect(problems([record('r', 2), record('u', 3, 1), record('d', 3), record('c', 5)])).not.toEqual([]);
    expect(problems([{ ...record('r', 2), key: '[9]' }])).not.toEqual([]);
  });
});
