/** Brokers of this file's own: with logins, TLS and ACLs, and one that is killed. */
import { readFile } from 'node:fs/promises';
import {
  Kafka,
  logLevel,
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  ResourcePatternTypes,
} from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { checkKafka } from '../../src/emitter/sinks/kafka/check-kafka.ts';
import { openKafkaSink } from '../../src/emitter/sinks/kafka/kafka-sink.ts';
import type { KafkaSinkOptions, KafkaTls } from '../../src/emitter/sinks/kafka/options.ts';
import { tailKafka } from '../../src/emitter/sinks/kafka/tail-kafka.ts';
import type { Sink, SinkRecord } from '../../src/emitter/sink.ts';
import { type Log, SILENT } from '../../src/observability/log.ts';
import { type KafkaServer, startKafka } from '../support/servers.ts';

const never = new AbortController().signal;
const opened: Sink[] = [];

function record(value: string): SinkRecord {
  return { key: '1', value, headers: null, timestamp: Date.now() };
}

async function start(options: KafkaSinkOptions): Promise<{ sink: Sink; state: ReadonlyMap<string, string> }> {
  const sink = await openKafkaSink(options, SILENT);
  try {
    const state = await sink.restore({ onWaiting: () => {}, signal: never });
    opened.push(sink);
    return { sink, state };
  } catch (error) {
    await sink[Symbol.asyncDispose]();
    throw error;
  }
}

async function values(options: KafkaSinkOptions, topic: string, count: number): Promise<string[]> {
  const stop = new AbortController();
  const found: string[] = [];
  for await (const { value } of tailKafka(
    { brokers: options.brokers, topics: [topic], fromBeginning: true },
    stop.signal,
  )) {
    found.push(Buffer.from(value!).toString());
    if (found.length === count) setTimeout(() => stop.abort(), 500);
  }
  return found;
}

afterEach(async () => {
  for (const sink of opened.splice(0)) await sink[Symbol.asyncDispose]();
});

describe('a broker with logins, TLS and ACLs', () => {
  let server: KafkaServer;
  let ca: string;
  const password = 'pass-word-1';

  beforeAll(async () => {
    server = await startKafka({
      listeners: ['SASL_PLAINTEXT', 'SASL_SSL', 'SSL'],
      users: [
        { name: 'allowed', password },
        { name: 'denied', password },
      ],
      clientCertificates: true,
      acls: true,
    });
    ca = await readFile(server.certificates!.ca, 'utf8');
    const admin = new Kafka({ brokers: [server.brokers], logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    const allow = (
      resourceType: AclResourceTypes,
      resourceName: string,
      operation: AclOperationTypes,
      principal = 'User:allowed',
    ) => ({
      resourceType,
      resourceName,
      resourcePatternType:
        resourceName === '*' || resourceType === AclResourceTypes.CLUSTER
          ? ResourcePatternTypes.LITERAL
          : ResourcePatternTypes.PREFIXED,
      principal,
      host: '*',
      operation,
      permissionType: AclPermissionTypes.ALLOW,
    });
    const { TOPIC, GROUP, TRANSACTIONAL_ID } = AclResourceTypes;
    const { READ, WRITE, CREATE, DESCRIBE, DESCRIBE_CONFIGS, ALL } = AclOperationTypes;
    await admin.createAcls({
      acl: [
        ...['p', 'headwater.p'].flatMap((prefix) =>
          [READ, WRITE, CREATE, DESCRIBE, DESCRIBE_CONFIGS].map((operation) =>
            allow(TOPIC, prefix, operation),
          ),
        ),
        allow(GROUP, 'headwater.p', READ),
        allow(GROUP, 'headwater.p', DESCRIBE),
        allow(TRANSACTIONAL_ID, 'headwater.p', WRITE),
        allow(TRANSACTIONAL_ID, 'headwater.p', DESCRIBE),
        ...[TOPIC, GROUP, TRANSACTIONAL_ID].map((type) => allow(type, '*', ALL, 'User:CN=client')),
        allow(GROUP, 'headwater.p', READ, 'User:denied'),
        allow(GROUP, 'headwater.p', DESCRIBE, 'User:denied'),
      ],
    });
    await admin.disconnect();
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  const works = async (options: Omit<KafkaSinkOptions, 'topics'>): Promise<void> => {
    const { sink } = await start({ ...options, topics: { partitions: 1 } });
    const topic = await sink.topic(`${options.name}.t`, 'table');
    sink.append(topic, record('1'));
    await sink.commit(new Map([['position', '1']]));
    expect(await values({ name: 'x', brokers: [server.brokers] }, topic.name, 1)).toEqual(['1']);
  };

  it.each(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)(
    'lets in %s with exactly the ACLs the advice names',
    async (mechanism) => {
      const sasl = { mechanism, username: 'allowed', password };
      await works({ name: `p-${mechanism}`, brokers: [server.listeners.SASL_PLAINTEXT!], sasl });
      await works({
        name: `p-tls-${mechanism}`,
        brokers: [server.listeners.SASL_SSL!],
        sasl,
        tls: { mode: 'verify-full', ca },
      });
    },
  );

  it('lets in a client certificate', async () => {
    const { clientCert, clientKey } = server.certificates!;
    const [cert, key] = await Promise.all([readFile(clientCert, 'utf8'), readFile(clientKey, 'utf8')]);
    await works({
      name: 'p-mtls',
      brokers: [server.listeners.SSL!],
      tls: { mode: 'verify-ca', ca, cert, key },
    });
  });

  it.each(['PLAIN', 'SCRAM-SHA-512'] as const)('says that the login is wrong (%s)', async (mechanism) => {
    const options = {
      name: 'p',
      brokers: [server.listeners.SASL_PLAINTEXT!],
      sasl: { mechanism, username: 'allowed', password: 'wrong-secret' },
    };
    const error = await openKafkaSink(options, SILENT).catch((each: unknown) => each as Error);
    expect(error).toMatchObject({ code: 'delivery.auth-failed' });
    expect((error as Error).message).not.toContain('wrong-secret');
  });

  it('says what is wrong with TLS', async () => {
    const open = (tls: KafkaTls, broker: string) =>
      openKafkaSink({ name: 'p', brokers: [broker], tls }, SILENT);
    const failed = { code: 'delivery.tls-failed' };
    await expect(open({ mode: 'verify-full' }, server.listeners.SSL!)).rejects.toMatchObject(failed); // unknown CA
    await expect(open({ mode: 'off' }, server.listeners.SSL!)).rejects.toMatchObject(failed);
    await expect(open({ mode: 'verify-full', ca }, server.listeners.SSL!)).rejects.toMatchObject(failed); // no certificate of ours
  });

  it('names the statement that allows what is denied', async () => {
    const sasl = { mechanism: 'PLAIN', username: 'denied', password } as const;
    const options: KafkaSinkOptions = { name: 'p-denied', brokers: [server.listeners.SASL_PLAINTEXT!], sasl };
    const denied = await start(options).catch((error: unknown) => error);
    expect(denied).toMatchObject({ code: 'delivery.topic-denied' });
    expect((denied as { fix: string }).fix).toContain('--allow-principal User:denied');
    const group = await start({ ...options, groupId: 'other' }).catch((error: unknown) => error);
    expect(group).toMatchObject({ code: 'delivery.group-denied' });
    const transactions = await start({
      ...options,
      sasl: { ...sasl, username: 'allowed' },
      transactionalId: 'other',
    }).catch((error: unknown) => error);
    expect(transactions).toMatchObject({ code: 'delivery.transactions-denied' });
    const findings = await checkKafka({ ...options, groupId: 'other', transactionalId: 'other' }, never);
    const codes = findings.filter(({ level }) => level === 'error').map(({ code }) => code);
    expect(codes).toEqual([
      'delivery.transactions-denied',
      'delivery.group-denied',
      'delivery.topic-denied',
      'delivery.topic-denied',
    ]);
  });
});

describe('a broker without a transaction log', () => {
  it('is named as what it is where transactions are needed, and serves at-least-once unfenced', async () => {
    await using server = await startKafka({ settings: { 'transaction.state.log.replication.factor': '3' } });
    const options: KafkaSinkOptions = {
      name: 'no-log',
      brokers: [server.brokers],
      topics: { partitions: 1 },
    };
    const refusal = { code: 'delivery.transactions-unsupported' };
    await expect(start(options)).rejects.toMatchObject(refusal);
    expect(await checkKafka(options, never)).toContainEqual(expect.objectContaining(refusal));

    const warnings: unknown[] = [];
    const log: Log = { ...SILENT, warn: (_, message) => warnings.push(message) };
    const sink = await openKafkaSink({ ...options, delivery: 'at-least-once' }, log);
    opened.push(sink);
    await sink.restore({ onWaiting: () => {}, signal: never });
    expect(warnings).toEqual([expect.stringContaining('at-least-once without a transactional id')]);
    const topic = await sink.topic('no-log.t', 'table');
    sink.append(topic, record('1'));
    await sink.commit(new Map([['position', '1']]));
    expect(await values(options, 'no-log.t', 1)).toEqual(['1']);
  });
});

describe('a broker that goes away', () => {
  let server: KafkaServer;

  beforeAll(async () => {
    server = await startKafka();
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  it.each(['exactly-once', 'at-least-once'] as const)(
    'costs nothing but time: killed and started again (%s)',
    async (delivery) => {
      const options: KafkaSinkOptions = {
        name: `k-${delivery}`,
        brokers: [server.brokers],
        delivery,
        topics: { partitions: 2 },
      };
      let { sink, state } = await start(options);
      let topic = await sink.topic(`${options.name}.t`, 'table');
      let next = 0;
      let attempts = 1;
      const deliver = async (until: number): Promise<void> => {
        while (next < until) {
          try {
            for (let i = next; i < next + 10; i++) sink.append(topic, { ...record(`${i}`), key: `${i % 5}` });
            await sink.commit(new Map([['position', String(next + 10)]]));
            next += 10;
          } catch {
            // As the supervisor does: begin again from what is durable.
            attempts++;
            await sink[Symbol.asyncDispose]();
            opened.splice(0);
            ({ sink, state } = await start(options));
            topic = await sink.topic(`${options.name}.t`, 'table');
            next = Number(state.get('position') ?? 0);
          }
        }
      };
      await deliver(200);
      const going = deliver(400);
      await server.kill();
      await server.start();
      await going;
      expect(attempts).toBeLessThanOrEqual(2);
      await sink[Symbol.asyncDispose]();
      const { state: last } = await start(options);
      expect(last.get('position')).toBe('400');
      const seen = (await values(options, topic.name, 400)).map(Number);
      const expected = Array.from({ length: 400 }, (_, i) => i);
      if (delivery === 'exactly-once') expect(seen.toSorted((a, b) => a - b)).toEqual(expected);
      else expect([...new Set(seen)].toSorted((a, b) => a - b)).toEqual(expected);
    },
  );

  it('stops for a while without an answer, and the same sink goes on', async () => {
    const options: KafkaSinkOptions = {
      name: 'paused',
      brokers: [server.brokers],
      requestTimeoutMs: 2000,
      topics: { partitions: 1 },
    };
    const { sink } = await start(options);
    const topic = await sink.topic('paused.t', 'table');
    sink.append(topic, record('1'));
    await sink.commit(new Map([['position', '1']]));
    server.pause();
    sink.append(topic, record('2'));
    const commit = sink.commit(new Map([['position', '2']]));
    setTimeout(() => server.resume(), 4000);
    await commit;
    expect(await values(options, 'paused.t', 2)).toEqual(['1', '2']);
  });
});
