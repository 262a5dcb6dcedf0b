import { asHeadwaterError } from '../../../errors/headwater-error.ts';
import { INIT_PRODUCER_ID } from './apis.ts';
import { ANY_BROKER, type Cluster } from './cluster.ts';
import type { ProducerIdentity, TransactionCoordinator } from './coordinator.ts';
import { asFault, checkCode, faultToError } from './errors.ts';
import type { KafkaTopic } from './partition-queue.ts';
import { withFreshLeaders } from './partition-reader.ts';

/** A cluster without a transaction log has no coordinator, however long it is asked for one. */
const PATIENCE_MS = 5_000;

/**
 * At least once: keeps a predecessor that was paused, or whose packets were held up, from writing behind us.
 *
 * Batches carry the producer id and epoch of the pipeline's transactional id, although they are in no
 * transaction. Each start gets the next epoch, and aborts a transaction without records in every partition
 * before it writes there: the marker tells the partition's leader of the epoch, and from then on it refuses
 * batches of the epochs before (docs/decisions/0011-at-least-once-fencing.md).
 */
export class Fence {
  readonly #coordinator: TransactionCoordinator;
  #who: ProducerIdentity | null = null;
  #waiting: KafkaTopic[] = [];
  #raising: Promise<void> = Promise.resolve();

  constructor(coordinator: TransactionCoordinator) {
    this.#coordinator = coordinator;
  }

  /** The identity to write with. Throws HeadwaterError where there is none to be had. */
  async init(): Promise<ProducerIdentity> {
    return (this.#who = await this.#coordinator.init({ patienceMs: PATIENCE_MS }));
  }

  /** Resolves when no predecessor can write to the topic any more; topics asked for meanwhile share a marker. */
  raise(topic: KafkaTopic): Promise<void> {
    this.#waiting.push(topic);
    this.#raising = this.#raising.then(() => this.#mark());
    return this.#raising;
  }

  async #mark(): Promise<void> {
    const who = this.#who;
    const topics = this.#waiting;
    this.#waiting = [];
    if (who === null || topics.length === 0) return;
    await this.#coordinator.addPartitions(
      who,
      topics.map(({ name, partitions }) => ({ name, partitions: partitions.map(({ index }) => index) })),
    );
    await this.#coordinator.end(who, false);
    // The first answer comes when the abort is decided; the markers are written after it. Asked again, the
    // coordinator answers CONCURRENT_TRANSACTIONS until all leaders have theirs.
    await this.#coordinator.end(who, false);
  }
}

/** What a producer without transactions begins with. */
export interface FencedStart {
  readonly who: ProducerIdentity;
  /** Null where the broker gives us no transactional id: then predecessors are not fenced. */
  readonly fence: Fence | null;
  /** Why there is no fence. */
  readonly unfenced: Error | null;
}

/** With the transactional id's epochs where the broker lets us have them. */
export async function beginFenced(
  cluster: Cluster,
  coordinator: TransactionCoordinator,
  signal: AbortSignal,
): Promise<FencedStart> {
  const fence = new Fence(coordinator);
  try {
    return { who: await fence.init(), fence, unfenced: null };
  } catch (error) {
    const reason = asHeadwaterError(error);
    if (signal.aborted) throw reason;
    return { who: await idempotentIdentity(cluster, coordinator, signal), fence: null, unfenced: reason };
  }
}

async function idempotentIdentity(
  cluster: Cluster,
  coordinator: TransactionCoordinator,
  signal: AbortSignal,
): Promise<ProducerIdentity> {
  try {
    // A broker that has just started may have no block of ids yet.
    return await withFreshLeaders(cluster, cluster.options.stateTopic, signal, async () => {
      const any = { broker: ANY_BROKER, purpose: 'control' } as const;
      const response = await cluster.request(any, INIT_PRODUCER_ID, null, 0, -1n, -1);
      checkCode(response.errorCode, 'InitProducerId');
      return { producerId: response.producerId, producerEpoch: response.producerEpoch };
    });
  } catch (error) {
    throw faultToError(asFault(error, 'the broker'), coordinator.context('Getting a producer id'));
  }
}
