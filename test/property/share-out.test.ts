import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Sharer, shareOut } from '../../src/emitter/sinks/kafka/share-out.ts';

const NAMES = Array.from({ length: 20 }, (_, i) => `p${i}`);

/** Pipelines that were somebody's share, and are now another's though the first is still there. */
function moves(before: readonly Sharer[], after: ReadonlyMap<string, readonly string[]>): number {
  return before.flatMap(({ id, shares }) => shares.filter((name) => !after.get(id)!.includes(name))).length;
}

/** Members whose shares do not overlap, as one round of sharing leaves them, and some that are new. */
const fleets = fc
  .record({
    pipelines: fc.subarray(NAMES, { minLength: 0 }),
    count: fc.integer({ min: 1, max: 6 }),
    owners: fc.array(fc.integer({ min: -1, max: 5 }), { minLength: 20, maxLength: 20 }),
    runners: fc.array(fc.integer({ min: -1, max: 5 }), { minLength: 20, maxLength: 20 }),
  })
  .map(({ pipelines, count, owners, runners }) => ({
    pipelines,
    members: Array.from({ length: count }, (_, i) => ({
      id: `m${i}`,
      shares: pipelines.filter((_name, at) => owners[at] === i),
      holds: pipelines.filter((_name, at) => runners[at] === i),
    })),
  }));

describe('sharing pipelines out', () => {
  it('gives each to one member, evenly, the same whoever works it out', () => {
    fc.assert(
      fc.property(fleets, ({ pipelines, members }) => {
        const shares = shareOut(members, pipelines);
        expect([...shares.values()].flat().toSorted()).toEqual(pipelines.toSorted());
        const sizes = [...shares.values()].map(({ length }) => length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        const shuffled = shareOut(members.toReversed(), pipelines.toReversed());
        for (const [id, names] of shares) expect([...shuffled.get(id)!].toSorted()).toEqual(names.toSorted());
      }),
    );
  });

  it('moves no more than evenness asks for', () => {
    fc.assert(
      fc.property(fleets, ({ pipelines, members }) => {
        const shares = shareOut(members, pipelines);
        const least = Math.floor(pipelines.length / members.length);
        let extra = pipelines.length % members.length;
        const needed = members
          .map((member) => member.shares.length)
          .toSorted((a, b) => b - a)
          .reduce((sum, had) => sum + Math.max(0, had - least - (extra-- > 0 ? 1 : 0)), 0);
        expect(moves(members, shares)).toBe(needed);
      }),
    );
  });

  it('changes nothing where nothing has changed', () => {
    fc.assert(
      fc.property(fleets, ({ pipelines, members }) => {
        const shares = shareOut(members, pipelines);
        const settled = members.map(({ id, holds }) => ({ id, holds, shares: shares.get(id)! }));
        expect(moves(settled, shareOut(settled, pipelines))).toBe(0);
      }),
    );
  });

  it('leaves what a dead member ran to the one that runs it by now', () => {
    const shares = shareOut(
      [
        { id: 'a', shares: ['p1', 'p2'], holds: ['p1', 'p2', 'p5'] },
        { id: 'b', shares: ['p3', 'p4'], holds: ['p3', 'p4', 'p6'] },
      ],
      ['p1', 'p2', 'p3', 'p4', 'p5', 'p6'],
    );
    expect(shares.get('a')).toContain('p5');
    expect(shares.get('b')).toContain('p6');
  });
});
