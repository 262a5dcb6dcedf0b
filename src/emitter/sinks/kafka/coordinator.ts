import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { ADD_PARTITIONS, DESCRIBE_TRANSACTIONS, INIT_PRODUCER_ID } from './apis.ts';
import type { Cluster } from './cluster.ts';
import { asFault, checkCode, faultToError, KAFKA, KafkaFault } from './errors.ts';
import type { TopicPartitions } from './open-partitions.ts';
import { GONE_MS, partitionsIn, refusedTopic } from './refused-topic.ts';
import { END_TXN_KEY, END_TXN_VERSION, endTxnRequest } from './txn-requests.ts';

/** Where the broker keeps its transactions: made when somebody first looks for a coordinator. */
const TRANSACTION_LOG = '__transaction_state';
/** A cluster that has just begun to make it gets so long. */
export const LOG_PATIENCE_MS = 10_000;

export interface ProducerIdentity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
}

/** What the coordinator remembers of the transactional id's last transaction. */
export interface LastTransaction extends ProducerIdentity {
  /** `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort`, `CompleteCommit`, `CompleteAbort` and the like. */
  readonly state: string;
}

/** A coordinator that cannot tell, does not know the id, or does not let us know. */
const UNDESCRIBED: ReadonlySet<number> = new Set([
  KAFKA.UNSUPPORTED_VERSION,
  KAFKA.TRANSACTIONAL_ID_NOT_FOUND,
  KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
]);

/**
 * The transaction coordinator's side of a producer: finds it, follows it when it moves, and tries again while
 * a former operation is still under way. Throws HeadwaterError.
 */
export class TransactionCoordinator {
  readonly #cluster: Cluster;
  readonly #signal: AbortSignal;
  #broker: number | null = null;

  constructor(cluster: Cluster, signal: AbortSignal) {
    this.#cluster = cluster;
    this.#signal = signal;
  }

  /**
   * A new epoch for the transactional id: fences its predecessor and ends the transaction that left open.
   * `before` is called ahead of each try.
   */
  async init({
    patienceMs = this.#cluster.options.deliveryTimeoutMs,
    before,
  }: {
    readonly patienceMs?: number;
    readonly before?: () => Promise<void>;
  } = {}): Promise<ProducerIdentity> {
    const { transactionalId, transactionTimeoutMs } = this.#cluster.options;
    const attempt = async (broker: number): Promise<ProducerIdentity> => {
      await before?.();
      const response = await this.#cluster.request(
        { broker, purpose: 'control' },
        INIT_PRODUCER_ID,
        transactionalId,
        transactionTimeoutMs,
        -1n,
        -1,
      );
      checkCode(response.errorCode, 'InitProducerId');
      return { producerId: response.producerId, producerEpoch: response.producerEpoch };
    };
    return this.#retrying('Becoming the producer of this pipeline', attempt, patienceMs);
  }

  /** Null where there is nothing to be known. */
  async describe(): Promise<LastTransaction | null> {
    const { transactionalId } = this.#cluster.options;
    return this.#retrying('Looking at the last transaction', async (broker) => {
      const to = { broker, purpose: 'control' } as const;
      try {
        const response = await this.#cluster.request(to, DESCRIBE_TRANSACTIONS, [transactionalId]);
        const last = response.transactionStates[0];
        if (last === undefined) return null;
        checkCode(last.errorCode, 'DescribeTransactions');
        return {
          state: last.transactionState,
          producerId: last.producerId,
          producerEpoch: last.producerEpoch,
        };
      } catch (error) {
        if (error instanceof KafkaFault && UNDESCRIBED.has(error.code)) return null;
        throw error;
      }
    });
  }

  async addPartitions(who: ProducerIdentity, topics: readonly TopicPartitions[]): Promise<void> {
    const { transactionalId } = this.#cluster.options;
    const doing = 'Opening a transaction';
    const began = performance.now();
    await this.#retrying(doing, async (broker) => {
      const response = await this.#cluster.request({ broker, purpose: 'control' }, ADD_PARTITIONS, [
        { transactionalId, ...who, verifyOnly: false, topics: [...topics] },
      ]);
      checkCode(response.errorCode, 'AddPartitionsToTxn');
      let worst = 0;
      let atFault: { readonly topic: string; readonly partition: number } | null = null;
      for (const transaction of response.resultsByTransaction) {
        for (const topic of transaction.topicResults) {
          for (const partition of topic.resultsByPartition) {
            const code = partition.partitionErrorCode;
            if (code === 0 || (worst !== 0 && worst !== KAFKA.OPERATION_NOT_ATTEMPTED)) continue;
            worst = code;
            atFault = { topic: topic.name, partition: partition.partitionIndex };
          }
        }
      }
      if (atFault === null) return;
      const fault = new KafkaFault('broker', worst, `AddPartitionsToTxn answered Kafka error ${worst}`);
      const { topic } = atFault;
      const gone =
        worst === KAFKA.UNKNOWN_TOPIC_OR_PARTITION &&
        performance.now() - began > GONE_MS &&
        (await this.#isGone(atFault));
      if (gone || worst === KAFKA.TOPIC_AUTHORIZATION_FAILED)
        throw refusedTopic(this.#cluster, fault, { doing, topic });
      throw fault;
    });
  }

  async #isGone({
    topic,
    partition,
  }: {
    readonly topic: string;
    readonly partition: number;
  }): Promise<boolean> {
    const partitions = partitionsIn(await this.#cluster.metadata([topic]), topic);
    return partitions !== null && partition >= partitions;
  }

  /** Commits or aborts. Asking again after an unknown outcome is safe: the same answer comes again. */
  async end(
    who: ProducerIdentity,
    commit: boolean,
    newest: number = END_TXN_VERSION - 1,
  ): Promise<ProducerIdentity | null> {
    const { transactionalId } = this.#cluster.options;
    return this.#retrying(commit ? 'Committing a transaction' : 'Aborting a transaction', async (broker) => {
      const to = { broker, purpose: 'control' } as const;
      const version = await this.#cluster.version(to, END_TXN_KEY, newest);
      const result = await this.#cluster.raw(to, endTxnRequest({ version, transactionalId, ...who, commit }));
      checkCode(result.code, 'EndTxn');
      return result.next;
    });
  }

  context(doing: string, topic?: string): Parameters<typeof faultToError>[1] {
    const { transactionalId, sasl, brokers } = this.#cluster.options;
    return { doing, topic, transactionalId, principal: sasl?.username, brokers };
  }

  /** A log without a leader is waited for; one that cannot be made never comes. */
  async #refuseWithoutLog(): Promise<void> {
    const response = await this.#cluster.metadata([TRANSACTION_LOG]).catch(() => null);
    if (response?.topics[0]?.errorCode === KAFKA.UNKNOWN_TOPIC_OR_PARTITION) throw withoutTransactions();
  }

  async #retrying<T>(
    doing: string,
    attempt: (broker: number) => Promise<T>,
    patienceMs = this.#cluster.options.deliveryTimeoutMs,
  ): Promise<T> {
    const started = performance.now();
    const deadline = started + patienceMs;
    for (let tries = 0; ; tries++) {
      try {
        this.#broker ??= await this.#cluster.coordinator(
          'transaction',
          this.#cluster.options.transactionalId,
        );
        return await attempt(this.#broker);
      } catch (error) {
        const fault = error instanceof HeadwaterError ? error : asFault(error, 'the transaction coordinator');
        if (!(fault instanceof KafkaFault)) throw fault;
        if (!fault.retriable || performance.now() > deadline || this.#signal.aborted) {
          throw faultToError(fault, this.context(doing));
        }
        if (fault.code === KAFKA.COORDINATOR_NOT_AVAILABLE && performance.now() - started > LOG_PATIENCE_MS)
          await this.#refuseWithoutLog();
        if (fault.stale) this.#broker = null;
        // The markers of the last transaction are written in about a millisecond; other troubles take longer.
        const wait =
          fault.code === KAFKA.CONCURRENT_TRANSACTIONS
            ? Math.min(1 + tries, 20)
            : Math.min(50 * 2 ** tries, 1000);
        await sleep(wait, undefined, { signal: this.#signal }).catch(() => {});
      }
    }
  }
}

export function withoutTransactions(): HeadwaterError {
  return new HeadwaterError('delivery.transactions-unsupported', 'No broker coordinates transactions.', {
    fix: `Look at topic ${TRANSACTION_LOG}: transaction.state.log.replication.factor must not be above the number of brokers. Or set emit.delivery: at-least-once.`,
  });
}
