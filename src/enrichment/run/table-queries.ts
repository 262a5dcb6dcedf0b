/** The queries over tables of one stage, in the order in which they read each other. */
import type { StreamSource } from '../sources/catalog.ts';
import type { TableQueryPlan } from '../plan/program.ts';
import type { Replica } from '../state/replica.ts';
import { TableQuery, type TableQueryContext } from './table-query.ts';
import type { ShownRow } from '../state/result-table.ts';
import type { OutputStream } from './query.ts';

export interface TableQueriesContext extends Omit<TableQueryContext, 'target' | 'follows'> {
  readonly outputOf: (plan: TableQueryPlan) => OutputStream;
  readonly restored: ReadonlySet<Replica>;
}

export class TableQueries {
  readonly #all: readonly TableQuery[];

  constructor(plans: readonly TableQueryPlan[], { outputOf, restored, ...context }: TableQueriesContext) {
    this.#all = plans.map((plan) => {
      const follows = plan.rows.replicas.every((replica) => restored.has(replica));
      return new TableQuery(plan, { ...context, target: outputOf(plan), follows });
    });
  }

  get isEmpty(): boolean {
    return this.#all.length === 0;
  }

  /** Names of tables whose part of the checkpoint is of use. */
  get restored(): readonly string[] {
    return this.#all.filter(({ restored }) => restored).map(({ plan }) => plan.target.name);
  }

  /** The rows of one whose tables are as the checkpoint has them. */
  shown(target: StreamSource): Iterable<ShownRow> {
    return this.#all.find(({ plan }) => plan.target === target)?.shown() ?? [];
  }

  /** Writes what their tables hold, where that has not been done. */
  async fill(timeMs: number, ready: () => Promise<void> | undefined): Promise<void> {
    for (const query of this.#all) await query.fill(timeMs, ready);
    // What filled the one was no change for those that read it: they have been filled too.
    this.endTransaction();
  }

  /** `counted`: those that read what events of the transaction have made, or the others. */
  process(counted: boolean, timeMs: number): void {
    for (const query of this.#all) if (query.plan.rows.counted === counted) query.process(timeMs);
  }

  endTransaction(): void {
    for (const query of this.#all) query.endTransaction();
  }

  /** A commit begins that makes durable what has been flushed. */
  committing(): void {
    for (const query of this.#all) query.committing();
  }

  /** The oldest commit under way is durable. */
  committed(): void {
    for (const query of this.#all) query.committed();
  }

  flush(): readonly (readonly [string, string | null])[] {
    return this.#all.flatMap((query) => query.flush());
  }
}
