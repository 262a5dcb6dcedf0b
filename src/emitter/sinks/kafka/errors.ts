import { findErrorBy } from '@platformatic/kafka';
import type { Code } from '../../../errors/catalogue.ts';
import { HeadwaterError } from '../../../errors/headwater-error.ts';

/** Kafka's error codes that we act upon (https://kafka.apache.org/protocol.html#protocol_error_codes). */
export const KAFKA = {
  OFFSET_OUT_OF_RANGE: 1,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER_OR_FOLLOWER: 6,
  REQUEST_TIMED_OUT: 7,
  MESSAGE_TOO_LARGE: 10,
  NETWORK_EXCEPTION: 13,
  COORDINATOR_LOAD_IN_PROGRESS: 14,
  COORDINATOR_NOT_AVAILABLE: 15,
  NOT_COORDINATOR: 16,
  RECORD_LIST_TOO_LARGE: 18,
  NOT_ENOUGH_REPLICAS: 19,
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: 20,
  ILLEGAL_GENERATION: 22,
  UNKNOWN_MEMBER_ID: 25,
  REBALANCE_IN_PROGRESS: 27,
  TOPIC_AUTHORIZATION_FAILED: 29,
  GROUP_AUTHORIZATION_FAILED: 30,
  CLUSTER_AUTHORIZATION_FAILED: 31,
  UNSUPPORTED_SASL_MECHANISM: 33,
  ILLEGAL_SASL_STATE: 34,
  UNSUPPORTED_VERSION: 35,
  TOPIC_ALREADY_EXISTS: 36,
  INVALID_REPLICATION_FACTOR: 38,
  NOT_CONTROLLER: 41,
  POLICY_VIOLATION: 44,
  OUT_OF_ORDER_SEQUENCE_NUMBER: 45,
  DUPLICATE_SEQUENCE_NUMBER: 46,
  INVALID_PRODUCER_EPOCH: 47,
  INVALID_TXN_STATE: 48,
  INVALID_PRODUCER_ID_MAPPING: 49,
  INVALID_TRANSACTION_TIMEOUT: 50,
  CONCURRENT_TRANSACTIONS: 51,
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 53,
  OPERATION_NOT_ATTEMPTED: 55,
  KAFKA_STORAGE_ERROR: 56,
  SASL_AUTHENTICATION_FAILED: 58,
  UNKNOWN_PRODUCER_ID: 59,
  GROUP_ID_NOT_FOUND: 69,
  FENCED_LEADER_EPOCH: 74,
  UNKNOWN_LEADER_EPOCH: 75,
  OFFSET_NOT_AVAILABLE: 78,
  MEMBER_ID_REQUIRED: 79,
  FENCED_INSTANCE_ID: 82,
  THROTTLING_QUOTA_EXCEEDED: 89,
  PRODUCER_FENCED: 90,
  TRANSACTIONAL_ID_NOT_FOUND: 105,
} as const;

const RETRIABLE: ReadonlySet<number> = new Set([
  KAFKA.UNKNOWN_TOPIC_OR_PARTITION,
  KAFKA.LEADER_NOT_AVAILABLE,
  KAFKA.NOT_LEADER_OR_FOLLOWER,
  KAFKA.REQUEST_TIMED_OUT,
  KAFKA.NETWORK_EXCEPTION,
  KAFKA.COORDINATOR_LOAD_IN_PROGRESS,
  KAFKA.COORDINATOR_NOT_AVAILABLE,
  KAFKA.NOT_COORDINATOR,
  KAFKA.NOT_ENOUGH_REPLICAS,
  KAFKA.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
  KAFKA.NOT_CONTROLLER,
  KAFKA.CONCURRENT_TRANSACTIONS,
  KAFKA.OPERATION_NOT_ATTEMPTED,
  KAFKA.KAFKA_STORAGE_ERROR,
  KAFKA.FENCED_LEADER_EPOCH,
  KAFKA.UNKNOWN_LEADER_EPOCH,
  KAFKA.OFFSET_NOT_AVAILABLE,
  KAFKA.THROTTLING_QUOTA_EXCEEDED,
]);

/** `records`: what a topic holds cannot be read. */
export type FaultKind = 'broker' | 'network' | 'auth' | 'tls' | 'records';

/** Inside this folder only: something a broker or the way to it answered. `code` is 0 unless a broker spoke. */
export class KafkaFault extends Error {
  readonly kind: FaultKind;
  readonly code: number;

  constructor(kind: FaultKind, code: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'KafkaFault';
    this.kind = kind;
    this.code = code;
  }

  get retriable(): boolean {
    return this.kind === 'network' || RETRIABLE.has(this.code);
  }

  /** True where the partition's leader or the coordinator may have moved. */
  get stale(): boolean {
    return (
      this.kind === 'network' ||
      this.code === KAFKA.NOT_LEADER_OR_FOLLOWER ||
      this.code === KAFKA.LEADER_NOT_AVAILABLE ||
      this.code === KAFKA.UNKNOWN_TOPIC_OR_PARTITION ||
      this.code === KAFKA.FENCED_LEADER_EPOCH ||
      this.code === KAFKA.NOT_COORDINATOR ||
      this.code === KAFKA.COORDINATOR_NOT_AVAILABLE
    );
  }
}

/** True while a coordinator is being found, or reads its log, or has just moved: asking again later gets an answer. */
export function awaitsCoordinator(code: number): boolean {
  return (
    code === KAFKA.COORDINATOR_LOAD_IN_PROGRESS ||
    code === KAFKA.COORDINATOR_NOT_AVAILABLE ||
    code === KAFKA.NOT_COORDINATOR
  );
}

/** Throws unless the broker's code is 0. */
export function checkCode(code: number, what: string): void {
  if (code !== 0) throw new KafkaFault('broker', code, `${what} answered Kafka error ${code}`);
}

const TLS_CODES: ReadonlySet<string> = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_REJECTED',
  'CERT_UNTRUSTED',
  'CERT_SIGNATURE_FAILURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'HOSTNAME_MISMATCH',
  'EPROTO',
]);

/** What a connection or the client library threw, as a fault. `where` is host:port. */
export function asFault(error: unknown, where: string): KafkaFault {
  if (error instanceof KafkaFault) return error;
  if (!(error instanceof Error)) return new KafkaFault('network', 0, `${where}: ${String(error)}`, error);
  const protocol = findErrorBy(error, 'code', 'PLT_KFK_PROTOCOL');
  const chain = causes(error);
  const protocolInChain = chain.find((each) => typeof (each as { apiCode?: unknown }).apiCode === 'number');
  const apiCode =
    (protocol?.['apiCode'] as number | undefined) ??
    (protocolInChain as { apiCode?: number } | undefined)?.apiCode;
  if (
    chain.some((each) => codeOf(each) === 'PLT_KFK_AUTHENTICATION') ||
    apiCode === KAFKA.SASL_AUTHENTICATION_FAILED ||
    apiCode === KAFKA.UNSUPPORTED_SASL_MECHANISM ||
    apiCode === KAFKA.ILLEGAL_SASL_STATE
  ) {
    return new KafkaFault(
      'auth',
      apiCode ?? KAFKA.SASL_AUTHENTICATION_FAILED,
      `${where} refused the login`,
      error,
    );
  }
  if (chain.some((each) => isTlsError(each))) {
    const inner = chain.find((each) => isTlsError(each))!;
    return new KafkaFault('tls', 0, `TLS with ${where} failed: ${codeOf(inner) ?? inner.message}`, error);
  }
  if (apiCode !== undefined)
    return new KafkaFault('broker', apiCode, `${where} answered Kafka error ${apiCode}`, error);
  const system = chain.map((each) => codeOf(each)).find((code) => code !== null && /^E[A-Z_]+$/.test(code));
  return new KafkaFault('network', 0, `${where}: ${system ?? error.message}`, error);
}

function causes(error: Error): readonly Error[] {
  const found: Error[] = [];
  const visit = (each: unknown, depth: number): void => {
    if (!(each instanceof Error) || depth > 8 || found.includes(each)) return;
    found.push(each);
    visit(each.cause, depth + 1);
    if (each instanceof AggregateError) for (const inner of each.errors) visit(inner, depth + 1);
  };
  visit(error, 0);
  return found;
}

function codeOf(error: Error): string | null {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? code : null;
}

function isTlsError(error: Error): boolean {
  const code = codeOf(error);
  if (code === null) return false;
  // The client library says PLT_KFK_USER only for a plain connection to a TLS listener and the reverse.
  return (
    TLS_CODES.has(code) ||
    code.startsWith('ERR_SSL_') ||
    code.startsWith('ERR_TLS_') ||
    code === 'PLT_KFK_USER'
  );
}

export interface FaultContext {
  /** What we were doing, as the beginning of a sentence: `Producing to topic shop.public.orders`. */
  readonly doing: string;
  readonly principal?: string | undefined;
  readonly topic?: string | undefined;
  readonly transactionalId?: string | undefined;
  readonly groupId?: string | undefined;
  readonly brokers?: readonly string[] | undefined;
}

/** The catalogue's error for a fault that is not, or no longer, retried here. */
export function faultToError(fault: unknown, context: FaultContext): HeadwaterError {
  if (fault instanceof HeadwaterError) return fault;
  if (!(fault instanceof KafkaFault)) {
    const message = fault instanceof Error ? fault.message : String(fault);
    return new HeadwaterError('internal.bug', `${context.doing}: ${message}`, { cause: fault });
  }
  const acl = `kafka-acls.sh --bootstrap-server ${context.brokers?.[0] ?? 'BROKER'} --add --allow-principal User:${context.principal ?? 'PRINCIPAL'}`;
  const make = (code: Code, sentence: string, fix?: string): HeadwaterError =>
    new HeadwaterError(code, `${context.doing}: ${sentence}.`, {
      details: { kafkaError: fault.code, topic: context.topic ?? null },
      fix,
      cause: fault,
    });
  if (fault.kind === 'auth') {
    return fault.code === KAFKA.UNSUPPORTED_SASL_MECHANISM
      ? make(
          'delivery.auth-failed',
          'the broker does not offer this SASL mechanism',
          'Set emit.kafka.sasl.mechanism to one the listener has enabled (sasl.enabled.mechanisms).',
        )
      : make('delivery.auth-failed', fault.message);
  }
  if (fault.kind === 'tls') return make('delivery.tls-failed', fault.message);
  if (fault.kind === 'records') return make('delivery.records-unreadable', fault.message);
  if (fault.kind === 'network') return make('delivery.unreachable', fault.message);
  switch (fault.code) {
    case KAFKA.TOPIC_AUTHORIZATION_FAILED: {
      const topic = context.topic ?? 'TOPIC';
      return make(
        'delivery.topic-denied',
        `the broker denies access to topic ${topic}`,
        `${acl} --operation Describe --operation Read --operation Write --operation Create --operation DescribeConfigs --topic ${topic}`,
      );
    }
    case KAFKA.CLUSTER_AUTHORIZATION_FAILED:
      return make(
        'delivery.cluster-denied',
        'the broker denies an operation on the cluster',
        `${acl} --operation IdempotentWrite --operation Create --cluster`,
      );
    case KAFKA.GROUP_AUTHORIZATION_FAILED: {
      const group = context.groupId ?? 'GROUP';
      return make(
        'delivery.group-denied',
        `the broker denies access to consumer group ${group}`,
        `${acl} --operation Read --operation Describe --group ${group}`,
      );
    }
    case KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: {
      const id = context.transactionalId ?? 'ID';
      return make(
        'delivery.transactions-denied',
        `the broker denies transactional id ${id}`,
        `${acl} --operation Write --operation Describe --transactional-id ${id}`,
      );
    }
    case KAFKA.UNSUPPORTED_VERSION:
      return make(
        'delivery.unsupported-broker',
        'the broker does not speak a version of this request that Headwater needs (Kafka 2.5 or later)',
      );
    case KAFKA.INVALID_TRANSACTION_TIMEOUT:
      return make(
        'delivery.transactions-unsupported',
        "the transaction timeout is above the broker's transaction.max.timeout.ms",
      );
    case KAFKA.PRODUCER_FENCED:
    case KAFKA.INVALID_PRODUCER_EPOCH:
    case KAFKA.INVALID_PRODUCER_ID_MAPPING:
      return make(
        'delivery.fenced',
        'another producer with this transactional id has taken over, or the broker aborted a transaction that was open for too long',
      );
    case KAFKA.INVALID_TXN_STATE:
    case KAFKA.UNKNOWN_PRODUCER_ID:
    case KAFKA.OUT_OF_ORDER_SEQUENCE_NUMBER:
      return make(
        'delivery.transaction-lost',
        `the broker no longer knows the state of this producer (Kafka error ${fault.code})`,
      );
    case KAFKA.MESSAGE_TOO_LARGE:
    case KAFKA.RECORD_LIST_TOO_LARGE:
      return make(
        'delivery.batch-too-large',
        `the broker found a batch too large for topic ${context.topic ?? ''}, whose limit has been lowered`,
      );
    case KAFKA.UNKNOWN_MEMBER_ID:
    case KAFKA.ILLEGAL_GENERATION:
    case KAFKA.FENCED_INSTANCE_ID:
      return make(
        'delivery.lease-lost',
        'this instance is no longer a member of the group that guards the pipeline',
      );
    default:
      return fault.retriable
        ? make('delivery.unreachable', `still Kafka error ${fault.code} after many tries`)
        : make('delivery.refused', `the broker answered Kafka error ${fault.code}`);
  }
}
