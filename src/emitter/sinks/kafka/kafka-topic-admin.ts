import type { ListedTopic, TopicAdmin, TopicConsumers } from '../../topic-admin.ts';
import { DELETE_TOPICS } from './apis.ts';
import { ANY_BROKER, Cluster } from './cluster.ts';
import { asFault, checkCode, faultToError, KAFKA } from './errors.ts';
import { type KafkaSinkOptions, resolveKafkaOptions } from './options.ts';
import { topicConsumers } from './topic-consumers.ts';
import { contextFor } from './topics.ts';

const DELETE_TIMEOUT_MS = 30_000;

/** Connects when first asked for something. */
export function kafkaTopicAdmin(options: KafkaSinkOptions): TopicAdmin {
  return new KafkaTopicAdmin(new Cluster(resolveKafkaOptions(options)));
}

class KafkaTopicAdmin implements TopicAdmin {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  list(): Promise<readonly ListedTopic[]> {
    return this.#mapping('Listing topics', async () => {
      const { topics } = await this.#cluster.allTopics();
      return topics
        .flatMap(({ name, isInternal, partitions }): ListedTopic[] =>
          name == null || isInternal
            ? []
            : [{ name, replicas: partitions.map(({ replicaNodes }) => replicaNodes.length) }],
        )
        .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  consumers(): Promise<ReadonlyMap<string, TopicConsumers>> {
    return this.#mapping('Looking at consumer groups', async () => {
      // So the brokers are known.
      await this.#cluster.metadata([]);
      return topicConsumers(this.#cluster);
    });
  }

  clusterId(): Promise<string> {
    return this.#mapping(
      'Asking for the cluster',
      async () => (await this.#cluster.metadata([])).clusterId ?? '',
    );
  }

  async delete(topic: string): Promise<void> {
    await this.#mapping(`Deleting topic ${topic}`, async () => {
      const cluster = this.#cluster;
      const { controllerId } = await cluster.metadata([]);
      const { responses } = await cluster.request(
        { broker: cluster.brokerIds.includes(controllerId) ? controllerId : ANY_BROKER, purpose: 'control' },
        DELETE_TOPICS,
        [{ name: topic, topicId: null }],
        DELETE_TIMEOUT_MS,
      );
      const code = responses[0]?.errorCode ?? 0;
      if (code !== KAFKA.UNKNOWN_TOPIC_OR_PARTITION) checkCode(code, 'DeleteTopics');
    });
  }

  async #mapping<T>(doing: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw faultToError(asFault(error, 'the broker'), contextFor(this.#cluster, doing));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster[Symbol.asyncDispose]();
  }
}
