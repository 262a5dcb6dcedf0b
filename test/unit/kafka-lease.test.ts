import { describe, expect, it } from 'vitest';
import { chooseHolder } from '../../src/emitter/sinks/kafka/lease.ts';

function member(memberId: string, since: number | null): { memberId: string; metadata: Buffer } {
  return {
    memberId,
    metadata: Buffer.from(since === null ? 'not ours' : JSON.stringify({ since, process: {} })),
  };
}

describe('the holder of the lease', () => {
  it('stays the one that holds it already', () => {
    expect(chooseHolder([member('a', 0), member('b', 3), member('c', 0)])).toBe('b');
  });

  it('is the one that has taken it last, should two think they hold it', () => {
    expect(chooseHolder([member('a', 3), member('b', 7)])).toBe('b');
  });

  it('is the same whoever chooses, where nobody holds it', () => {
    expect(chooseHolder([member('c', 0), member('a', 0), member('b', null)])).toBe('a');
    expect(chooseHolder([member('b', null), member('a', 0), member('c', 0)])).toBe('a');
    expect(chooseHolder([])).toBeNull();
  });
});
