import { describe, expect, it } from 'vitest';
import { FETCH, LIST_OFFSETS } from '../../src/emitter/sinks/kafka/apis.ts';
import type { Cluster } from '../../src/emitter/sinks/kafka/cluster.ts';
import { BASE_HEADER, readStateLog, StateLog } from '../../src/emitter/sinks/kafka/state-log.ts';

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

describe('reading the state', () => {
  /** A broker whose partition holds one record each of `a`, `b` and `c`, one in a batch. */
  function brokerThat(answersEmpty: (fetch: number) => boolean): Cluster {
    const batches = ['a', 'b', 'c'].map((name, offset) => ({
      firstOffset: BigInt(offset),
      lastOffsetDelta: 0,
      attributes: 0,
      producerId: 1n,
      firstTimestamp: 0n,
      records: [
        {
          offsetDelta: 0,
          timestampDelta: 0n,
          key: Buffer.from(name),
          value: Buffer.from('1'),
          headers: [],
        },
      ],
    }));
    let fetches = 0;
    return {
      options: { stateTopic: 'state', deliveryTimeoutMs: 1000, brokers: [] },
      leader: () => 1,
      request(_: unknown, api: unknown, ...args: unknown[]) {
        if (api === LIST_OFFSETS) {
          const [, , topics] = args as [unknown, unknown, [{ partitions: [{ timestamp: bigint }] }]];
          const offset = topics[0].partitions[0].timestamp === -2n ? 0n : 3n;
          return Promise.resolve({ topics: [{ partitions: [{ errorCode: 0, offset }] }] });
        }
        expect(api).toBe(FETCH);
        if (answersEmpty(fetches++)) return Promise.resolve({ errorCode: 0, responses: [] });
        const from = Number(
          (args[6] as [{ partitions: [{ fetchOffset: bigint }] }])[0].partitions[0].fetchOffset,
        );
        const records = batches.slice(from, from + 1);
        return Promise.resolve({
          errorCode: 0,
          responses: [{ partitions: [{ errorCode: 0, records, logStartOffset: 0n }] }],
        });
      },
    } as unknown as Cluster;
  }
  const never = new AbortController().signal;

  it('is not taken in by a broker that throttles: empty answers are no end', async () => {
    const state = await readStateLog(
      brokerThat((fetch) => fetch % 3 !== 2),
      never,
    );
    expect([...state.keys()]).toEqual(['a', 'b', 'c']);
  });

  it('ends where there is nothing to come', async () => {
    expect(
      await readStateLog(
        brokerThat((fetch) => fetch > 1),
        never,
      ),
    ).toEqual(
      new Map([
        ['a', '1'],
        ['b', '1'],
      ]),
    );
  });
});
