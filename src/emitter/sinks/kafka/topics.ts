import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { NOT_TOLD } from './authorized-operations.ts';
import type { TopicWish } from '../../sink.ts';
import type { Cluster } from './cluster.ts';
import { asFault, type FaultContext, faultToError, KAFKA, KafkaFault } from './errors.ts';
import { murmur2 } from './murmur2.ts';
import { type KafkaTopic, PartitionQueue } from './partition-queue.ts';
import type { TopicPlan, TopicRequests } from './topic-requests.ts';
import { TopicTimes } from './topic-times.ts';

/** The broker's default message.max.bytes, where it does not tell. */
const DEFAULT_MAX_MESSAGE_BYTES = 1_048_588;
/** A topic that has just been created has its leaders within milliseconds, or not for a reason. */
const SETTLE_MS = 15_000;

/** One partition, compacted, in small segments so that compaction and start-up stay quick. */
export function stateTopicPlan(cluster: Cluster): TopicPlan {
  return {
    name: cluster.options.stateTopic,
    partitions: 1,
    config: {
      'cleanup.policy': 'compact',
      'segment.bytes': String(16 * 1024 * 1024),
      'min.cleanable.dirty.ratio': '0.1',
    },
  };
}

/** `compacted`: the last record of each key is kept, whatever the settings say of other topics. */
export function recordTopicPlan(
  cluster: Cluster,
  name: string,
  { compacted = false, wish }: { readonly compacted?: boolean; readonly wish?: TopicWish | undefined } = {},
): TopicPlan {
  const replicas = wish?.replicas ?? null;
  return {
    name,
    partitions: wish?.partitions ?? cluster.options.partitions,
    ...(replicas === null ? {} : { replicas }),
    config: {
      'cleanup.policy': 'delete',
      ...cluster.options.topicConfig,
      ...(compacted ? { 'cleanup.policy': 'compact' } : {}),
      ...wish?.config,
    },
  };
}

/** The topic, created where it is missing. Throws HeadwaterError. */
export async function openTopic(
  requests: TopicRequests,
  plan: TopicPlan,
  signal: AbortSignal,
): Promise<KafkaTopic> {
  return (await findTopic(requests, plan, { create: true }, signal))!;
}

/** The topic; where it is missing, created or null. Throws HeadwaterError. */
export async function findTopic(
  requests: TopicRequests,
  plan: TopicPlan,
  { create }: { readonly create: boolean },
  signal: AbortSignal,
): Promise<KafkaTopic | null> {
  const { cluster } = requests;
  const context = contextFor(cluster, `Opening topic ${plan.name}`, plan.name);
  const deadline = performance.now() + SETTLE_MS;
  let created = false;
  for (;;) {
    signal.throwIfAborted();
    try {
      const partitions = await leaders(requests, plan.name);
      if (partitions !== null) {
        return toTopic(plan.name, partitions, await requests.config(plan.name));
      }
      if (!created) {
        if (!cluster.options.createTopics) throw missing(cluster, plan);
        const isNew = (await createTopic(requests, plan, !create)) === 'created';
        // A broker that has just started may not know of topics that exist; the controller does.
        if (!create && isNew) return null;
        created = true;
      }
    } catch (error) {
      if (error instanceof HeadwaterError) throw error;
      const fault = asFault(error, 'the cluster');
      if (!fault.retriable || performance.now() > deadline) throw faultToError(fault, context);
    }
    await sleep(created ? 15 : 100, undefined, { signal });
  }
}

/** Number of partitions, or null where the topic does not exist. Throws KafkaFault while leaders are missing. */
async function leaders(requests: TopicRequests, name: string): Promise<number | null> {
  const topic = await requests.metadata(name);
  if (topic === undefined || topic.errorCode === KAFKA.UNKNOWN_TOPIC_OR_PARTITION) return null;
  if (topic.errorCode !== 0) throw new KafkaFault('broker', topic.errorCode, `topic ${name}`);
  const waiting = topic.partitions.some(
    (each) => each.errorCode === KAFKA.LEADER_NOT_AVAILABLE || each.leaderId < 0,
  );
  if (waiting || topic.partitions.length === 0) {
    throw new KafkaFault(
      'broker',
      KAFKA.LEADER_NOT_AVAILABLE,
      `topic ${name} has a partition without a leader`,
    );
  }
  return topic.partitions.length;
}

function toTopic(name: string, count: number, settings: ReadonlyMap<string, string>): KafkaTopic {
  const limit = settings.get('max.message.bytes');
  const maxMessageBytes = limit === undefined ? DEFAULT_MAX_MESSAGE_BYTES : Number(limit);
  const times = new TopicTimes(settings);
  const partitions = Array.from(
    { length: count },
    (_, index) => new PartitionQueue(name, index, { maxMessageBytes, times }),
  );
  const keyless = partitions[(murmur2(Buffer.from(name)) & 0x7fffffff) % count]!;
  return { name, partitions, keyless, maxMessageBytes };
}

/** Creates a topic, or with `validateOnly` asks whether it could be. */
async function createTopic(
  requests: TopicRequests,
  plan: TopicPlan,
  validateOnly: boolean,
): Promise<'created' | 'existed'> {
  const { code, message, replicationFactor } = await requests.create(plan, validateOnly);
  if (code === 0) return 'created';
  if (code === KAFKA.TOPIC_ALREADY_EXISTS) return 'existed';
  const fault = new KafkaFault('broker', code, `creating topic ${plan.name} answered Kafka error ${code}`);
  if (fault.retriable) throw fault;
  const { cluster } = requests;
  const context = contextFor(cluster, `Creating topic ${plan.name}`, plan.name);
  if (code === KAFKA.TOPIC_AUTHORIZATION_FAILED || code === KAFKA.CLUSTER_AUTHORIZATION_FAILED) {
    throw faultToError(new KafkaFault('broker', KAFKA.TOPIC_AUTHORIZATION_FAILED, fault.message), context);
  }
  throw new HeadwaterError(
    'delivery.topic-invalid',
    `Kafka refuses to create topic ${plan.name}: ${message ?? `error ${code}`}`,
    {
      details: { topic: plan.name, kafkaError: code, partitions: plan.partitions, replicationFactor },
    },
  );
}

/** What is true of the topic, in a sentence. Throws where it can neither be written nor created; changes nothing. */
export async function checkTopic(requests: TopicRequests, plan: TopicPlan, needed: number): Promise<string> {
  const { cluster } = requests;
  const topic = await requests.operations(plan.name);
  if (topic === undefined || topic.errorCode === KAFKA.UNKNOWN_TOPIC_OR_PARTITION) {
    if (!cluster.options.createTopics) throw missing(cluster, plan);
    await createTopic(requests, plan, true);
    return `Topic ${plan.name} does not exist yet and can be created.`;
  }
  if (topic.errorCode !== 0) throw topicFault(cluster, plan.name, topic.errorCode);
  const operations = topic.topicAuthorizedOperations;
  if (operations !== NOT_TOLD && (operations & needed) !== needed)
    throw topicFault(cluster, plan.name, KAFKA.TOPIC_AUTHORIZATION_FAILED);
  return `Topic ${plan.name} exists with ${topic.partitions.length} partition(s) and can be written.`;
}

function topicFault(cluster: Cluster, name: string, code: number): HeadwaterError {
  return faultToError(
    new KafkaFault('broker', code, `topic ${name}`),
    contextFor(cluster, `Looking at topic ${name}`, name),
  );
}

/** The state topic must keep the last value of every key for ever. */
export async function checkStateTopic(requests: TopicRequests): Promise<void> {
  const { cluster } = requests;
  const name = cluster.options.stateTopic;
  const policy = (await requests.config(name)).get('cleanup.policy');
  if (policy === undefined || policy === 'compact') return;
  throw new HeadwaterError(
    'delivery.topic-invalid',
    `Topic ${name} keeps the pipeline's position but has cleanup.policy=${policy}, so it would be forgotten.`,
    {
      fix: `kafka-configs.sh --bootstrap-server ${cluster.options.brokers[0]} --alter --topic ${name} --add-config cleanup.policy=compact`,
    },
  );
}

function missing(cluster: Cluster, plan: TopicPlan): HeadwaterError {
  const config = Object.entries(plan.config)
    .map(([name, value]) => ` --config ${name}=${value}`)
    .join('');
  return new HeadwaterError(
    'delivery.topic-missing',
    `Topic ${plan.name} does not exist and emit.kafka.topics.create is false.`,
    {
      details: { topic: plan.name },
      fix: `kafka-topics.sh --bootstrap-server ${cluster.options.brokers[0]} --create --topic ${plan.name} --partitions ${plan.partitions}${config}`,
    },
  );
}

/** Of a topic that is to be read. */
export function missingInput(cluster: Cluster, name: string): HeadwaterError {
  return new HeadwaterError('delivery.topic-missing', `Topic ${name} does not exist.`, {
    details: { topic: name },
    fix: `Correct KAFKA_TOPIC, write PARTITIONS beside it to have it made, or: kafka-topics.sh --bootstrap-server ${cluster.options.brokers[0]} --create --topic ${name}`,
  });
}

/** What an error of a request says beside its code. */
export function contextFor(cluster: Cluster, doing: string, topic?: string): FaultContext {
  const { brokers, sasl, groupId, transactionalId } = cluster.options;
  return { doing, topic, brokers, groupId, transactionalId, principal: sasl?.username };
}
