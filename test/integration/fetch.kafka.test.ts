/** Batches as the broker, and so Kafka's own code, compresses them: the topic says how, the producer does not. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CompressionTypes } from 'kafkajs';
import { expect, it } from 'vitest';
import { Cluster } from '../../src/emitter/sinks/kafka/cluster.ts';
import { fetchRequest } from '../../src/emitter/sinks/kafka/fetch-request.ts';
import { resolveKafkaOptions } from '../../src/emitter/sinks/kafka/options.ts';
import { kafkaTopicReader } from '../../src/emitter/sinks/kafka/topic-consumer.ts';
import { SILENT } from '../../src/observability/log.ts';
import { taken } from '../support/fetch-answers.ts';
import { testKafka } from '../support/servers.ts';
import { TopicClient } from '../support/topic-client.ts';

const TIME = 1_700_000_000_000;
/** A test's own time-out would not say what it waited for. */
const PATIENCE_MS = 100_000;

it.each([
  ['uncompressed', 0],
  ['gzip', 1],
  ['snappy', 2],
  ['lz4', 3],
  ['zstd', 4],
])('what the broker has %s is read in each version of Fetch', async (type, codec) => {
  const { brokers, prefix } = await testKafka();
  const topic = `${prefix}.${type}`;
  await using client = await TopicClient.connect(brokers);
  await client.createTopics([topic], 1, { 'compression.type': type });
  const messages = Array.from({ length: 5_000 }, (_, i) => ({
    key: i % 7 === 0 ? null : `key ${i}`,
    value: i % 11 === 0 ? null : `{"id":${i},"text":"${'Grüße '.repeat(i % 20)}"}`,
    headers: i % 3 === 0 ? { trace: `t${i}`, empty: '' } : {},
    timestamp: String(TIME + ((i * 7919) % 100_000)),
  }));
  await client.producer.send({ topic, messages });
  await using cluster = new Cluster(resolveKafkaOptions({ name: `${prefix}.fetch`, brokers: [brokers] }));
  await cluster.metadata([topic]);
  for (const version of [10, 11, 12]) {
    const { code, parts } = await cluster.raw(
      { broker: cluster.leader(topic, 0), purpose: 'fetch' },
      fetchRequest(version, {
        topic,
        partitions: [{ partition: 0, position: 0 }],
        committed: true,
        maxWaitMs: 5_000,
        maxBytes: 4 * 1024 * 1024,
        partitionMaxBytes: 4 * 1024 * 1024,
      }),
    );
    expect(code).toBe(0);
    const [part] = parts;
    if (part === undefined) throw new Error('There is nothing of the partition in the answer');
    expect({ topic: part.topic, partition: part.partition, code: part.code }).toEqual({
      topic,
      partition: 0,
      code: 0,
    });
    expect(part.lastStableOffset).toBe(5_000);
    // Attributes of the first batch.
    expect(part.bytes.readInt16BE(21) & 7).toBe(codec);
    const { records, position } = taken(part);
    expect(position).toBe(5_000);
    const text = (bytes: Uint8Array | null): string | null =>
      bytes === null ? null : Buffer.from(bytes).toString();
    expect(
      records.map(({ key, value, headers, timestamp }) => ({
        key: text(key),
        value: text(value),
        headers: Object.fromEntries(headers.map(([name, each]) => [name, text(each)])),
        timestamp: String(timestamp),
      })),
    ).toEqual(messages);
  }
});

it('records have the time of the broker where the topic says so', async () => {
  const { brokers, prefix } = await testKafka();
  const topic = `${prefix}.appended`;
  await using client = await TopicClient.connect(brokers);
  await client.createTopics([topic], 1, { 'message.timestamp.type': 'LogAppendTime' });
  await client.producer.send({ topic, messages: [{ value: 'a', timestamp: String(TIME) }] });
  const [record] = await client.first(topic, 1);
  expect(record?.timestamp).toBeGreaterThan(TIME + 1_000_000);
});

it('batches that are cut where an answer is full, and one that is larger than its share, are read', async () => {
  const { brokers, prefix } = await testKafka();
  const topic = `${prefix}.large`;
  await using client = await TopicClient.connect(brokers);
  await client.createTopics([topic], 2, { 'max.message.bytes': String(8 * 1024 * 1024) });
  const sizes = [...Array.from({ length: 30 }, (_, i) => 90_000 + i), 5_000_000, 10, 3_000_000];
  for (const size of sizes) {
    const value = Buffer.alloc(size, `${size} `);
    await client.producer.send({ topic, messages: [0, 1].map((partition) => ({ partition, value })) });
  }
  await using reader = kafkaTopicReader({ name: `${prefix}.reader`, brokers: [brokers] }, SILENT);
  await reader.open(topic, null);
  reader.start([0, 0]);
  const seen: [number[], number[]] = [[], []];
  const deadline = performance.now() + PATIENCE_MS;
  while (seen.some(({ length }) => length < sizes.length)) {
    if (performance.now() > deadline)
      throw new Error(
        `${sizes.join(' ')} were waited for in each partition, and came: ${JSON.stringify(seen)}`,
      );
    for (const { partition, records } of await reader.poll(100)) {
      for (const { value } of records) {
        const size = value?.length ?? 0;
        expect(Buffer.alloc(size, `${size} `).equals(value ?? Buffer.alloc(0))).toBe(true);
        seen[partition as 0 | 1].push(size);
      }
    }
  }
  expect(seen).toEqual([sizes, sizes]);
});

it('records come once and in their order, some at a time, whichever partitions are paused meanwhile', async () => {
  const { brokers, prefix } = await testKafka();
  const topic = `${prefix}.paused`;
  const [partitions, count] = [3, 20_000];
  await using client = await TopicClient.connect(brokers);
  await client.createTopics([topic], partitions);
  for (let from = 0; from < count; from += 1_000) {
    for (let partition = 0; partition < partitions; partition++) {
      const messages = Array.from({ length: 1_000 }, (_, i) => ({ partition, value: String(from + i) }));
      await client.producer.send({ topic, messages, compression: CompressionTypes.GZIP });
    }
  }
  await using reader = kafkaTopicReader({ name: `${prefix}.reader`, brokers: [brokers] }, SILENT);
  await reader.open(topic, null);
  reader.start([0, 0, 0]);
  const next = [0, 0, 0];
  const deadline = performance.now() + PATIENCE_MS;
  for (let poll = 0; next.some((each) => each < count); poll++) {
    if (performance.now() > deadline)
      throw new Error(`${count} of each partition were waited for, and ${next.join(', ')} came`);
    // One is, or two are; each in its turn goes on.
    for (let partition = 0; partition < partitions; partition++)
      reader.pause(partition, (poll + partition) % partitions === 0 || poll % 7 === partition);
    for (const { partition, records, position } of await reader.poll(20)) {
      expect(records.length).toBeLessThanOrEqual(256);
      for (const { offset, value } of records) {
        if (offset !== next[partition] || String(value) !== String(offset))
          throw new Error(`${String(value)} came at ${offset} where ${next[partition]} should have`);
        next[partition] = offset + 1;
      }
      expect(position).toBeGreaterThanOrEqual(next[partition] ?? 0);
    }
  }
  expect(next).toEqual([count, count, count]);
});

it('the process does other things between the portions of an answer', async () => {
  const { brokers, prefix } = await testKafka();
  const topic = `${prefix}.portions`;
  const count = 20_000;
  await using client = await TopicClient.connect(brokers);
  await client.createTopics([topic], 1);
  const messages = Array.from({ length: count }, (_, i) => ({ value: String(i) }));
  // In one answer.
  await client.producer.send({ topic, messages, compression: CompressionTypes.GZIP });
  await using reader = kafkaTopicReader({ name: `${prefix}.reader`, brokers: [brokers] }, SILENT);
  await reader.open(topic, null);
  reader.start([0]);
  let turns = 0;
  let handle: NodeJS.Immediate | null = null;
  const turn = (): void => {
    turns++;
    handle = setImmediate(turn);
  };
  let seen = 0;
  const deadline = performance.now() + PATIENCE_MS;
  while (seen < count) {
    if (performance.now() > deadline) throw new Error(`${count} were waited for, and ${seen} came`);
    for (const { records } of await reader.poll(100)) seen += records.length;
    if (seen > 0 && handle === null) handle = setImmediate(turn);
  }
  if (handle !== null) clearImmediate(handle);
  expect(turns).toBeGreaterThan(count / 256 / 2);
});

it('what has arrived is handed over although what comes behind it has been deleted, and what is gone is told of once', async () => {
  const { brokers, prefix } = await testKafka();
  const topic = `${prefix}.deleted`;
  await using client = await TopicClient.connect(brokers);
  await client.createTopics([topic], 1);
  const count = 20_000;
  const value = 'x'.repeat(150);
  for (let from = 0; from < count; from += 500)
    await client.producer.send({ topic, messages: Array.from({ length: 500 }, () => ({ value })) });
  const warnings: object[] = [];
  const log = { ...SILENT, warn: (fields: object) => void warnings.push(fields) };
  await using reader = kafkaTopicReader({ name: `${prefix}.reader`, brokers: [brokers] }, log);
  await reader.open(topic, null);
  reader.start([0]);
  const first = count - 100;
  const offsets: number[] = [];
  const deadline = performance.now() + PATIENCE_MS;
  for (let deleted = false; offsets.at(-1) !== count - 1;) {
    if (performance.now() > deadline)
      throw new Error(`${count - 1} was waited for, and ${offsets.at(-1)} came`);
    for (const { records } of await reader.poll(100)) offsets.push(...records.map(({ offset }) => offset));
    // So that the broker has answered before all is handed over.
    if (deleted) await sleep(10);
    else if (offsets.length > 0) {
      deleted = true;
      await client.deleteRecords(topic, first);
    }
  }
  // Of a mebibyte that had arrived.
  const end = offsets.indexOf(first);
  expect(end).toBeGreaterThan(3_000);
  expect(offsets).toEqual([...Array(end).keys(), ...Array.from({ length: 100 }, (_, i) => first + i)]);
  expect(warnings).toEqual([{ topic, partition: 0, offset: end, first, end: count }]);
});

it('a partition whose records wait is not kept from what comes next by one that has nothing', async () => {
  const { brokers, prefix } = await testKafka();
  const topic = `${prefix}.held`;
  await using client = await TopicClient.connect(brokers);
  await client.createTopics([topic], 2);
  await using reader = kafkaTopicReader({ name: `${prefix}.reader`, brokers: [brokers] }, SILENT);
  await reader.open(topic, null);
  reader.start([0, 0]);
  reader.pause(0, true);
  // Each time a broker has held a request for the other one.
  const asked: number[] = [];
  const deadline = performance.now() + PATIENCE_MS;
  while (asked.length < 12) {
    if (performance.now() > deadline)
      throw new Error(`12 answers of nothing were waited for, and ${asked.length} came`);
    for (const { endAsOf } of await reader.poll(100)) if (endAsOf !== null) asked.push(endAsOf);
  }
  const held = asked.slice(1).map((each, i) => each - asked[i]!);
  expect(Math.min(...held)).toBeLessThan(300);
});
