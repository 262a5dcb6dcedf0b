import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonValue } from '../../src/model/position.ts';
import { decodeIdentity, encodeIdentity } from '../../src/readers/postgres/log-identity.ts';
import { formatLsn, parseLsn, POSTGRES_POSITIONS as codec } from '../../src/readers/postgres/position.ts';

const lsn = fc.integer({ min: 1, max: 2 ** 52 });
const count = fc.integer({ min: 0, max: 2 ** 40 });
const position = fc.record({ lsn, done: count, messages: count, ahead: fc.nat() }).map((p) => ({
  lsn: p.lsn,
  mid: p.done + p.messages === 0 ? null : { commitLsn: p.lsn + p.ahead, done: p.done, messages: p.messages },
}));

describe('PostgreSQL positions', () => {
  it('prints LSNs as the server does', () => {
    expect(formatLsn(0)).toBe('0/0');
    expect(formatLsn(0x16b3748)).toBe('0/16B3748');
    expect(formatLsn(0x1_0000_000a)).toBe('1/A');
    expect(parseLsn('1/a')).toBe(0x1_0000_000a);
  });

  it.each(['', '/', '0', 'x/1', '1/2/3', '0/123456789', ' 0/1', 'FFFFFFFF/0'])(
    'refuses %j as LSN',
    (text) => {
      expect(parseLsn(text)).toBeNull();
    },
  );

  it('come back from JSON as they were', () => {
    fc.assert(
      fc.property(position, (p) => {
        expect(codec.decode(JSON.parse(JSON.stringify(codec.encode(p))) as JsonValue)).toEqual(p);
      }),
    );
  });

  it('are ordered by what has been delivered', () => {
    const before = { lsn: 100, mid: null };
    const inside = { lsn: 100, mid: { commitLsn: 150, done: 1, messages: 0 } };
    const message = { lsn: 100, mid: { commitLsn: 150, done: 1, messages: 1 } };
    const further = { lsn: 100, mid: { commitLsn: 150, done: 2, messages: 0 } };
    const after = { lsn: 160, mid: null };
    const ordered = [before, inside, message, further, after];
    ordered.forEach((a, i) => {
      ordered.forEach((b, j) => expect(Math.sign(codec.compare(a, b)!)).toBe(Math.sign(i - j)));
    });
    expect([before, inside, after].map((p) => codec.insideTransaction(p))).toEqual([false, true, false]);
  });

  it('refuse any other JSON with one code', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (json) => {
        try {
          const decoded = codec.decode(json as JsonValue);
          expect(codec.decode(codec.encode(decoded))).toEqual(decoded);
        } catch (error) {
          expect(error).toMatchObject({ code: 'state.position-invalid' });
        }
      }),
    );
    for (const json of [
      { lsn: '0/10', mid: { commit_lsn: '0/0F', done: 1 } },
      { lsn: '0/10', mid: { commit_lsn: '0/20', done: 0 } },
      { lsn: '0/10', mid: { commit_lsn: '0/20', done: 1.5 } },
      { lsn: '0/10', mid: { commit_lsn: '0/20', done: 1, messages: -1 } },
      { lsn: 16 },
    ]) {
      expect(() => codec.decode(json)).toThrow(expect.objectContaining({ code: 'state.position-invalid' }));
    }
  });
});

describe('the identity of a log', () => {
  const identity = { system: '7', timeline: 2, database: 'shop', slot: 'headwater_shop' };

  it('tells an intent from a beginning', () => {
    expect(decodeIdentity(encodeIdentity(identity))).toEqual({
      ...identity,
      pending: false,
      interrupted: [],
    });
    expect(decodeIdentity(encodeIdentity(identity, { pending: true }))?.pending).toBe(true);
  });

  it.each([null, '', '{', 'null', '3', '{"connector":"mysql"}', '{"connector":"postgresql","system":7}'])(
    'is not read from %j',
    (text) => expect(decodeIdentity(text)).toBeNull(),
  );
});
