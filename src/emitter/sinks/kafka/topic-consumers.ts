/** Who consumes which topic, as far as the consumer groups of a cluster tell. */
import type { TopicConsumers } from '../../topic-admin.ts';
import { DESCRIBE_CONSUMER_GROUPS, DESCRIBE_GROUPS, LIST_GROUPS } from './apis.ts';
import { ByteCursor, Malformed } from './byte-cursor.ts';
import type { Cluster } from './cluster.ts';
import { KafkaFault } from './errors.ts';

/** What members of groups say that they are. */
const CONSUMERS = 'consumer';

/** Topics of each member. */
type Group = readonly ReadonlySet<string>[];

/**
 * By topic, those that have partitions of it now. Each broker tells of the groups that it coordinates, and of those
 * alone that the principal may see: what cannot be asked counts nothing.
 */
export async function topicConsumers(
  cluster: Pick<Cluster, 'brokerIds' | 'request'>,
): Promise<ReadonlyMap<string, TopicConsumers>> {
  const told = await Promise.all(
    cluster.brokerIds.map((broker) =>
      groupsOf(cluster, broker).catch((error: unknown): readonly Group[] => {
        if (error instanceof KafkaFault) return [];
        throw error;
      }),
    ),
  );
  const counts = new Map<string, TopicConsumers>();
  for (const group of told.flat()) {
    const consumers = new Map<string, number>();
    for (const topics of group)
      for (const topic of topics) consumers.set(topic, (consumers.get(topic) ?? 0) + 1);
    for (const [topic, count] of consumers) {
      const known = counts.get(topic) ?? { consumers: 0, groups: 0 };
      counts.set(topic, { consumers: known.consumers + count, groups: known.groups + 1 });
    }
  }
  return counts;
}

async function groupsOf(cluster: Pick<Cluster, 'request'>, broker: number): Promise<readonly Group[]> {
  const to = { broker, purpose: 'control' } as const;
  const { groups } = await cluster.request(to, LIST_GROUPS, [], []);
  const ids = (newer: boolean): string[] =>
    groups.flatMap(({ groupId, protocolType, groupType }) =>
      protocolType === CONSUMERS && (groupType.toLowerCase() === CONSUMERS) === newer ? [groupId] : [],
    );
  const [classic, newer] = [ids(false), ids(true)];
  const found: Group[] = [];
  if (classic.length > 0) {
    const described = await cluster.request(to, DESCRIBE_GROUPS, classic, false);
    for (const { members } of described.groups)
      found.push(members.map(({ memberAssignment }) => assignedTopics(memberAssignment)));
  }
  if (newer.length > 0) {
    const described = await cluster.request(to, DESCRIBE_CONSUMER_GROUPS, newer, false);
    for (const { members } of described.groups)
      found.push(
        members.map(
          ({ assignment }) => new Set(assignment.topicPartitions.map(({ topicName }) => topicName)),
        ),
      );
  }
  return found;
}

/**
 * `version INT16, [topic STRING, [partition INT32]], user data`: ConsumerProtocolAssignment of Kafka's clients, which brokers
 * pass on as bytes. A client may have put anything there.
 */
function assignedTopics(assignment: Buffer): ReadonlySet<string> {
  const topics = new Set<string>();
  const cursor = new ByteCursor(assignment);
  try {
    cursor.int16();
    for (let left = cursor.int32(); left > 0; left--) {
      const topic = cursor.take(cursor.int16()).toString();
      const partitions = cursor.int32();
      cursor.skip(partitions * 4);
      if (partitions > 0) topics.add(topic);
    }
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
  }
  return topics;
}
