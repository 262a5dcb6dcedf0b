import type { RowChange, Tx } from '../../model/change.ts';
import { tableName } from '../../model/table.ts';
import type { Image } from '../../model/raw-row.ts';
import { ABSENT, type Row } from '../../model/value.ts';
import { keyOf, type PolledTable } from '../poll-dialect.ts';
import { readableCells, readableValues } from './readable-values.ts';
import { hashOf, textOfValues, valuesOfText } from './row-text.ts';
import type { KnownRow, RowState } from './row-state.ts';
import type { Remember } from './settings.ts';
import type { PollSource } from './source-info.ts';

/** So far local time is behind UTC at most, and an hour more. */
const EARLIEST_LOCAL_US = 13 * 3_600_000_000;
const DAY_US = 86_400_000_000;
/** Passes begin at a whole second. */
const ROUNDED_US = 1_000_000;

/** What rows of one read become. */
export interface RowsContext {
  readonly at: PollSource;
  readonly tx: Tx;
  /** Of the pass: what is seen in it is marked with it. */
  readonly stamp: number;
}

/** Turns what was read of one table into changes, by what is known of its rows. */
export class PolledRows {
  readonly #table: PolledTable;
  readonly #name: string;
  readonly #remember: Remember;
  /** Null where nothing has to be known. */
  readonly #state: RowState | null;
  readonly #key: readonly number[];

  constructor(table: PolledTable, remember: Remember, state: RowState | null) {
    this.#table = table;
    this.#name = tableName(table.schema.id);
    this.#remember = remember;
    this.#state = table.versioned && remember === 'overlap' ? null : state;
    this.#key = keyOf(table);
  }

  /**
   * Changes for rows that differ from what was delivered; those of versioned tables always do, but for rows that are
   * read once more (`again`).
   */
  changes(
    rows: readonly RowChange[],
    { at, tx, stamp }: RowsContext,
    again = false,
  ): RowChange<PollSource>[] {
    const { schema } = this.#table;
    const always = this.#table.versioned && !again;
    const state = this.#state;
    const changes: RowChange<PollSource>[] = [];
    for (const { after, unreadable } of rows) {
      const values = state === null ? null : readable(after, unreadable);
      let known: KnownRow | null = null;
      let unknown: 'c' | 'u' = this.#table.options.mode === 'incrementing' ? 'c' : 'u';
      if (state !== null && values !== null) {
        const text = textOfValues(values);
        const hash = hashOf(text);
        const key = this.#keyBytes(values, hash);
        known = state.get(this.#name, key);
        if (!always && known !== null && Buffer.compare(known.hash, hash) === 0) {
          state.touch(this.#name, key, stamp);
          continue;
        }
        if (known === null && this.#remember !== 'overlap' && state.isComplete(this.#name)) unknown = 'c';
        const row = this.#remember === 'rows' ? text : null;
        state.put(this.#name, key, { hash, row, version: schema.version, stamp });
      }
      const change: RowChange<PollSource> = {
        kind: 'row',
        op: known === null ? unknown : 'u',
        table: schema,
        before: known === null ? null : this.#rowOf(known),
        after,
        tx,
        seq: changes.length,
        at,
        snapshot: null,
      };
      changes.push(unreadable === undefined ? change : { ...change, unreadable });
    }
    return changes;
  }

  /** Whether all of the table's rows are known, so that what is not known is new. */
  get complete(): boolean {
    return this.#state?.isComplete(this.#name) === true;
  }

  /**
   * Rows that are in the table, all of which are known. Changes for those that no pass will read, since their time is
   * before `lowUs`, and which are not as they were delivered; null: passes read all. That the table was altered
   * since changes no row.
   */
  passedBy(rows: readonly RowChange[], of: RowsContext, lowUs: number | null): RowChange<PollSource>[] {
    const passed: RowChange[] = [];
    for (const row of rows) {
      const { after, unreadable } = row;
      const values = readable(after, unreadable);
      const key = after === null ? null : readableCells(after, this.#key);
      if (values !== null && lowUs !== null && this.#isOlder(values, lowUs)) {
        if (!this.#reshape(values, of.stamp)) passed.push(row);
      } else if (key !== null) this.seen([key], of.stamp);
    }
    return this.changes(passed, of, true);
  }

  /** Whether the row is known in another shape of its table; it is taken for what was delivered then. */
  #reshape(values: Row, stamp: number): boolean {
    const { version } = this.#table.schema;
    const text = textOfValues(values);
    const hash = hashOf(text);
    const key = this.#keyBytes(values, hash);
    const known = this.#state?.get(this.#name, key) ?? null;
    if (known === null || known.version === version) return false;
    this.#state?.put(this.#name, key, { hash, row: text, version, stamp });
    return true;
  }

  /** Keys that are in the table. */
  seen(keys: readonly Row[], stamp: number): void {
    for (const key of keys) this.#state?.touch(this.#name, Buffer.from(textOfValues(key)), stamp);
  }

  /** Deletes for up to `limit` rows that were delivered and have not been seen since `stamp`. */
  gone({ at, tx, stamp }: RowsContext, limit: number): RowChange<PollSource>[] {
    const state = this.#state;
    if (state === null) return [];
    const changes: RowChange<PollSource>[] = [];
    for (const key of state.unseen(this.#name, stamp, limit)) {
      const known = state.get(this.#name, key);
      const before = (known === null ? null : this.#rowOf(known)) ?? this.#keyImage(key);
      state.remove(this.#name, key);
      const { schema: table } = this.#table;
      changes.push({
        kind: 'row',
        op: 'd',
        table,
        before,
        after: null,
        tx,
        seq: changes.length,
        at,
        snapshot: null,
      });
    }
    return changes;
  }

  #keyImage(key: Uint8Array): Row {
    const values = valuesOfText(Buffer.from(key).toString());
    return this.#table.schema.columns.map((_, index) => {
      const at = this.#key.indexOf(index);
      return at < 0 ? ABSENT : values[at]!;
    });
  }

  /**
   * Rows that a snapshot has read and will deliver, so that none of them comes once more behind it. `stamp` is later
   * than all that is known; rows of before `sinceUs` are not read again, null: any may be.
   */
  seed(rows: readonly RowChange[], { stamp, sinceUs }: { stamp: number; sinceUs: number | null }): void {
    const state = this.#state;
    if (state === null) return;
    state.together(() => {
      for (const { after, unreadable } of rows) {
        const values = readable(after, unreadable);
        if (values === null) continue;
        if (this.#remember === 'overlap' && sinceUs !== null && this.#isOlder(values, sinceUs)) continue;
        const text = textOfValues(values);
        const hash = hashOf(text);
        const row = this.#remember === 'rows' ? text : null;
        const { version } = this.#table.schema;
        state.seed(this.#name, this.#keyBytes(values, hash), { hash, row, version, stamp });
      }
    });
  }

  /** Local times are taken for whatever they may be somewhere on earth. */
  #isOlder(values: Row, us: number): boolean {
    const { timestamp, schema } = this.#table;
    const index = timestamp.find((column) => values[column] !== null);
    if (index === undefined) return false;
    const time = values[index];
    if (typeof time !== 'number') return false;
    const { kind } = schema.columns[index]!.type;
    // A date says no more than that it was before its end.
    const latest = kind === 'date' ? (time + 1) * DAY_US : time;
    return latest < us - ROUNDED_US - (kind === 'timestamptz' ? 0 : EARLIEST_LOCAL_US);
  }

  /** Without a key a row is recognised by all of it. */
  #keyBytes(values: Row, hash: Uint8Array): Uint8Array {
    if (this.#key.length === 0) return hash;
    return Buffer.from(textOfValues(this.#key.map((index) => values[index]!)));
  }

  /** A row that was kept in an earlier shape of its table is not shown. */
  #rowOf({ row, version }: KnownRow): Row | null {
    return row === null || version !== this.#table.schema.version ? null : valuesOfText(row);
  }
}

function readable(after: Image | null, unreadable: Error | undefined): Row | null {
  return after === null || unreadable !== undefined ? null : readableValues(after);
}
