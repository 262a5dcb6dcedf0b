import { afterEach, describe, expect, it } from 'vitest';
import type { BulkState, Sink, SinkRecord } from '../../src/emitter/sink.ts';
import { MemoryGroupTexts } from '../../src/enrichment/state/bulk-groups.ts';

/** One record as an independent reader finds it. */
export interface SeenRecord {
  readonly topic: string;
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string | null>>;
  readonly timestamp: number;
}

/** A place records go to, of one pipeline: several sinks can be opened on it, one after the other or at once. */
export interface SinkUnderTest {
  open(): Promise<Sink>;
  /** What a reader that heeds commits sees, in order within each topic. */
  read(topic: string): Promise<readonly SeenRecord[]>;
  /**
   * Ends the sink as a crash would: nothing is flushed, aborted, left or unlocked. Null where that takes a
   * process of its own, and a test of its own does it.
   */
  readonly crash: ((sink: Sink) => Promise<void>) | null;
  /** What a second instance does while the first lives. */
  readonly second: 'waits' | 'is refused';
  readonly delivery: 'exactly-once' | 'at-least-once';
}

const never = new AbortController().signal;

export function record(key: string | null, value: string | null, more: Partial<SinkRecord> = {}): SinkRecord {
  return { key, value, headers: null, timestamp: 1_700_000_000_000, ...more };
}

/** The suite every sink passes. */
export function describeSink(name: string, create: () => Promise<SinkUnderTest>): void {
  describe(name, () => {
    const opened: Sink[] = [];
    const open = async (place: SinkUnderTest): Promise<Sink> => {
      const sink = await place.open();
      opened.push(sink);
      return sink;
    };
    const started = async (
      place: SinkUnderTest,
      bulk?: BulkState,
    ): Promise<{ sink: Sink; state: ReadonlyMap<string, string> }> => {
      const sink = await open(place);
      const more = bulk === undefined ? {} : { bulk };
      return { sink, state: await sink.restore({ onWaiting: () => {}, signal: never, ...more }) };
    };
    afterEach(async () => {
      for (const sink of opened.splice(0)) await sink[Symbol.asyncDispose]();
    });

    it('begins with an empty state', async () => {
      const { state } = await started(await create());
      expect([...state]).toEqual([]);
    });

    it('makes records and state durable together, in order', async () => {
      const place = await create();
      const { sink } = await started(place);
      const topic = await sink.topic('orders', 'table');
      for (let i = 0; i < 100; i++) sink.append(topic, record('{"id":1}', `{"n":${i}}`));
      await sink.commit(
        new Map([
          ['position', '{"at":100}'],
          ['table/a', '1'],
        ]),
      );
      await sink[Symbol.asyncDispose]();
      const seen = await place.read('orders');
      expect(seen.map((each) => each.value)).toEqual(Array.from({ length: 100 }, (_, i) => `{"n":${i}}`));
      const again = await started(place);
      expect(again.state).toEqual(
        new Map([
          ['position', '{"at":100}'],
          ['table/a', '1'],
        ]),
      );
    });

    it('keeps null keys, null values, headers, timestamps and text of all kinds', async () => {
      const place = await create();
      const { sink } = await started(place);
      const topic = await sink.topic('kinds', 'table');
      const text = JSON.stringify({ t: 'žluťoučký 😀 \u0000 \u2028 \ud800', n: 'ÿ'.repeat(300) });
      sink.append(topic, record(null, text, { timestamp: 1_700_000_000_001 }));
      sink.append(topic, record(null, null));
      sink.append(
        topic,
        record(null, '{}', {
          headers: [
            ['__debezium.newkey', '{"id":"é"}'],
            ['b', 'x'],
            ['none', null],
          ],
        }),
      );
      await sink.commit(new Map([['position', '1']]));
      await sink[Symbol.asyncDispose]();
      const seen = await place.read('kinds');
      expect(seen).toEqual([
        { topic: 'kinds', key: null, value: text, headers: {}, timestamp: 1_700_000_000_001 },
        { topic: 'kinds', key: null, value: null, headers: {}, timestamp: 1_700_000_000_000 },
        {
          topic: 'kinds',
          key: null,
          value: '{}',
          headers: { '__debezium.newkey': '{"id":"é"}', b: 'x', none: null },
          timestamp: 1_700_000_000_000,
        },
      ]);
    });

    it('forgets state keys and keeps the others over many commits', async () => {
      const place = await create();
      const { sink } = await started(place);
      await sink.commit(
        new Map([
          ['a', '1'],
          ['b', '2'],
        ]),
      );
      for (let i = 0; i < 20; i++) await sink.commit(new Map([['position', String(i)]]));
      await sink.commit(
        new Map([
          ['a', null],
          ['c', '{"x":"é"}'],
        ]),
      );
      await sink[Symbol.asyncDispose]();
      const { state } = await started(place);
      expect(state).toEqual(
        new Map([
          ['b', '2'],
          ['position', '19'],
          ['c', '{"x":"é"}'],
        ]),
      );
    });

    it('keeps a bulk where it is told to, over many commits and starts, and finds it without one', async () => {
      const place = await create();
      const bulk = new MemoryGroupTexts();
      // What is there before belongs to nobody.
      bulk.set(`${bulk.prefix}t/old`, 'x');
      const expected = new Map<string, string>();
      const change = (from: number, to: number, value: string | null): Map<string, string | null> => {
        const changes = new Map<string, string | null>([['position', `${from}`]]);
        for (let i = from; i < to; i++) {
          const key = `${bulk.prefix}t/[[${i}],null,null]`;
          changes.set(key, value);
          if (value === null) expected.delete(key);
          else expected.set(key, value);
        }
        return changes;
      };
      for (let run = 0; run < 3; run++) {
        const { sink, state } = await started(place, bulk);
        expect(new Map(bulk.entries(bulk.prefix))).toEqual(expected);
        expect([...state.keys()]).toEqual(run === 0 ? [] : ['position']);
        for (let i = 0; i < 4; i++)
          await sink.commit(change(i * 700, (i + 1) * 700, `["\u2028", "é", ${run * 10 + i}]`));
        await sink.commit(change(run * 100, run * 100 + 50, null));
        await sink.commit(change(5_000 + run, 5_001 + run, 'more'));
        await sink[Symbol.asyncDispose]();
      }
      const { state } = await started(place);
      expect(state).toEqual(new Map([...expected, ['position', '5002']]));
    });

    it('takes records and commits while a commit is under way, and completes them in order', async () => {
      const place = await create();
      const { sink } = await started(place);
      const topic = await sink.topic('overlap', 'table');
      const done: number[] = [];
      const commits: Promise<void>[] = [];
      for (let i = 0; i < 10; i++) {
        sink.append(topic, record('{"k":1}', `${i}`));
        commits.push(sink.commit(new Map([['position', String(i)]])).then(() => void done.push(i)));
      }
      await Promise.all(commits);
      expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      await sink[Symbol.asyncDispose]();
      expect((await place.read('overlap')).map((each) => each.value)).toEqual(done.map(String));
      expect((await started(place)).state.get('position')).toBe('9');
    });

    it('shows nothing of what was appended and not committed when it is closed', async () => {
      const place = await create();
      if (place.delivery !== 'exactly-once') return;
      const { sink } = await started(place);
      const topic = await sink.topic('open', 'table');
      sink.append(topic, record(null, '1'));
      await sink.commit(new Map([['position', '1']]));
      sink.append(topic, record(null, '2'));
      await sink[Symbol.asyncDispose]();
      const { sink: next, state } = await started(place);
      expect(state.get('position')).toBe('1');
      const again = await next.topic('open', 'table');
      next.append(again, record(null, '"2 again"'));
      await next.commit(new Map([['position', '2']]));
      expect((await place.read('open')).map((each) => each.value)).toEqual(['1', '"2 again"']);
    });

    it('after a crash resumes at the last commit', async () => {
      const place = await create();
      if (place.crash === null) return;
      const { sink } = await started(place);
      const topic = await sink.topic('crash', 'table');
      sink.append(topic, record(null, '1'));
      await sink.commit(new Map([['position', '1']]));
      // Much more than fits a batch, so that some of it has left when the crash comes.
      const large = `"${'x'.repeat(100_000)}"`;
      for (let i = 0; i < 60; i++) {
        sink.append(topic, record(null, large));
        await sink.ready();
      }
      await place.crash(sink);
      const { sink: next, state } = await started(place);
      expect(state).toEqual(new Map([['position', '1']]));
      const again = await next.topic('crash', 'table');
      next.append(again, record(null, '2'));
      await next.commit(new Map([['position', '2']]));
      if (place.delivery === 'exactly-once') {
        expect((await place.read('crash')).map((each) => each.value)).toEqual(['1', '2']);
      }
    });

    it('a second instance stays out while the first lives, and comes in after it', async () => {
      const place = await create();
      const { sink } = await started(place);
      await sink.commit(new Map([['position', '1']]));
      if (place.second === 'is refused') {
        await expect(place.open()).rejects.toMatchObject({ code: 'state.locked' });
        await sink[Symbol.asyncDispose]();
        expect((await started(place)).state.get('position')).toBe('1');
        return;
      }
      const second = await open(place);
      const waiting = Promise.withResolvers<void>();
      let taken = false;
      const restored = second.restore({ onWaiting: () => waiting.resolve(), signal: never }).then((state) => {
        taken = true;
        return state;
      });
      await waiting.promise;
      await sink.commit(new Map([['position', '2']]));
      expect(taken).toBe(false);
      await sink[Symbol.asyncDispose]();
      expect((await restored).get('position')).toBe('2');
      await second.commit(new Map([['position', '3']]));
    });

    it('counts', async () => {
      const place = await create();
      const { sink } = await started(place);
      const topic = await sink.topic('stats', 'table');
      sink.append(topic, record(null, '"12345"'));
      await sink.commit(new Map([['position', '1']]));
      expect(sink.stats()).toMatchObject({ commits: 1, pendingBytes: 0 });
      expect(sink.stats().records).toBeGreaterThanOrEqual(1);
      expect(sink.stats().bytes).toBeGreaterThanOrEqual(7);
    });
  });
}
