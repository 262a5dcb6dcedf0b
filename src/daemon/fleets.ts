import type { Fleet } from '../emitter/sinks/kafka/fleet.ts';
import type { Log } from '../observability/log.ts';
import type { KafkaSettings, Settings } from '../settings/settings.ts';
import { kafkaOptions } from './sinks.ts';

interface Membership {
  readonly pipelines: ReadonlySet<string>;
  /** Null until its code is loaded. */
  fleet: Fleet | null;
  readonly ended: AbortController;
  opening: Promise<void>;
}

/** The fleets this process belongs to, one for each Kafka cluster on which it has several pipelines. */
export class Fleets {
  readonly #holds: () => readonly string[];
  readonly #log: Log;
  #memberships = new Map<string, Membership>();
  #leaving: Promise<void>[] = [];

  /** `holds`: names of the pipelines that run here at the moment. */
  constructor(holds: () => readonly string[], log: Log) {
    this.#holds = holds;
    this.#log = log;
  }

  /** Whether the pipeline had better run here than wait; see `TurnTaking`. */
  prefers(pipeline: string): boolean {
    for (const { pipelines, fleet } of this.#memberships.values()) {
      if (pipelines.has(pipeline)) return fleet?.prefers(pipeline) ?? false;
    }
    // One pipeline alone has nothing to be shared with.
    return true;
  }

  /** Joins and leaves as these settings have it. */
  update(settings: readonly Settings[]): void {
    const wanted = new Map([...byCluster(settings)].filter(([, { names }]) => names.length > 1));
    for (const [key, membership] of this.#memberships) {
      if (wanted.has(key)) continue;
      this.#memberships.delete(key);
      this.#leave(membership);
    }
    for (const [key, { names, first }] of wanted) {
      if (!this.#memberships.has(key)) this.#memberships.set(key, this.#join(names, first));
    }
  }

  /** Others may take what runs here. */
  async close(): Promise<void> {
    for (const membership of this.#memberships.values()) this.#leave(membership);
    this.#memberships = new Map();
    await Promise.all(this.#leaving);
  }

  #join(names: readonly string[], { settings, kafka }: First): Membership {
    const membership: Membership = {
      pipelines: new Set(names),
      fleet: null,
      ended: new AbortController(),
      opening: Promise.resolve(),
    };
    membership.opening = import('../emitter/sinks/kafka/fleet.ts').then(({ Fleet: KafkaFleet }) => {
      if (membership.ended.signal.aborted) return;
      const holds = (): readonly string[] => this.#holds().filter((name) => membership.pipelines.has(name));
      membership.fleet = new KafkaFleet(
        { kafka: kafkaOptions(settings, kafka), pipelines: names, holds },
        this.#log,
      );
    });
    return membership;
  }

  #leave(membership: Membership): void {
    membership.ended.abort();
    this.#leaving.push(membership.opening.then(async () => membership.fleet?.[Symbol.asyncDispose]()));
  }
}

interface First {
  readonly settings: Settings;
  readonly kafka: KafkaSettings;
}

/** The key says who shares with whom: the same cluster, user and pipelines. */
function byCluster(
  all: readonly Settings[],
): ReadonlyMap<string, { readonly names: readonly string[]; readonly first: First }> {
  const clusters = new Map<string, { readonly names: string[]; readonly first: First }>();
  for (const settings of all) {
    const { sink } = settings.emit;
    if (sink.kind !== 'kafka') continue;
    const user = sink.sasl === null || sink.sasl.mechanism === 'OAUTHBEARER' ? null : sink.sasl.username;
    const cluster = JSON.stringify([sink.brokers.toSorted(), user]);
    const known = clusters.get(cluster);
    if (known === undefined)
      clusters.set(cluster, { names: [settings.name], first: { settings, kafka: sink } });
    else known.names.push(settings.name);
  }
  return new Map(
    [...clusters].map(([cluster, entry]) => [`${cluster} ${entry.names.toSorted().join(' ')}`, entry]),
  );
}
