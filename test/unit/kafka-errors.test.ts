import { AuthenticationError, NetworkError, UserError } from '@platformatic/kafka';
import { describe, expect, it } from 'vitest';
import { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { asFault, faultToError, KAFKA, KafkaFault } from '../../src/emitter/sinks/kafka/errors.ts';

const context = {
  doing: 'Doing',
  topic: 't',
  transactionalId: 'x',
  groupId: 'g',
  principal: 'me',
  brokers: ['b:1'],
};

function system(code: string): Error {
  return Object.assign(new Error(code), { code });
}

describe('Kafka errors', () => {
  it.each([
    [KAFKA.TOPIC_AUTHORIZATION_FAILED, 'delivery.topic-denied', '--topic t'],
    [KAFKA.GROUP_AUTHORIZATION_FAILED, 'delivery.group-denied', '--group g'],
    [KAFKA.CLUSTER_AUTHORIZATION_FAILED, 'delivery.cluster-denied', '--cluster'],
    [KAFKA.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, 'delivery.transactions-denied', '--transactional-id x'],
    [KAFKA.PRODUCER_FENCED, 'delivery.fenced', ''],
    [KAFKA.INVALID_PRODUCER_EPOCH, 'delivery.fenced', ''],
    [KAFKA.INVALID_TXN_STATE, 'delivery.transaction-lost', ''],
    [KAFKA.MESSAGE_TOO_LARGE, 'delivery.batch-too-large', ''],
    [KAFKA.UNKNOWN_MEMBER_ID, 'delivery.lease-lost', ''],
    [KAFKA.UNSUPPORTED_VERSION, 'delivery.unsupported-broker', ''],
    [KAFKA.NOT_LEADER_OR_FOLLOWER, 'delivery.unreachable', ''],
    [999, 'delivery.refused', ''],
  ])('maps %d to %s', (code, expected, fix) => {
    const error = faultToError(new KafkaFault('broker', code, 'x'), context);
    expect(error.code).toBe(expected);
    expect(error.advice).toContain(fix);
    expect(error.message).toMatch(/^Doing: .*\.$/);
  });

  it('tells network, TLS and login apart by their codes', () => {
    const kind = (error: unknown): string => asFault(error, 'h:1').kind;
    expect(kind(new NetworkError('x', { cause: system('ECONNREFUSED') }))).toBe('network');
    expect(kind(new NetworkError('x', { cause: system('CERT_HAS_EXPIRED') }))).toBe('tls');
    expect(kind(new NetworkError('x', { cause: system('ERR_TLS_CERT_ALTNAME_INVALID') }))).toBe('tls');
    expect(kind(new NetworkError('x', { cause: system('ERR_SSL_WRONG_VERSION_NUMBER') }))).toBe('tls');
    expect(kind(new UserError('Broker requires TLS.'))).toBe('tls');
    expect(kind(new NetworkError('x', { cause: new AuthenticationError('no') }))).toBe('auth');
    expect(kind('text')).toBe('network');
  });

  it('retries what passes and nothing else', () => {
    const retriable = (code: number): boolean => new KafkaFault('broker', code, '').retriable;
    expect(new KafkaFault('network', 0, '').retriable).toBe(true);
    expect(new KafkaFault('auth', 58, '').retriable).toBe(false);
    expect(
      [KAFKA.NOT_COORDINATOR, KAFKA.CONCURRENT_TRANSACTIONS, KAFKA.NOT_ENOUGH_REPLICAS].map(retriable),
    ).toEqual([true, true, true]);
    expect(
      [KAFKA.PRODUCER_FENCED, KAFKA.TOPIC_AUTHORIZATION_FAILED, KAFKA.OUT_OF_ORDER_SEQUENCE_NUMBER].map(
        retriable,
      ),
    ).toEqual([false, false, false]);
  });

  it('passes on what is already an error of ours', () => {
    const error = new HeadwaterError('state.locked', 'x');
    expect(faultToError(error, context)).toBe(error);
    expect(faultToError(new TypeError('y'), context).code).toBe('internal.bug');
  });
});
