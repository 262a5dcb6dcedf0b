import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { Cluster } from './cluster.ts';
import { asFault, faultToError, KAFKA, KafkaFault } from './errors.ts';
import { type KafkaConnectionOptions, resolveKafkaOptions } from './options.ts';
import type { KafkaRecord } from './fetched-batches.ts';
import { offsetRange, PartitionReader } from './partition-reader.ts';
import { contextFor } from './topics.ts';

export interface TailKafkaOptions extends KafkaConnectionOptions {
  /** Names, or a pattern that topics are matched against also when they appear later. */
  readonly topics: readonly string[] | RegExp;
  /** False: only what is committed from now on. */
  readonly fromBeginning: boolean;
  /** Ends with what was committed when it began, instead of waiting for more. */
  readonly untilEnd?: boolean;
  /** Pause after a look that found nothing, 50 unless given: a record is seen that much later. */
  readonly idleMs?: number;
}

export interface TailRecord extends KafkaRecord {
  readonly topic: string;
  readonly partition: number;
}

/** How often topics and leaders are looked up again. */
const REFRESH_MS = 5000;
const IDLE_MS = 50;
/** After a look-up that could not see everything: a partition without a leader, a broker that is away. */
const RETRY_MS = 500;

/**
 * Committed records of some topics, in order within each partition, until `signal` aborts. Belongs to no
 * consumer group and leaves no trace. Throws HeadwaterError.
 */
export async function* tailKafka(options: TailKafkaOptions, signal: AbortSignal): AsyncIterable<TailRecord> {
  const {
    topics: _topics,
    fromBeginning: _fromBeginning,
    untilEnd = false,
    idleMs = IDLE_MS,
    ...connection
  } = options;
  const cluster = new Cluster(resolveKafkaOptions({ ...connection, name: 'tail' }));
  const readers = new Map<string, TailedPartition>();
  let whole = false;
  let refreshAt = 0;
  let first = true;
  try {
    while (!signal.aborted) {
      if (performance.now() >= refreshAt) {
        whole = await refresh(cluster, options, {
          readers,
          fromBeginning: options.fromBeginning || !first,
          patient: !first,
        });
        first = false;
        refreshAt = performance.now() + (whole ? REFRESH_MS : RETRY_MS);
      }
      let idle = true;
      for (const { topic, partition, reader } of readers.values()) {
        if (signal.aborted) return;
        for (const record of await pollOnce(reader)) {
          idle = false;
          yield { topic, partition, ...record };
        }
      }
      if (untilEnd && whole && [...readers.values()].every(({ reader, end }) => reader.position >= end))
        return;
      if (idle) await sleep(idleMs, undefined, { signal }).catch(() => {});
    }
  } catch (error) {
    if (signal.aborted) return;
    throw faultToError(asFault(error, 'the cluster'), contextFor(cluster, 'Reading from Kafka'));
  } finally {
    await cluster[Symbol.asyncDispose]();
  }
}

/** Nothing while the partition is between leaders; the next refresh finds the new one. */
async function pollOnce(reader: PartitionReader): Promise<readonly KafkaRecord[]> {
  try {
    return await reader.poll(0);
  } catch (error) {
    const fault = asFault(error, 'the broker');
    if (!fault.retriable && fault.code !== KAFKA.OFFSET_OUT_OF_RANGE) throw fault;
    await sleep(IDLE_MS);
    return [];
  }
}

interface TailedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly reader: PartitionReader;
  /** Behind what was committed when it was found. */
  readonly end: number;
}

interface TailState {
  readonly readers: Map<string, TailedPartition>;
  readonly fromBeginning: boolean;
  /** Once the cluster has answered, one that is away is waited for. */
  readonly patient: boolean;
}

/** False where not all could be looked up just now. */
async function refresh(cluster: Cluster, options: TailKafkaOptions, state: TailState): Promise<boolean> {
  try {
    return await addReaders(cluster, options, state);
  } catch (error) {
    if (error instanceof HeadwaterError) throw error;
    const fault = asFault(error, 'the cluster');
    if (!fault.retriable || (fault.kind === 'network' && !state.patient)) throw fault;
    return false;
  }
}

async function addReaders(cluster: Cluster, options: TailKafkaOptions, state: TailState): Promise<boolean> {
  const { topics } = options;
  let whole = true;
  const response = topics instanceof RegExp ? await cluster.allTopics() : await cluster.metadata(topics);
  for (const { name, errorCode, isInternal, partitions } of response.topics) {
    if (name == null) continue;
    if (errorCode === KAFKA.TOPIC_AUTHORIZATION_FAILED) {
      throw faultToError(
        new KafkaFault('broker', errorCode, `topic ${name}`),
        contextFor(cluster, 'Reading from Kafka', name),
      );
    }
    if (errorCode !== 0 || (topics instanceof RegExp && (isInternal || !topics.test(name)))) continue;
    for (const { partitionIndex: partition, leaderId } of partitions) {
      const key = `${name}/${partition}`;
      if (state.readers.has(key)) continue;
      if (leaderId < 0) {
        whole = false;
        continue;
      }
      const range = await offsetRange(cluster, name, partition, true);
      const position = state.fromBeginning ? range.start : range.end;
      state.readers.set(key, {
        topic: name,
        partition,
        end: range.end,
        reader: new PartitionReader({ cluster, topic: name, partition, position, committed: true }),
      });
    }
  }
  return whole;
}
