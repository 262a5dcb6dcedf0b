/** A pull query that runs: the rows of a table as one commit has left them, or the groups that they make, and an end. */
import { setImmediate as breathe } from 'node:timers/promises';
import type { HeadwaterError } from '../../errors/headwater-error.ts';
import { Aggregation } from '../run/aggregation.ts';
import type { Frame } from '../sql/frame.ts';
import type { SqlValue } from '../sql/value.ts';
import type { StoredRow } from '../state/table-store.ts';
import type { RunningSelect } from './live-queries.ts';
import { type ResultRow, rowText } from './result-rows.ts';
import { tooManyGroups } from './row-queue.ts';
import type { PullPlan } from './select-plan.ts';

/** Rows that are looked at before others have their turn. */
const ROWS_A_BREATH = 2_000;

export class PullQuery implements RunningSelect {
  readonly plan: PullPlan;
  readonly #stored: readonly StoredRow[];
  readonly #maxGroups: number;
  readonly #text: ReturnType<typeof rowText>;
  readonly #frame: Frame = { rows: [null], time: 0, change: null, note: () => {} };
  #closed = false;
  #end: HeadwaterError | null = null;

  /** `stored`: the rows that the condition may hold for; `maxGroups`: as many it may make of them. */
  constructor(plan: PullPlan, stored: readonly StoredRow[], maxGroups: number) {
    this.plan = plan;
    this.#stored = stored;
    this.#maxGroups = maxGroups;
    this.#text = rowText(plan.columns);
  }

  get end(): HeadwaterError | null {
    return this.#end;
  }

  close(): void {
    this.#closed = true;
  }

  rows(): AsyncGenerator<readonly ResultRow[]> {
    const { groups } = this.plan;
    return groups === null ? this.#listed() : this.#grouped(groups);
  }

  async *#listed(): AsyncGenerator<readonly ResultRow[]> {
    const { columns } = this.plan;
    let left = this.plan.limit ?? Infinity;
    for await (const some of this.#pieces()) {
      const found: ResultRow[] = [];
      for (const row of some) {
        if (found.length === left) break;
        if (this.#passes(row)) found.push(this.#shown(columns.map(({ run }) => run(this.#frame))));
      }
      left -= found.length;
      if (found.length > 0) yield found;
      if (left === 0) return;
    }
  }

  async *#grouped({
    plan: group,
    store,
  }: NonNullable<PullPlan['groups']>): AsyncGenerator<readonly ResultRow[]> {
    const aggregation = new Aggregation({ group, store, target: { emit: () => null }, note: () => {} });
    for await (const some of this.#pieces()) {
      for (const row of some) {
        if (!this.#passes(row)) continue;
        const event = { row, hasValue: true, seq: 0, time: 0, change: null, headers: null };
        aggregation.add(this.#frame, event, false);
      }
      store.flush();
      if (store.size <= this.#maxGroups) continue;
      this.#end = tooManyGroups(this.#maxGroups);
      return;
    }
    const found: ResultRow[] = [];
    for (const { row } of store.shown()) {
      if (found.length === (this.plan.limit ?? Infinity)) break;
      found.push(this.#shown(row));
    }
    if (found.length > 0) yield found;
  }

  async *#pieces(): AsyncGenerator<readonly StoredRow[]> {
    for (let from = 0; from < this.#stored.length && !this.#closed; from += ROWS_A_BREATH) {
      yield this.#stored.slice(from, from + ROWS_A_BREATH);
      await breathe();
    }
  }

  #passes(row: StoredRow): boolean {
    const { where } = this.plan;
    this.#frame.rows[0] = row;
    return where === null || where(this.#frame) === true;
  }

  #shown(row: readonly SqlValue[]): ResultRow {
    return { text: this.#text(row), tombstone: false };
  }
}
