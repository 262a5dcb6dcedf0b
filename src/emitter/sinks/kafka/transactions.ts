import type { Cluster } from './cluster.ts';
import type { ProducerIdentity, TransactionCoordinator } from './coordinator.ts';
import { KAFKA, KafkaFault } from './errors.ts';
import { openPartitions, type TopicPartitions } from './open-partitions.ts';

export interface TransactionEvents {
  /** A transaction that the broker took for finished was not, in this many partitions. */
  readonly onFinished: (partitions: number, committed: boolean) => void;
}

/** Topics of others may be without a leader for good: what can be known after so long is all there is. */
const LEADERS_MS = 5_000;

interface Ended {
  readonly topics: readonly TopicPartitions[];
  /** Connections that had been lost when it was asked to end. */
  readonly losses: number;
}

/**
 * The transactions of one producer, one after another, each finished in all of its partitions before the next begins.
 *
 * Kafka promises that much, and 4.3 does not keep it: a broker that comes back from being killed takes partitions whose
 * leader is not back yet for deleted, and leaves them without the marker that ends the transaction (KAFKA-20734). Its
 * records are then neither committed nor aborted until the next marker of this producer decides, which may be the wrong
 * one. Therefore the last transaction is ended once more, with a transaction of no records over the same partitions:
 * where a connection was lost since, and at the start where partitions show that it is open.
 * docs/decisions/0001-kafka-client.md has the whole story.
 */
export class Transactions {
  readonly #cluster: Cluster;
  readonly #coordinator: TransactionCoordinator;
  readonly #events: TransactionEvents;
  #who: ProducerIdentity = { producerId: -1n, producerEpoch: -1 };
  /** Partitions of the transaction under way, by topic. */
  #open = new Map<string, Set<number>>();
  /** Until the next one has begun. */
  #last: Ended | null = null;

  constructor(cluster: Cluster, coordinator: TransactionCoordinator, events: TransactionEvents) {
    this.#cluster = cluster;
    this.#coordinator = coordinator;
    this.#events = events;
  }

  /** Fences the predecessor, and ends its last transaction everywhere. Throws HeadwaterError. */
  async init(): Promise<ProducerIdentity> {
    const began = performance.now();
    return (this.#who = await this.#coordinator.init({
      before: () => this.#finishPredecessors(performance.now() - began > LEADERS_MS),
    }));
  }

  async add(topics: readonly TopicPartitions[]): Promise<void> {
    do {
      await this.#finishLast();
      await this.#coordinator.addPartitions(this.#who, topics);
      // Nothing has been written yet, so it does no harm to commit what has just begun and to begin again.
    } while (this.#inDoubt !== null);
    this.#last = null;
    for (const { name, partitions } of topics) {
      const open = this.#open.get(name);
      if (open === undefined) this.#open.set(name, new Set(partitions));
      else for (const partition of partitions) open.add(partition);
    }
  }

  async commit(): Promise<void> {
    const { losses } = this.#cluster;
    await this.#coordinator.end(this.#who, true);
    const topics = [...this.#open].map(([name, partitions]) => ({ name, partitions: [...partitions] }));
    this.#last = { topics, losses };
    this.#open = new Map();
  }

  async abort(): Promise<void> {
    await this.#coordinator.end(this.#who, false);
  }

  /** The last one, where a connection was lost since it was asked to end. */
  get #inDoubt(): Ended | null {
    return this.#last?.losses === this.#cluster.losses ? null : this.#last;
  }

  async #finishLast(): Promise<void> {
    for (let last = this.#inDoubt; last !== null; last = this.#inDoubt) {
      const { topics } = last;
      const { losses } = this.#cluster;
      await this.#finish(this.#who, topics, true);
      this.#last = { topics, losses };
    }
  }

  async #finish(who: ProducerIdentity, topics: readonly TopicPartitions[], commit: boolean): Promise<void> {
    await this.#coordinator.addPartitions(who, topics);
    await this.#coordinator.end(who, commit);
  }

  /**
   * Before the coordinator forgets how it ended. It is asked of the coordinator, and of the partitions: every
   * commit is in the state topic, so that one partition tells of it; what was aborted may be anywhere.
   * Throws KafkaFault.
   */
  async #finishPredecessors(leaveOut: boolean): Promise<void> {
    const last = await this.#coordinator.describe();
    if (last === null) return;
    if (last.state.startsWith('Prepare')) {
      throw new KafkaFault('broker', KAFKA.CONCURRENT_TRANSACTIONS, 'The last transaction is being ended');
    }
    if (!last.state.startsWith('Complete')) return;
    const committed = last.state === 'CompleteCommit';
    if (committed) {
      const topics = [this.#cluster.options.stateTopic];
      if ((await openPartitions(this.#cluster, last.producerId, { topics, leaveOut: false })).length === 0)
        return;
    }
    const open = await openPartitions(this.#cluster, last.producerId, { leaveOut });
    if (open.length === 0) return;
    await this.#finish(last, open, committed);
    this.#events.onFinished(
      open.reduce((sum, { partitions }) => sum + partitions.length, 0),
      committed,
    );
  }
}
