import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Log } from '../../../observability/log.ts';
import type { Fetched, NewTopic, TopicReader } from '../../topic-reader.ts';
import { ANY_BROKER, Cluster } from './cluster.ts';
import { asFault, checkCode, faultToError, KAFKA, type KafkaFault } from './errors.ts';
import { fetchParts } from './fetch-request.ts';
import { FetchedRecords, Room } from './fetched-batches.ts';
import { type KafkaSinkOptions, resolveKafkaOptions } from './options.ts';
import { offsetRange, withFreshLeaders, writtenEnds } from './partition-reader.ts';
import { TopicRequests } from './topic-requests.ts';
import { contextFor, findTopic, missingInput, openTopic } from './topics.ts';

/** Of each partition two answers may be at hand: where there are many these are smaller. */
const MOST_PARTITION_BYTES = 1024 * 1024;
const LEAST_PARTITION_BYTES = 256 * 1024;
const HELD_BYTES = 16 * 1024 * 1024;
const REQUEST_BYTES = 8 * 1024 * 1024;
/** How long a broker holds a request that finds nothing. */
const HOLD_MS = 500;
/** And while there is something to do: another partition may want to be asked for in the meantime. */
const BUSY_HOLD_MS = 20;
const REST_MS = 50;
/** How often it is looked whether the topic has got partitions. */
const LOOK_MS = 5_000;

/** Of a partition what is made of an answer at a time: compressed, it can hold some hundred thousand records. */
const AT_A_TIME = { bytes: 16 * 1024 * 1024, items: 256 };

interface Partition {
  /** Behind what has been handed over. */
  position: number;
  paused: boolean;
  /** One that is being handed over, or says that there is nothing, and the next. */
  answers: readonly Answer[];
}

interface Answer {
  readonly records: FetchedRecords;
  readonly lastStableOffset: number;
  /** When it was asked for, ms since the epoch. */
  readonly askedMs: number;
}

/** Connects when first asked for something; belongs to no consumer group. */
export function kafkaTopicReader(options: KafkaSinkOptions, log: Log): TopicReader {
  return new TopicConsumer(options, log);
}

/** All partitions of one topic, one request a broker under way. */
class TopicConsumer implements TopicReader {
  readonly #cluster: Cluster;
  readonly #log: Log;
  readonly #closing = new AbortController();
  #topic = '';
  #partitions: Partition[] = [];
  readonly #asking = new Map<number, Promise<void>>();
  /** Since when every request has failed. */
  #failingSince: number | null = null;
  #failure: HeadwaterError | null = null;
  /** Counts requests: each begins with another partition. */
  #turn = 0;
  #lookAt = Infinity;
  #looking: Promise<void> | null = null;

  constructor(options: KafkaSinkOptions, log: Log) {
    this.#cluster = new Cluster(resolveKafkaOptions(options));
    this.#log = log;
  }

  async open(topic: string, create: NewTopic | null): Promise<number> {
    this.#topic = topic;
    const { signal } = this.#closing;
    const requests = new TopicRequests(this.#cluster);
    if (create !== null) {
      const { partitions, replicas } = create;
      const plan = { name: topic, partitions, config: {}, ...(replicas === null ? {} : { replicas }) };
      return (await openTopic(requests, plan, signal)).partitions.length;
    }
    const plan = { name: topic, partitions: 1, config: {} };
    const found = await findTopic(requests, plan, { create: false }, signal);
    if (found === null) throw missingInput(this.#cluster, topic);
    return found.partitions.length;
  }

  range(partition: number): Promise<{ readonly start: number; readonly end: number }> {
    return this.#mapping(() =>
      withFreshLeaders(this.#cluster, this.#topic, this.#closing.signal, () =>
        offsetRange(this.#cluster, this.#topic, partition, true),
      ),
    );
  }

  written(): Promise<readonly number[]> {
    return this.#mapping(() =>
      withFreshLeaders(this.#cluster, this.#topic, this.#closing.signal, () =>
        writtenEnds(this.#cluster, this.#topic, this.#partitions.length),
      ),
    );
  }

  start(offsets: readonly number[]): void {
    this.#partitions = offsets.map((position) => ({ position, paused: false, answers: [] }));
    this.#lookAt = performance.now() + LOOK_MS;
  }

  pause(partition: number, paused: boolean): void {
    const found = this.#partitions[partition];
    if (found !== undefined) found.paused = paused;
  }

  async poll(maxWaitMs: number): Promise<readonly Fetched[]> {
    this.#throwIfFailed();
    if (performance.now() >= this.#lookAt) this.#looking ??= this.#look();
    this.#ask();
    if (this.#partitions.some(hasAnswer)) {
      // What has arrived is handed over in many calls: in between the process sees to its lease, and to the next answer.
      await setImmediate();
    } else {
      const timer = new AbortController();
      await Promise.race([
        ...this.#asking.values(),
        sleep(maxWaitMs, undefined, { signal: timer.signal }).catch(() => {}),
      ]);
      timer.abort();
    }
    this.#throwIfFailed();
    return this.#take();
  }

  #take(): readonly Fetched[] {
    const taken: Fetched[] = [];
    for (const [index, partition] of this.#partitions.entries()) {
      const [answer, next] = partition.answers;
      if (answer === undefined || partition.paused) continue;
      try {
        const records = answer.records.take(new Room(AT_A_TIME));
        const { position, done } = answer.records;
        const moved = position !== partition.position;
        partition.position = position;
        // Where not all could be read, the next does not follow it.
        if (done) partition.answers = next?.records.position === position ? [next] : [];
        const isEnd = partition.answers.length === 0 && position >= answer.lastStableOffset;
        const endAsOf = isEnd ? answer.askedMs : null;
        if (moved || isEnd) taken.push({ partition: index, records, position, endAsOf });
      } catch (error) {
        this.#fail(asFault(error, 'the broker'));
      }
    }
    return taken;
  }

  #throwIfFailed(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** Partitions that are added begin with records that nobody else will read: the caller has to begin anew with all. */
  async #look(): Promise<void> {
    try {
      const topic = await new TopicRequests(this.#cluster).metadata(this.#topic);
      const count = topic?.errorCode === 0 ? topic.partitions.length : 0;
      if (count > this.#partitions.length)
        this.#failure ??= new HeadwaterError(
          'enrich.partitions-added',
          `The topic ${this.#topic} has ${count} partitions, and had ${this.#partitions.length} when reading began.`,
          { details: { topic: this.#topic, partitions: count } },
        );
    } catch (error) {
      await this.#failed(error);
    } finally {
      this.#lookAt = performance.now() + LOOK_MS;
      this.#looking = null;
    }
  }

  #ask(): void {
    const leaders = new Map<number, number[]>();
    for (const [index, partition] of this.#partitions.entries()) {
      if (partition.paused || !mayAsk(partition)) continue;
      const leader = this.#cluster.leader(this.#topic, index);
      const list = leaders.get(leader);
      if (list === undefined) leaders.set(leader, [index]);
      else list.push(index);
    }
    for (const [leader, partitions] of leaders) {
      if (this.#asking.has(leader)) continue;
      const asking = (leader === ANY_BROKER ? this.#rest() : this.#fetch(leader, partitions))
        .catch((error: unknown) => this.#failed(error))
        .finally(() => this.#asking.delete(leader));
      this.#asking.set(leader, asking);
    }
  }

  get #partitionBytes(): number {
    const share = Math.floor(HELD_BYTES / (2 * this.#partitions.length));
    return Math.min(Math.max(share, LEAST_PARTITION_BYTES), MOST_PARTITION_BYTES);
  }

  async #fetch(broker: number, indexes: readonly number[]): Promise<void> {
    const asked = new Map(indexes.map((index) => [index, behind(this.#partitions[index]!)]));
    const askedMs = Date.now();
    const parts = await fetchParts(this.#cluster, broker, {
      topic: this.#topic,
      partitions: inTurn(indexes, this.#turn++).map((partition) => ({
        partition,
        position: asked.get(partition) ?? 0,
      })),
      committed: true,
      maxWaitMs: this.#partitions.some(isBusy) ? BUSY_HOLD_MS : HOLD_MS,
      maxBytes: REQUEST_BYTES,
      partitionMaxBytes: this.#partitionBytes,
    });
    let trouble: KafkaFault | null = null;
    for (const part of parts) {
      const partition = this.#partitions[part.partition];
      if (partition === undefined) continue;
      if (part.code === KAFKA.OFFSET_OUT_OF_RANGE) {
        await this.#outOfRange(part.partition, partition);
        continue;
      }
      try {
        checkCode(part.code, 'Fetch');
        const position = behind(partition);
        if (asked.get(part.partition) !== position) continue;
        const records = new FetchedRecords(part, { position, committed: true });
        const { lastStableOffset } = part;
        partition.answers = [...partition.answers, { records, lastStableOffset, askedMs }];
      } catch (error) {
        trouble = asFault(error, 'the broker');
      }
    }
    if (trouble !== null) throw trouble;
    this.#failingSince = null;
  }

  /** Retention has passed us by, or the topic has been made anew. */
  async #outOfRange(index: number, partition: Partition): Promise<void> {
    const { start, end } = await offsetRange(this.#cluster, this.#topic, index, true);
    // What was asked for lies behind what is at hand, and that is still to be handed over.
    if (partition.answers.length > 0) return;
    if (partition.position >= start && partition.position <= end) return;
    this.#log.warn(
      { topic: this.#topic, partition: index, offset: partition.position, first: start, end },
      'records of a topic are gone before they were read: reading goes on with the first that is there',
    );
    partition.position = start;
  }

  async #rest(): Promise<void> {
    await sleep(REST_MS, undefined, { signal: this.#closing.signal });
    await this.#cluster.metadata([this.#topic]);
  }

  async #failed(error: unknown): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const fault = asFault(error, 'the broker');
    const now = performance.now();
    this.#failingSince ??= now;
    const patience = this.#cluster.options.deliveryTimeoutMs;
    if (!fault.retriable || now - this.#failingSince > patience) this.#fail(fault);
    else await this.#rest().catch(() => {});
  }

  #fail(fault: KafkaFault): void {
    this.#failure = faultToError(fault, contextFor(this.#cluster, 'Reading from Kafka', this.#topic));
  }

  async #mapping<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (this.#closing.signal.aborted) throw error;
      const context = contextFor(this.#cluster, 'Reading from Kafka', this.#topic);
      throw faultToError(asFault(error, 'the broker'), context);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#cluster[Symbol.asyncDispose]();
    await Promise.all([...this.#asking.values(), this.#looking]);
  }
}

/** Whether there is something to hand over. */
function hasAnswer({ answers, paused }: Partition): boolean {
  return answers.length > 0 && !paused;
}

/** Whether it has brought something that is not worked off, so that the next may be asked for at any time. */
function isBusy({ answers, paused }: Partition): boolean {
  return answers.length > 0 || paused;
}

/** The next is asked for while one is handed over, unless that has found the end. */
function mayAsk({ answers: [answer, next] }: Partition): boolean {
  return answer === undefined || (next === undefined && !answer.records.done);
}

/** Offset of what is to be asked for next. */
function behind({ answers, position }: Partition): number {
  return answers.at(-1)?.records.end ?? position;
}

/** A broker fills its answer from the first partition on, and only the first gets a batch larger than its share. */
function inTurn(partitions: readonly number[], turn: number): readonly number[] {
  const first = turn % partitions.length;
  return [...partitions.slice(first), ...partitions.slice(0, first)];
}
