/** What the Kafka sink wants to know, with plain values: secrets and PEM texts have been read by then. */

import type { TopicRefusals } from '../../topic-refusals.ts';
import { stateTopic } from '../../topic-names.ts';

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';
export type Delivery = 'exactly-once' | 'at-least-once';
/** What happens to a record that its topic does not take: the pipeline stops, or a note goes to the dead-letter topic. */
export type Oversize = 'fail' | 'dead-letter';

export interface KafkaTls {
  /**
   * `verify-full` checks the certificate and the host name, `verify-ca` the certificate only, `require` nothing
   * (encryption against passive listeners alone).
   */
  readonly mode: 'off' | 'verify-full' | 'verify-ca' | 'require';
  /** PEM texts. Without `ca` the system's own roots are trusted. */
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface KafkaSasl {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER';
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** OAUTHBEARER: a token, or a function that gets a fresh one for each connection. */
  readonly token?: string | (() => string | Promise<string>) | undefined;
}

export interface KafkaConnectionOptions {
  /** `host:port`; IPv6 addresses in brackets. */
  readonly brokers: readonly string[];
  readonly clientId?: string | undefined;
  readonly tls?: KafkaTls | undefined;
  readonly sasl?: KafkaSasl | undefined;
  readonly connectTimeoutMs?: number | undefined;
  readonly requestTimeoutMs?: number | undefined;
}

export interface KafkaTopicOptions {
  /** Create topics that are missing (default true). */
  readonly create?: boolean | undefined;
  /** Partitions of a topic that is created (default 3). */
  readonly partitions?: number | undefined;
  /** Replicas of a topic that is created (default: 3, or as many as there are brokers). */
  readonly replicationFactor?: number | undefined;
  /** Further settings of topics that are created, e.g. `retention.ms`. */
  readonly config?: Readonly<Record<string, string>> | undefined;
}

export interface KafkaProducerOptions {
  /** Default lz4. */
  readonly compression?: Compression | undefined;
  /** A batch is sealed at this many bytes before compression (default 983,040; never above the topic's limit). */
  readonly batchBytes?: number | undefined;
  /** Bytes that may be appended and not yet acknowledged before `ready` asks to wait (default 4 MiB). */
  readonly maxPendingBytes?: number | undefined;
  /** How long a broker may be away before the attempt fails (default 2 minutes). */
  readonly deliveryTimeoutMs?: number | undefined;
  /** After this long the broker itself aborts an open transaction (default 2 minutes; at most 15 by the broker's own default). */
  readonly transactionTimeoutMs?: number | undefined;
}

export interface KafkaSinkOptions extends KafkaConnectionOptions {
  /** The pipeline's name. */
  readonly name: string;
  readonly delivery?: Delivery | undefined;
  readonly producer?: KafkaProducerOptions | undefined;
  readonly topics?: KafkaTopicOptions | undefined;
  readonly oversize?: Oversize | undefined;
  /** Default `<name>.dead-letter`. */
  readonly deadLetterTopic?: string | undefined;
  /** Default `headwater.<name>`. */
  readonly transactionalId?: string | undefined;
  /** Default `headwater.<name>.state`: compacted, one partition, one for each pipeline. */
  readonly stateTopic?: string | undefined;
  /** The consumer group whose membership is the lease; default `headwater.<name>`. */
  readonly groupId?: string | undefined;
  /** How long a silent holder keeps the lease (default 10 s; the broker's group.min.session.timeout.ms is the floor). */
  readonly sessionTimeoutMs?: number | undefined;
  /** What the sinks of this pipeline before this one met. */
  readonly refusals?: TopicRefusals | undefined;
}

/** All of it, with defaults filled in. */
export interface ResolvedKafkaOptions {
  readonly name: string;
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly tls: KafkaTls;
  readonly sasl: KafkaSasl | undefined;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly delivery: Delivery;
  readonly compression: Compression;
  readonly batchBytes: number;
  readonly maxPendingBytes: number;
  readonly deliveryTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  readonly createTopics: boolean;
  readonly partitions: number;
  readonly replicationFactor: number | null;
  readonly topicConfig: Readonly<Record<string, string>>;
  readonly oversize: Oversize;
  readonly deadLetterTopic: string;
  readonly transactionalId: string;
  readonly stateTopic: string;
  readonly groupId: string;
  readonly sessionTimeoutMs: number;
}

export function resolveKafkaOptions(options: KafkaSinkOptions): ResolvedKafkaOptions {
  const { producer = {}, topics = {}, name } = options;
  return {
    name,
    brokers: options.brokers,
    clientId: options.clientId ?? `headwater-${name}`,
    tls: options.tls ?? { mode: 'off' },
    sasl: options.sasl,
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
    delivery: options.delivery ?? 'exactly-once',
    compression: producer.compression ?? 'lz4',
    batchBytes: producer.batchBytes ?? 960 * 1024,
    maxPendingBytes: producer.maxPendingBytes ?? 4 * 1024 * 1024,
    deliveryTimeoutMs: producer.deliveryTimeoutMs ?? 120_000,
    transactionTimeoutMs: producer.transactionTimeoutMs ?? 120_000,
    createTopics: topics.create ?? true,
    partitions: topics.partitions ?? 3,
    replicationFactor: topics.replicationFactor ?? null,
    topicConfig: topics.config ?? {},
    oversize: options.oversize ?? 'fail',
    deadLetterTopic: options.deadLetterTopic ?? `${name}.dead-letter`,
    transactionalId: options.transactionalId ?? `headwater.${name}`,
    stateTopic: options.stateTopic ?? stateTopic(name),
    groupId: options.groupId ?? `headwater.${name}`,
    sessionTimeoutMs: options.sessionTimeoutMs ?? 10_000,
  };
}
