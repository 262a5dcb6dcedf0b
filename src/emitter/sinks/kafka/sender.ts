import { setTimeout as sleep } from 'node:timers/promises';
import { ANY_BROKER, type Cluster } from './cluster.ts';
import type { ProducerIdentity } from './coordinator.ts';
import { asFault, KAFKA, KafkaFault } from './errors.ts';
import type { PartitionQueue, SealedBatch } from './partition-queue.ts';
import { stampBatch } from './record-batch.ts';
import { GONE_MS, partitionsIn, refusedTopic } from './refused-topic.ts';
import { type ProduceResult, produceRequest } from './txn-requests.ts';

/** What the broker keeps of each producer and partition to recognise a repetition. */
const MAX_IN_FLIGHT = 5;
const MAX_SEQUENCE = 0x7fffffff;

export interface SenderEvents {
  /** Whether the batch's turn has come: its transaction is open and knows the partition. */
  readonly mayBeSent: (batch: SealedBatch) => boolean;
  readonly onAcknowledged: (batch: SealedBatch, offset: number | null) => void;
  /** Something has changed: there may be more to send, or a group is complete. */
  readonly onProgress: () => void;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Sealed batches on their way to the leaders of their partitions. Sequence numbers are ours: up to five
 * requests of a broker are in flight, and after any doubt all batches of a partition are sent again in order
 * with the same numbers, which the broker recognises: no gap, no repetition.
 */
export class Sender {
  readonly #cluster: Cluster;
  readonly #events: SenderEvents;
  readonly #signal: AbortSignal;
  readonly #transactionalId: string | null;
  readonly #busy = new Set<PartitionQueue>();
  readonly #requests = new Map<number, number>();
  readonly #stale = new Set<string>();
  /** Topics that have been looked at again → their partitions, as of the last look. */
  readonly #partitions = new Map<string, number>();
  #refreshing: Promise<void> | null = null;
  #who: ProducerIdentity = { producerId: -1n, producerEpoch: -1 };
  #version = 0;

  /** Stops when `signal` aborts. */
  constructor(cluster: Cluster, events: SenderEvents, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#events = events;
    this.#signal = signal;
    this.#transactionalId =
      cluster.options.delivery === 'exactly-once' ? cluster.options.transactionalId : null;
  }

  /** Before the first `send`. */
  begin(who: ProducerIdentity, produceVersion: number): void {
    this.#who = who;
    this.#version = produceVersion;
  }

  /** Puts a sealed batch behind the others of its partition. */
  enqueue(batch: SealedBatch): void {
    batch.partition.queue.push(batch);
    this.#busy.add(batch.partition);
  }

  /** Sends whatever may be sent. Cheap when there is nothing to do. */
  send(): void {
    while (this.#sendOnce());
  }

  /** Takes an acknowledged batch out of its queue. */
  settle(batch: SealedBatch): void {
    const { partition } = batch;
    batch.acked = true;
    // One that was never sent (a record too large) must not stand in the way of those behind it.
    if (batch.sequence === -1) partition.queue.splice(partition.queue.indexOf(batch), 1);
    else partition.failingSince = null;
    partition.settle();
    if (partition.queue.length === 0) this.#busy.delete(partition);
  }

  /** Builds at most one request for each broker; true where there may be more to send. */
  #sendOnce(): boolean {
    let requests: Map<number, SealedBatch[]> | null = null;
    for (const partition of this.#busy) {
      if (partition.recovering || partition.inFlight >= (partition.known ? MAX_IN_FLIGHT : 1)) continue;
      const batch = partition.queue[partition.sent];
      if (batch === undefined || batch.bytes === null) continue;
      if (!this.#events.mayBeSent(batch)) continue;
      const leader = this.#cluster.leader(partition.topic, partition.index);
      if (leader === ANY_BROKER) {
        this.#recover(
          partition,
          new KafkaFault('broker', KAFKA.LEADER_NOT_AVAILABLE, 'the partition has no leader'),
        );
        continue;
      }
      if ((this.#requests.get(leader) ?? 0) >= MAX_IN_FLIGHT) continue;
      requests ??= new Map();
      const list = requests.get(leader);
      if (list === undefined) requests.set(leader, [batch]);
      else list.push(batch);
    }
    if (requests === null) return false;
    for (const [leader, batches] of requests) this.#produce(leader, batches);
    return true;
  }

  #produce(leader: number, batches: readonly SealedBatch[]): void {
    for (const batch of batches) {
      const { partition } = batch;
      if (batch.sequence === -1) {
        batch.sequence = partition.nextSequence;
        partition.nextSequence = nextSequence(batch.sequence, batch.count);
        stampBatch(batch.bytes!, batch, {
          ...this.#who,
          sequence: batch.sequence,
          transactional: this.#transactionalId !== null,
        });
      }
      partition.sent++;
      partition.inFlight++;
    }
    this.#requests.set(leader, (this.#requests.get(leader) ?? 0) + 1);
    const request = produceRequest({
      version: this.#version,
      transactionalId: this.#transactionalId,
      timeoutMs: this.#cluster.options.requestTimeoutMs,
      parts: batches.map((batch) => ({
        topic: batch.partition.topic,
        partition: batch.partition.index,
        batch: batch.bytes!,
      })),
    });
    this.#cluster.raw({ broker: leader, purpose: 'data' }, request).then(
      (results) => this.#answered(leader, batches, results),
      (error: unknown) => {
        const fault = asFault(error, `broker ${leader}`);
        this.#answered(leader, batches, fault);
      },
    );
  }

  #answered(
    leader: number,
    batches: readonly SealedBatch[],
    answer: readonly ProduceResult[] | KafkaFault,
  ): void {
    this.#requests.set(leader, this.#requests.get(leader)! - 1);
    const results =
      answer instanceof KafkaFault
        ? null
        : new Map(answer.map((each) => [`${each.topic}/${each.partition}`, each]));
    if (this.#signal.aborted) return;
    for (const batch of batches) {
      const { partition } = batch;
      partition.inFlight--;
      const result = results?.get(`${partition.topic}/${partition.index}`);
      const code = result?.code ?? 0;
      if (result !== undefined && (code === 0 || code === KAFKA.DUPLICATE_SEQUENCE_NUMBER)) {
        partition.known = true;
        this.#events.onAcknowledged(batch, code === 0 ? result.baseOffset : null);
        continue;
      }
      const fault =
        answer instanceof KafkaFault
          ? answer
          : new KafkaFault('broker', code, `broker ${leader} answered Kafka error ${code}`);
      // Behind a batch that failed, the others of its partition are out of order.
      const behind = partition.recovering && code === KAFKA.OUT_OF_ORDER_SEQUENCE_NUMBER;
      if (fault.retriable || behind) this.#recover(partition, fault);
      else return this.#fail(partition, fault);
    }
    this.#events.onProgress();
  }

  /** Waits until nothing of the partition is in flight, looks for its leader again, and sends all from the first. */
  #recover(partition: PartitionQueue, fault: KafkaFault): void {
    const now = Date.now();
    partition.failingSince ??= now;
    const failingFor = now - partition.failingSince;
    const gone = partition.index >= (this.#partitions.get(partition.topic) ?? Infinity);
    if (gone && failingFor > GONE_MS) {
      const { UNKNOWN_TOPIC_OR_PARTITION } = KAFKA;
      return this.#fail(partition, new KafkaFault('broker', UNKNOWN_TOPIC_OR_PARTITION, 'the topic is gone'));
    }
    if (failingFor > this.#cluster.options.deliveryTimeoutMs) return this.#fail(partition, fault);
    if (partition.recovering) return;
    partition.recovering = true;
    const settle = async (): Promise<void> => {
      await sleep(Math.min(Math.max(20, failingFor), 1000), undefined, { signal: this.#signal });
      if (fault.stale) await this.#refresh(partition.topic);
      while (partition.inFlight > 0) await sleep(10, undefined, { signal: this.#signal });
      partition.settle();
      for (let i = partition.queue.length - 1; i >= 0; i--)
        if (partition.queue[i]!.acked) partition.queue.splice(i, 1);
      partition.sent = 0;
      partition.recovering = false;
      this.#events.onProgress();
    };
    settle().catch((error: unknown) => {
      if (!this.#signal.aborted) this.#events.onFailure(error);
    });
  }

  /** One metadata request for all partitions that ask at the same time. Its failure shows at the next send. */
  #refresh(topic: string): Promise<void> {
    this.#stale.add(topic);
    this.#refreshing ??= (async () => {
      await sleep(5, undefined, { signal: this.#signal });
      const topics = [...this.#stale];
      this.#stale.clear();
      this.#refreshing = null;
      const response = await this.#cluster.metadata(topics).catch(() => null);
      for (const name of response === null ? [] : topics) {
        const partitions = partitionsIn(response!, name);
        if (partitions !== null) this.#partitions.set(name, partitions);
      }
    })();
    return this.#refreshing;
  }

  #fail({ topic }: PartitionQueue, fault: KafkaFault): void {
    const doing = `Producing to topic ${topic}`;
    this.#events.onFailure(refusedTopic(this.#cluster, fault, { doing, topic }));
  }
}

function nextSequence(from: number, count: number): number {
  const next = from + count;
  return next > MAX_SEQUENCE ? next - MAX_SEQUENCE - 1 : next;
}
