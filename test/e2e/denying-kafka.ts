/** A Kafka with ACLs, whose user `cdc` may do everything but what is taken from it. */
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  type Admin,
  Kafka,
  logLevel,
  ResourcePatternTypes,
} from 'kafkajs';
import { type KafkaServer, startKafka } from '../support/servers.ts';

const PASSWORD = 'without-nothing';

export interface DenyingKafka extends AsyncDisposable {
  /** Where nothing is denied. */
  readonly brokers: string;
  /** Where `cdc` logs in, and how: a line below `kafka:` of a pipeline's file. */
  readonly denying: string;
  readonly login: string;
  readonly admin: Admin;
  /** `cdc` may not write to the topic. */
  deny(topic: string): Promise<void>;
  allow(topic: string): Promise<void>;
}

export async function startDenyingKafka(): Promise<DenyingKafka> {
  const kafka = await startKafka({
    listeners: ['SASL_PLAINTEXT'],
    users: [{ name: 'cdc', password: PASSWORD }],
    acls: true,
  });
  const admin = new Kafka({ brokers: [kafka.brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.createAcls({
    acl: [AclResourceTypes.TOPIC, AclResourceTypes.GROUP, AclResourceTypes.TRANSACTIONAL_ID].map(
      (resourceType) => ({
        ...rule,
        resourceType,
        resourceName: '*',
        operation: AclOperationTypes.ALL,
        permissionType: AclPermissionTypes.ALLOW,
      }),
    ),
  });
  return {
    brokers: kafka.brokers,
    denying: loginListener(kafka),
    login: `sasl: { mechanism: PLAIN, username: cdc, password: ${PASSWORD} }`,
    admin,
    deny: async (topic) => void (await admin.createAcls({ acl: [noWriting(topic)] })),
    allow: async (topic) => void (await admin.deleteAcls({ filters: [noWriting(topic)] })),
    async [Symbol.asyncDispose]() {
      await admin.disconnect();
      await kafka[Symbol.asyncDispose]();
    },
  };
}

const rule = { resourcePatternType: ResourcePatternTypes.LITERAL, principal: 'User:cdc', host: '*' } as const;

function noWriting(topic: string) {
  return {
    ...rule,
    resourceType: AclResourceTypes.TOPIC,
    resourceName: topic,
    operation: AclOperationTypes.WRITE,
    permissionType: AclPermissionTypes.DENY,
  };
}

function loginListener({ listeners }: KafkaServer): string {
  const address = listeners.SASL_PLAINTEXT;
  if (address === undefined) throw new Error('There is no listener that asks for a login.');
  return address;
}
