import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CREATE_TOPICS } from '../../src/emitter/sinks/kafka/apis.ts';
import { checkKafka } from '../../src/emitter/sinks/kafka/check-kafka.ts';
import { Cluster } from '../../src/emitter/sinks/kafka/cluster.ts';
import { TransactionCoordinator } from '../../src/emitter/sinks/kafka/coordinator.ts';
import { Fence } from '../../src/emitter/sinks/kafka/fence.ts';
import { openKafkaSink } from '../../src/emitter/sinks/kafka/kafka-sink.ts';
import { Lease } from '../../src/emitter/sinks/kafka/lease.ts';
import { type KafkaSinkOptions, resolveKafkaOptions } from '../../src/emitter/sinks/kafka/options.ts';
import { offsetRange, withFreshLeaders } from '../../src/emitter/sinks/kafka/partition-reader.ts';
import { readState, writeState } from '../../src/emitter/sinks/kafka/state-access.ts';
import { tailKafka, type TailRecord } from '../../src/emitter/sinks/kafka/tail-kafka.ts';
import { TopicRequests } from '../../src/emitter/sinks/kafka/topic-requests.ts';
import { openTopic, recordTopicPlan } from '../../src/emitter/sinks/kafka/topics.ts';
import type { Sink, SinkRecord } from '../../src/emitter/sink.ts';
import { SILENT } from '../../src/observability/log.ts';
import { testKafka } from '../support/servers.ts';

const never = new AbortController().signal;
const opened: Sink[] = [];
let pipelines = 0;

async function newOptions(more: Partial<KafkaSinkOptions> = {}): Promise<KafkaSinkOptions> {
  const { brokers, prefix } = await testKafka();
  return { name: `${prefix}s${pipelines++}`, brokers: [brokers], topics: { partitions: 1 }, ...more };
}

async function start(options: KafkaSinkOptions): Promise<{ sink: Sink; state: ReadonlyMap<string, string> }> {
  const sink = await openKafkaSink(options, SILENT);
  opened.push(sink);
  return { sink, state: await sink.restore({ onWaiting: () => {}, signal: never }) };
}

function record(value: string | null, key: string | null = '1'): SinkRecord {
  return { key, value, headers: null, timestamp: Date.now() };
}

/** The first `count` committed records, and no others within a moment. */
async function take(
  options: KafkaSinkOptions,
  topics: readonly string[],
  count: number,
): Promise<TailRecord[]> {
  const stop = new AbortController();
  const found: TailRecord[] = [];
  for await (const each of tailKafka(
    { brokers: options.brokers, topics, fromBeginning: true },
    stop.signal,
  )) {
    found.push(each);
    if (found.length === count) setTimeout(() => stop.abort(), 300);
  }
  return found;
}

const text = (value: Uint8Array | null): string | null =>
  value === null ? null : Buffer.from(value).toString();

afterEach(async () => {
  for (const sink of opened.splice(0)) await sink[Symbol.asyncDispose]();
});

describe('Kafka sink', () => {
  it.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)(
    'writes %s batches that the broker takes and others read',
    async (compression) => {
      const options = await newOptions({ producer: { compression, batchBytes: 200_000 } });
      const { sink } = await start(options);
      const topic = await sink.topic(`${options.name}.t`, 'table');
      for (let i = 0; i < 2000; i++) sink.append(topic, record(`{"n":${i},"x":"${'ab'.repeat(150)}"}`));
      await sink.commit(new Map([['position', '1']]));
      const seen = await take(options, [topic.name], 2000);
      expect(seen.map(({ value }) => (JSON.parse(text(value)!) as { n: number }).n)).toEqual(
        Array.from({ length: 2000 }, (_, i) => i),
      );
    },
  );

  it('takes over at once from a process of this machine that was killed, without what it had not committed', async () => {
    const options = await newOptions();
    const child = spawn(
      process.execPath,
      [new URL('kafka-sink-child.ts', import.meta.url).pathname, options.brokers[0]!, options.name],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    try {
      await once(child.stdout, 'data');
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    const sink = await openKafkaSink(options, SILENT);
    opened.push(sink);
    const waited: string[] = [];
    const state = await sink.restore({ onWaiting: () => waited.push('waiting'), signal: never });
    expect(state).toEqual(new Map([['position', '1']]));
    expect(waited).toEqual([]);
    const topic = await sink.topic(`${options.name}.t`, 'table');
    sink.append(topic, record('after'));
    await sink.commit(new Map([['position', '2']]));
    const seen = await take(options, [topic.name], 2);
    expect(seen.map(({ value }) => text(value))).toEqual(['committed', 'after']);
  });

  it('is fenced by a producer that comes after it, and nothing it does is seen', async () => {
    const options = await newOptions();
    const { sink } = await start(options);
    const topic = await sink.topic(`${options.name}.t`, 'table');
    sink.append(topic, record('1'));
    await sink.commit(new Map([['position', '1']]));
    await using cluster = new Cluster(resolveKafkaOptions(options));
    await new TransactionCoordinator(cluster, never).init();
    sink.append(topic, record('2'));
    await expect(sink.commit(new Map([['position', '2']]))).rejects.toMatchObject({
      code: 'delivery.fenced',
    });
    await expect(sink.failed).rejects.toMatchObject({ code: 'delivery.fenced' });
    expect((await take(options, [topic.name], 1)).map(({ value }) => text(value))).toEqual(['1']);
    expect((await readState(options, never)).get('position')).toBe('1');
  });

  it('hundreds of topics are created in a few requests', async () => {
    const options = await newOptions();
    await using cluster = new Cluster(resolveKafkaOptions(options));
    const requests = vi.spyOn(cluster, 'request');
    const topics = new TopicRequests(cluster);
    const names = Array.from({ length: 250 }, (_, i) => `${options.name}.t${i}`);
    const opened = await Promise.all(
      names.map((name) => openTopic(topics, recordTopicPlan(cluster, name), never)),
    );
    expect(opened.map(({ name, partitions }) => `${name} ${partitions.length}`)).toEqual(
      names.map((name) => `${name} 1`),
    );
    const creations = requests.mock.calls.filter(([, { key }]) => key === CREATE_TOPICS.key);
    expect(creations).toHaveLength(3);
  });

  it('at least once is fenced too: what a predecessor sends late is refused in every topic', async () => {
    const options = await newOptions({ delivery: 'at-least-once', topics: { partitions: 3 } });
    const { sink } = await start(options);
    const names = [`${options.name}.t`, `${options.name}.u`];
    const topics = await Promise.all(names.map((name) => sink.topic(name, 'table')));
    for (const topic of topics) for (let i = 0; i < 20; i++) sink.append(topic, record('1', `${i}`));
    await sink.commit(new Map([['position', '1']]));
    // The successor's first steps, while the predecessor's lease is as good as ever: its clock does not stop it.
    await using cluster = new Cluster(resolveKafkaOptions(options));
    const fence = new Fence(new TransactionCoordinator(cluster, never));
    await fence.init();
    const found = names.map((name) =>
      openTopic(new TopicRequests(cluster), recordTopicPlan(cluster, name), never),
    );
    for (const topic of await Promise.all(found)) await fence.raise(topic);
    for (const topic of topics) for (let i = 0; i < 20; i++) sink.append(topic, record('2', `${i}`));
    await expect(sink.commit(new Map([['position', '2']]))).rejects.toMatchObject({
      code: 'delivery.fenced',
    });
    await expect(sink.failed).rejects.toMatchObject({ code: 'delivery.fenced' });
    const seen = await take(options, names, 40);
    expect(new Set(seen.map(({ value }) => text(value)))).toEqual(new Set(['1']));
    expect((await readState(options, never)).get('position')).toBe('1');
  });

  it('at least once, a topic counts as fenced only when the marker is in each of its partitions', async () => {
    const partitions = 100;
    const options = await newOptions({ delivery: 'at-least-once', topics: { partitions } });
    await using cluster = new Cluster(resolveKafkaOptions(options));
    const fence = new Fence(new TransactionCoordinator(cluster, never));
    await fence.init();
    for (let round = 0; round < 5; round++) {
      const name = `${options.name}.t${round}`;
      await fence.raise(await openTopic(new TopicRequests(cluster), recordTopicPlan(cluster, name), never));
      const ends = Array.from({ length: partitions }, async (_, i) => {
        return (await withFreshLeaders(cluster, name, never, () => offsetRange(cluster, name, i, false))).end;
      });
      expect(await Promise.all(ends)).toEqual(Array<number>(partitions).fill(1));
    }
  });

  it('at least once, a process that was stopped for longer than its session begins to write nothing when it wakes', async () => {
    const options = await newOptions({ delivery: 'at-least-once', sessionTimeoutMs: 6000 });
    const child = spawn(
      process.execPath,
      [new URL('kafka-sink-child.ts', import.meta.url).pathname, options.brokers[0]!, options.name, '6000'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    try {
      let said = '';
      child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
      await expect.poll(() => said, { timeout: 30_000 }).toContain('going');
      await using cluster = new Cluster(resolveKafkaOptions(options));
      const topics = [`${options.name}.t`, cluster.options.stateTopic];
      await cluster.metadata(topics);
      const end = async (): Promise<number> => {
        const ranges = await Promise.all(topics.map((name) => offsetRange(cluster, name, 0, false)));
        return ranges.reduce((sum, range) => sum + range.end, 0);
      };
      const before = await end();
      await expect.poll(end, { timeout: 30_000 }).toBeGreaterThan(before + 100);
      child.kill('SIGSTOP');
      // One that only holds the lease: it fences nobody.
      await using lease = new Lease(cluster, SILENT, { onLost: () => {}, onRenewed: () => {} });
      await lease.acquire(() => {}, never);
      const stopped = await end();
      child.kill('SIGCONT');
      await once(child, 'close');
      expect(said).toContain('delivery.lease-lost');
      // It may have been stopped with a request in its hands; without its clock it would have made another behind that.
      expect(await end()).toBeLessThanOrEqual(stopped + 1);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('of three instances exactly one runs, and the holder stays while others come and go', async () => {
    const options = await newOptions({ sessionTimeoutMs: 6000 });
    const { sink: holder } = await start(options);
    const running: string[] = [];
    const stop = new AbortController();
    const standby = async (name: string): Promise<Sink> => {
      const sink = await openKafkaSink(options, SILENT);
      opened.push(sink);
      const waiting = Promise.withResolvers<void>();
      sink.restore({ onWaiting: () => waiting.resolve(), signal: stop.signal }).then(
        () => running.push(name),
        () => {},
      );
      await waiting.promise;
      return sink;
    };
    const second = await standby('second');
    await standby('third');
    await holder.commit(new Map([['position', '1']]));
    await second[Symbol.asyncDispose]();
    await sleep(1500);
    await holder.commit(new Map([['position', '2']]));
    expect(running).toEqual([]);
    await holder[Symbol.asyncDispose]();
    await expect.poll(() => running, { timeout: 20_000 }).toEqual(['third']);
  });

  it('sends a large transaction in batches while it is open, in bounded memory', async () => {
    const options = await newOptions({ producer: { maxPendingBytes: 1_000_000, batchBytes: 100_000 } });
    const { sink } = await start(options);
    const topic = await sink.topic(`${options.name}.t`, 'table');
    let most = 0;
    for (let i = 0; i < 20_000; i++) {
      sink.append(topic, record(`{"n":${i},"x":"${'y'.repeat(400)}"}`));
      most = Math.max(most, sink.stats().pendingBytes);
      if (i % 100 === 0) await sink.ready();
    }
    expect(most).toBeLessThan(1_200_000);
    await sink.commit(new Map([['position', '1']]));
    expect(sink.stats().pendingBytes).toBe(0);
    expect((await take(options, [topic.name], 20_000)).length).toBe(20_000);
  });

  it('spreads over many partitions of many topics without filling the memory', async () => {
    const options = await newOptions({ producer: { maxPendingBytes: 400_000 }, topics: { partitions: 10 } });
    const { sink } = await start(options);
    const topics = await Promise.all([0, 1, 2, 3].map((i) => sink.topic(`${options.name}.t${i}`, 'table')));
    for (let i = 0; i < 4000; i++) {
      sink.append(topics[i % 4]!, record('z'.repeat(300), `${i}`));
      if (i % 50 === 0) await sink.ready();
    }
    await sink.commit(new Map([['position', '1']]));
    const names = topics.map(({ name }) => name);
    const seen = await take(options, names, 4000);
    expect(new Set(seen.map(({ key }) => text(key))).size).toBe(4000);
    expect(new Set(seen.map(({ partition }) => partition)).size).toBe(10);
  });

  it('follows its policy with a record too large for its topic', async () => {
    const topics = { partitions: 1, config: { 'max.message.bytes': '50000' } };
    const noise = Buffer.from(Array.from({ length: 80_000 }, () => Math.floor(Math.random() * 256))).toString(
      'base64',
    );
    const failing = await newOptions({ topics });
    const { sink } = await start(failing);
    const topic = await sink.topic(`${failing.name}.t`, 'table');
    sink.append(topic, record('a'.repeat(200_000))); // compresses well: it fits
    await sink.commit(new Map([['position', '1']]));
    sink.append(topic, record(noise));
    const refusal = await sink.commit(new Map([['position', '2']])).catch((error: unknown) => error as Error);
    expect(refusal).toMatchObject({
      code: 'delivery.record-too-large',
      details: { topic: topic.name, limit: 50_000 },
    });
    expect((refusal as Error).message).not.toContain(noise.slice(0, 20));

    const noting = await newOptions({ topics, oversize: 'dead-letter' });
    const other = await openKafkaSink(noting, SILENT);
    opened.push(other);
    const told: string[] = [];
    await other.restore({
      onWaiting: () => {},
      onDeadLetter: ({ table }, { code }) => told.push(`${table} ${code}`),
      signal: never,
    });
    const its = await other.topic(`${noting.name}.t`, 'table');
    const origin = { schema: 'public', table: 't' };
    other.append(its, { ...record('small'), origin });
    other.append(its, { ...record(noise, '{"id":7}'), origin });
    other.append(its, record('behind'));
    await other.commit(new Map([['position', '1']]));
    expect(told).toEqual(['t delivery.record-too-large']);
    const seen = await take(noting, [its.name, `${noting.name}.dead-letter`], 3);
    expect(seen.filter((each) => each.topic === its.name).map(({ value }) => text(value))).toEqual([
      'small',
      'behind',
    ]);
    const note = seen.find((each) => each.topic !== its.name)!;
    expect(text(note.key)).toBe('{"id":7}');
    expect(note.value).toBeNull();
    const headers = Object.fromEntries(note.headers.map(([name, value]) => [name, text(value)]));
    expect(headers).toMatchObject({
      'headwater.cause': 'record-too-large',
      'headwater.topic': its.name,
      'headwater.limit': '50000',
    });
    expect(Number(headers['headwater.size'])).toBeGreaterThan(100_000);
  });

  it.each(['exactly-once', 'at-least-once'] as const)(
    '%s, writes a record whose time the topic does not take with the nearest that it takes',
    async (delivery) => {
      const options = await newOptions({ delivery });
      const { sink } = await start(options);
      // Without a wish: since Kafka 4 an hour ahead, and any time behind.
      const topic = await sink.topic(`${options.name}.t`, 'table');
      const narrow = await sink.topic(`${options.name}.narrow`, 'table', {
        partitions: null,
        replicas: null,
        config: { 'message.timestamp.before.max.ms': '600000' },
      });
      const now = Date.now();
      const day = 86_400_000;
      const times = [now + day, now, 0, now + 5 * day];
      for (const timestamp of times) sink.append(topic, { ...record('a'), timestamp });
      for (const timestamp of times) sink.append(narrow, { ...record('b'), timestamp });
      await sink.commit(new Map([['position', '1']]));
      const seen = await take(options, [topic.name, narrow.name], 8);
      const found = seen
        .filter((each) => each.topic === topic.name)
        .concat(seen.filter((each) => each.topic === narrow.name))
        .map(({ timestamp, headers }) => [
          timestamp > now ? 'ahead' : timestamp < now ? 'behind' : 'now',
          headers.map(([name, value]) => `${name} ${text(value)}`).join(),
        ]);
      const other = (timestamp: number): string => `__headwater.timestamp ${timestamp}`;
      expect(found).toEqual([
        ['ahead', other(now + day)],
        ['now', ''],
        ['behind', ''],
        ['ahead', other(now + 5 * day)],
        ['ahead', other(now + day)],
        ['now', ''],
        ['behind', other(0)],
        ['ahead', other(now + 5 * day)],
      ]);
      expect(seen.every(({ timestamp }) => timestamp < now + day)).toBe(true);
    },
  );

  it('reads only the end of a long state log', async () => {
    const options = await newOptions();
    const { sink } = await start(options);
    await sink.commit(
      new Map([
        ['table/a', '"first"'],
        ['gone', '1'],
      ]),
    );
    await sink.commit(new Map([['gone', null]]));
    const commits: Promise<void>[] = [];
    for (let i = 0; i < 4200; i++) {
      commits.push(sink.commit(new Map([['position', String(i)]])));
      if (commits.length === 100) await Promise.all(commits.splice(0));
    }
    await Promise.all(commits);
    await sink[Symbol.asyncDispose]();
    const expected = new Map([
      ['table/a', '"first"'],
      ['position', '4199'],
    ]);
    expect(new Map(await readState(options, never))).toEqual(expected);
    expect((await start(options)).state).toEqual(expected);
  });

  it('changes the state of a pipeline that stands still, and of no other', async () => {
    const options = await newOptions();
    expect([...(await readState(options, never))]).toEqual([]);
    await writeState(options, new Map([['position', '7']]), { log: SILENT, signal: never });
    const { sink, state } = await start(options);
    expect(state.get('position')).toBe('7');
    await expect(
      writeState(options, new Map([['position', '8']]), { log: SILENT, signal: never }),
    ).rejects.toMatchObject({ code: 'state.locked' });
    await sink.commit(new Map([['position', '9']]));
    expect((await readState(options, never)).get('position')).toBe('9');
  });

  it('finds nothing wrong with a cluster that is well, and says what is wrong with others', async () => {
    const options = await newOptions();
    const levels = (await checkKafka(options, never)).map(({ check, level }) => `${check} ${level}`);
    expect(levels).toEqual([
      'kafka.connection ok',
      'kafka.brokers ok',
      'kafka.transactions ok',
      'kafka.lease ok',
      'kafka.state-topic ok',
      'kafka.topics ok',
    ]);
    const closed = await checkKafka({ ...options, brokers: ['127.0.0.1:1'] }, never);
    expect(closed).toMatchObject([
      { check: 'kafka.connection', level: 'error', code: 'delivery.unreachable' },
    ]);
    await expect(openKafkaSink({ ...options, brokers: ['127.0.0.1:1'] }, SILENT)).rejects.toMatchObject({
      code: 'delivery.unreachable',
    });
    await expect(openKafkaSink({ ...options, tls: { mode: 'require' } }, SILENT)).rejects.toMatchObject({
      code: 'delivery.tls-failed',
    });
    const replicas = await checkKafka({ ...options, topics: { replicationFactor: 9 } }, never);
    expect(replicas.filter(({ level }) => level === 'error').map(({ code }) => code)).toEqual([
      'delivery.topic-invalid',
      'delivery.topic-invalid',
    ]);
    const none = await start({ ...options, topics: { create: false } }).catch((error: unknown) => error);
    expect(none).toMatchObject({ code: 'delivery.topic-missing' });
  });
});
