/** What clients ask of Kafka itself, by way of the pipelines whose statements run. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TopicConsumers } from '../../emitter/topic-admin.ts';
import type { QueryDesk } from '../../enrichment/queries/query-desk.ts';
import type { TopicAccess } from '../../enrichment/run/topic-queries.ts';

/** Who asks what runs here shall not wait for a Kafka that is away. */
const CLUSTER_ID_MS = 2_000;

/** Null where no pipeline that runs writes to Kafka. */
export function kafkaOf(desk: QueryDesk): TopicAccess | null {
  return [...desk.running.values()].flatMap(({ basis }) => basis.access ?? [])[0] ?? null;
}

/** By topic. */
export async function consumersOf(desk: QueryDesk): Promise<ReadonlyMap<string, TopicConsumers>> {
  const access = kafkaOf(desk);
  if (access === null) return new Map();
  await using admin = await access.openAdmin();
  return await admin.consumers();
}

export class ClusterIds {
  readonly #known = new WeakMap<TopicAccess, string>();

  /** Asked for once of each Kafka; empty while it does not answer. */
  async of(desk: QueryDesk): Promise<string> {
    const access = kafkaOf(desk);
    if (access === null) return '';
    const known = this.#known.get(access);
    if (known !== undefined) return known;
    const done = new AbortController();
    try {
      const { signal } = done;
      return await Promise.race([
        this.#ask(access),
        sleep(CLUSTER_ID_MS, '', { signal, ref: false }).catch(() => ''),
      ]);
    } finally {
      done.abort();
    }
  }

  async #ask(access: TopicAccess): Promise<string> {
    try {
      await using admin = await access.openAdmin();
      const id = await admin.clusterId();
      this.#known.set(access, id);
      return id;
    } catch {
      // Where Kafka cannot be reached the pipeline says so.
      return '';
    }
  }
}
