import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { describe } from 'vitest';
import { openKafkaSink } from '../../src/emitter/sinks/kafka/kafka-sink.ts';
import type { Delivery } from '../../src/emitter/sinks/kafka/options.ts';
import { SILENT } from '../../src/observability/log.ts';
import { testKafka } from '../support/servers.ts';
import { describeSink, type SeenRecord, type SinkUnderTest } from './sink-contract.ts';

let pipelines = 0;

async function create(delivery: Delivery): Promise<SinkUnderTest> {
  const { brokers, prefix } = await testKafka();
  const name = `${prefix}p${pipelines++}`;
  return {
    async open() {
      const sink = await openKafkaSink(
        { name, brokers: [brokers], delivery, topics: { partitions: 2 }, producer: { compression: 'gzip' } },
        SILENT,
      );
      // The suite's topics are its own; on a shared broker they need a prefix.
      const topic = sink.topic.bind(sink);
      sink.topic = (each, purpose) => topic(`${name}.${each}`, purpose);
      return sink;
    },
    read: (topic) => readWithKafkajs(brokers, `${name}.${topic}`, topic),
    crash: null,
    second: 'waits',
    delivery,
  };
}

/** kafkajs shares no code with the sink. Reads up to the end as a read_committed consumer sees it. */
async function readWithKafkajs(broker: string, topic: string, as: string): Promise<SeenRecord[]> {
  const kafka = new Kafka({ brokers: [broker], clientId: 'witness', logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  const offsets = async (): Promise<ReadonlyMap<number, number>> =>
    new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, Number(high)]));
  // A commit is answered before its markers stand in the partitions: the end is where it no longer moves.
  let ends = await offsets();
  for (;;) {
    await sleep(100);
    const later = await offsets();
    if (isDeepStrictEqual(ends, later)) break;
    ends = later;
  }
  await admin.disconnect();
  const consumer = kafka.consumer({ groupId: `witness-${topic}-${Date.now()}`, maxWaitTimeInMs: 100 });
  const seen: { partition: number; record: SeenRecord }[] = [];
  const done = Promise.withResolvers<void>();
  const missing = new Set([...ends].filter(([, end]) => end > 0).map(([partition]) => partition));
  await consumer.connect();
  await consumer.subscribe({ topics: [topic], fromBeginning: true });
  consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
    if (Number(payload.lastOffset) >= ends.get(payload.partition)! - 2) missing.delete(payload.partition);
    if (missing.size === 0) done.resolve();
  });
  await consumer.run({
    eachBatch: async ({ batch }) => {
      for (const { key, value, headers, timestamp } of batch.messages) {
        seen.push({
          partition: batch.partition,
          record: {
            topic: as,
            key: key?.toString() ?? null,
            value: value?.toString() ?? null,
            headers: Object.fromEntries(
              Object.entries(headers ?? {}).map(([name, each]) => [name, each == null ? null : String(each)]),
            ),
            timestamp: Number(timestamp),
          },
        });
      }
    },
  });
  await done.promise;
  await consumer.disconnect();
  return seen.map(({ record }) => record);
}

describe('Kafka', () => {
  describeSink('Kafka sink, exactly once', () => create('exactly-once'));
  describeSink('Kafka sink, at least once', () => create('at-least-once'));
});
