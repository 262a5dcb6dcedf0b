import { setTimeout as sleep } from 'node:timers/promises';
import type { RecordsBatch } from '@platformatic/kafka';
import { FETCH, LIST_OFFSETS } from './apis.ts';
import type { Cluster } from './cluster.ts';
import { asFault, checkCode, KAFKA, KafkaFault } from './errors.ts';

const READ_UNCOMMITTED = 0;
const READ_COMMITTED = 1;
const CONTROL = 1 << 5;
const TRANSACTIONAL = 1 << 4;
const FETCH_BYTES = 4 * 1024 * 1024;

export interface KafkaRecord {
  /** Exact up to 2^53. */
  readonly offset: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly (readonly [name: string, value: Uint8Array | null])[];
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
}

/** Reads one partition from an offset on, leaving out what was aborted. Throws KafkaFault. */
export class PartitionReader {
  readonly #cluster: Cluster;
  readonly #topic: string;
  readonly #partition: number;
  readonly #committed: boolean;
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

  /** What there is, waiting up to `maxWaitMs` where there is nothing. */
  async poll(maxWaitMs: number): Promise<readonly KafkaRecord[]> {
    const broker = this.#cluster.leader(this.#topic, this.#partition);
    const response = await this.#cluster.request(
      { broker, purpose: 'fetch' },
      FETCH,
      maxWaitMs,
      1,
      FETCH_BYTES,
      this.#committed ? READ_COMMITTED : READ_UNCOMMITTED,
      0,
      -1,
      [
        {
          topicId: this.#topic,
          partitions: [
            {
              partition: this.#partition,
              currentLeaderEpoch: -1,
              fetchOffset: BigInt(this.position),
              lastFetchedEpoch: -1,
              partitionMaxBytes: FETCH_BYTES,
            },
          ],
        },
      ],
      [],
      '',
    );
    checkCode(response.errorCode, 'Fetch');
    const part = response.responses[0]?.partitions[0];
    if (part === undefined) return [];
    if (part.errorCode === KAFKA.OFFSET_OUT_OF_RANGE) {
      // Retention has passed us by.
      this.position = Number(part.logStartOffset > 0n ? part.logStartOffset : 0n);
    }
    checkCode(part.errorCode, 'Fetch');
    const taken = takeRecords(part, { position: this.position, committed: this.#committed });
    this.position = taken.position;
    return taken.records;
  }
}

interface FetchedPart {
  readonly records?: readonly RecordsBatch[] | null | undefined;
  readonly abortedTransactions?:
    readonly { readonly producerId: bigint; readonly firstOffset: bigint }[] | null | undefined;
}

/** The records of a partition's part of a Fetch response from `position` on, and the offset behind them. */
export function takeRecords(
  part: FetchedPart,
  { position, committed }: { readonly position: number; readonly committed: boolean },
): { readonly records: readonly KafkaRecord[]; readonly position: number } {
  const aborted = (part.abortedTransactions ?? []).toSorted((a, b) => Number(a.firstOffset - b.firstOffset));
  const records: KafkaRecord[] = [];
  const aborting = new Set<bigint>();
  let behind = position;
  let next = 0;
  for (const batch of part.records ?? []) {
    const first = Number(batch.firstOffset);
    const last = first + batch.lastOffsetDelta;
    while (next < aborted.length && aborted[next]!.firstOffset <= BigInt(last))
      aborting.add(aborted[next++]!.producerId);
    if ((batch.attributes & CONTROL) !== 0) aborting.delete(batch.producerId);
    else if (!(committed && (batch.attributes & TRANSACTIONAL) !== 0 && aborting.has(batch.producerId))) {
      for (const record of batch.records) {
        const offset = first + record.offsetDelta;
        if (offset < position) continue;
        records.push({
          offset,
          key: record.key,
          value: record.value,
          headers: record.headers.map(([name, value]) => [name?.toString() ?? '', value] as const),
          timestamp: Number(batch.firstTimestamp + record.timestampDelta),
        });
      }
    }
    if (last >= behind) behind = last + 1;
  }
  return { records, position: behind };
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
      committed ? READ_COMMITTED : READ_UNCOMMITTED,
      [{ name: topic, partitions: [{ partitionIndex: partition, currentLeaderEpoch: -1, timestamp }] }],
    );
    const result = response.topics[0]?.partitions[0];
    checkCode(result?.errorCode ?? KAFKA.UNKNOWN_TOPIC_OR_PARTITION, 'ListOffsets');
    return Number(result!.offset);
  };
  const [start, end] = await Promise.all([ask(-2n), ask(-1n)]);
  return { start, end };
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
