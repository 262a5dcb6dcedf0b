/** What clients of statements ask of topics as a whole. */
export interface TopicAdmin extends AsyncDisposable {
  /** All that may be seen, in the order of their names; those of Kafka itself left out. */
  list(): Promise<readonly ListedTopic[]>;
  /** By topic, who consumes it in consumer groups; nothing where that may not be asked. */
  consumers(): Promise<ReadonlyMap<string, TopicConsumers>>;
  /** As the brokers call their cluster; empty where they do not. */
  clusterId(): Promise<string>;
  /** One that is not there is no error. Throws HeadwaterError where it may not be deleted. */
  delete(topic: string): Promise<void>;
}

export interface ListedTopic {
  readonly name: string;
  /** Of each partition. */
  readonly replicas: readonly number[];
}

export interface TopicConsumers {
  /** Members of groups that have partitions of it. */
  readonly consumers: number;
  readonly groups: number;
}
