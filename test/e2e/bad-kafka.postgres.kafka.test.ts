/** A Kafka that cannot work: one sentence that names what and where, exit 3, and nothing is left at the source. */
import {
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
} from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  freePort,
  type KafkaServer,
  startKafka,
  type TestDatabase,
  testDatabase,
} from '../support/servers.ts';
import {
  type Finished,
  headwater,
  logLines,
  pipelineFile,
  runToEnd,
  type Workspace,
  workspace,
} from './headwater.ts';
import { topicsLike } from './topic-records.ts';

const PASSWORD = 'pass-word-1';
const { TOPIC, GROUP, TRANSACTIONAL_ID } = AclResourceTypes;
const { READ, WRITE, CREATE, DESCRIBE, DESCRIBE_CONFIGS } = AclOperationTypes;

/** What the documentation asks for: kind of resource, whether its name begins with headwater., operations. */
const NEEDED = {
  topic: [TOPIC, [READ, WRITE, CREATE, DESCRIBE, DESCRIBE_CONFIGS]],
  group: [GROUP, [READ, DESCRIBE]],
  'transactional id': [TRANSACTIONAL_ID, [WRITE, DESCRIBE]],
} as const;
type Resource = keyof typeof NEEDED;

let files: Workspace;
let database: TestDatabase;
let kafka: KafkaServer;

beforeAll(async () => {
  files = await workspace();
  database = await testDatabase();
  await database.query('CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1)');
  kafka = await startKafka({
    listeners: ['SASL_PLAINTEXT'],
    users: [...Object.keys(NEEDED), 'state topic', 'nothing'].map((lack) => ({
      name: without(lack),
      password: PASSWORD,
    })),
    acls: true,
  });
  const admin = new Kafka({ brokers: [kafka.brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  const resources = Object.keys(NEEDED) as Resource[];
  await admin.createAcls({
    acl: [...resources, 'state topic', 'nothing'].flatMap((lack) =>
      resources.flatMap((resource) =>
        grants(resource, {
          user: without(lack),
          tableTopics: resource !== lack,
          state: lack !== 'state topic',
        }),
      ),
    ),
  });
  await admin.disconnect();
});

/** A role that has all but this. */
function without(lack: string): string {
  return `without-${lack.replaceAll(' ', '-')}`;
}

function grants(resource: Resource, options: { user: string; tableTopics: boolean; state: boolean }) {
  const [resourceType, operations] = NEEDED[resource];
  const prefixes =
    resource === 'topic'
      ? [...(options.tableTopics ? ['p'] : []), ...(options.state ? ['headwater.'] : [])]
      : options.tableTopics
        ? ['headwater.']
        : [];
  return prefixes.flatMap((resourceName) =>
    operations.map((operation) => ({
      resourceType,
      resourceName,
      resourcePatternType: ResourcePatternTypes.PREFIXED,
      principal: `User:${options.user}`,
      host: '*',
      operation,
      permissionType: AclPermissionTypes.ALLOW,
    })),
  );
}

afterAll(async () => {
  await kafka?.[Symbol.asyncDispose]();
  await database?.drop();
  await files?.[Symbol.asyncDispose]();
});

async function write(
  name: string,
  brokers: string,
  options: { user?: string; password?: string; emit?: string[] } = {},
): Promise<string> {
  const { user, password = PASSWORD, emit = [] } = options;
  const text = pipelineFile({
    name,
    url: database.url,
    tables: ['public.orders'],
    brokers,
    source: [`postgres: { slot: ${slotOf(name)} }`],
    kafka: user === undefined ? [] : [`sasl: { mechanism: PLAIN, username: ${user}, password: ${password} }`],
    emit,
  });
  return files.write(`${name}.yaml`, text);
}

const slotOf = (name: string): string => `${database.name}_${name.replaceAll('-', '_')}`;

function expectRefusal({ exit, stderr }: Finished, code: string, says: RegExp, advice: RegExp): void {
  const errors = logLines(stderr).filter(({ level }) => level === 'error');
  expect(errors, stderr).toHaveLength(1);
  expect(errors[0]).toMatchObject({ code });
  expect(errors[0]!.msg).toMatch(says);
  expect(errors[0]!.advice).toMatch(advice);
  expect(exit).toBe(3);
  expect(stderr).not.toContain(PASSWORD);
}

async function expectNothingAtSource(): Promise<void> {
  expect(
    await database.query('SELECT slot_name FROM pg_replication_slots WHERE database = $1', [database.name]),
  ).toEqual([]);
  expect(await database.query('SELECT pubname FROM pg_publication')).toEqual([]);
}

describe('Kafka', () => {
  it.each(['run', 'doctor'])('cannot be reached by %s', async (command) => {
    const address = `127.0.0.1:${await freePort()}`;
    const { exit, stderr, stdout } = await headwater([command, await write('p-away', address)]);
    expect(stderr + stdout).toContain(address);
    if (command === 'run')
      expectRefusal({ exit, stderr, stdout }, 'delivery.unreachable', /Connecting to Kafka/, /brokers/);
    expect(exit).toBe(3);
    await expectNothingAtSource();
  });

  it('refuses the login', async () => {
    const file = await write('p-login', kafka.listeners.SASL_PLAINTEXT!, {
      user: 'without-nothing',
      password: 'wr0ng-one',
    });
    const finished = await runToEnd(file);
    expectRefusal(finished, 'delivery.auth-failed', /refused the login/, /sasl/);
    expect(finished.stderr).not.toContain('wr0ng-one');
    await expectNothingAtSource();
  });

  it.each([
    ['topic', 'delivery.topic-denied', /topic p-.*public\.orders/, /kafka-acls\.sh .*--topic p-/],
    ['state topic', 'delivery.topic-denied', /topic headwater\.p-/, /kafka-acls\.sh .*--topic headwater\.p-/],
    [
      'group',
      'delivery.group-denied',
      /consumer group headwater\.p-/,
      /kafka-acls\.sh .*--group headwater\.p-/,
    ],
    [
      'transactional id',
      'delivery.transactions-denied',
      /transactional id headwater\.p-/,
      /kafka-acls\.sh .*--transactional-id headwater\.p-/,
    ],
  ] as const)('denies the %s', async (lack, code, says, advice) => {
    const name = `p-${lack.replaceAll(' ', '-')}`;
    const user = without(lack);
    const file = await write(name, kafka.listeners.SASL_PLAINTEXT!, { user });
    const [finished, doctor] = await Promise.all([runToEnd(file), headwater(['doctor', file])]);
    expectRefusal(finished, code, says, advice);
    await expectNothingAtSource();
    expect(await topicsLike(kafka.brokers, name, `headwater.${name}`)).toEqual([]);
    expect(doctor.exit, doctor.stdout).toBe(3);
    expect(doctor.stdout).toMatch(advice);
  });

  it('needs no more than is granted', async () => {
    const file = await write('p-all', kafka.listeners.SASL_PLAINTEXT!, { user: without('nothing') });
    const doctor = await headwater(['doctor', file]);
    expect(doctor.exit, doctor.stdout).toBe(0);
    const { exit, stderr } = await runToEnd(file);
    expect(exit, stderr).toBe(0);
    expect(await topicsLike(kafka.brokers, 'p-all')).toEqual(['p-all.dead-letter', 'p-all.public.orders']);
    await database.query('SELECT pg_drop_replication_slot($1)', [slotOf('p-all')]);
    await database.query(
      'DROP PUBLICATION "headwater_p_all"; DROP PUBLICATION "headwater_p_all_insert_only"',
    );
  });

  it('without transactions serves at-least-once', async () => {
    const file = await write('p-once', kafka.listeners.SASL_PLAINTEXT!, {
      user: without('transactional id'),
      emit: ['delivery: at-least-once'],
    });
    const { exit, stderr } = await runToEnd(file);
    expect(exit, stderr).toBe(0);
    expect(await topicsLike(kafka.brokers, 'p-once')).toEqual(['p-once.dead-letter', 'p-once.public.orders']);
  });
});
