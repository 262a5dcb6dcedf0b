import { failpoint } from '../../../observability/failpoint.ts';
import type { SinkRecord } from '../../sink.ts';
import { BatchSealer, closedBatch } from './batch-sealer.ts';
import { ANY_BROKER, type Cluster } from './cluster.ts';
import { type ProducerIdentity, TransactionCoordinator } from './coordinator.ts';
import { asFault, faultToError } from './errors.ts';
import { beginFenced, type Fence } from './fence.ts';
import {
  type CommitGroup,
  type KafkaTopic,
  newGroup,
  type PartitionQueue,
  type SealedBatch,
  touch,
} from './partition-queue.ts';
import { partitionOf } from './murmur2.ts';
import { BatchBuilder, BufferPool } from './record-batch.ts';
import { exactSize, roughSize } from './record-size.ts';
import { Sender } from './sender.ts';
import { type TransactionEvents, Transactions } from './transactions.ts';
import { PRODUCE_KEY, PRODUCE_VERSION } from './txn-requests.ts';

export interface ProducerEvents extends TransactionEvents {
  /** At least once: whether the lease is certain to be ours just now. Call `resume` when it is again. */
  readonly mayWrite: () => boolean;
  /** At least once: the broker has no transactional id for us, so predecessors are not fenced. */
  readonly onUnfenced: (reason: Error) => void;
  /** Called once; nothing is sent afterwards. */
  readonly onFailure: (error: unknown) => void;
  /** A batch of one record that its topic does not take. Returns true where something else went out in its stead. */
  readonly onOversize: (batch: SealedBatch, records: Buffer) => boolean;
  /** A record came with a time that its topic does not take, and is written with another. */
  readonly onTimestamp: (topic: string) => void;
}

/**
 * Record batches on their way to the brokers, and the Kafka transaction around them.
 *
 * Exactly once: each commit group is one transaction; the groups follow one another. Its batches are sent as
 * they fill, while the transaction is open, so memory is bounded whatever a transaction's size.
 * At least once: an idempotent producer; data of several groups are on their way together, and the state of a
 * group is written when its data, and those of all before it, are acknowledged.
 */
export class Producer {
  readonly #cluster: Cluster;
  readonly #coordinator: TransactionCoordinator;
  readonly #events: ProducerEvents;
  readonly #exactlyOnce: boolean;
  readonly #transactions: Transactions;
  readonly #sender: Sender;
  /** Null with exactly once, and where the broker does not let us. */
  #fence: Fence | null = null;
  readonly #pool: BufferPool;
  readonly #sealer: BatchSealer;
  readonly #closing = new AbortController();
  /** Aborts with the first failure, before the transaction is ended. */
  readonly #stopped = new AbortController();
  /** The last one takes what is appended; the first is the one under way. */
  #groups: CommitGroup[] = [newGroup()];
  readonly #open = new Set<PartitionQueue>();
  #failed = false;
  #pumping = false;
  #pendingBytes = 0;
  #waiters: (() => void)[] = [];
  records = 0;
  bytes = 0;

  constructor(cluster: Cluster, events: ProducerEvents) {
    this.#cluster = cluster;
    this.#events = events;
    this.#exactlyOnce = cluster.options.delivery === 'exactly-once';
    this.#coordinator = new TransactionCoordinator(cluster, this.#closing.signal);
    this.#transactions = new Transactions(cluster, this.#coordinator, events);
    this.#sender = new Sender(
      cluster,
      {
        mayBeSent: ({ group, partition }) =>
          this.#exactlyOnce ? group === this.#groups[0] && group.added.has(partition) : events.mayWrite(),
        onAcknowledged: (batch, offset) => this.#acknowledge(batch, offset),
        onProgress: () => this.#pump(),
        onFailure: (error) => this.#fail(error),
      },
      this.#stopped.signal,
    );
    this.#pool = new BufferPool(2 * cluster.options.maxPendingBytes);
    this.#sealer = new BatchSealer(cluster.options.compression, this.#pool, {
      onOversize: (batch, records) => {
        if (!this.#failed && events.onOversize(batch, records)) this.#acknowledge(batch, null);
      },
      onCompressed: () => this.#pump(),
      onFailure: (error) => this.#fail(error),
    });
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Gets a producer id. Exactly once, this fences the predecessor and ends its open transaction. */
  async init(): Promise<void> {
    const who = this.#exactlyOnce ? await this.#transactions.init() : await this.#beginFenced();
    const version = await this.#cluster
      .version({ broker: ANY_BROKER, purpose: 'control' }, PRODUCE_KEY, PRODUCE_VERSION - 1)
      .catch((error: unknown) => {
        throw faultToError(
          asFault(error, 'the broker'),
          this.#coordinator.context('Asking for API versions'),
        );
      });
    this.#sender.begin(who, version);
  }

  async #beginFenced(): Promise<ProducerIdentity> {
    const begun = await beginFenced(this.#cluster, this.#coordinator, this.#closing.signal);
    this.#fence = begun.fence;
    if (begun.unfenced !== null) this.#events.onUnfenced(begun.unfenced);
    return begun.who;
  }

  /** Before the first record of a topic: from then on nobody before us writes to it. */
  async fence(topic: KafkaTopic): Promise<void> {
    await this.#fence?.raise(topic);
  }

  /** What `mayWrite` answers may have changed. */
  resume(): void {
    this.#pump();
  }

  append(topic: KafkaTopic, record: SinkRecord): void {
    const { key } = record;
    this.appendTo(
      key === null ? topic.keyless : topic.partitions[partitionOf(key, topic.partitions.length)]!,
      record,
    );
  }

  appendTo(partition: PartitionQueue, given: SinkRecord): void {
    const record = partition.times.fit(given);
    if (record !== given) this.#events.onTimestamp(partition.topic);
    const { batchBytes } = this.#cluster.options;
    const limit = Math.min(batchBytes, partition.maxMessageBytes);
    let builder = partition.open;
    if (
      builder !== null &&
      builder.bytes + roughSize(record) > limit &&
      builder.bytes + exactSize(record) > limit
    ) {
      this.#seal(partition);
      this.#pump();
      builder = null;
    }
    if (builder === null) {
      builder = new BatchBuilder(this.#pool);
      builder.origin = record.origin ?? null;
      partition.open = builder;
      this.#open.add(partition);
      const group = this.#groups[this.#groups.length - 1]!;
      group.unacked++;
      touch(group, partition);
    }
    const before = builder.count === 0 ? 0 : builder.bytes;
    builder.append(record);
    this.#pendingBytes += builder.bytes - before;
    this.bytes += builder.bytes - before;
    this.records++;
    if (builder.bytes >= limit) {
      this.#seal(partition);
      this.#pump();
    }
  }

  /** Undefined while there is room; else resolves when there is. */
  ready(): Promise<void> | undefined {
    const { maxPendingBytes } = this.#cluster.options;
    if (this.#pendingBytes < maxPendingBytes / 2) return undefined;
    // Many partitions with a little each must not fill the memory unseen.
    this.#sealAll();
    this.#pump();
    if (this.#pendingBytes < maxPendingBytes || this.#failed) return undefined;
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /**
   * Ends the current group with these state records. Resolves, in order, when all is durable, with the offset
   * of the first state record (null where it isn't known). Data appended from now on belong to the next group.
   */
  commit(statePartition: PartitionQueue, state: readonly SinkRecord[]): Promise<number | null> {
    const group = this.#groups[this.#groups.length - 1]!;
    const done = new Promise<number | null>((resolve, reject) => {
      group.settle = { resolve, reject };
    });
    if (this.#exactlyOnce) {
      for (const record of state) this.appendTo(statePartition, record);
    }
    this.#sealAll();
    group.phase = 'closed';
    this.#groups.push(newGroup());
    if (!this.#exactlyOnce) {
      group.writeState = () => {
        // Sealed at once: what the newest group has open for this partition, if anything, stays ahead of it.
        this.#writeInto(group, statePartition, state);
      };
    }
    this.#pump();
    return done;
  }

  /** Writes records into a group that takes no more by `append`: batches of their own, behind the sealed ones. */
  #writeInto(group: CommitGroup, partition: PartitionQueue, records: readonly SinkRecord[]): void {
    const limit = Math.min(this.#cluster.options.batchBytes, partition.maxMessageBytes);
    const begin = (): BatchBuilder => {
      group.unacked++;
      return new BatchBuilder(this.#pool);
    };
    const seal = (builder: BatchBuilder): void => {
      this.#pendingBytes += builder.bytes;
      this.#sealBuilder(partition, builder, group);
    };
    let builder: BatchBuilder | null = null;
    for (const record of records) {
      if (builder !== null && builder.bytes + exactSize(record) > limit) {
        seal(builder);
        builder = null;
      }
      builder ??= begin();
      builder.append(record);
    }
    if (builder !== null) seal(builder);
  }

  /** A record that takes the place of one that is too large, in the same group. */
  replace(batch: SealedBatch, partition: PartitionQueue, record: SinkRecord): void {
    const { group } = batch;
    touch(group, partition);
    this.#writeInto(group, partition, [partition.times.fit(record)]);
  }

  #sealAll(): void {
    for (const partition of this.#open) this.#seal(partition);
  }

  #seal(partition: PartitionQueue): void {
    const builder = partition.open;
    if (builder === null) return;
    partition.open = null;
    this.#open.delete(partition);
    this.#sealBuilder(partition, builder, this.#groups[this.#groups.length - 1]!);
  }

  #sealBuilder(partition: PartitionQueue, builder: BatchBuilder, group: CommitGroup): void {
    const batch = closedBatch(partition, builder, group);
    this.#sender.enqueue(batch);
    this.#sealer.seal(batch, builder);
  }

  /** Sends whatever may be sent and finishes whatever is complete. Cheap when there is nothing to do. */
  #pump(): void {
    if (this.#pumping || this.#failed) return;
    this.#pumping = true;
    try {
      if (this.#exactlyOnce) this.#addPartitions(this.#groups[0]!);
      this.#sender.send();
      if (this.#exactlyOnce) this.#endTransaction(this.#groups[0]!);
      else this.#advance();
    } finally {
      this.#pumping = false;
    }
  }

  #addPartitions(group: CommitGroup): void {
    // An open transaction is begun only when there is a batch to send, since it keeps readers waiting.
    if (group.adding || group.toAdd.size === 0) return;
    if (![...group.toAdd].some((each) => each.queue.length > 0)) return;
    group.adding = true;
    const adding = [...group.toAdd];
    group.toAdd.clear();
    const topics = new Map<string, number[]>();
    for (const { topic, index } of adding) {
      const list = topics.get(topic);
      if (list === undefined) topics.set(topic, [index]);
      else list.push(index);
    }
    this.#transactions.add([...topics].map(([name, partitions]) => ({ name, partitions }))).then(
      () => {
        group.adding = false;
        for (const each of adding) group.added.add(each);
        this.#pump();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #acknowledge(batch: SealedBatch, offset: number | null): void {
    if (batch.acked) return;
    const { partition, group } = batch;
    this.#sender.settle(batch);
    group.unacked--;
    if (partition.topic === this.#cluster.options.stateTopic) group.stateOffset ??= offset;
    this.#pendingBytes -= batch.rawBytes;
    batch.bytes = null;
    batch.release?.();
    if (this.#waiters.length > 0 && this.#pendingBytes < this.#cluster.options.maxPendingBytes) this.#wake();
  }

  #endTransaction(group: CommitGroup): void {
    if (group.phase !== 'closed' || group.unacked > 0 || group.adding) return;
    group.phase = 'finishing';
    if (group.added.size === 0) {
      this.#finish(group);
      return;
    }
    failpoint('before-end-transaction');
    this.#transactions.commit().then(
      () => {
        this.#finish(group);
        this.#pump();
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #finish(group: CommitGroup): void {
    this.#groups.shift();
    group.settle?.resolve(group.stateOffset);
  }

  /** At least once: writes the state of groups whose data are acknowledged, and resolves in order. */
  #advance(): void {
    for (const group of this.#groups) {
      if (group.phase === 'finishing') continue;
      if (group.phase !== 'closed' || group.unacked > 0) break;
      group.phase = 'finishing';
      group.writeState?.();
    }
    this.#sender.send();
    for (;;) {
      const head = this.#groups[0]!;
      if (head.phase !== 'finishing' || head.unacked > 0) return;
      this.#finish(head);
    }
  }

  /** Ends it all: commits under way are rejected with this. */
  fail(error: unknown): void {
    this.#fail(error);
  }

  #fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#stopped.abort();
    for (const group of this.#groups) group.settle?.reject(error);
    this.#wake();
    this.#events.onFailure(error);
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }

  /** Aborts what is open, so that readers do not wait for the transaction's time-out. */
  async close(error: unknown): Promise<void> {
    const head = this.#groups[0]!;
    const open = this.#exactlyOnce && (head.adding || head.added.size > 0) && head.phase !== 'finishing';
    const usable = !this.#failed;
    this.#fail(error);
    if (open && usable) {
      const timeout = AbortSignal.timeout(2000);
      await Promise.race([
        this.#transactions.abort().catch(() => {}),
        new Promise<void>((resolve) => timeout.addEventListener('abort', () => resolve(), { once: true })),
      ]);
    }
    this.#closing.abort();
  }
}
