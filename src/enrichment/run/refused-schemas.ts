/**
 * Results whose schema the registry refuses. Their statements wait, and what reads them; the others go on. The
 * schema is offered again now and then, and once it is accepted the statements begin anew.
 */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { SchemaWriter } from '../formats/registry-access.ts';
import type { QueryPlan } from '../plan/program.ts';
import type { StreamSource } from '../sources/catalog.ts';
import { recordWriter } from './record-writer.ts';

const RETRY_MS = 10_000;

export type RefusedSchemas = ReadonlyMap<StreamSource, HeadwaterError>;

/** Registers the schemas of the results; answers which were refused, and why. Throws `registry.…`. */
export async function offerSchemas(
  targets: Iterable<StreamSource>,
  schemas: SchemaWriter,
): Promise<RefusedSchemas> {
  const refused = new Map<StreamSource, HeadwaterError>();
  for (const target of new Set(targets)) {
    if (target.sink === null) continue;
    try {
      await recordWriter(target, target.sink, schemas);
    } catch (error) {
      if (!(error instanceof HeadwaterError) || error.code !== 'enrich.schema-refused') throw error;
      refused.set(target, error);
    }
  }
  return refused;
}

/** The queries whose results are refused, and those that read what they do not write. */
export function waitingFor(
  refused: RefusedSchemas,
  plans: readonly QueryPlan[],
): ReadonlyMap<QueryPlan, HeadwaterError> {
  const silent = new Map(refused);
  const waiting = new Map<QueryPlan, HeadwaterError>();
  // Each stands behind what it reads.
  for (const plan of plans) {
    const error = silent.get(plan.target) ?? silent.get(plan.input);
    if (error === undefined) continue;
    waiting.set(plan, error);
    silent.set(plan.target, error);
  }
  return waiting;
}

/** Offers what was refused again, until it is disposed of. */
export class SchemaOffers implements Disposable {
  /** Rejects with `enrich.schema-accepted` when one of them is accepted, or with what else is wrong. */
  readonly accepted: Promise<never>;
  readonly #targets: readonly StreamSource[];
  readonly #schemas: SchemaWriter;
  readonly #retryMs: number;
  #timer: NodeJS.Timeout | null = null;
  #reject: (error: unknown) => void = () => {};

  constructor(targets: readonly StreamSource[], schemas: SchemaWriter, retryMs = RETRY_MS) {
    this.#targets = targets;
    this.#schemas = schemas;
    this.#retryMs = retryMs;
    this.accepted = new Promise((_, reject) => (this.#reject = reject));
    this.accepted.catch(() => {});
    this.#wait();
  }

  #wait(): void {
    this.#timer = setTimeout(() => {
      this.#offer().catch((error: unknown) => this.#reject(error));
    }, this.#retryMs);
  }

  async #offer(): Promise<void> {
    const refused = await offerSchemas(this.#targets, this.#schemas);
    const accepted = this.#targets.filter((target) => !refused.has(target));
    if (accepted.length > 0)
      throw new HeadwaterError(
        'enrich.schema-accepted',
        `The schema registry accepts the results of ${accepted.map(({ name }) => name).join(', ')}; the statements begin anew.`,
      );
    if (this.#timer !== null) this.#wait();
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#reject = () => {};
  }
}
