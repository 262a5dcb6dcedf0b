/**
 * Rows of a push query on their way to its client: held back until the commit that they belong to is durable, and
 * bounded, so that whoever reads slowly is cut off instead of slowing the pipeline or filling the memory.
 */
import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { ResultRow } from './result-rows.ts';

/** Characters of rows that wait, for their commit or for the client. */
const MAX_WAITING = 8 * 1024 * 1024;

export function tooManyGroups(most: number): HeadwaterError {
  return new HeadwaterError(
    'query.cut-off',
    `The query was cut off: it has more than ${most} groups, which only a table made by CREATE TABLE … AS SELECT may have.`,
  );
}

/** Why no more rows come: enough, or what went wrong. */
export type QueryEnd = 'limit' | 'closed' | HeadwaterError;

export class RowQueue {
  readonly #limit: number | null;
  #rows: ResultRow[] = [];
  /** All rows so far, and how many of them each commit under way holds; the oldest commit first. */
  #added = 0;
  #marks: number[] = [];
  #taken = 0;
  #released = 0;
  #waiting = 0;
  #shown = 0;
  #end: QueryEnd | null = null;
  #wake: (() => void) | null = null;
  /** Who waits to add more. */
  #writers: (() => void)[] = [];

  /** `limit`: of rows, those without value not counted; `underWay`: commits that began before there was a queue. */
  constructor(limit: number | null, underWay: number) {
    this.#limit = limit;
    this.#marks = Array.from({ length: underWay }, () => 0);
  }

  /** Null while rows may come. */
  get end(): QueryEnd | null {
    return this.#end;
  }

  /** Whether there is room and use for more. */
  get open(): boolean {
    return this.#end === null && (this.#limit === null || this.#shown < this.#limit);
  }

  /** `durable`: of a commit that is long over. */
  add(row: ResultRow, durable = false): void {
    if (!this.open) return;
    this.#rows.push(row);
    this.#added++;
    if (!row.tombstone) this.#shown++;
    this.#waiting += row.text.length;
    if (durable) this.#release(this.#added);
    if (this.#waiting <= MAX_WAITING) return;
    this.finish(
      new HeadwaterError(
        'query.cut-off',
        'The query was cut off: more rows wait than are kept for a client that reads slowly, or for one transaction.',
      ),
    );
    this.#rows = [];
  }

  /** For who can wait: undefined where there is room for more, else until there is, or no use for it. */
  room(): Promise<void> | undefined {
    if (!this.open || this.#waiting <= MAX_WAITING / 4) return undefined;
    return new Promise((resolve) => this.#writers.push(resolve));
  }

  /** A commit begins that makes what came so far durable. */
  committing(): void {
    this.#marks.push(this.#added);
  }

  /** The oldest commit under way is durable. */
  committed(): void {
    this.#release(this.#marks.shift() ?? 0);
  }

  /** Durable rows are still given out. */
  finish(end: QueryEnd): void {
    this.#end ??= end;
    for (const write of this.#writers.splice(0)) write();
    this.#stir();
  }

  /** Durable rows as they come, until there is an end. */
  async *read(): AsyncGenerator<readonly ResultRow[]> {
    for (;;) {
      const ready = this.#rows.splice(0, this.#released - this.#taken);
      this.#taken += ready.length;
      for (const { text } of ready) this.#waiting -= text.length;
      for (const write of this.#writers.splice(0)) write();
      if (ready.length > 0) yield ready;
      else if (this.#end !== null) return;
      else if (!this.open && this.#taken === this.#added) this.finish('limit');
      else await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #release(count: number): void {
    this.#released = Math.max(this.#released, count);
    this.#stir();
  }

  #stir(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
