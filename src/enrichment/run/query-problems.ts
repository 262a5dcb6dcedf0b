/** What failed for the rows of a query: told in the processing log, and what ON_ERROR asks for. */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { type DeadLetters, eventText } from './dead-letters.ts';
import type { StreamEvent } from './event.ts';
import type { ProcessingLog } from './processing-log.ts';
import type { QueryPlan } from '../plan/program.ts';
import type { Problem } from '../sql/frame.ts';

/** Nothing has failed: the query does as it is asked. */
const LIMITS: ReadonlySet<Problem> = new Set<Problem>(['late', 'aggregate-limit']);

export class QueryProblems {
  readonly #plan: Pick<QueryPlan, 'id' | 'onError' | 'input'>;
  readonly #processing: ProcessingLog;
  /** Null where nobody asks for them. */
  readonly #letters: {
    readonly topic: DeadLetters;
    readonly text: (event: StreamEvent) => string;
  } | null;
  /** Of the event under way. */
  readonly #failed = new Set<Problem>();

  constructor(
    plan: Pick<QueryPlan, 'id' | 'onError' | 'input'>,
    processing: ProcessingLog,
    letters: DeadLetters | null,
  ) {
    this.#plan = plan;
    this.#processing = processing;
    this.#letters = letters === null ? null : { topic: letters, text: eventText(plan.input) };
  }

  /** Throws `enrich.row-failed` where ON_ERROR is STOP. */
  readonly note = (problem: Problem): void => {
    const { id, onError } = this.#plan;
    this.#processing.note(id, problem);
    if (onError === 'STOP' && !LIMITS.has(problem)) throw stopped(this.#plan, problem);
    if (this.#letters !== null) this.#failed.add(problem);
  };

  /** Call behind each event. */
  settle(event: StreamEvent): void {
    if (this.#letters === null || this.#failed.size === 0) return;
    const { topic, text } = this.#letters;
    topic.event(this.#plan.id, this.#failed, { text: text(event), time: event.time });
    this.#failed.clear();
  }
}

export function stopped({ id }: Pick<QueryPlan, 'id'>, problem: Problem): HeadwaterError {
  return new HeadwaterError(
    'enrich.row-failed',
    `The query ${id} met a row for which an expression failed (${problem}).`,
    { details: { query: id, problem } },
  );
}
