import { describe, expect, it } from 'vitest';
import { assignLease } from '../../src/emitter/sinks/kafka/lease.ts';

interface Standing {
  readonly since?: number;
  readonly preferred?: boolean;
}

function member(memberId: string, standing: Standing | null): { memberId: string; metadata: Buffer } {
  const process = { pid: memberId.charCodeAt(0), host: `host-${memberId}` };
  const claim =
    standing === null ? 'not ours' : JSON.stringify({ since: 0, process, http: null, ...standing });
  return { memberId, metadata: Buffer.from(claim) };
}

function assigned(...members: ReturnType<typeof member>[]): Record<string, string> {
  return Object.fromEntries([...assignLease(members)].map(([id, bytes]) => [id, bytes.toString()]));
}

function holderOf(...members: ReturnType<typeof member>[]): string | undefined {
  return Object.entries(assigned(...members)).find(([, what]) => what.startsWith('holder'))?.[0];
}

describe('the holder of the lease', () => {
  it('stays the one that holds it already', () => {
    const preferred = true;
    expect(holderOf(member('a', { preferred }), member('b', { since: 3 }), member('c', {}))).toBe('b');
  });

  it('is the one that has taken it last, should two think they hold it', () => {
    expect(holderOf(member('a', { since: 3 }), member('b', { since: 7 }))).toBe('b');
  });

  it('is the same whoever chooses, where nobody holds it', () => {
    expect(holderOf(member('c', {}), member('a', {}), member('b', null))).toBe('a');
    expect(holderOf(member('b', null), member('a', {}), member('c', {}))).toBe('a');
    expect(holderOf()).toBeUndefined();
  });

  it('is the one whose share it is, where nobody holds it', () => {
    const [a, b] = [member('a', { preferred: false }), member('b', { preferred: true })];
    expect(holderOf(a, b)).toBe('b');
    expect(holderOf(b, a)).toBe('b');
  });

  it('is asked to give way only where it is not its share, and one waits whose share it is', () => {
    const not = (since: number): Standing => ({ since, preferred: false });
    const yes = (since: number): Standing => ({ since, preferred: true });
    expect(assigned(member('a', not(2)), member('b', yes(0))).a).toBe('holder, yield');
    expect(assigned(member('a', not(2)), member('b', not(0))).a).toBe('holder');
    expect(assigned(member('a', yes(2)), member('b', yes(0))).a).toBe('holder');
    expect(assigned(member('a', not(2)), member('b', null)).a).toBe('holder');
    // Of a version that shares with nobody.
    expect(assigned(member('a', { since: 2 }), member('b', yes(0))).a).toBe('holder');
  });

  it('is made known to those who wait', () => {
    const { b } = assigned(member('a', { since: 2 }), member('b', {}));
    expect(JSON.parse(b!)).toEqual({ host: 'host-a', pid: 97, http: null });
  });
});
