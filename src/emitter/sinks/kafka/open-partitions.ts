import { DESCRIBE_PRODUCERS } from './apis.ts';
import type { Cluster, MetadataResponse } from './cluster.ts';
import { asFault, KAFKA, KafkaFault } from './errors.ts';

export interface TopicPartitions {
  readonly name: string;
  readonly partitions: number[];
}

/** A response tells some 50 bytes of each producer of a partition. */
const PARTITIONS_A_REQUEST = 2_000;

/**
 * The partitions in which a producer's transaction is open, among those of `topics`, or of all topics that the
 * principal may read. Brokers before Kafka 3.0 have nothing to say. Throws KafkaFault, also where a partition has no
 * leader, unless those are to be left out.
 */
export async function openPartitions(
  cluster: Cluster,
  producerId: bigint,
  { topics, leaveOut }: { readonly topics?: readonly string[]; readonly leaveOut: boolean },
): Promise<readonly TopicPartitions[]> {
  const metadata = topics === undefined ? await cluster.allTopics() : await cluster.metadata(topics);
  const waiting = metadata.topics.find(({ partitions }) => partitions.some(({ leaderId }) => leaderId < 0));
  if (waiting !== undefined && !leaveOut) {
    throw new KafkaFault(
      'broker',
      KAFKA.LEADER_NOT_AVAILABLE,
      `A partition of ${waiting.name} has no leader`,
    );
  }
  const open: TopicPartitions[] = [];
  for (const [broker, partitions] of byLeader(metadata)) {
    for (let at = 0; at < partitions.length; at += PARTITIONS_A_REQUEST) {
      const asked = grouped(partitions.slice(at, at + PARTITIONS_A_REQUEST));
      const answer = await cluster
        .request({ broker, purpose: 'control' }, DESCRIBE_PRODUCERS, asked)
        .catch((error: unknown) => {
          const fault = asFault(error, `broker ${broker}`);
          if (fault.code === KAFKA.UNSUPPORTED_VERSION) return { topics: [] };
          throw fault;
        });
      for (const topic of answer.topics) {
        const found: number[] = [];
        for (const { partitionIndex, errorCode, activeProducers } of topic.partitions) {
          if (errorCode === KAFKA.NOT_LEADER_OR_FOLLOWER)
            throw new KafkaFault(
              'broker',
              errorCode,
              `partition ${partitionIndex} of ${topic.name} has moved`,
            );
          if (
            activeProducers.some((each) => each.producerId === producerId && each.currentTxnStartOffset >= 0n)
          )
            found.push(partitionIndex);
        }
        if (found.length > 0) open.push({ name: topic.name, partitions: found });
      }
    }
  }
  return open;
}

type Partition = readonly [topic: string, index: number];

function byLeader({ topics }: MetadataResponse): ReadonlyMap<number, readonly Partition[]> {
  const leaders = new Map<number, Partition[]>();
  for (const { name, isInternal, partitions } of topics) {
    if (name == null || isInternal) continue;
    for (const { partitionIndex, leaderId } of partitions) {
      if (leaderId < 0) continue;
      const led = leaders.get(leaderId);
      if (led === undefined) leaders.set(leaderId, [[name, partitionIndex]]);
      else led.push([name, partitionIndex]);
    }
  }
  return leaders;
}

function grouped(partitions: readonly Partition[]): { name: string; partitionIndexes: number[] }[] {
  const topics = new Map<string, number[]>();
  for (const [name, index] of partitions) {
    const indexes = topics.get(name);
    if (indexes === undefined) topics.set(name, [index]);
    else indexes.push(index);
  }
  return [...topics].map(([name, partitionIndexes]) => ({ name, partitionIndexes }));
}
