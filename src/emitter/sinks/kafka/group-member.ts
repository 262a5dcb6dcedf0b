import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { DESCRIBE_GROUPS, HEARTBEAT, JOIN_GROUP, LEAVE_GROUP, SYNC_GROUP } from './apis.ts';
import type { Cluster } from './cluster.ts';
import { asFault, awaitsCoordinator, checkCode, faultToError, KAFKA, KafkaFault } from './errors.ts';
import { contextFor } from './topics.ts';

/** Not `consumer`: the members have no subscription, and tools should not look for one. */
const PROTOCOL_TYPE = 'headwater';

export interface Member {
  readonly memberId: string;
  readonly metadata: Buffer;
}

/** What a group is for. */
export interface GroupRole {
  /** Of the assignments; members must have it in common. */
  readonly protocol: string;
  /** For messages: "Asking for …". */
  readonly purpose: string;
  /** What the others are told of this member; asked at each join. */
  metadata(): Buffer;
  /** Whether they should be told anew. */
  outdated(): boolean;
  /** Asked of one of the members at each change of the group; whoever is left out gets nothing. */
  assign(members: readonly Member[]): ReadonlyMap<string, Buffer>;
  /** What this member was assigned; `askedAt` as in `renewed`. What it throws ends the membership. */
  assigned(assignment: Buffer, generation: number, askedAt: number): void;
  /** The broker has granted a whole session since `askedAt` (performance.now). */
  renewed(askedAt: number): void;
  /** The group goes on without this member. Joins anew unless it throws. */
  removed(kafkaError: number): void;
  heartbeatMs(): number;
  /** How long troubles of the broker are waited out. */
  patienceMs(): number;
}

/** Membership in a classic consumer group that shares something out: who does what is in its assignments. */
export class GroupMember {
  readonly #cluster: Cluster;
  readonly #role: GroupRole;
  readonly #groupId: string;
  #memberId = '';
  #generation = -1;
  #broker: number | null = null;

  /** The group is `groupId` of the cluster's options. */
  constructor(cluster: Cluster, role: GroupRole) {
    this.#cluster = cluster;
    this.#role = role;
    this.#groupId = cluster.options.groupId;
  }

  /** Until `signal` aborts, asked before each wait, or the role has had enough. */
  async run(signal: () => AbortSignal): Promise<never> {
    for (;;) {
      await this.#join(signal);
      await this.#heartbeat(signal);
    }
  }

  /** Until the group rebalances, or has to because of us. */
  async #heartbeat(signal: () => AbortSignal): Promise<void> {
    const role = this.#role;
    for (;;) {
      await sleep(role.heartbeatMs(), undefined, { signal: signal() });
      let askedAt = 0;
      const { errorCode: code } = await this.#ask(signal(), async (broker) => {
        askedAt = performance.now();
        return this.#cluster.request(
          { broker, purpose: 'group' },
          HEARTBEAT,
          this.#groupId,
          this.#generation,
          this.#memberId,
          null,
        );
      });
      if (code === KAFKA.REBALANCE_IN_PROGRESS) return;
      if (
        code === KAFKA.UNKNOWN_MEMBER_ID ||
        code === KAFKA.ILLEGAL_GENERATION ||
        code === KAFKA.FENCED_INSTANCE_ID
      ) {
        this.#removed(code);
        return;
      }
      if (code !== 0) throw this.#refused(code, 'Staying in');
      role.renewed(askedAt);
      if (role.outdated()) return;
    }
  }

  async #join(signal: () => AbortSignal): Promise<void> {
    const { sessionTimeoutMs } = this.#cluster.options;
    const groupId = this.#groupId;
    const role = this.#role;
    for (;;) {
      signal().throwIfAborted();
      const metadata = role.metadata();
      const joined = await this.#ask(signal(), async (broker) =>
        this.#cluster.request(
          { broker, purpose: 'group' },
          JOIN_GROUP,
          groupId,
          sessionTimeoutMs,
          sessionTimeoutMs,
          this.#memberId,
          null,
          PROTOCOL_TYPE,
          [{ name: role.protocol, metadata }],
          null,
        ),
      );
      if (joined.errorCode === KAFKA.MEMBER_ID_REQUIRED) {
        this.#memberId = joined.memberId;
        continue;
      }
      if (joined.errorCode === KAFKA.UNKNOWN_MEMBER_ID) {
        this.#removed(joined.errorCode);
        continue;
      }
      if (joined.errorCode !== 0) throw this.#refused(joined.errorCode, 'Joining');
      this.#memberId = joined.memberId;
      this.#generation = joined.generationId;
      const assigned = joined.leader === joined.memberId ? role.assign(joined.members) : null;
      const assignments =
        assigned === null
          ? []
          : joined.members.map(({ memberId }) => ({
              memberId,
              assignment: assigned.get(memberId) ?? Buffer.alloc(0),
            }));
      let askedAt = 0;
      const synced = await this.#ask(signal(), async (broker) => {
        askedAt = performance.now();
        return this.#cluster.request(
          { broker, purpose: 'group' },
          SYNC_GROUP,
          groupId,
          this.#generation,
          this.#memberId,
          null,
          PROTOCOL_TYPE,
          role.protocol,
          assignments,
        );
      });
      if (synced.errorCode === KAFKA.REBALANCE_IN_PROGRESS) continue;
      if (synced.errorCode === KAFKA.UNKNOWN_MEMBER_ID || synced.errorCode === KAFKA.ILLEGAL_GENERATION) {
        this.#removed(synced.errorCode);
        continue;
      }
      if (synced.errorCode !== 0) throw this.#refused(synced.errorCode, 'Joining');
      role.assigned(synced.assignment, this.#generation, askedAt);
      return;
    }
  }

  #removed(code: number): void {
    this.#role.removed(code);
    this.#memberId = '';
  }

  /**
   * Takes out members that are known to have died: one that was killed would keep its place until its session
   * times out. Answers how many.
   */
  async evict(isDead: (metadata: Buffer) => boolean, signal: AbortSignal): Promise<number> {
    const groupId = this.#groupId;
    const group = await this.#ask(signal, async (broker) => {
      const response = await this.#cluster.request(
        { broker, purpose: 'group' },
        DESCRIBE_GROUPS,
        [groupId],
        false,
      );
      return response.groups[0];
    });
    if (group?.errorCode === KAFKA.GROUP_AUTHORIZATION_FAILED)
      throw this.#refused(group.errorCode, 'Looking at');
    if (group === undefined || group.errorCode !== 0) return 0;
    if (group.protocolType !== '' && group.protocolType !== PROTOCOL_TYPE && group.members.length > 0) {
      throw new HeadwaterError(
        'delivery.group-denied',
        `Consumer group ${groupId} is in use by something that is not Headwater (protocol ${group.protocolType}).`,
        {
          fix: 'Stop those consumers, or set emit.kafka.group_id to a group of its own.',
        },
      );
    }
    const dead = group.members.filter(({ memberMetadata }) => isDead(memberMetadata));
    if (dead.length === 0) return 0;
    await this.#ask(signal, async (broker) => {
      const members = dead.map(({ memberId }) => ({ memberId }));
      await this.#cluster.request({ broker, purpose: 'group' }, LEAVE_GROUP, groupId, members);
      // Whether it has helped shows when the group is joined.
      return undefined;
    });
    return dead.length;
  }

  /** Never throws, and does not take long. */
  async leave(): Promise<void> {
    if (this.#memberId === '' || this.#broker === null) return;
    // A join that is under way holds the connection; the leave goes by another.
    const leave = this.#cluster.request(
      { broker: this.#broker, purpose: 'control' },
      LEAVE_GROUP,
      this.#groupId,
      [{ memberId: this.#memberId }],
    );
    const timer = new AbortController();
    await Promise.race([
      leave.then(
        () => {},
        () => {},
      ),
      sleep(1000, undefined, { signal: timer.signal }).catch(() => {}),
    ]);
    timer.abort();
  }

  /** To the coordinator, wherever it is; passing troubles are waited out: the session decides, not we. */
  async #ask<T extends { readonly errorCode: number } | undefined>(
    signal: AbortSignal,
    request: (broker: number) => Promise<T>,
  ): Promise<T> {
    const started = performance.now();
    for (let wait = 20; ; wait = Math.min(wait * 2, 1000)) {
      signal.throwIfAborted();
      try {
        this.#broker ??= await this.#cluster.coordinator('group', this.#groupId);
        const answer = await request(this.#broker);
        if (answer !== undefined && awaitsCoordinator(answer.errorCode))
          checkCode(answer.errorCode, 'The group coordinator');
        return answer;
      } catch (error) {
        const fault = error instanceof HeadwaterError ? error : asFault(error, 'the group coordinator');
        const patience = this.#role.patienceMs();
        if (!(fault instanceof KafkaFault) || !fault.retriable || performance.now() - started > patience) {
          throw faultToError(
            fault,
            contextFor(this.#cluster, `Asking for ${this.#role.purpose} (consumer group ${this.#groupId})`),
          );
        }
        if (fault.stale) this.#broker = null;
        await sleep(wait, undefined, { signal });
      }
    }
  }

  #refused(code: number, doing: string): HeadwaterError {
    return faultToError(
      new KafkaFault('broker', code, 'the group'),
      contextFor(this.#cluster, `${doing} consumer group ${this.#groupId}`),
    );
  }
}

/** What a member has told, or was told; null where it is not JSON. */
export function readJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return null;
  }
}
