import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Reader, Writer } from '@platformatic/kafka';
import { describe, expect, it } from 'vitest';
import type { BulkState } from '../../src/emitter/sink.ts';
import { DiskGroupTexts, MemoryGroupTexts } from '../../src/enrichment/state/bulk-groups.ts';
import { LIST_OFFSETS } from '../../src/emitter/sinks/kafka/apis.ts';
import type { Cluster, RawRequest } from '../../src/emitter/sinks/kafka/cluster.ts';
import { BASE_HEADER, readStateLog, StateLog } from '../../src/emitter/sinks/kafka/state-log.ts';
import { fetchAnswer, partOf, restamped, seal } from '../support/fetch-answers.ts';

function bases(records: readonly { headers: readonly (readonly [string, unknown])[] | null }[]): unknown[] {
  return records.map((each) => each.headers?.find(([name]) => name === BASE_HEADER)?.[1]);
}

function logOf(
  values: Record<string, string>,
  bulk: BulkState | null = null,
  base: number | null = null,
): StateLog {
  return new StateLog({ values: new Map(Object.entries(values)), base, bulk }, () => 5);
}

describe('state log', () => {
  it('writes every key with the first commit, then what changes with the place of that rewrite', () => {
    const log = logOf({ a: '1', b: '2' });
    const first = log.records(new Map([['c', '3']]));
    expect(first.records.map(({ key, value }) => [key, value])).toEqual([
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
    ]);
    expect(bases(first.records)).toEqual(['@0', '@1', '@2']);
    first.written?.(1234);
    const second = log.records(
      new Map([
        ['c', null],
        ['a', '9'],
      ]),
    );
    expect(second.written).toBeNull();
    expect(second.records.map(({ key, value }) => [key, value])).toEqual([
      ['c', null],
      ['a', '9'],
    ]);
    expect(bases(second.records)).toEqual(['1234', '1234']);
  });

  it('rewrites again after many commits, without what has been forgotten but with the word of it', () => {
    const log = logOf({});
    let rewrites = 0;
    for (let i = 0; i < 10_000; i++) {
      const { records, written } = log.records(
        new Map<string, string | null>([
          ['position', String(i)],
          [`t${i - 3}`, null],
          [`t${i}`, 'x'],
        ]),
      );
      if (written === null) continue;
      rewrites++;
      written(i * 10);
      expect(records.length).toBeLessThanOrEqual(5);
      expect(records.filter(({ value }) => value === null).length).toBe(1);
    }
    expect(rewrites).toBe(3);
  });

  it('rewrites once more where the broker did not tell the place', () => {
    const log = logOf({});
    log.records(new Map([['a', '1']])).written?.(null);
    expect(bases(log.records(new Map([['a', '2']])).records)).toEqual(['@0']);
  });

  it('finds the state from the base of any record on, while a bulk is rewritten bit by bit', async () => {
    await using scratch = await temporaryGroups();
    for (const bulk of [new MemoryGroupTexts(), scratch.groups]) {
      const { prefix } = bulk;
      bulk.clear();
      const expected = new Map<string, string>([['position', '-1']]);
      for (let i = 0; i < 5_000; i++) {
        bulk.set(`${prefix}${i * 7}`, String(i));
        expected.set(`${prefix}${i * 7}`, String(i));
      }
      // What an earlier run left: all of it, from offset 0 on.
      const topic: (readonly [key: string, value: string | null, base: unknown])[] = [];
      for (const [key, value] of expected) topic.push([key, value, '0']);
      const log = logOf({ position: '-1' }, bulk, 0);
      const found = new Set<unknown>();
      for (let i = 0; i < 30; i++) {
        const changes = new Map<string, string | null>([
          ['position', String(i)],
          // Before, at and behind where the rewrite has come to.
          [`${prefix}${i * 7}`, null],
          [`${prefix}${(4_999 - i) * 7}`, `changed ${i}`],
          [`${prefix}${(i % 9) + 1}-new-${i}`, 'new'],
        ]);
        const { records, written } = log.records(changes);
        const first = topic.length;
        for (const [j, { key, value }] of records.entries())
          topic.push([String(key), value as string | null, bases(records)[j]]);
        written?.(first);
        for (const [key, value] of changes)
          if (value === null) expected.delete(key);
          else expected.set(key, value);
        const base = topic.at(-1)?.[2];
        found.add(base);
        const state = new Map<string, string>();
        for (const [key, value] of topic.slice(Number(base)))
          if (value === null) state.delete(key);
          else state.set(key, value);
        const wrong = [...expected].filter(([key, value]) => state.get(key) !== value);
        expect([state.size, wrong]).toEqual([expected.size, []]);
      }
      // The former run's, until the whole bulk has been written.
      expect([...found]).toEqual(['0', '5001']);
    }
  });
});

async function temporaryGroups(): Promise<AsyncDisposable & { readonly groups: DiskGroupTexts }> {
  const dir = mkdtempSync(join(tmpdir(), 'headwater-groups-'));
  const groups = await DiskGroupTexts.in(dir, 'test');
  return {
    groups,
    [Symbol.asyncDispose]: async () => {
      await groups[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true });
    },
  };
}

describe('reading the state', () => {
  /** A broker whose partition holds one record each of `a`, `b` and `c`, one in a batch. */
  function brokerThat(answersEmpty: (fetch: number) => boolean): Cluster {
    const batches = ['a', 'b', 'c'].map(async (key, offset) =>
      restamped(await seal([{ key, value: '1', headers: null, timestamp: 0 }], 'none'), { offset }),
    );
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
        throw new Error('Nothing else is asked');
      },
      version: () => Promise.resolve(10),
      async raw<T>(_: unknown, request: RawRequest<T>) {
        const writer = Writer.create();
        request.write(writer);
        // Behind the name `state` of the topic, and count, index and epoch of its partition.
        const from = Number(writer.buffer.readBigInt64BE(48));
        const bytes = answersEmpty(fetches++) ? Buffer.alloc(0) : ((await batches[from]) ?? Buffer.alloc(0));
        const body = fetchAnswer([{ ...partOf(bytes), topic: 'state', partition: 0 }]);
        return request.parse(1, request.apiKey, 10, Reader.from(body));
      },
    } as unknown as Cluster;
  }
  const never = new AbortController().signal;

  it('is not taken in by a broker that throttles: empty answers are no end', async () => {
    const { values } = await readStateLog(
      brokerThat((fetch) => fetch % 3 !== 2),
      never,
    );
    expect([...values.keys()]).toEqual(['a', 'b', 'c']);
  });

  it('ends where there is nothing to come', async () => {
    const { values } = await readStateLog(
      brokerThat((fetch) => fetch > 1),
      never,
    );
    expect(values).toEqual(
      new Map([
        ['a', '1'],
        ['b', '1'],
      ]),
    );
  });
});
