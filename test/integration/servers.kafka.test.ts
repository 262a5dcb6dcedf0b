import { readFile } from 'node:fs/promises';
import kafkajs, { type KafkaConfig } from 'kafkajs';
import { describe, expect, it } from 'vitest';
import { startKafka, testKafka } from '../support/servers.ts';

const { Kafka, logLevel } = kafkajs;

async function withAdmin<T>(
  config: Partial<KafkaConfig> & { brokers: string[] },
  use: (admin: ReturnType<InstanceType<typeof Kafka>['admin']>) => Promise<T>,
): Promise<T> {
  const admin = new Kafka({ clientId: 'servers-test', logLevel: logLevel.NOTHING, ...config }).admin();
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.disconnect();
  }
}

describe('the Kafka of the run', () => {
  it('gives each test a prefix of its own', async () => {
    const [one, other] = [await testKafka(), await testKafka()];
    expect(one.brokers).toBe(other.brokers);
    expect(one.prefix).not.toBe(other.prefix);
    const topics = await withAdmin({ brokers: [one.brokers] }, async (admin) => {
      await admin.createTopics({ topics: [{ topic: `${one.prefix}.a` }] });
      return admin.listTopics();
    });
    expect(topics).toContain(`${one.prefix}.a`);
  });
});

describe('a Kafka of a test', () => {
  it('comes back at the same address with its data after SIGKILL and after a stop', async () => {
    await using server = await startKafka();
    const topics = (): Promise<string[]> =>
      withAdmin({ brokers: [server.brokers], retry: { retries: 0 } }, (admin) => admin.listTopics());
    await withAdmin({ brokers: [server.brokers] }, (admin) =>
      admin.createTopics({ topics: [{ topic: 'kept' }] }),
    );
    await server.kill();
    await expect(topics()).rejects.toThrow();
    await server.start();
    expect(await topics()).toContain('kept');
    await server.stop();
    await expect(topics()).rejects.toThrow();
    await server.start();
    expect(await topics()).toContain('kept');
  });

  it('takes PLAIN, SCRAM and TLS logins, and lets users do only what ACLs allow', async () => {
    await using server = await startKafka({
      listeners: ['SASL_PLAINTEXT', 'SASL_SSL', 'SSL'],
      users: [{ name: 'alice', password: 'secret' }],
      clientCertificates: true,
      acls: true,
    });
    await withAdmin({ brokers: [server.brokers] }, (admin) =>
      admin.createTopics({ topics: [{ topic: 'hidden' }] }),
    );
    const files = server.certificates!;
    const ca = [await readFile(files.ca)];
    const login = { username: 'alice', password: 'secret' };
    const plain = [server.listeners.SASL_PLAINTEXT!];
    const ways: (Partial<KafkaConfig> & { brokers: string[] })[] = [
      { brokers: plain, sasl: { mechanism: 'plain', ...login } },
      { brokers: plain, sasl: { mechanism: 'scram-sha-256', ...login } },
      { brokers: plain, sasl: { mechanism: 'scram-sha-512', ...login } },
      { brokers: [server.listeners.SASL_SSL!], ssl: { ca }, sasl: { mechanism: 'plain', ...login } },
      {
        brokers: [server.listeners.SSL!],
        ssl: { ca, cert: await readFile(files.clientCert), key: await readFile(files.clientKey) },
      },
    ];
    for (const way of ways) expect(await withAdmin(way, (admin) => admin.listTopics())).toEqual([]);
    const wrong = { mechanism: 'plain' as const, username: 'alice', password: 'wrong' };
    await expect(
      withAdmin({ brokers: plain, sasl: wrong, retry: { retries: 0 } }, (admin) => admin.listTopics()),
    ).rejects.toThrow(/authentication/i);
    await expect(
      withAdmin({ brokers: [server.listeners.SSL!], ssl: { ca }, retry: { retries: 0 } }, (admin) =>
        admin.listTopics(),
      ),
    ).rejects.toThrow();
  });
});
