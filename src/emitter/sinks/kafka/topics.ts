import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigResourceTypes } from '@platformatic/kafka';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { CREATE_TOPICS, DESCRIBE_CONFIGS } from './apis.ts';
import { NOT_TOLD } from './authorized-operations.ts';
import { ANY_BROKER, type Cluster } from './cluster.ts';
import { asFault, type FaultContext, faultToError, KAFKA, KafkaFault } from './errors.ts';
import { murmur2 } from './murmur2.ts';
import { type KafkaTopic, PartitionQueue } from './partition-queue.ts';

/** The broker's default message.max.bytes, where it does not tell. */
const DEFAULT_MAX_MESSAGE_BYTES = 1_048_588;
const DEFAULT_REPLICAS = 3;
/** A topic that has just been created has its leaders within milliseconds, or not for a reason. */
const SETTLE_MS = 15_000;

export interface TopicPlan {
  readonly name: string;
  readonly partitions: number;
  readonly config: Readonly<Record<string, string>>;
  /** Instead of what the settings say. */
  readonly replicas?: number;
}

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
export function recordTopicPlan(cluster: Cluster, name: string, compacted = false): TopicPlan {
  return {
    name,
    partitions: cluster.options.partitions,
    config: {
      'cleanup.policy': 'delete',
      ...cluster.options.topicConfig,
      ...(compacted ? { 'cleanup.policy': 'compact' } : {}),
    },
  };
}

/** The topic, created where it is missing. Throws HeadwaterError. */
export async function openTopic(cluster: Cluster, plan: TopicPlan, signal: AbortSignal): Promise<KafkaTopic> {
  return (await findTopic(cluster, plan, { create: true }, signal))!;
}

/** The topic; where it is missing, created or null. Throws HeadwaterError. */
export async function findTopic(
  cluster: Cluster,
  plan: TopicPlan,
  { create }: { readonly create: boolean },
  signal: AbortSignal,
): Promise<KafkaTopic | null> {
  const context = contextFor(cluster, `Opening topic ${plan.name}`, plan.name);
  const deadline = Date.now() + SETTLE_MS;
  let created = false;
  for (;;) {
    signal.throwIfAborted();
    try {
      const partitions = await leaders(cluster, plan.name);
      if (partitions !== null) {
        const limit = (await topicConfig(cluster, plan.name)).get('max.message.bytes');
        return toTopic(
          plan.name,
          partitions,
          limit === undefined ? DEFAULT_MAX_MESSAGE_BYTES : Number(limit),
        );
      }
      if (!created) {
        if (!cluster.options.createTopics) throw missing(cluster, plan);
        const isNew = (await createTopic(cluster, plan, !create)) === 'created';
        // A broker that has just started may not know of topics that exist; the controller does.
        if (!create && isNew) return null;
        created = true;
      }
    } catch (error) {
      if (error instanceof HeadwaterError) throw error;
      const fault = asFault(error, 'the cluster');
      if (!fault.retriable || Date.now() > deadline) throw faultToError(fault, context);
    }
    await sleep(created ? 15 : 100, undefined, { signal });
  }
}

/** Number of partitions, or null where the topic does not exist. Throws KafkaFault while leaders are missing. */
async function leaders(cluster: Cluster, name: string): Promise<number | null> {
  const response = await cluster.metadata([name]);
  const topic = response.topics[0];
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

function toTopic(name: string, count: number, maxMessageBytes: number): KafkaTopic {
  const partitions = Array.from(
    { length: count },
    (_, index) => new PartitionQueue(name, index, maxMessageBytes),
  );
  const keyless = partitions[(murmur2(Buffer.from(name)) & 0x7fffffff) % count]!;
  return { name, partitions, keyless, maxMessageBytes };
}

/** Settings of a topic by name; empty where the principal may not see them. */
export async function topicConfig(cluster: Cluster, name: string): Promise<ReadonlyMap<string, string>> {
  const response = await cluster.request(
    { broker: ANY_BROKER, purpose: 'control' },
    DESCRIBE_CONFIGS,
    [
      {
        resourceType: ConfigResourceTypes.TOPIC,
        resourceName: name,
        configurationKeys: ['max.message.bytes', 'cleanup.policy'],
      },
    ],
    false,
    false,
  );
  const values = new Map<string, string>();
  for (const result of response.results) {
    for (const config of result.configs)
      if (typeof config.value === 'string') values.set(config.name, config.value);
  }
  return values;
}

/** Creates a topic, or with `validateOnly` asks whether it could be. */
export async function createTopic(
  cluster: Cluster,
  plan: TopicPlan,
  validateOnly: boolean,
): Promise<'created' | 'existed'> {
  const replicationFactor =
    plan.replicas ??
    cluster.options.replicationFactor ??
    Math.max(1, Math.min(DEFAULT_REPLICAS, cluster.brokerIds.length));
  const { controllerId } = await cluster.metadata([]);
  const response = await cluster.request(
    { broker: cluster.brokerIds.includes(controllerId) ? controllerId : ANY_BROKER, purpose: 'control' },
    CREATE_TOPICS,
    [
      {
        name: plan.name,
        numPartitions: plan.partitions,
        replicationFactor,
        assignments: [],
        configs: Object.entries(plan.config).map(([name, value]) => ({ name, value })),
      },
    ],
    30_000,
    validateOnly,
  );
  const result = response.topics[0];
  const code = result?.errorCode ?? 0;
  if (code === 0) return 'created';
  if (code === KAFKA.TOPIC_ALREADY_EXISTS) return 'existed';
  const fault = new KafkaFault('broker', code, `creating topic ${plan.name} answered Kafka error ${code}`);
  if (fault.retriable) throw fault;
  const context = contextFor(cluster, `Creating topic ${plan.name}`, plan.name);
  if (code === KAFKA.TOPIC_AUTHORIZATION_FAILED || code === KAFKA.CLUSTER_AUTHORIZATION_FAILED) {
    throw faultToError(new KafkaFault('broker', KAFKA.TOPIC_AUTHORIZATION_FAILED, fault.message), context);
  }
  // The broker's text names the setting or the policy that forbids it, and holds no data.
  throw new HeadwaterError(
    'delivery.topic-invalid',
    `Kafka refuses to create topic ${plan.name}: ${result?.errorMessage ?? `error ${code}`}`,
    {
      details: { topic: plan.name, kafkaError: code, partitions: plan.partitions, replicationFactor },
    },
  );
}

/** What is true of the topic, in a sentence. Throws where it can neither be written nor created; changes nothing. */
export async function checkTopic(cluster: Cluster, plan: TopicPlan, needed: number): Promise<string> {
  const response = await cluster.metadata([plan.name], true);
  const topic = response.topics[0];
  if (topic === undefined || topic.errorCode === KAFKA.UNKNOWN_TOPIC_OR_PARTITION) {
    if (!cluster.options.createTopics) throw missing(cluster, plan);
    await createTopic(cluster, plan, true);
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
export async function checkStateTopic(cluster: Cluster): Promise<void> {
  const name = cluster.options.stateTopic;
  const policy = (await topicConfig(cluster, name)).get('cleanup.policy');
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
  return new HeadwaterError(
    'delivery.topic-missing',
    `Topic ${name}, which a statement of enrich.sql reads, does not exist.`,
    {
      details: { topic: name },
      fix: `Correct KAFKA_TOPIC, write PARTITIONS beside it to have it made, or: kafka-topics.sh --bootstrap-server ${cluster.options.brokers[0]} --create --topic ${name}`,
    },
  );
}

export function contextFor(cluster: Cluster, doing: string, topic?: string): FaultContext {
  const { brokers, sasl, groupId, transactionalId } = cluster.options;
  return { doing, topic, brokers, groupId, transactionalId, principal: sasl?.username };
}
