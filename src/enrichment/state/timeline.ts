/**
 * Captured tables as events of other logs see them (docs/enrichment.md, Kafka topics as inputs): by time. An event sees the tables after the
 * last transaction that was committed no later than in its millisecond, and never the middle of one. Rows that later
 * transactions have replaced are kept until every query over topics has come past those.
 */
import type { KeyValue } from '../sql/value.ts';
import type { StoredRow } from './table-store.ts';

/** Replaced rows that are kept at most; beyond it events see a later state than their own time's. */
const MOST_UNDONE = 500_000;
/** An event can arrive this much later than it happened, and still see the tables as they were. */
export const LATENESS_MS = 10_000;

interface Undo {
  readonly transaction: number;
  readonly table: number;
  readonly key: KeyValue;
  readonly before: StoredRow | null;
}

interface Moment {
  readonly transaction: number;
  /** Never falls, as the log's order has it. */
  readonly timeMs: number;
  readonly position: string;
}

/** How far one query over topics has come. */
export class TimeCursor {
  transaction: number;
  position: string;

  constructor({ transaction, position }: Pick<Moment, 'transaction' | 'position'>) {
    this.transaction = transaction;
    this.position = position;
  }
}

export interface LogHead<P> {
  /** Where the database's log ends now. */
  readonly head: () => Promise<P>;
  /** Asks for a sign of how far the log has been read. */
  readonly nudge: () => void;
  readonly compare: (a: P, b: P) => number | null;
}

/** What is asked of it by those who know no positions. */
export type TableTimes = Pick<
  Timeline<unknown>,
  'horizon' | 'live' | 'cursor' | 'release' | 'replaced' | 'ask' | 'end' | 'enter' | 'leave' | 'idle' | 'row'
>;

export class Timeline<P> {
  readonly #log: LogHead<P>;
  readonly #cursors = new Set<TimeCursor>();
  readonly #rows = new Map<number, Map<KeyValue, Undo[]>>();
  #undone: Undo[] = [];
  #moments: Moment[];
  #changed = false;
  #current: TimeCursor | null = null;
  #time = -Infinity;
  #at: P | null = null;
  #asked: { readonly timeMs: number; readonly head: P } | null = null;
  #asking = false;

  /** `position`: where the log stands, as text for people. */
  constructor(log: LogHead<P>, position: string) {
    this.#log = log;
    this.#moments = [{ transaction: 0, timeMs: -Infinity, position }];
  }

  /** Nothing that was committed up to then, ms since the epoch, is still to come. */
  get horizon(): number {
    return this.#time;
  }

  /** Whether the log is being read: before that nothing can be told of its end. */
  get live(): boolean {
    return this.#at !== null;
  }

  /** Of a query that begins: with the earliest state that is kept. */
  cursor(): TimeCursor {
    const cursor = new TimeCursor(this.#moments[0] ?? this.#last);
    this.#cursors.add(cursor);
    return cursor;
  }

  /** Nothing more is kept for its sake. */
  release(cursor: TimeCursor): void {
    this.#cursors.delete(cursor);
    this.#forget();
  }

  /** The transaction under way replaces a row of a complete table. */
  replaced(table: number, key: KeyValue, before: StoredRow | null): void {
    this.#changed = true;
    const undo = { transaction: this.#last.transaction + 1, table, key, before };
    let rows = this.#rows.get(table);
    if (rows === undefined) this.#rows.set(table, (rows = new Map<KeyValue, Undo[]>()));
    const known = rows.get(key);
    if (known === undefined) rows.set(key, [undo]);
    else known.push(undo);
    this.#undone.push(undo);
  }

  /** The transaction has been read whole. */
  committed(timeMs: number, position: string): void {
    // Of the same millisecond more may come.
    this.#time = Math.max(this.#time, timeMs - 1);
    if (!this.#changed) return;
    this.#changed = false;
    const last = this.#last;
    const transaction = last.transaction + 1;
    this.#moments.push({ transaction, timeMs: Math.max(last.timeMs, timeMs), position });
    const excess = this.#undone.length - MOST_UNDONE;
    const forced = excess > 0 ? this.#undone[excess]?.transaction : undefined;
    if (forced !== undefined) for (const each of this.#cursors) this.#advance(each, forced);
    this.#forget();
  }

  /** The log has been read up to there. */
  passed(position: P): void {
    this.#at = position;
    const asked = this.#asked;
    if (asked === null || !this.#hasPassed(asked.head)) return;
    this.#time = Math.max(this.#time, asked.timeMs);
    this.#asked = null;
  }

  /** Asks the database where its log ends, so that the horizon moves although nothing is committed. */
  ask(): void {
    if (this.#asked !== null) this.#log.nudge();
    if (this.#asked !== null || this.#asking) return;
    this.#asking = true;
    // In the millisecond under way more may be committed behind the head.
    const timeMs = Date.now() - 1;
    this.#log.head().then(
      (head) => {
        this.#asking = false;
        this.#asked = { timeMs, head };
        if (this.#at !== null) this.passed(this.#at);
      },
      // An unreachable database ends the attempt elsewhere.
      () => {
        this.#asking = false;
      },
    );
  }

  /** The log ends here: whoever waits for more of it need not. */
  end(): void {
    this.#time = Infinity;
  }

  /** From here on rows are those that an event of that time sees. A cursor never goes back. */
  enter(cursor: TimeCursor, timeMs: number): void {
    this.#current = cursor;
    this.#advance(cursor, this.#before(timeMs));
  }

  leave(): void {
    this.#current = null;
  }

  /** A query that has worked off all that had been written by then keeps no rows but those for events under way. */
  idle(cursor: TimeCursor, asOfMs: number): void {
    this.#advance(cursor, this.#before(Math.min(asOfMs - LATENESS_MS, this.#time)));
    this.#forget();
  }

  /** Undefined where the table's own row is the one to see. */
  row(table: number, key: KeyValue): StoredRow | null | undefined {
    const cursor = this.#current;
    if (cursor === null) return undefined;
    return this.#rows
      .get(table)
      ?.get(key)
      ?.find(({ transaction }) => transaction > cursor.transaction)?.before;
  }

  get #last(): Moment {
    const last = this.#moments.at(-1);
    if (last === undefined) throw new TypeError('The last transaction is kept.');
    return last;
  }

  #hasPassed(position: P): boolean {
    return this.#at !== null && (this.#log.compare(this.#at, position) ?? -1) >= 0;
  }

  /** The last transaction committed up to that time, 0 where there is none. */
  #before(timeMs: number): number {
    let low = 0;
    let high = this.#moments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#moments[middle]?.timeMs ?? Infinity) <= timeMs) low = middle + 1;
      else high = middle;
    }
    return this.#moments[low - 1]?.transaction ?? 0;
  }

  #advance(cursor: TimeCursor, transaction: number): void {
    if (transaction <= cursor.transaction) return;
    const first = this.#moments[0]?.transaction ?? 0;
    const moment = this.#moments[transaction - first];
    if (moment === undefined) return;
    cursor.transaction = transaction;
    cursor.position = moment.position;
  }

  /** What no cursor sees any more. */
  #forget(): void {
    const least = Math.min(
      this.#last.transaction,
      ...[...this.#cursors].map(({ transaction }) => transaction),
    );
    const first = this.#moments[0]?.transaction ?? 0;
    if (least > first) this.#moments = this.#moments.slice(least - first);
    let gone = 0;
    for (const { transaction, table, key } of this.#undone) {
      if (transaction > least) break;
      gone++;
      const rows = this.#rows.get(table);
      const undos = rows?.get(key);
      undos?.shift();
      if (undos?.length === 0) rows?.delete(key);
    }
    if (gone > 0) this.#undone = this.#undone.slice(gone);
  }
}
