import { expect, it } from 'vitest';
import type { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { kafkaTopicReader } from '../../src/emitter/sinks/kafka/topic-consumer.ts';
import { SILENT } from '../../src/observability/log.ts';
import { testKafka } from '../support/servers.ts';
import { TopicClient } from '../support/topic-client.ts';

it('a reader of a topic says when there are more partitions than it reads', async () => {
  const { brokers, prefix } = await testKafka();
  const topic = `${prefix}.growing`;
  await using client = await TopicClient.connect(brokers);
  const options = { name: `${prefix}.reader`, brokers: [brokers] };
  {
    await using reader = kafkaTopicReader(options, SILENT);
    expect(await reader.open(topic, { partitions: 1, replicas: null })).toBe(1);
    await client.producer.send({ topic, messages: [{ key: 'k', value: 'first' }] });
    reader.start([0]);
    const seen: string[] = [];
    const until = async (): Promise<HeadwaterError> => {
      for (;;) {
        try {
          for (const { records } of await reader.poll(100))
            seen.push(...records.map(({ value }) => Buffer.from(value ?? []).toString()));
        } catch (error) {
          return error as HeadwaterError;
        }
        if (seen.length === 1) {
          seen.push('and then');
          await client.addPartitions(topic, 3);
        }
      }
    };
    expect(await until()).toMatchObject({
      code: 'enrich.partitions-added',
      details: { topic, partitions: 3 },
    });
    expect(seen).toEqual(['first', 'and then']);
  }
  await using anew = kafkaTopicReader(options, SILENT);
  expect(await anew.open(topic, null)).toBe(3);
});
