import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Finding } from '../../../readers/reader.ts';
import { DESCRIBE_GROUPS } from './apis.ts';
import { Cluster } from './cluster.ts';
import { LOG_PATIENCE_MS, withoutTransactions } from './coordinator.ts';
import { asFault, awaitsCoordinator, faultToError, KAFKA, KafkaFault } from './errors.ts';
import { type KafkaSinkOptions, resolveKafkaOptions } from './options.ts';
import { checkStateTopic, checkTopic, contextFor, recordTopicPlan, stateTopicPlan } from './topics.ts';
import { TopicRequests } from './topic-requests.ts';
import { NOT_TOLD, READ, WRITE } from './authorized-operations.ts';
import { PRODUCE_KEY, PRODUCE_VERSION } from './txn-requests.ts';

const COORDINATOR_PAUSE_MS = 250;

export interface CheckKafkaOptions extends KafkaSinkOptions {
  /** Topics the pipeline will write to, as far as they are known. */
  readonly topicNames?: readonly string[] | undefined;
}

/**
 * What could keep the Kafka sink from working, without changing anything: reachability, login, versions,
 * transactions, and the ACLs as far as a broker tells them. Never throws for what it can describe.
 */
export async function checkKafka(
  options: CheckKafkaOptions,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const cluster = new Cluster(resolveKafkaOptions(options));
  const findings: Finding[] = [];
  const check = async (
    name: string,
    doing: string,
    action: () => Promise<string | Finding>,
  ): Promise<boolean> => {
    signal.throwIfAborted();
    try {
      const result = await action();
      findings.push(typeof result === 'string' ? { check: name, level: 'ok', message: result } : result);
      return typeof result === 'string' || result.level !== 'error';
    } catch (error) {
      const known =
        error instanceof HeadwaterError
          ? error
          : faultToError(asFault(error, 'the cluster'), contextFor(cluster, doing));
      findings.push({
        check: name,
        level: 'error',
        message: known.message,
        fix: known.advice,
        code: known.code,
      });
      return false;
    }
  };
  try {
    const { brokers, delivery, stateTopic, name } = cluster.options;
    const requests = new TopicRequests(cluster);
    const connected = await check(
      'kafka.connection',
      `Connecting to Kafka at ${brokers.join(', ')}`,
      async () => {
        await cluster.metadata([]);
        return `Kafka answers at ${brokers.join(', ')}: ${cluster.brokerIds.length} broker(s).`;
      },
    );
    if (!connected) return findings;
    await check('kafka.brokers', 'Connecting to each broker', async () => {
      for (const broker of cluster.brokerIds)
        await cluster.version({ broker, purpose: 'control' }, PRODUCE_KEY, PRODUCE_VERSION);
      return 'Every broker can be reached under the address it advertises.';
    });
    if (delivery === 'exactly-once')
      await check('kafka.transactions', 'Looking for the transaction coordinator', () =>
        checkTransactions(cluster),
      );
    await check('kafka.lease', 'Looking at the consumer group of the lease', () => checkGroup(cluster));
    await check('kafka.state-topic', `Looking at topic ${stateTopic}`, async () => {
      const found = await checkTopic(requests, stateTopicPlan(cluster), READ | WRITE);
      await checkStateTopic(requests);
      return found;
    });
    const names = options.topicNames ?? [`${name}.headwater-check`];
    await Promise.all(
      names.map((topic) =>
        check('kafka.topics', `Looking at topic ${topic}`, () =>
          checkTopic(requests, recordTopicPlan(cluster, topic), WRITE),
        ),
      ),
    );
    return findings;
  } finally {
    await cluster[Symbol.asyncDispose]();
  }
}

async function checkTransactions(cluster: Cluster): Promise<string> {
  const { transactionalId } = cluster.options;
  try {
    await onceCoordinated(() => cluster.coordinator('transaction', transactionalId));
    return `Transactional id ${transactionalId} has a coordinator.`;
  } catch (error) {
    const fault = asFault(error, 'the cluster');
    throw fault.code === KAFKA.COORDINATOR_NOT_AVAILABLE ? withoutTransactions() : fault;
  }
}

async function checkGroup(cluster: Cluster): Promise<string | Finding> {
  const { groupId } = cluster.options;
  const group = await onceCoordinated(async () => {
    const broker = await cluster.coordinator('group', groupId);
    const response = await cluster.request({ broker, purpose: 'control' }, DESCRIBE_GROUPS, [groupId], true);
    const [described] = response.groups;
    const code = described?.errorCode ?? 0;
    if (code !== 0 && code !== KAFKA.GROUP_ID_NOT_FOUND)
      throw new KafkaFault('broker', code, `group ${groupId}`);
    return described;
  });
  const operations = group?.authorizedOperations ?? NOT_TOLD;
  if (operations !== NOT_TOLD && (operations & READ) === 0)
    throw new KafkaFault('broker', KAFKA.GROUP_AUTHORIZATION_FAILED, `group ${groupId}`);
  const members = group?.members.length ?? 0;
  if (members === 0) return `Consumer group ${groupId} is free.`;
  return {
    check: 'kafka.lease',
    level: 'ok',
    message: `Consumer group ${groupId} has ${members} member(s): this instance would wait as a standby.`,
  };
}

/** The first look-up of a cluster's life creates an internal topic, whose leader then has to read it. */
async function onceCoordinated<T>(ask: () => Promise<T>): Promise<T> {
  const until = performance.now() + LOG_PATIENCE_MS;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const fault = asFault(error, 'the cluster');
      if (!awaitsCoordinator(fault.code) || performance.now() > until) throw fault;
      await new Promise((resolve) => setTimeout(resolve, COORDINATOR_PAUSE_MS));
    }
  }
}
