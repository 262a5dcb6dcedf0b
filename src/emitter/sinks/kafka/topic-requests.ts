import { ConfigResourceTypes } from '@platformatic/kafka';
import { CREATE_TOPICS, DESCRIBE_CONFIGS } from './apis.ts';
import { ANY_BROKER, type Cluster, type MetadataResponse } from './cluster.ts';
import { SharedRequest } from './shared-request.ts';
import { TIMESTAMP_SETTINGS } from './topic-times.ts';

/** Brokers take longer for a request the more topics it makes, and metadata of these fit a response of some 100 KB. */
const TOPICS_A_REQUEST = 100;
const CREATE_TIMEOUT_MS = 30_000;
const DEFAULT_REPLICAS = 3;

export interface TopicPlan {
  readonly name: string;
  readonly partitions: number;
  readonly config: Readonly<Record<string, string>>;
  /** Instead of what the settings say. */
  readonly replicas?: number;
}

type MetadataTopic = MetadataResponse['topics'][number];

export interface CreateAnswer {
  /** Kafka's error code; 0 where the topic was created, or could be. */
  readonly code: number;
  /** The broker's text: names the setting or the policy that forbids it, and holds no data. */
  readonly message: string | null;
  readonly replicationFactor: number;
}

/** What is asked of single topics, in few requests: a database of thousands of tables opens thousands of topics. */
export class TopicRequests {
  readonly cluster: Cluster;
  readonly #metadata: SharedRequest<string, MetadataTopic | undefined>;
  readonly #operations: SharedRequest<string, MetadataTopic | undefined>;
  readonly #config: SharedRequest<string, ReadonlyMap<string, string>>;
  readonly #create: SharedRequest<TopicPlan, CreateAnswer>;
  readonly #validate: SharedRequest<TopicPlan, CreateAnswer>;

  constructor(cluster: Cluster) {
    this.cluster = cluster;
    const shared = <Question, Answer>(
      send: (questions: readonly Question[]) => Promise<readonly Answer[]>,
    ): SharedRequest<Question, Answer> => new SharedRequest(TOPICS_A_REQUEST, send);
    this.#metadata = shared((names) => this.#askMetadata(names, false));
    this.#operations = shared((names) => this.#askMetadata(names, true));
    this.#config = shared((names) => this.#askConfig(names));
    this.#create = shared((plans) => this.#askCreate(plans, false));
    this.#validate = shared((plans) => this.#askCreate(plans, true));
  }

  /** Undefined where the cluster says nothing of it. Remembers the leaders. Throws KafkaFault. */
  metadata(name: string): Promise<MetadataTopic | undefined> {
    return this.#metadata.ask(name);
  }

  /** As `metadata`, with the operations that the principal may do. */
  operations(name: string): Promise<MetadataTopic | undefined> {
    return this.#operations.ask(name);
  }

  /** Settings of a topic by name; empty where the principal may not see them. Throws KafkaFault. */
  config(name: string): Promise<ReadonlyMap<string, string>> {
    return this.#config.ask(name);
  }

  /** Creates a topic, or with `validateOnly` asks whether it could be. Throws KafkaFault. */
  create(plan: TopicPlan, validateOnly: boolean): Promise<CreateAnswer> {
    return (validateOnly ? this.#validate : this.#create).ask(plan);
  }

  async #askMetadata(
    names: readonly string[],
    operations: boolean,
  ): Promise<readonly (MetadataTopic | undefined)[]> {
    const { topics } = await this.cluster.metadata([...new Set(names)], operations);
    const byName = new Map(topics.map((topic) => [topic.name, topic]));
    return names.map((name) => byName.get(name));
  }

  async #askConfig(names: readonly string[]): Promise<readonly ReadonlyMap<string, string>[]> {
    const { results } = await this.cluster.request(
      { broker: ANY_BROKER, purpose: 'control' },
      DESCRIBE_CONFIGS,
      [...new Set(names)].map((resourceName) => ({
        resourceType: ConfigResourceTypes.TOPIC,
        resourceName,
        configurationKeys: ['max.message.bytes', 'cleanup.policy', ...TIMESTAMP_SETTINGS],
      })),
      false,
      false,
    );
    const byName = new Map<string, Map<string, string>>();
    for (const { resourceName, configs } of results) {
      const values = new Map<string, string>();
      for (const { name, value } of configs) if (typeof value === 'string') values.set(name, value);
      byName.set(resourceName, values);
    }
    return names.map((name) => byName.get(name) ?? new Map());
  }

  async #askCreate(plans: readonly TopicPlan[], validateOnly: boolean): Promise<readonly CreateAnswer[]> {
    const cluster = this.cluster;
    const { controllerId } = await cluster.metadata([]);
    const usual =
      cluster.options.replicationFactor ?? Math.max(1, Math.min(DEFAULT_REPLICAS, cluster.brokerIds.length));
    // The broker refuses a name that comes twice.
    const byName = new Map(plans.map((plan) => [plan.name, plan]));
    const { topics } = await cluster.request(
      { broker: cluster.brokerIds.includes(controllerId) ? controllerId : ANY_BROKER, purpose: 'control' },
      CREATE_TOPICS,
      [...byName.values()].map(({ name, partitions, config, replicas = usual }) => ({
        name,
        numPartitions: partitions,
        replicationFactor: replicas,
        assignments: [],
        configs: Object.entries(config).map(([key, value]) => ({ name: key, value })),
      })),
      CREATE_TIMEOUT_MS,
      validateOnly,
    );
    const answers = new Map(topics.map((topic) => [topic.name, topic]));
    return plans.map(({ name, replicas = usual }) => {
      const answer = answers.get(name);
      return {
        code: answer?.errorCode ?? 0,
        message: answer?.errorMessage ?? null,
        replicationFactor: replicas,
      };
    });
  }
}
