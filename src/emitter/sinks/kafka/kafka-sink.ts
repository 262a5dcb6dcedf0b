import type { Code } from '../../../errors/catalogue.ts';
import { asHeadwaterError, HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Log } from '../../../observability/log.ts';
import type {
  RestoreOptions,
  Sink,
  SinkRecord,
  SinkStats,
  TopicHandle,
  TopicPurpose,
  TopicWish,
} from '../../sink.ts';
import { TopicRefusals } from '../../topic-refusals.ts';
import { WRITE } from './authorized-operations.ts';
import { SinkFailure } from '../sink-failure.ts';
import { Cluster } from './cluster.ts';
import { asFault, faultToError } from './errors.ts';
import { Lease } from './lease.ts';
import { type KafkaSinkOptions, type ResolvedKafkaOptions, resolveKafkaOptions } from './options.ts';
import { deadLetter, tooLarge } from './oversize.ts';
import type { KafkaTopic, SealedBatch } from './partition-queue.ts';
import { Producer } from './producer.ts';
import { nothingFound, readStateLog, StateLog } from './state-log.ts';
import {
  checkStateTopic,
  checkTopic,
  contextFor,
  findTopic,
  openTopic,
  recordTopicPlan,
  stateTopicPlan,
} from './topics.ts';
import { type TopicPlan, TopicRequests } from './topic-requests.ts';

/** What records for a topic were answered. */
const REFUSED: ReadonlySet<Code> = new Set<Code>(['delivery.topic-refused', 'delivery.batch-too-large']);

/** Connects and looks at the cluster. Throws HeadwaterError `delivery.*` with what is wrong. */
export async function openKafkaSink(
  options: KafkaSinkOptions,
  log: Log,
  signal: AbortSignal = new AbortController().signal,
): Promise<Sink> {
  const resolved = resolveKafkaOptions(options);
  const cluster = new Cluster(resolved);
  let onAbort = (): void => {};
  // A broker that takes connections and says nothing is waited for as long as a request may take.
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    signal.throwIfAborted();
    await Promise.race([cluster.metadata([]), aborted]);
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    signal.throwIfAborted();
    throw faultToError(
      asFault(error, 'the cluster'),
      contextFor(cluster, `Connecting to Kafka at ${resolved.brokers.join(', ')}`),
    );
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  return new KafkaSink(cluster, log, options.refusals ?? new TopicRefusals());
}

class KafkaSink implements Sink {
  readonly json = 'bytes';
  readonly #cluster: Cluster;
  readonly #requests: TopicRequests;
  readonly #options: ResolvedKafkaOptions;
  readonly #log: Log;
  readonly #refusals: TopicRefusals;
  readonly #producer: Producer;
  readonly #lease: Lease;
  readonly #failure = new SinkFailure();
  readonly #closing = new AbortController();
  readonly #topics = new Map<string, Promise<KafkaTopic>>();
  #state: StateLog | null = null;
  #stateTopic: KafkaTopic | null = null;
  #newStateTopic: Promise<KafkaTopic> | null = null;
  #deadLetterTopic: KafkaTopic | null = null;
  #commits = 0;
  /** Topics of which it has been said. */
  readonly #otherTimes = new Set<string>();
  #onDeadLetter: NonNullable<RestoreOptions['onDeadLetter']> = () => {};

  constructor(cluster: Cluster, log: Log, refusals: TopicRefusals) {
    this.#cluster = cluster;
    this.#requests = new TopicRequests(cluster);
    this.#options = cluster.options;
    this.#log = log;
    this.#refusals = refusals;
    this.#producer = new Producer(cluster, {
      mayWrite: () => this.#lease.certain,
      onUnfenced: (reason) =>
        log.warn(
          { reason: reason.message },
          'at-least-once without a transactional id: a predecessor that was cut off from Kafka is kept from writing by its own clock alone',
        ),
      onFinished: (partitions, committed) =>
        log.warn(
          { partitions, committed },
          'the last transaction was still open in partitions although Kafka took it for ended (a broker came back from being killed, KAFKA-20734); it has been ended there too',
        ),
      onFailure: (error) => {
        this.#noteRefusal(error);
        this.#failure.report(error);
      },
      onOversize: (batch, records) => this.#oversize(batch, records),
      onTimestamp: (topic) => this.#noteTimestamp(topic),
    });
    this.#lease = new Lease(cluster, log, {
      onLost: (error) => this.#failure.report(error),
      onRenewed: () => this.#producer.resume(),
    });
  }

  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  async restore(options: RestoreOptions): Promise<ReadonlyMap<string, string>> {
    this.#onDeadLetter = options.onDeadLetter ?? this.#onDeadLetter;
    const signal = AbortSignal.any([options.signal, this.#closing.signal]);
    const plan = stateTopicPlan(this.#cluster);
    const look = (): Promise<KafkaTopic | null> => findTopic(this.#requests, plan, { create: false }, signal);
    // The lease needs nothing but the group, so the topic is looked up meanwhile.
    const looking = look();
    looking.catch(() => {});
    await this.#lease.acquire(options.onWaiting, signal, options.turns);
    // The instance before us may have made it in the meantime.
    this.#stateTopic = (await looking) ?? (await look());
    const existed = this.#stateTopic !== null;
    await this.#mapping('Looking at the state topic', async () => {
      if (existed) await checkStateTopic(this.#requests);
    });
    // Fences the predecessor and ends its open transaction, so that what is read next is the last word.
    await this.#producer.init();
    if (this.#stateTopic !== null) await this.#producer.fence(this.#stateTopic);
    if (this.#options.oversize === 'dead-letter') {
      this.#deadLetterTopic = await this.#openTopic(this.#options.deadLetterTopic);
    }
    const bulk = options.bulk ?? null;
    const found = existed ? await readStateLog(this.#cluster, signal, bulk) : nothingFound(bulk);
    this.#state = new StateLog(found);
    return found.values;
  }

  #noteRefusal(thrown: unknown): void {
    const error = asHeadwaterError(thrown);
    if (error.details['topic'] === this.#options.stateTopic) return;
    if (REFUSED.has(error.code)) this.#refusals.note(error, true);
    else if (error.code === 'delivery.unreachable') this.#refusals.note(error, false);
  }

  async check(topics: readonly string[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await Promise.all(topics.map((name) => this.#look(recordTopicPlan(this.#cluster, name))));
  }

  async #look(plan: TopicPlan): Promise<void> {
    await this.#mapping(`Looking at topic ${plan.name}`, async () => {
      const standing = this.#refusals.standing(plan.name);
      if (standing !== null) throw standing;
      await checkTopic(this.#requests, plan, WRITE);
    });
  }

  async #mapping(doing: string, action: () => Promise<unknown>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (error instanceof HeadwaterError) throw error;
      throw faultToError(asFault(error, 'the cluster'), contextFor(this.#cluster, doing));
    }
  }

  topic(name: string, purpose: TopicPurpose, wish?: TopicWish): Promise<TopicHandle> {
    return this.#openTopic(name, purpose === 'compacted', wish);
  }

  #openTopic(name: string, compacted = false, wish?: TopicWish): Promise<KafkaTopic> {
    const known = this.#topics.get(name);
    if (known !== undefined) return known;
    const opening = this.#open(recordTopicPlan(this.#cluster, name, { compacted, wish }));
    this.#topics.set(name, opening);
    opening.catch(() => this.#topics.delete(name));
    return opening;
  }

  async #open(plan: TopicPlan): Promise<KafkaTopic> {
    if (this.#refusals.has(plan.name)) await this.#look(plan);
    const topic = await openTopic(this.#requests, plan, this.#closing.signal);
    await this.#producer.fence(topic);
    return topic;
  }

  append(topic: TopicHandle, record: SinkRecord): void {
    this.#producer.append(topic as KafkaTopic, record);
  }

  ready(): Promise<void> | undefined {
    return this.#producer.ready();
  }

  async commit(state: ReadonlyMap<string, string | null>): Promise<void> {
    if (this.#failure.error !== null) throw this.#failure.error;
    if (this.#state === null) {
      throw new HeadwaterError('internal.bug', 'commit before restore');
    }
    // Made as late as this, so that a start that is refused leaves no topic behind.
    if (this.#stateTopic === null) {
      this.#newStateTopic ??= this.#open(stateTopicPlan(this.#cluster));
      this.#stateTopic = await this.#newStateTopic;
    }
    const { records, written } = this.#state.records(state);
    const offset = await this.#producer.commit(this.#stateTopic.keyless, records);
    written?.(offset);
    this.#commits++;
  }

  #noteTimestamp(topic: string): void {
    if (this.#otherTimes.has(topic)) return;
    this.#otherTimes.add(topic);
    this.#log.warn(
      { topic },
      "records have timestamps too far from the broker's clock for their topic (message.timestamp.after.max.ms, before.max.ms): they are written with the nearest that it takes, and their own in the header __headwater.timestamp",
    );
  }

  #oversize(batch: SealedBatch, records: Buffer): boolean {
    const { topic } = batch.partition;
    if (
      this.#deadLetterTopic === null ||
      topic === this.#options.stateTopic ||
      topic === this.#deadLetterTopic.name
    ) {
      this.#producer.fail(tooLarge(batch));
      return false;
    }
    const note = deadLetter(batch, records, this.#deadLetterTopic.maxMessageBytes);
    this.#producer.replace(batch, this.#deadLetterTopic.keyless, note);
    if (batch.origin !== null) {
      this.#onDeadLetter(batch.origin, tooLarge(batch));
      return true;
    }
    this.#log.warn(
      {
        topic,
        size: batch.rawBytes,
        limit: batch.partition.maxMessageBytes,
        deadLetterTopic: this.#deadLetterTopic.name,
      },
      'record too large for its topic: a note without the value went to the dead-letter topic',
    );
    return true;
  }

  stats(): SinkStats {
    const { records, bytes, pendingBytes } = this.#producer;
    return { records, bytes, commits: this.#commits, pendingBytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const error = this.#failure.close();
    this.#closing.abort();
    await this.#producer.close(error);
    await this.#lease[Symbol.asyncDispose]();
    await this.#cluster[Symbol.asyncDispose]();
  }
}
