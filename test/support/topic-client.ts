import { setTimeout as sleep } from 'node:timers/promises';
import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs';
import { tailKafka } from '../../src/emitter/sinks/kafka/tail-kafka.ts';

export interface CommittedRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly timestamp: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Within which records are there, on a slow machine too; a test's own time-out would not say what it waited for. */
const PATIENCE_MS = 200_000;

/**
 * Waits until each partition's leader answers for it, which is a moment after the topic is there. kafkajs loses count of what it
 * sends where the first of it is refused.
 */
async function isLed(admin: Admin, topic: string, partitions: number): Promise<void> {
  for (const deadline = performance.now() + PATIENCE_MS; ;) {
    const led = await admin.fetchTopicOffsets(topic).then(
      (offsets) => offsets.length,
      () => 0,
    );
    if (led >= partitions) return;
    if (performance.now() > deadline)
      throw new Error(`${partitions} partitions of ${topic} were waited for, and ${led} have leaders`);
    await sleep(20);
  }
}

/** Another producer and consumer of the topics that statements read and write. */
export class TopicClient implements AsyncDisposable {
  readonly producer: Producer;
  readonly #brokers: string;
  readonly #kafka: Kafka;

  private constructor(brokers: string) {
    this.#brokers = brokers;
    this.#kafka = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING });
    // What it sends again, since it has heard no answer, is there once.
    this.producer = this.#kafka.producer({ idempotent: true });
  }

  static async connect(brokers: string): Promise<TopicClient> {
    const client = new TopicClient(brokers);
    await client.producer.connect();
    return client;
  }

  async createTopics(
    topics: readonly string[],
    numPartitions = 1,
    config: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    await this.#asAdmin(async (admin) => {
      await admin.createTopics({
        // It gives up where a topic is not known at once.
        waitForLeaders: false,
        topics: topics.map((topic) => ({ topic, numPartitions, configEntries })),
      });
      for (const topic of topics) await isLed(admin, topic, numPartitions);
    });
  }

  async addPartitions(topic: string, count: number): Promise<void> {
    await this.#asAdmin(async (admin) => {
      await admin.createPartitions({ topicPartitions: [{ topic, count }] });
      await isLed(admin, topic, count);
    });
  }

  /** Of its first partition, all in front of that offset. */
  async deleteRecords(topic: string, before: number): Promise<void> {
    await this.#asAdmin(async (admin) => {
      // Without it the client does not know the topic's leaders.
      await admin.fetchTopicOffsets(topic);
      await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(before) }] });
    });
  }

  async #asAdmin(action: (admin: Admin) => Promise<void>): Promise<void> {
    const admin = this.#kafka.admin();
    await admin.connect();
    await action(admin);
    await admin.disconnect();
  }

  /** A topic's committed records from its beginning, until there are enough. */
  async read(
    topic: string,
    enough: (records: readonly CommittedRecord[]) => boolean,
  ): Promise<readonly CommittedRecord[]> {
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, AbortSignal.timeout(PATIENCE_MS)]);
    const records: CommittedRecord[] = [];
    const options = { brokers: [this.#brokers], topics: [topic], fromBeginning: true };
    const bytesOf = (bytes: Uint8Array | null): Buffer | null => (bytes === null ? null : Buffer.from(bytes));
    for await (const { key, value, timestamp, headers } of tailKafka(options, signal)) {
      const named = headers.map(([name, text]) => [name, Buffer.from(text ?? []).toString()] as const);
      records.push({
        key: bytesOf(key),
        value: bytesOf(value),
        timestamp,
        headers: Object.fromEntries(named),
      });
      if (enough(records)) stop.abort();
    }
    if (stop.signal.aborted) return records;
    const values = records.map(({ value }) => value?.toString() ?? null);
    throw new Error(`${topic} has ${records.length} records, and more were waited for: ${values.join(' ')}`);
  }

  /** The first so many. */
  async first(topic: string, count: number): Promise<readonly CommittedRecord[]> {
    return this.read(topic, ({ length }) => length === count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.producer.disconnect();
  }
}
