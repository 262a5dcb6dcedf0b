import { asHeadwaterError } from '../errors/headwater-error.ts';
import type { RowChange, SchemaChange, SourceInfo, TruncateChange } from '../model/change.ts';
import type { TableSchema } from '../model/table.ts';
import { type Image, RawRow, valueOf } from '../model/raw-row.ts';
import type { Row, Value } from '../model/value.ts';
import type { TableSnapshot } from './captured-table.ts';
import { isLeftOut, keyIn, readableKey, type RowKey, sameShape, UNREADABLE_KEY } from './row-key.ts';
import type { ChunkRange, TablePlan, WindowChunk } from './snapshot-source.ts';

/** A window with more touched keys than this is read again rather than kept. */
const MAX_TOUCHED = 500_000;

/** What a window reads: a piece of a chunk, or the rows of single keys (`keyText`) that are owed. */
export type WindowPart =
  | { readonly kind: 'chunk'; readonly index: number; readonly range: ChunkRange }
  | { readonly kind: 'owed'; readonly keys: readonly string[] };

/**
 * One chunk on its way into the stream. From the moment it opens, between two transactions of the stream, it
 * notes which keys of its table the stream touches; when the stream has passed the chunk's high mark, the rows
 * with those keys are dropped, since the stream has delivered newer ones, and the rest are the table's rows as
 * of this very point of the stream (docs/architecture.md, "Windows").
 */
export class Window<P, S extends SourceInfo> {
  readonly table: TableSnapshot;
  readonly part: WindowPart;
  readonly plan: TablePlan;
  /** RecentTransactions.mark when it opened. */
  readonly openedAt: number;
  /** How often this chunk has been read in vain. */
  readonly attempt: number;
  /** Reads within this window that came before a delivered transaction was visible. */
  rereads = 0;
  chunk: WindowChunk<P, S> | null = null;
  /** Whether the chunk was found to see all that had been delivered before the window opened. */
  checked = false;
  /** performance.now() when the chunk had been read. */
  readAt = 0;
  /** Takes the place of the chunk's own high mark. */
  settledHigh: P | null = null;
  settling = false;
  /** Whether the stream has been asked for its position on account of this window. */
  nudged = false;
  /**
   * Key → null where the stream delivered the whole row or its end; else the row's latest image, in which the
   * log left columns out (unchanged TOAST, MySQL's minimal images) that must still come from the chunk.
   */
  readonly #touched = new Map<RowKey, Row | null>();
  /** See `owe`. */
  readonly #owed = new Set<string>();
  /** Whether rows that moved, and are in the log without some of their columns, are read by their keys later. */
  readonly #owes: boolean;
  #truncated = false;
  #void = false;
  #streamSchema: TableSchema | null = null;
  #keySchema: TableSchema | null = null;
  #key: readonly number[] | null = null;

  constructor(of: {
    readonly table: TableSnapshot;
    readonly part: WindowPart;
    readonly plan: TablePlan;
    readonly openedAt: number;
    readonly attempt: number;
    readonly owes: boolean;
  }) {
    this.table = of.table;
    this.part = of.part;
    this.plan = of.plan;
    this.openedAt = of.openedAt;
    this.attempt = of.attempt;
    this.#owes = of.owes;
  }

  /** A row moved to this key, and the log left columns out of it: what the window does not deliver is still owed. */
  owe(key: string): void {
    this.#owed.add(key);
  }

  /** Whether it was owed before the window opened only, so that the window's chunk holds it. */
  settles(key: string): boolean {
    return !this.#owed.has(key);
  }

  /** A change of this window's table went by. */
  observe(change: RowChange<S> | TruncateChange<S> | SchemaChange<S>): void {
    if (this.#void) return;
    if (change.kind === 'truncate') {
      this.#truncated = true;
      return;
    }
    if (change.kind === 'schema') {
      this.#streamSchema = change.table;
      return;
    }
    if (change.table !== this.#keySchema) {
      this.#keySchema = change.table;
      this.#key = keyIn(change.table, this.plan.key, this.plan.schema);
    }
    const { before, after } = change;
    if (this.#key === null || this.#touched.size > MAX_TOUCHED) {
      this.#void = true;
      return;
    }
    const was = before === null ? undefined : readableKey(before, this.#key);
    const is = after === null ? undefined : (this.#keyBehind(before, after, this.#key) ?? was);
    // Such a row lies in the dead-letter topic, whether the stream or the chunk brings it: it hides none.
    if (is === UNREADABLE_KEY || (was === UNREADABLE_KEY && is === undefined)) {
      if (was !== undefined && was !== UNREADABLE_KEY) this.#touched.set(was, null);
      return;
    }
    const oldKey = was === UNREADABLE_KEY ? undefined : was;
    const newKey = is;
    if (oldKey === undefined && newKey === undefined) {
      // Something was touched and nobody can say what.
      this.#void = true;
      return;
    }
    const moved = oldKey !== undefined && newKey !== undefined && oldKey !== newKey;
    if (oldKey !== undefined && (moved || newKey === undefined)) this.#touched.set(oldKey, null);
    if (newKey === undefined || after === null) return;
    const image = change.unreadable === undefined ? this.#image(newKey, after) : null;
    // The value that was left out stands in the chunk under the old key, if at all.
    if (!moved || image === null) this.#touched.set(newKey, image);
    else if (this.#owes) this.#touched.set(newKey, null);
    else this.#void = true;
  }

  /** A log may leave out of the row after a change what was not changed: also columns of its key. */
  #keyBehind(
    before: Image | null,
    after: Image,
    key: readonly number[],
  ): RowKey | typeof UNREADABLE_KEY | undefined {
    const all = readableKey(after, key);
    if (all !== undefined || before === null || after instanceof RawRow) return all;
    return readableKey(
      after.map((value, i) => (isLeftOut(value) ? valueOf(before, i) : value)),
      key,
    );
  }

  #image(key: RowKey, after: Image): Row | null {
    if (after instanceof RawRow || !after.some(isLeftOut)) return null;
    const earlier = this.#touched.get(key);
    if (earlier === undefined) return after;
    if (earlier === null) return null;
    const merged = after.map((value, i) => (isLeftOut(value) ? (earlier[i] as Value) : value));
    return merged.some(isLeftOut) ? merged : null;
  }

  /**
   * The rows to deliver where the window closes; null where they cannot be told and the chunk must be read
   * again in a new window.
   */
  survivors(): readonly RowChange<S>[] | null {
    const { rows, plan } = this.chunk!;
    if (this.#void) return null;
    // A few tries only: the catalogue and the log may describe the same rows differently for good.
    if (this.#streamSchema !== null && this.attempt < 5 && !sameShape(this.#streamSchema, plan.schema)) {
      return null;
    }
    if (this.#truncated) return [];
    if (this.#touched.size === 0) return rows;
    const key = plan === this.plan ? plan.key : keyIn(plan.schema, this.plan.key, this.plan.schema);
    if (key === null) return null;
    const kept: RowChange<S>[] = [];
    for (const row of rows) {
      const id = readableKey(row.after!, key);
      const image = id === undefined || id === UNREADABLE_KEY ? undefined : this.#touched.get(id);
      if (image === undefined) {
        kept.push(row);
      } else if (image !== null) {
        if (!sameShape(this.#keySchema!, plan.schema)) return null;
        kept.push(completed(row, image));
      }
    }
    return kept;
  }
}

/** The stream's image of the row, with what the log left out of it from the chunk. */
function completed<S extends SourceInfo>(row: RowChange<S>, image: Row): RowChange<S> {
  try {
    const after = image.map((value, i) => (isLeftOut(value) ? valueOf(row.after!, i) : value));
    return { ...row, after };
  } catch (error) {
    return { ...row, unreadable: asHeadwaterError(error) };
  }
}
