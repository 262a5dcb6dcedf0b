import { describe, expect, it } from 'vitest';
import type { Cluster } from '../../src/emitter/sinks/kafka/cluster.ts';
import {
  DESCRIBE_CONSUMER_GROUPS,
  DESCRIBE_GROUPS,
  LIST_GROUPS,
} from '../../src/emitter/sinks/kafka/apis.ts';
import { KafkaFault } from '../../src/emitter/sinks/kafka/errors.ts';
import { topicConsumers } from '../../src/emitter/sinks/kafka/topic-consumers.ts';

type Brokers = Pick<Cluster, 'brokerIds' | 'request'>;

/** As Kafka's clients write it. */
function assigned(...topics: readonly (readonly [name: string, partitions: number])[]): Buffer {
  const parts = topics.flatMap(([name, partitions]) => {
    const part = Buffer.alloc(2 + name.length + 4 + partitions * 4);
    part.writeInt16BE(name.length);
    part.write(name, 2);
    part.writeInt32BE(partitions, 2 + name.length);
    return part;
  });
  const head = Buffer.alloc(6);
  head.writeInt32BE(topics.length, 2);
  return Buffer.concat([head, ...parts, Buffer.from([255, 255, 255, 255])]);
}

/** What each broker answers to the requests by their keys; one that has no answer refuses. */
function brokers(answers: readonly ReadonlyMap<number, unknown>[]): Brokers {
  return {
    brokerIds: [...answers.keys()],
    request: (({ broker }: { broker: number }, { key }: { key: number }) => {
      const answer = answers[broker]?.get(key);
      return answer === undefined
        ? Promise.reject(new KafkaFault('broker', 31, 'cluster authorization failed'))
        : Promise.resolve(answer);
    }) as Brokers['request'],
  };
}

const group = (groupId: string, protocolType = 'consumer', groupType = 'classic'): object => ({
  groupId,
  protocolType,
  groupType,
});
const members = (groupId: string, ...assignments: readonly Buffer[]): object => ({
  groupId,
  members: assignments.map((memberAssignment) => ({ memberAssignment })),
});

describe('who consumes topics', () => {
  it('is told by all brokers that may be asked', async () => {
    const one = new Map<number, unknown>([
      [LIST_GROUPS.key, { groups: [group('a'), group('b'), group('headwater.x', 'headwater')] }],
      [
        DESCRIBE_GROUPS.key,
        {
          groups: [
            members('a', assigned(['orders', 2], ['lines', 1]), assigned(['orders', 1])),
            members('b', assigned(['orders', 3], ['nothing', 0])),
          ],
        },
      ],
    ]);
    const topicPartitions = [{ topicName: 'orders' }, { topicName: 'lines' }];
    const two = new Map<number, unknown>([
      [LIST_GROUPS.key, { groups: [group('c', 'consumer', 'Consumer')] }],
      [
        DESCRIBE_CONSUMER_GROUPS.key,
        { groups: [{ groupId: 'c', members: [{ assignment: { topicPartitions } }] }] },
      ],
    ]);
    expect(await topicConsumers(brokers([one, two, new Map()]))).toEqual(
      new Map([
        ['orders', { consumers: 4, groups: 3 }],
        ['lines', { consumers: 2, groups: 2 }],
      ]),
    );
  });

  it('is nobody where none may be asked', async () => {
    const listed = new Map<number, unknown>([[LIST_GROUPS.key, { groups: [group('a')] }]]);
    expect(await topicConsumers(brokers([listed, new Map()]))).toEqual(new Map());
  });

  it.each([
    ['empty', Buffer.alloc(0)],
    ['cut off', assigned(['orders', 3]).subarray(0, 12)],
    ['of a length below nothing', Buffer.from([0, 0, 0, 0, 0, 1, 255, 255])],
    ['of partitions without end', Buffer.from([0, 0, 0, 0, 0, 1, 0, 1, 65, 127, 255, 255, 255])],
  ])('is not told by an assignment that is %s', async (_, assignment) => {
    const answers = new Map<number, unknown>([
      [LIST_GROUPS.key, { groups: [group('a')] }],
      [DESCRIBE_GROUPS.key, { groups: [members('a', assignment)] }],
    ]);
    expect(await topicConsumers(brokers([answers]))).toEqual(new Map());
  });
});
