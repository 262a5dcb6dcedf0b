/** The rows of a captured table as of the log's position, and, within a transaction, as of any of its changes. */
import type { CapturedSource } from '../sources/captured-source.ts';
import { CommittedRows } from './committed-rows.ts';
import type { KeyValue } from '../sql/value.ts';
import type { StoredRow, TableStore } from './table-store.ts';
import type { TableTimes } from './timeline.ts';
import type { JoinAsOf, ReadTable, Remembered } from '../sources/table-source.ts';

/** What became of one key within the transaction under way. */
interface KeyHistory {
  readonly before: StoredRow | null;
  readonly versions: { readonly seq: number; readonly row: StoredRow | null }[];
}

export interface ReplicaJournal {
  put(replica: number, key: KeyValue, row: StoredRow): void;
  delete(replica: number, key: KeyValue): void;
  clear(replica: number): void;
}

export class Replica implements ReadTable {
  readonly index: number;
  readonly captured: CapturedSource;
  readonly #store: TableStore;
  readonly #journal: ReplicaJournal;
  readonly replicas: readonly Replica[] = [this];
  readonly counted = false;
  /** What is asked for of the states within and before a transaction. */
  #remembered: Remembered | null = null;
  /** Whether the table is complete: a snapshot has filled it, and the log moves it on. */
  ready = false;
  /** Where events of other logs see the table. */
  timeline: TableTimes | null = null;
  #history = new Map<KeyValue, KeyHistory>();
  #committed: CommittedRows | null = null;

  constructor(index: number, captured: CapturedSource, store: TableStore, journal: ReplicaJournal) {
    this.index = index;
    this.captured = captured;
    this.#store = store;
    this.#journal = journal;
  }

  /** For queries of clients; the same each time. */
  observe(): CommittedRows {
    return (this.#committed ??= new CommittedRows(this.#store));
  }

  get size(): number {
    return this.#store.size;
  }

  remember(what: Remembered): void {
    if (this.#remembered !== 'versions') this.#remembered = what;
  }

  keys(): Iterable<KeyValue> {
    return this.#store.keys();
  }

  changedKeys(): Iterable<KeyValue> {
    return this.#history.keys();
  }

  current(key: KeyValue): StoredRow | null {
    return this.#store.get(key) ?? null;
  }

  entries(): Iterable<readonly [KeyValue, StoredRow]> {
    return this.#store.entries();
  }

  /** As an image has it: nothing of this is news to the journal. */
  restore(key: KeyValue, row: StoredRow | null): void {
    if (row === null) this.#store.delete(key);
    else this.#store.put(key, row);
  }

  reset(): void {
    this.#store.clear();
    this.ready = false;
  }

  put(key: KeyValue, row: StoredRow, seq: number): void {
    this.#remember(key, row, seq);
    this.#committed?.changing(key, row);
    this.#store.put(key, row);
    this.#journal.put(this.index, key, row);
  }

  delete(key: KeyValue, seq: number): void {
    this.#remember(key, null, seq);
    this.#committed?.changing(key, null);
    if (this.#store.delete(key)) this.#journal.delete(this.index, key);
  }

  /** The table was truncated. */
  clear(seq: number): void {
    if (this.#remembers || this.#committed !== null || this.timeline !== null) {
      for (const key of this.#store.keys()) {
        this.#remember(key, null, seq);
        this.#committed?.changing(key, null);
      }
    }
    this.#store.clear();
    this.#journal.clear(this.index);
  }

  lookUp(key: KeyValue, asOf: JoinAsOf, seq: number): StoredRow | null {
    const then = this.timeline?.row(this.index, key);
    if (then !== undefined) return then;
    if (asOf !== 'COMMIT') {
      const history = this.#history.get(key);
      if (history !== undefined) {
        let { before: row } = history;
        if (asOf === 'BEFORE') return row;
        for (const version of history.versions) {
          if (version.seq >= seq) break;
          ({ row } = version);
        }
        return row;
      }
    }
    return this.#store.get(key) ?? null;
  }

  endTransaction(): void {
    if (this.#history.size > 0) this.#history = new Map();
  }

  /** A table that is not complete yet has no states to be told from each other. */
  get #remembers(): boolean {
    return this.#remembered !== null && this.ready;
  }

  #remember(key: KeyValue, row: StoredRow | null, seq: number): void {
    if (this.ready) this.timeline?.replaced(this.index, key, this.#store.get(key) ?? null);
    if (!this.#remembers) return;
    let history = this.#history.get(key);
    if (history === undefined) {
      history = { before: this.#store.get(key) ?? null, versions: [] };
      this.#history.set(key, history);
    }
    if (this.#remembered === 'versions') history.versions.push({ seq, row });
  }
}
