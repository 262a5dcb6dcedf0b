/** Where the queries of clients arrive: one a process, for the programs of all its pipelines. */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { nearest } from '../../errors/nearest.ts';
import type { Source } from '../sources/catalog.ts';
import { type SourceText, sqlError } from '../sql/sql-error.ts';
import type { LiveQueries } from './live-queries.ts';

export class QueryDesk {
  readonly #running = new Map<string, LiveQueries>();
  readonly #arrivals = new Set<() => void>();

  /** Answers how to leave again. */
  enter(pipeline: string, queries: LiveQueries): () => void {
    this.#running.set(pipeline, queries);
    for (const arrived of this.#arrivals) arrived();
    this.#arrivals.clear();
    return () => {
      if (this.#running.get(pipeline) === queries) this.#running.delete(pipeline);
    };
  }

  /** Resolves when the pipeline runs another program than that one. */
  async successor(pipeline: string, of: LiveQueries): Promise<void> {
    for (;;) {
      const now = this.#running.get(pipeline);
      if (now !== undefined && now !== of) return;
      await new Promise<void>((arrived) => this.#arrivals.add(arrived));
    }
  }

  /** Whether a pipeline goes by the statement of a client with that number, or comes to it before the signal. */
  async follows(number: number, signal: AbortSignal): Promise<boolean> {
    const does = (): boolean => [...this.#running.values()].some(({ basis }) => basis.made.next > number);
    while (!does() && !signal.aborted)
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#arrivals.delete(done);
          signal.removeEventListener('abort', done);
          resolve();
        };
        this.#arrivals.add(done);
        signal.addEventListener('abort', done);
      });
    return does();
  }

  /** By pipeline. */
  get running(): ReadonlyMap<string, LiveQueries> {
    return this.#running;
  }

  /** The program with that stream or table. Throws `query.not-running`, `enrich.statement-invalid`. */
  programOf(name: string, source: SourceText, at: number): { queries: LiveQueries; found: Source } {
    if (this.#running.size === 0)
      throw new HeadwaterError('query.not-running', 'No pipeline with statements runs at the moment.');
    const all = [...this.#running].flatMap(([pipeline, queries]) => {
      const found = queries.program.catalog.get(name);
      return found === undefined ? [] : [{ pipeline, queries, found }];
    });
    const [first, second] = all;
    if (first !== undefined && second !== undefined)
      throw sqlError(
        source,
        at,
        `the pipelines ${all.map(({ pipeline }) => pipeline).join(' and ')} both have a ${name}; ask each in a process of its own`,
      );
    if (first !== undefined) return first;
    for (const { program } of this.#running.values())
      program.catalog.refuseShared(name, { source, offset: at });
    const names = [...this.#running.values()].flatMap(({ program }) =>
      [...program.catalog.all()].map((each) => each.name),
    );
    const meant = nearest(name, names);
    throw sqlError(
      source,
      at,
      `there is no stream or table ${name}${meant === null ? '' : `; did you mean ${meant}?`}`,
    );
  }
}
