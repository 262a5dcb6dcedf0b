/** A member of a consumer group whose coordinator answers one request after another as it is told. */
import { expect, test, vi } from 'vitest';
import { HEARTBEAT, JOIN_GROUP, SYNC_GROUP } from '../../src/emitter/sinks/kafka/apis.ts';
import { Cluster } from '../../src/emitter/sinks/kafka/cluster.ts';
import { KAFKA } from '../../src/emitter/sinks/kafka/errors.ts';
import { GroupMember, type GroupRole } from '../../src/emitter/sinks/kafka/group-member.ts';
import { resolveKafkaOptions } from '../../src/emitter/sinks/kafka/options.ts';

/** Answers to heartbeats, in turn; the role has had enough after so many renewals. */
async function stay(
  heartbeats: readonly number[],
  renewals: number,
): Promise<{ readonly coordinators: number; readonly end: unknown }> {
  const cluster = new Cluster(resolveKafkaOptions({ name: 'p', brokers: ['127.0.0.1:1'] }));
  const coordinator = vi.spyOn(cluster, 'coordinator').mockResolvedValue(1);
  const codes = [...heartbeats];
  vi.spyOn(cluster, 'request').mockImplementation(async (_, { key }) => {
    const answers = new Map<number, unknown>([
      [JOIN_GROUP.key, { errorCode: 0, memberId: 'm', generationId: 1, leader: 'other', members: [] }],
      [SYNC_GROUP.key, { errorCode: 0, assignment: Buffer.from('all') }],
    ]);
    const answer = key === HEARTBEAT.key ? { errorCode: codes.shift() ?? 0 } : answers.get(key);
    return answer;
  });
  const enough = new AbortController();
  let renewed = 0;
  const role: GroupRole = {
    protocol: 'test-1',
    purpose: 'a test',
    metadata: () => Buffer.alloc(0),
    outdated: () => false,
    assign: () => new Map(),
    assigned: () => {},
    renewed: () => {
      if (++renewed === renewals) enough.abort(new Error('enough'));
    },
    removed: () => {},
    heartbeatMs: () => 1,
    patienceMs: () => 5_000,
  };
  const end: unknown = await new GroupMember(cluster, role)
    .run(() => enough.signal)
    .catch((error: unknown) => error);
  return { coordinators: coordinator.mock.calls.length, end };
}

test('a coordinator that has moved, or reads its log, is looked for and asked again', async () => {
  const { NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE } = KAFKA;
  const answers = [0, NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, 0];
  const { coordinators, end } = await stay(answers, 2);
  expect(end).toMatchObject({ name: 'AbortError' });
  // The first time, and after each answer of one that is it no more.
  expect(coordinators).toBe(3);
});

test('a refusal ends the membership with an error that says what to do', async () => {
  const { end } = await stay([0, KAFKA.GROUP_AUTHORIZATION_FAILED], 2);
  expect(end).toMatchObject({ code: 'delivery.group-denied' });
});
