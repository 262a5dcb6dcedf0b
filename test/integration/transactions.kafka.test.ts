/**
 * Transactions that a broker takes for ended and has not ended everywhere (KAFKA-20734). A broker that does not ask
 * whether a partition belongs to the transaction makes them at will: what is written there gets no marker.
 */
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Cluster } from '../../src/emitter/sinks/kafka/cluster.ts';
import { TransactionCoordinator } from '../../src/emitter/sinks/kafka/coordinator.ts';
import { openKafkaSink } from '../../src/emitter/sinks/kafka/kafka-sink.ts';
import { type KafkaSinkOptions, resolveKafkaOptions } from '../../src/emitter/sinks/kafka/options.ts';
import { offsetRange, withFreshLeaders } from '../../src/emitter/sinks/kafka/partition-reader.ts';
import type { Sink, SinkRecord } from '../../src/emitter/sink.ts';
import { SILENT } from '../../src/observability/log.ts';
import { type KafkaServer, startKafka } from '../support/servers.ts';
import { TopicClient } from '../support/topic-client.ts';

const never = new AbortController().signal;
let kafka: KafkaServer;
let pipelines = 0;
const opened: Sink[] = [];

beforeAll(async () => {
  kafka = await startKafka({ settings: { 'transaction.partition.verification.enable': 'false' } });
  return () => kafka[Symbol.asyncDispose]();
});

afterEach(async () => {
  vi.restoreAllMocks();
  for (const sink of opened.splice(0)) await sink[Symbol.asyncDispose]();
});

/** Every record is a batch of its own, and sent at once. */
function newOptions(): KafkaSinkOptions {
  const name = `markers${pipelines++}`;
  return { name, brokers: [kafka.brokers], topics: { partitions: 1 }, producer: { batchBytes: 1 } };
}

async function start(options: KafkaSinkOptions): Promise<{ sink: Sink; state: ReadonlyMap<string, string> }> {
  const sink = await openKafkaSink(options, SILENT);
  opened.push(sink);
  return { sink, state: await sink.restore({ onWaiting: () => {}, signal: never }) };
}

function record(value: string): SinkRecord {
  return { key: '1', value, headers: null, timestamp: Date.now() };
}

/** From now on transactions end in this topic alone. */
function endOnlyIn(topic: string): void {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its own `this` below
  const { addPartitions } = TransactionCoordinator.prototype;
  vi.spyOn(TransactionCoordinator.prototype, 'addPartitions').mockImplementation(async function (
    this: TransactionCoordinator,
    who,
    topics,
  ) {
    const kept = topics.filter(({ name }) => name === topic);
    if (kept.length > 0) await addPartitions.call(this, who, kept);
  });
}

async function end(options: KafkaSinkOptions, topic: string, committed: boolean): Promise<number> {
  await using cluster = new Cluster(resolveKafkaOptions(options));
  return (await withFreshLeaders(cluster, topic, never, () => offsetRange(cluster, topic, 0, committed))).end;
}

/** One transaction in two topics; those that follow end in the second alone. */
async function begun() {
  const options = newOptions();
  const [t, other] = [`${options.name}.t`, `${options.name}.other`];
  const { sink } = await start(options);
  const topics = [await sink.topic(t, 'table'), await sink.topic(other, 'table')];
  for (const topic of topics) sink.append(topic, record('1'));
  await sink.commit(new Map([['position', '1']]));
  // Its marker, which is written after the answer, must not end the next one.
  await expect.poll(() => end(options, t, true), { timeout: 30_000 }).toBe(2);
  endOnlyIn(other);
  return { options, sink, topics, t };
}

async function committed(topic: string, count: number): Promise<readonly (string | undefined)[]> {
  await using client = await TopicClient.connect(kafka.brokers);
  return (await client.first(topic, count)).map(({ value }) => value?.toString());
}

describe('a transaction that has not ended everywhere', () => {
  it('is committed there at the next start, before the state is read, if it was committed', async () => {
    const { options, sink, topics, t } = await begun();
    for (const topic of topics) sink.append(topic, record('2'));
    await sink.commit(new Map([['position', '2']]));
    await sink[Symbol.asyncDispose]();
    vi.restoreAllMocks();
    expect(await end(options, t, true)).toBe(2);

    const { state } = await start(options);
    expect(state.get('position')).toBe('2');
    expect(await committed(t, 2)).toEqual(['1', '2']);
  });

  it('is aborted there at the next start if it was aborted', async () => {
    const { options, sink, topics, t } = await begun();
    for (const topic of topics) sink.append(topic, record('never committed'));
    await expect.poll(() => end(options, t, false), { timeout: 30_000 }).toBe(3);
    await sink[Symbol.asyncDispose]();
    vi.restoreAllMocks();

    const { sink: next, state } = await start(options);
    expect(state.get('position')).toBe('1');
    next.append(await next.topic(t, 'table'), record('2'));
    await next.commit(new Map([['position', '2']]));
    expect(await committed(t, 2)).toEqual(['1', '2']);
  });

  it('is ended once more in all its partitions, after a broker has been away, before the next begins', async () => {
    const options = newOptions();
    const { sink } = await start(options);
    const [t, other] = [`${options.name}.t`, `${options.name}.other`];
    const topics = [await sink.topic(t, 'table'), await sink.topic(other, 'table')];
    sink.append(topics[0]!, record('1'));
    await sink.commit(new Map([['position', '1']]));
    // The record and its marker.
    await expect.poll(() => end(options, t, true), { timeout: 30_000 }).toBe(2);
    sink.append(topics[1]!, record('2'));
    await sink.commit(new Map([['position', '2']]));
    expect(await end(options, t, true)).toBe(2);
    sink.append(topics[0]!, record('3'));
    await sink.commit(new Map([['position', '3']]));
    await expect.poll(() => end(options, t, true), { timeout: 30_000 }).toBe(4);
    await kafka.kill();
    await kafka.start();
    sink.append(topics[1]!, record('4'));
    await sink.commit(new Map([['position', '4']]));
    await expect.poll(() => end(options, t, true), { timeout: 30_000 }).toBeGreaterThan(4);
    expect(await committed(t, 2)).toEqual(['1', '3']);
    expect(await committed(other, 2)).toEqual(['2', '4']);
  });
});
