import { expect, test } from 'vitest';
import { RequestLimits } from '../../src/http/request-limits.ts';

const A = '10.0.0.1';
const B = '10.0.0.2';

function ask(limits: RequestLimits, address: string, times: number): number[] {
  return Array.from({ length: times }, () => limits.request(address));
}

test('an address may ask 300 times at once, then 100 times a second', () => {
  let now = 0;
  const limits = new RequestLimits(() => now);
  expect(ask(limits, A, 301)).toEqual([...new Array<number>(300).fill(0), 1]);
  expect(limits.request(B)).toBe(0);
  now = 100;
  expect(ask(limits, A, 11)).toEqual([...new Array<number>(10).fill(0), 1]);
  now = 1_000_000;
  expect(ask(limits, A, 301)).toEqual([...new Array<number>(300).fill(0), 1]);
});

test('after 20 wrong tokens an address waits, and others do not', () => {
  let now = 0;
  const limits = new RequestLimits(() => now);
  for (let n = 0; n < 20; n++) {
    expect(limits.request(A)).toBe(0);
    limits.wrongToken(A);
  }
  expect(limits.request(A)).toBe(1);
  expect(limits.request(B)).toBe(0);
  now = 1_000;
  expect(limits.request(A)).toBe(0);
  limits.wrongToken(A);
  expect(limits.request(A)).toBe(1);
});

test.each([
  ['2001:db8:0:1::1', '2001:db8:0:1:ffff::2', true],
  ['2001:db8:0:1::1', '2001:db8:0:2::1', false],
  ['2001:db8::1', '2001:db8::2', true],
  ['::1', '::2', true],
  ['::ffff:10.0.0.1', '::ffff:10.0.0.2', false],
])('%s and %s count as one address: %s', (one, other, same) => {
  const limits = new RequestLimits(() => 0);
  ask(limits, one, 300);
  expect(limits.request(other) > 0).toBe(same);
});

test('however many addresses ask, the last thousand are remembered', () => {
  const limits = new RequestLimits(() => 0);
  ask(limits, A, 300);
  for (let n = 0; n < 999; n++) limits.request(`10.1.${n >> 8}.${n & 255}`);
  expect(limits.request(A)).toBe(1);
  limits.request(B);
  expect(limits.request(A)).toBe(0);
});
