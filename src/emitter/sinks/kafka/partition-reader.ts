import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { LIST_OFFSETS } from './apis.ts';
import type { Cluster } from './cluster.ts';
import { asFault, checkCode, KAFKA, KafkaFault } from './errors.ts';
import { fetchParts, isolationLevel } from './fetch-request.ts';
import { FetchedRecords, type KafkaRecord, Room } from './fetched-batches.ts';

const FETCH_BYTES = 4 * 1024 * 1024;
/** What is made of an answer at a time: compressed, it can hold some hundred thousand records. */
const AT_A_TIME = { bytes: 16 * 1024 * 1024, items: 20_000 };

/** Reads one partition from an offset on, leaving out what was aborted. Throws KafkaFault. */
export class PartitionReader {
  readonly #cluster: Cluster;
  readonly #topic: string;
  readonly #partition: number;
  readonly #committed: boolean;
  /** The last answer, while there is more in it. */
  #answer: FetchedRecords | null = null;
  /** Offset of the next record to read. */
  position: number;

  constructor(options: {
    readonly cluster: Cluster;
    readonly topic: string;
    readonly partition: number;
    readonly position: number;
    /** False reads what is not, or never will be, committed too. */
    readonly committed: boolean;
  }) {
    this.#cluster = options.cluster;
    this.#topic = options.topic;
    this.#partition = options.partition;
    this.#committed = options.committed;
    this.position = options.position;
  }

  /** Some of what there is, waiting up to `maxWaitMs` where there is nothing. */
  async poll(maxWaitMs: number): Promise<readonly KafkaRecord[]> {
    let answer = this.#answer;
    this.#answer = null;
    // Whoever reads an answer of many portions leaves the process time for its lease.
    if (answer === null) answer = await this.#fetch(maxWaitMs);
    else await setImmediate();
    if (answer === null) return [];
    const records = answer.take(new Room(AT_A_TIME));
    this.position = answer.position;
    if (!answer.done) this.#answer = answer;
    return records;
  }

  async #fetch(maxWaitMs: number): Promise<FetchedRecords | null> {
    const broker = this.#cluster.leader(this.#topic, this.#partition);
    const [part] = await fetchParts(this.#cluster, broker, {
      topic: this.#topic,
      partitions: [{ partition: this.#partition, position: this.position }],
      committed: this.#committed,
      maxWaitMs,
      maxBytes: FETCH_BYTES,
      partitionMaxBytes: FETCH_BYTES,
    });
    if (part === undefined) return null;
    if (part.code === KAFKA.OFFSET_OUT_OF_RANGE) {
      // Retention has passed us by.
      this.position = Math.max(0, part.logStartOffset);
    }
    checkCode(part.code, 'Fetch');
    return new FetchedRecords(part, { position: this.position, committed: this.#committed });
  }
}

/** First offset, and the end up to which records are decided (`committed`) or replicated. */
export async function offsetRange(
  cluster: Cluster,
  topic: string,
  partition: number,
  committed: boolean,
): Promise<{ readonly start: number; readonly end: number }> {
  const ask = async (timestamp: bigint): Promise<number> => {
    const response = await cluster.request(
      { broker: cluster.leader(topic, partition), purpose: 'control' },
      LIST_OFFSETS,
      -1,
      isolationLevel(committed),
      [{ name: topic, partitions: [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp }] }],
    );
    const result = response.topics[0]?.partitions[0];
    checkCode(result?.errorCode ?? KAFKA.UNKNOWN_TOPIC_OR_PARTITION, 'ListOffsets');
    return Number(result!.offset);
  };
  const [start, end] = await Promise.all([ask(-2n), ask(-1n)]);
  return { start, end };
}

/** By partition: the end up to which records are replicated, decided or not. */
export async function writtenEnds(
  cluster: Cluster,
  topic: string,
  count: number,
): Promise<readonly number[]> {
  const leaders = Map.groupBy(Array.from({ length: count }).keys(), (index) => cluster.leader(topic, index));
  const ends: number[] = [];
  const asking = [...leaders].map(async ([broker, indexes]) => {
    const partitions = indexes.map((partitionIndex) => ({
      partitionIndex,
      currentLeaderEpoch: -1,
      timestamp: -1n,
    }));
    const { topics } = await cluster.request(
      { broker, purpose: 'control' },
      LIST_OFFSETS,
      -1,
      isolationLevel(false),
      [{ name: topic, partitions }],
    );
    const told = topics[0]?.partitions ?? [];
    for (const index of indexes) {
      const found = told.find(({ partitionIndex }) => partitionIndex === index);
      checkCode(found?.errorCode ?? KAFKA.UNKNOWN_TOPIC_OR_PARTITION, 'ListOffsets');
      ends[index] = Number(found!.offset);
    }
  });
  await Promise.all(asking);
  return ends;
}

/** Tries again, with fresh metadata, while the trouble is one that passes. */
export async function withFreshLeaders<T>(
  cluster: Cluster,
  topic: string,
  signal: AbortSignal,
  action: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + cluster.options.deliveryTimeoutMs;
  for (let wait = 20; ; wait = Math.min(wait * 2, 1000)) {
    signal.throwIfAborted();
    try {
      return await action();
    } catch (error) {
      const fault = asFault(error, 'the broker');
      if (!(fault instanceof KafkaFault) || !fault.retriable || performance.now() > deadline) throw fault;
      await sleep(wait, undefined, { signal });
      await cluster.metadata([topic]).catch(() => {});
    }
  }
}
