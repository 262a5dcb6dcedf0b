import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Log } from '../../../observability/log.ts';
import { processIdentity, type ProcessIdentity, isGone } from '../process-identity.ts';
import { DESCRIBE_GROUPS, HEARTBEAT, JOIN_GROUP, LEAVE_GROUP, SYNC_GROUP } from './apis.ts';
import type { Cluster } from './cluster.ts';
import { asFault, checkCode, faultToError, KAFKA, KafkaFault } from './errors.ts';
import { contextFor } from './topics.ts';

/** Not `consumer`: the members have no subscription, and tools should not look for one. */
const PROTOCOL_TYPE = 'headwater';
const PROTOCOL = 'lease-1';
const HOLDER = Buffer.from('holder');
const WAITING = Buffer.alloc(0);

/** So much of the session may pass without a renewal before the lease is in doubt; the rest is for the way. */
const CERTAIN = 0.9;

export interface LeaseEvents {
  /** Once, after the lease had been acquired. */
  readonly onLost: (error: unknown) => void;
  readonly onRenewed: () => void;
}

/** What a member tells the others in its join. */
interface Claim {
  /** The generation in which it has become the holder; 0 for one that waits. */
  readonly since: number;
  readonly process: ProcessIdentity;
}

/**
 * Which of several instances runs: the one that the group's leader has assigned the single unit of work. The
 * group is a classic consumer group used for its membership alone. A holder stays the holder while others
 * come and go, which its claim makes known to whoever is leader.
 */
export class Lease implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #log: Log;
  readonly #events: LeaseEvents;
  readonly #closing = new AbortController();
  #memberId = '';
  #generation = -1;
  #since = 0;
  #broker: number | null = null;
  #acquired = false;
  /** performance.now() before the request that the broker granted the running session for. */
  #renewedAt = -Infinity;

  constructor(cluster: Cluster, log: Log, events: LeaseEvents) {
    this.#cluster = cluster;
    this.#log = log;
    this.#events = events;
  }

  /**
   * Whether nobody else can have the lease by now, going by our own clock: the broker lets a session run for its
   * whole length since it heard of us. A process that was paused finds out here before it writes anything.
   */
  get certain(): boolean {
    return performance.now() - this.#renewedAt < CERTAIN * this.#cluster.options.sessionTimeoutMs;
  }

  /** Resolves when this instance holds the lease. `onWaiting` is called once if another does. */
  async acquire(onWaiting: () => void, signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, this.#closing.signal]);
    await this.#evictTheDead(either);
    let waiting = false;
    await new Promise<void>((resolve, reject) => {
      // A join can take as long as a session; whoever stops meanwhile does not wait for it.
      either.addEventListener('abort', () => reject(either.reason as Error), { once: true });
      const settled = (held: boolean): void => {
        if (held) resolve();
        else if (!waiting) {
          waiting = true;
          onWaiting();
        }
      };
      // Once held, the loop goes on with the lease's own signal: the caller's ends with the acquisition.
      this.#run(settled, () => (this.#acquired ? this.#closing.signal : either)).catch((error: unknown) => {
        const lost = this.#acquired;
        reject(error);
        if (lost && !this.#closing.signal.aborted) this.#events.onLost(error);
      });
    });
  }

  async #run(onSettled: (held: boolean) => void, signal: () => AbortSignal): Promise<void> {
    for (;;) {
      const held = await this.#join(signal());
      if (held) {
        if (!this.#acquired) this.#log.debug({ group: this.#cluster.options.groupId }, 'lease acquired');
        this.#acquired = true;
      } else if (this.#acquired) {
        throw new HeadwaterError(
          'delivery.lease-lost',
          `Another instance has been given the lease of pipeline ${this.#cluster.options.name}.`,
        );
      }
      onSettled(held);
      await this.#heartbeat(signal);
    }
  }

  /** Until the group rebalances. */
  async #heartbeat(signal: () => AbortSignal): Promise<void> {
    const { sessionTimeoutMs, groupId } = this.#cluster.options;
    // One that waits asks more often, since this is how it learns that the holder has gone.
    for (;;) {
      await sleep(this.#acquired ? sessionTimeoutMs / 4 : Math.min(500, sessionTimeoutMs / 4), undefined, {
        signal: signal(),
      });
      let askedAt = 0;
      const code = await this.#ask(signal(), async (broker) => {
        askedAt = performance.now();
        const response = await this.#cluster.request(
          { broker, purpose: 'group' },
          HEARTBEAT,
          groupId,
          this.#generation,
          this.#memberId,
          null,
        );
        return response.errorCode;
      });
      if (code === KAFKA.REBALANCE_IN_PROGRESS) return;
      if (
        code === KAFKA.UNKNOWN_MEMBER_ID ||
        code === KAFKA.ILLEGAL_GENERATION ||
        code === KAFKA.FENCED_INSTANCE_ID
      ) {
        if (this.#acquired) throw this.#lost(code);
        this.#memberId = '';
        return;
      }
      checkCode(code, 'Heartbeat');
      this.#renewed(askedAt);
    }
  }

  /** Joins, or joins again, and returns whether the lease is ours in this generation. */
  async #join(signal: AbortSignal): Promise<boolean> {
    const { groupId, sessionTimeoutMs } = this.#cluster.options;
    for (;;) {
      signal.throwIfAborted();
      const claim: Claim = { since: this.#acquired ? this.#since : 0, process: processIdentity() };
      const joined = await this.#ask(signal, async (broker) =>
        this.#cluster
          .request(
            { broker, purpose: 'group' },
            JOIN_GROUP,
            groupId,
            sessionTimeoutMs,
            sessionTimeoutMs,
            this.#memberId,
            null,
            PROTOCOL_TYPE,
            [{ name: PROTOCOL, metadata: Buffer.from(JSON.stringify(claim)) }],
            null,
          )
          .then((response) => {
            if (isPassing(response.errorCode)) checkCode(response.errorCode, 'JoinGroup');
            return response;
          }),
      );
      if (joined.errorCode === KAFKA.MEMBER_ID_REQUIRED) {
        this.#memberId = joined.memberId;
        continue;
      }
      if (joined.errorCode === KAFKA.UNKNOWN_MEMBER_ID) {
        if (this.#acquired) throw this.#lost(joined.errorCode);
        this.#memberId = '';
        continue;
      }
      if (joined.errorCode !== 0) throw this.#refused(joined.errorCode, 'Joining');
      this.#memberId = joined.memberId;
      this.#generation = joined.generationId;
      const leading = joined.leader === joined.memberId;
      const holder = leading ? chooseHolder(joined.members) : null;
      const assignments = leading
        ? joined.members.map(({ memberId }) => ({
            memberId,
            assignment: memberId === holder ? HOLDER : WAITING,
          }))
        : [];
      let askedAt = 0;
      const synced = await this.#ask(signal, async (broker) => {
        askedAt = performance.now();
        return this.#cluster
          .request(
            { broker, purpose: 'group' },
            SYNC_GROUP,
            groupId,
            this.#generation,
            this.#memberId,
            null,
            PROTOCOL_TYPE,
            PROTOCOL,
            assignments,
          )
          .then((response) => {
            if (isPassing(response.errorCode)) checkCode(response.errorCode, 'SyncGroup');
            return response;
          });
      });
      if (synced.errorCode === KAFKA.REBALANCE_IN_PROGRESS) continue;
      if (synced.errorCode === KAFKA.UNKNOWN_MEMBER_ID || synced.errorCode === KAFKA.ILLEGAL_GENERATION) {
        if (this.#acquired) throw this.#lost(synced.errorCode);
        this.#memberId = '';
        continue;
      }
      if (synced.errorCode !== 0) throw this.#refused(synced.errorCode, 'Joining');
      const held = synced.assignment.equals(HOLDER);
      if (held && !this.#acquired) this.#since = this.#generation;
      if (held) this.#renewed(askedAt);
      return held;
    }
  }

  #renewed(askedAt: number): void {
    this.#renewedAt = askedAt;
    this.#events.onRenewed();
  }

  /**
   * A member that was killed would keep its place until its session times out. Where it was a process of this
   * very machine that no longer exists, it is taken out at once, so that a restart after a crash is quick.
   */
  async #evictTheDead(signal: AbortSignal): Promise<void> {
    const { groupId } = this.#cluster.options;
    const group = await this.#ask(signal, async (broker) => {
      const response = await this.#cluster.request(
        { broker, purpose: 'group' },
        DESCRIBE_GROUPS,
        [groupId],
        false,
      );
      const found = response.groups[0];
      if (found !== undefined && isPassing(found.errorCode)) checkCode(found.errorCode, 'DescribeGroups');
      return found;
    });
    if (group?.errorCode === KAFKA.GROUP_AUTHORIZATION_FAILED)
      throw this.#refused(group.errorCode, 'Looking at');
    if (group === undefined || group.errorCode !== 0) return;
    if (group.protocolType !== '' && group.protocolType !== PROTOCOL_TYPE && group.members.length > 0) {
      throw new HeadwaterError(
        'delivery.group-denied',
        `Consumer group ${groupId} is in use by something that is not Headwater (protocol ${group.protocolType}).`,
        {
          fix: 'Stop those consumers, or set emit.kafka.group_id to a group of its own.',
        },
      );
    }
    const dead = group.members.filter(({ memberMetadata }) => {
      const claim = readClaim(memberMetadata);
      return claim !== null && isGone(claim.process);
    });
    if (dead.length === 0) return;
    await this.#ask(signal, (broker) =>
      this.#cluster.request(
        { broker, purpose: 'group' },
        LEAVE_GROUP,
        groupId,
        dead.map(({ memberId }) => ({ memberId })),
      ),
    );
    this.#log.info({ group: groupId, members: dead.length }, 'took a process that has died out of the group');
  }

  /** To the coordinator, wherever it is; passing troubles are waited out: the session decides, not we. */
  async #ask<T>(signal: AbortSignal, request: (broker: number) => Promise<T>): Promise<T> {
    const started = Date.now();
    for (let wait = 20; ; wait = Math.min(wait * 2, 1000)) {
      signal.throwIfAborted();
      try {
        this.#broker ??= await this.#cluster.coordinator('group', this.#cluster.options.groupId);
        return await request(this.#broker);
      } catch (error) {
        const fault = error instanceof HeadwaterError ? error : asFault(error, 'the group coordinator');
        const patience = this.#acquired ? this.#cluster.options.deliveryTimeoutMs : 30_000;
        if (!(fault instanceof KafkaFault) || !fault.retriable || Date.now() - started > patience) {
          throw faultToError(
            fault,
            contextFor(
              this.#cluster,
              `Asking for the lease (consumer group ${this.#cluster.options.groupId})`,
            ),
          );
        }
        if (fault.stale) this.#broker = null;
        await sleep(wait, undefined, { signal });
      }
    }
  }

  #lost(code: number): HeadwaterError {
    return new HeadwaterError(
      'delivery.lease-lost',
      `This instance is no longer a member of consumer group ${this.#cluster.options.groupId}, so another may have the lease of pipeline ${this.#cluster.options.name}.`,
      { details: { kafkaError: code } },
    );
  }

  #refused(code: number, doing: string): HeadwaterError {
    const { groupId } = this.#cluster.options;
    return faultToError(
      new KafkaFault('broker', code, 'the group'),
      contextFor(this.#cluster, `${doing} consumer group ${groupId}`),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    if (this.#memberId !== '' && this.#broker !== null) {
      // A join that is under way holds the connection; the leave goes by another.
      const leave = this.#cluster.request(
        { broker: this.#broker, purpose: 'control' },
        LEAVE_GROUP,
        this.#cluster.options.groupId,
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
  }
}

function isPassing(code: number): boolean {
  return (
    code === KAFKA.COORDINATOR_LOAD_IN_PROGRESS ||
    code === KAFKA.COORDINATOR_NOT_AVAILABLE ||
    code === KAFKA.NOT_COORDINATOR
  );
}

/** The member that holds the lease already; else the one whose id comes first, so that all would agree. */
export function chooseHolder(
  members: readonly { readonly memberId: string; readonly metadata: Buffer }[],
): string | null {
  let best: { memberId: string; since: number } | null = null;
  for (const { memberId, metadata } of members) {
    const since = readClaim(metadata)?.since ?? 0;
    if (best === null || since > best.since || (since === best.since && memberId < best.memberId))
      best = { memberId, since };
  }
  return best?.memberId ?? null;
}

function readClaim(metadata: Uint8Array): Claim | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(metadata).toString());
    if (typeof value !== 'object' || value === null || !('since' in value) || !('process' in value))
      return null;
    return typeof value.since === 'number' ? (value as Claim) : null;
  } catch {
    return null;
  }
}
