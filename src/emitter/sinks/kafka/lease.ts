import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Log } from '../../../observability/log.ts';
import type { Holder } from '../../../observability/status.ts';
import type { TurnTaking } from '../../sink.ts';
import { processIdentity, type ProcessIdentity, isGone } from '../process-identity.ts';
import type { Cluster } from './cluster.ts';
import { GroupMember, type GroupRole, type Member, readJson } from './group-member.ts';

const HOLDER = Buffer.from('holder');
/** To the holder: another that is to have the lease rather waits for it. */
const YIELD = Buffer.from('holder, yield');

/** So much of the session may pass without a renewal before the lease is in doubt; the rest is for the way. */
const CERTAIN = 0.9;
/** While the coordinator cannot be asked, and nothing is held yet. */
const PATIENCE_MS = 30_000;

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
  /** Whether this pipeline is its share of the work. */
  readonly preferred: boolean;
  /** Where its HTTP interface listens. */
  readonly http: string | null;
}

/** One that shares with nobody. */
const ALONE: TurnTaking = { http: null, preferred: () => true, onYield: () => {} };

/**
 * Which of several instances runs: the one that the group's leader has assigned the single unit of work. The
 * group is a classic consumer group used for its membership alone. A holder stays the holder while others
 * come and go, which its claim makes known to whoever is leader; where it is not its share and somebody waits whose
 * share it is, it is asked to give way.
 */
export class Lease implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #log: Log;
  readonly #events: LeaseEvents;
  readonly #closing = new AbortController();
  readonly #member: GroupMember;
  #turns: TurnTaking = ALONE;
  #since = 0;
  #told = false;
  #acquired = false;
  /** performance.now() before the request that the broker granted the running session for. */
  #renewedAt = -Infinity;
  #settled: (held: boolean, holder: Holder | null) => void = () => {};

  constructor(cluster: Cluster, log: Log, events: LeaseEvents) {
    this.#cluster = cluster;
    this.#log = log;
    this.#events = events;
    this.#member = new GroupMember(cluster, this.#role());
  }

  /**
   * Whether nobody else can have the lease by now, going by our own clock: the broker lets a session run for its
   * whole length since it heard of us. A process that was paused finds out here before it writes anything.
   */
  get certain(): boolean {
    return performance.now() - this.#renewedAt < CERTAIN * this.#cluster.options.sessionTimeoutMs;
  }

  /** Resolves when this instance holds the lease. `onWaiting` is called when another does, with who it is. */
  async acquire(
    onWaiting: (holder: Holder | null) => void,
    signal: AbortSignal,
    turns: TurnTaking = ALONE,
  ): Promise<void> {
    this.#turns = turns;
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const evicted = await this.#member.evict((metadata) => {
      const claim = readClaim(metadata);
      return claim !== null && isGone(claim.process);
    }, either);
    if (evicted > 0) {
      const { groupId } = this.#cluster.options;
      this.#log.info({ group: groupId, members: evicted }, 'took a process that has died out of the group');
    }
    await new Promise<void>((resolve, reject) => {
      // A join can take as long as a session; whoever stops meanwhile does not wait for it.
      either.addEventListener('abort', () => reject(either.reason as Error), { once: true });
      this.#settled = (held, holder) => {
        if (held) resolve();
        else onWaiting(holder);
      };
      // Once held, the loop goes on with the lease's own signal: the caller's ends with the acquisition.
      this.#member
        .run(() => (this.#acquired ? this.#closing.signal : either))
        .catch((error: unknown) => {
          const lost = this.#acquired;
          reject(error);
          if (lost && !this.#closing.signal.aborted) this.#events.onLost(error);
        });
    });
  }

  #role(): GroupRole {
    const { sessionTimeoutMs, deliveryTimeoutMs, name, groupId } = this.#cluster.options;
    return {
      protocol: 'lease-1',
      purpose: 'the lease',
      metadata: () => {
        this.#told = this.#turns.preferred();
        const claim: Claim = {
          since: this.#acquired ? this.#since : 0,
          process: processIdentity(),
          preferred: this.#told,
          http: this.#turns.http,
        };
        return Buffer.from(JSON.stringify(claim));
      },
      outdated: () => this.#turns.preferred() !== this.#told,
      assign: assignLease,
      assigned: (assignment, generation, askedAt) => {
        const yields = assignment.equals(YIELD);
        const held = yields || assignment.equals(HOLDER);
        if (!held && this.#acquired) {
          throw new HeadwaterError(
            'delivery.lease-lost',
            `Another instance has been given the lease of pipeline ${name}.`,
          );
        }
        if (held) {
          if (!this.#acquired) {
            this.#since = generation;
            this.#log.debug({ group: groupId }, 'lease acquired');
          }
          this.#acquired = true;
          this.#renewed(askedAt);
        }
        this.#settled(held, held ? null : readHolder(assignment));
        if (yields) this.#turns.onYield();
      },
      renewed: (askedAt) => this.#renewed(askedAt),
      removed: (kafkaError) => {
        if (!this.#acquired) return;
        throw new HeadwaterError(
          'delivery.lease-lost',
          `This instance is no longer a member of consumer group ${groupId}, so another may have the lease of pipeline ${name}.`,
          { details: { kafkaError } },
        );
      },
      // One that waits asks more often, since this is how it learns that the holder has gone.
      heartbeatMs: () => (this.#acquired ? sessionTimeoutMs / 4 : Math.min(500, sessionTimeoutMs / 4)),
      patienceMs: () => (this.#acquired ? deliveryTimeoutMs : PATIENCE_MS),
    };
  }

  #renewed(askedAt: number): void {
    this.#renewedAt = askedAt;
    this.#events.onRenewed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#member.leave();
  }
}

/** Who holds the lease, who is to give way, and for all others who it is that holds it. */
export function assignLease(members: readonly Member[]): ReadonlyMap<string, Buffer> {
  const claims = members.map(({ memberId, metadata }) => ({ memberId, claim: readClaim(metadata) }));
  const ranked = claims.toSorted(
    (a, b) =>
      (b.claim?.since ?? 0) - (a.claim?.since ?? 0) ||
      Number(b.claim?.preferred ?? false) - Number(a.claim?.preferred ?? false) ||
      (a.memberId < b.memberId ? -1 : 1),
  );
  const [first, ...others] = ranked;
  if (first === undefined) return new Map();
  const yields =
    first.claim?.preferred === false && others.some(({ claim }) => claim !== null && claim.preferred);
  const { process, http = null } = first.claim ?? {};
  const holder: Holder | null = process === undefined ? null : { host: process.host, pid: process.pid, http };
  const told = Buffer.from(holder === null ? '' : JSON.stringify(holder));
  return new Map([
    [first.memberId, yields ? YIELD : HOLDER],
    ...others.map(({ memberId }) => [memberId, told] as const),
  ]);
}

function readHolder(assignment: Buffer): Holder | null {
  const value = readJson(assignment);
  return typeof value === 'object' && value !== null && 'host' in value ? (value as Holder) : null;
}

function readClaim(metadata: Uint8Array): Claim | null {
  const value = readJson(metadata);
  if (typeof value !== 'object' || value === null || !('since' in value) || !('process' in value))
    return null;
  return typeof value.since === 'number' ? (value as Claim) : null;
}
