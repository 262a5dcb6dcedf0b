import { describe, expect, it } from 'vitest';
import { BASE_HEADER, StateLog } from '../../src/emitter/sinks/kafka/state-log.ts';

function bases(records: readonly { headers: readonly (readonly [string, unknown])[] | null }[]): unknown[] {
  return records.map((each) => each.headers?.find(([name]) => name === BASE_HEADER)?.[1]);
}

describe('state log', () => {
  it('writes every key with the first commit, then what changes with the place of that rewrite', () => {
    const log = new StateLog(
      new Map([
        ['a', '1'],
        ['b', '2'],
      ]),
      () => 5,
    );
    const first = log.records(new Map([['c', '3']]));
    expect(first.rewrite).toBe(true);
    expect(first.records.map(({ key, value }) => [key, value])).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
    ]);
    expect(bases(first.records)).toEqual(['@0', '@1', '@2']);
    log.rewritten(1234);
    const second = log.records(
      new Map([
        ['c', null],
        ['a', '9'],
      ]),
    );
    expect(second.rewrite).toBe(false);
    expect(second.records.map(({ key, value }) => [key, value])).toEqual([
      ['c', null],
      ['a', '9'],
    ]);
    expect(bases(second.records)).toEqual(['1234', '1234']);
  });

  it('rewrites again after many commits, without what has been forgotten but with the word of it', () => {
    const log = new StateLog(new Map());
    let rewrites = 0;
    let last: ReturnType<StateLog['records']> | null = null;
    for (let i = 0; i < 10_000; i++) {
      last = log.records(
        new Map<string, string | null>([
          ['position', String(i)],
          [`t${i - 3}`, null],
          [`t${i}`, 'x'],
        ]),
      );
      if (!last.rewrite) continue;
      rewrites++;
      log.rewritten(i * 10);
      expect(last.records.length).toBeLessThanOrEqual(5);
      expect(last.records.filter(({ value }) => value === null).length).toBe(1);
    }
    expect(rewrites).toBe(3);
  });

  it('rewrites once more where the broker did not tell the place', () => {
    const log = new StateLog(new Map());
    expect(log.records(new Map([['a', '1']])).rewrite).toBe(true);
    log.rewritten(null);
    expect(log.records(new Map([['a', '2']])).rewrite).toBe(true);
  });
});
