/** A push query that runs: events of a stream, or changes of a table, in; rows for its client out. */
import { asHeadwaterError } from '../../errors/headwater-error.ts';
import type { StreamEvent } from '../run/event.ts';
import type { RowTarget } from '../run/query.ts';
import type { Frame } from '../sql/frame.ts';
import type { StoredRow } from '../state/table-store.ts';
import { rowText } from './result-rows.ts';
import type { RowQueue } from './row-queue.ts';
import type { StreamPlan, TablePushPlan } from './select-plan.ts';
import type { TableListener } from '../state/committed-rows.ts';

/** What the query is at the end of: its rows are the client's. */
export class StreamRows implements RowTarget {
  readonly #queue: RowQueue;
  readonly #text: ReturnType<typeof rowText>;
  readonly #grouped: boolean;
  readonly #durable: boolean;

  /** `durable`: events are those of commits that are long over. */
  constructor({ columns, query }: StreamPlan, queue: RowQueue, durable = false) {
    this.#queue = queue;
    this.#durable = durable;
    this.#text = rowText(columns);
    this.#grouped = query.group !== null;
  }

  emit({ row, hasValue }: StreamEvent): null {
    // A deleted row is an event only where the query asks for changes, and then it has a value.
    if (hasValue || this.#grouped)
      this.#queue.add({ text: this.#text(row), tombstone: !hasValue }, this.#durable);
    return null;
  }
}

export class TableRows implements TableListener {
  readonly #plan: TablePushPlan;
  readonly #queue: RowQueue;
  readonly #text: ReturnType<typeof rowText>;
  readonly #frame: Frame = { rows: [null], time: 0, change: null, note: () => {} };
  readonly #keys: readonly boolean[];
  /** What a topic holds is committed when it is read. */
  readonly #durable: boolean;

  constructor(plan: TablePushPlan, queue: RowQueue) {
    this.#plan = plan;
    this.#queue = queue;
    this.#text = rowText(plan.columns);
    const { captured, columns, result, topic } = plan.table;
    this.#durable = topic !== null;
    // The window is part of the key.
    const shown = result?.columns.length ?? Infinity;
    this.#keys = (captured?.used ?? columns).map(({ key }, i) => key || i >= shown);
  }

  /** The rows there are when the query begins. */
  begin(rows: readonly StoredRow[], durable: boolean): void {
    for (const row of rows) {
      if (!this.#queue.open) return;
      if (this.#passes(row)) this.#queue.add({ text: this.#show(row), tombstone: false }, durable);
    }
  }

  changed(before: StoredRow | null, after: StoredRow | null): void {
    if (!this.#queue.open) return;
    try {
      if (after !== null && this.#passes(after))
        this.#queue.add({ text: this.#show(after), tombstone: false }, this.#durable);
      else if (before !== null && this.#passes(before)) {
        const key = before.map((value, slot) => (this.#keys[slot] === true ? value : null));
        this.#queue.add({ text: this.#show(key), tombstone: true }, this.#durable);
      }
    } catch (error) {
      this.#queue.finish(asHeadwaterError(error));
    }
  }

  #passes(row: StoredRow): boolean {
    const { where } = this.#plan;
    this.#frame.rows[0] = row;
    return where === null || where(this.#frame) === true;
  }

  #show(row: StoredRow): string {
    this.#frame.rows[0] = row;
    return this.#text(this.#plan.columns.map(({ run }) => run(this.#frame)));
  }
}
