import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { asHeadwaterError } from '../../../errors/headwater-error.ts';
import type { Log } from '../../../observability/log.ts';
import { isGone, processIdentity, type ProcessIdentity } from '../process-identity.ts';
import { Cluster } from './cluster.ts';
import { GroupMember, type GroupRole, type Member, readJson } from './group-member.ts';
import { type KafkaSinkOptions, resolveKafkaOptions } from './options.ts';
import { type Sharer, shareOut } from './share-out.ts';

/** Before the group is asked again that could not be asked. */
const RETRY_MS = 10_000;
const PATIENCE_MS = 30_000;

export interface FleetOptions {
  /** How the cluster is reached. */
  readonly kafka: KafkaSinkOptions;
  /** Names of all pipelines that this process has on the cluster: those who have the same ones share them. */
  readonly pipelines: readonly string[];
  /** Which of them it runs at the moment. */
  readonly holds: () => readonly string[];
}

/** What a member tells the others. */
interface Standing extends Omit<Sharer, 'id'> {
  readonly process: ProcessIdentity;
}

/**
 * The instances that were started with the same pipelines share them evenly. This is advice: who runs a pipeline is
 * the lease's to say, and where a fleet cannot be asked each pipeline is run by whoever comes first.
 */
export class Fleet implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #options: FleetOptions;
  readonly #log: Log;
  readonly #closing = new AbortController();
  readonly #member: GroupMember;
  readonly #running: Promise<void>;
  /** Null until it is known. */
  #shares: ReadonlySet<string> | null = null;
  #off = false;

  constructor(options: FleetOptions, log: Log) {
    this.#options = options;
    this.#log = log;
    const group = createHash('sha256').update(options.pipelines.toSorted().join('\n')).digest('hex');
    const groupId = `headwater.fleet.${group.slice(0, 16)}`;
    this.#cluster = new Cluster(resolveKafkaOptions({ ...options.kafka, name: 'fleet', groupId }));
    this.#member = new GroupMember(this.#cluster, this.#role());
    this.#running = this.#run();
  }

  /** Whether the pipeline had better run here. */
  prefers(pipeline: string): boolean {
    return this.#off || this.#shares?.has(pipeline) === true;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#member.evict((metadata) => {
          const standing = readStanding(metadata);
          return standing !== null && isGone(standing.process);
        }, signal);
        await this.#member.run(() => signal);
      } catch (thrown) {
        if (signal.aborted) return;
        const error = asHeadwaterError(thrown);
        if (error.entry.fate !== 'retry') {
          this.#off = true;
          this.#log.warn(
            { code: error.code, group: this.#cluster.options.groupId, reason: error.message },
            'pipelines are not shared evenly with other instances: their group cannot be used',
          );
          return;
        }
        await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
      }
    }
  }

  #role(): GroupRole {
    const { pipelines, holds } = this.#options;
    const { sessionTimeoutMs, groupId } = this.#cluster.options;
    return {
      protocol: 'fleet-1',
      purpose: 'its share of the pipelines',
      metadata: () => {
        const standing: Standing = {
          process: processIdentity(),
          shares: [...(this.#shares ?? [])],
          holds: holds(),
        };
        return Buffer.from(JSON.stringify(standing));
      },
      outdated: () => false,
      assign: (members) => assignShares(members, pipelines),
      assigned: (assignment) => {
        this.#shares = new Set(readNames(assignment));
        this.#log.info(
          { group: groupId, shares: this.#shares.size, of: pipelines.length },
          'share of the pipelines',
        );
      },
      renewed: () => {},
      removed: () => {},
      heartbeatMs: () => sessionTimeoutMs / 4,
      patienceMs: () => PATIENCE_MS,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#member.leave();
    await this.#running;
    await this.#cluster[Symbol.asyncDispose]();
  }
}

function assignShares(members: readonly Member[], pipelines: readonly string[]): ReadonlyMap<string, Buffer> {
  const sharers = members.map(({ memberId, metadata }) => {
    const { shares = [], holds = [] } = readStanding(metadata) ?? {};
    return { id: memberId, shares, holds };
  });
  const shares = shareOut(sharers, pipelines);
  return new Map([...shares].map(([id, names]) => [id, Buffer.from(JSON.stringify(names))]));
}

function readStanding(metadata: Uint8Array): Standing | null {
  const value = readJson(metadata);
  return typeof value === 'object' && value !== null && 'process' in value ? (value as Standing) : null;
}

function readNames(assignment: Buffer): readonly string[] {
  const value = readJson(assignment);
  return Array.isArray(value) ? value.filter((name) => typeof name === 'string') : [];
}
