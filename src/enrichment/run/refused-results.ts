/**
 * Results that are refused: their schema by the registry, or their topic by Kafka. Their statements wait, and what reads
 * them; the others go on. They are offered again now and then, and once they are accepted the statements begin anew.
 */
import type { Sink } from '../../emitter/sink.ts';
import { topicFaultOf } from '../../emitter/topic-fault.ts';
import { asHeadwaterError, HeadwaterError } from '../../errors/headwater-error.ts';
import type { SchemaWriter } from '../formats/registry-access.ts';
import type { QueryPlan } from '../plan/program.ts';
import type { StreamSource } from '../sources/catalog.ts';
import { recordWriter } from './record-writer.ts';
import { openResultTopics } from './stream-queries.ts';

const RETRY_MS = 10_000;

export type RefusedResults = ReadonlyMap<StreamSource, HeadwaterError>;

/** Who has to take results. */
export interface Takers {
  readonly sink: Sink;
  /** Null without a registry. */
  readonly schemas: SchemaWriter | null;
  readonly signal: AbortSignal;
}

/**
 * Registers the schemas of the results and opens their topics; answers which were refused, and why. Throws what is about
 * more than one of them, or may pass by itself: `registry.…`, `delivery.…`.
 */
export async function offerResults(targets: Iterable<StreamSource>, takers: Takers): Promise<RefusedResults> {
  const offered = await Promise.all(
    Array.from(new Set(targets), async (target) => [target, await refusalOf(target, takers)] as const),
  );
  return new Map(
    offered.flatMap(([target, refusal]) => (refusal === null ? [] : [[target, refusal] as const])),
  );
}

async function refusalOf(target: StreamSource, takers: Takers): Promise<HeadwaterError | null> {
  if (target.sink === null) return null;
  try {
    await recordWriter(target, target.sink, takers.schemas);
    await openWritable(target, takers);
    return null;
  } catch (thrown) {
    const error = asHeadwaterError(thrown);
    const refused = error.code === 'enrich.schema-refused' ? error : topicFaultOf(error);
    if (refused === null) throw thrown;
    return refused;
  }
}

/** The topics are there, made where they were missing, and may be written. Throws `delivery.…`. */
export async function openWritable(
  target: StreamSource,
  { sink, signal }: Omit<Takers, 'schemas'>,
): Promise<void> {
  const opened = await openResultTopics(target, sink);
  if (opened === null) return;
  const { topic, deadLetters } = opened;
  await sink.check?.(deadLetters === null ? [topic.name] : [topic.name, deadLetters.name], signal);
}

/** The queries whose results are refused, and those that read what they do not write. */
export function waitingFor(
  refused: RefusedResults,
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
export class ResultOffers implements Disposable {
  /** Rejects with `enrich.results-accepted` when one of them is accepted, or with what else is wrong. */
  readonly accepted: Promise<never>;
  readonly #targets: readonly StreamSource[];
  readonly #takers: Takers;
  readonly #retryMs: number;
  #timer: NodeJS.Timeout | null = null;
  #reject: (error: unknown) => void = () => {};

  constructor(targets: Iterable<StreamSource>, takers: Takers, retryMs = RETRY_MS) {
    this.#targets = [...targets];
    this.#takers = takers;
    this.#retryMs = retryMs;
    this.accepted = new Promise((_, reject) => (this.#reject = reject));
    this.accepted.catch(() => {});
    this.#wait();
  }

  #wait(): void {
    this.#timer = setTimeout(() => {
      this.#offer().catch((error: unknown) => {
        if (!this.#takers.signal.aborted) this.#reject(error);
      });
    }, this.#retryMs);
  }

  async #offer(): Promise<void> {
    const accepted: string[] = [];
    for (const target of this.#targets) if (await this.#isAccepted(target)) accepted.push(target.name);
    if (accepted.length > 0)
      throw new HeadwaterError(
        'enrich.results-accepted',
        `The results of ${accepted.join(', ')} are accepted by now; the statements begin anew.`,
      );
    if (this.#timer !== null) this.#wait();
  }

  async #isAccepted(target: StreamSource): Promise<boolean> {
    try {
      return (await refusalOf(target, this.#takers)) === null;
    } catch (error) {
      // What keeps a statement that waits from being offered keeps nobody from going on.
      if (asHeadwaterError(error).entry.fate === 'retry') return false;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#reject = () => {};
  }
}
