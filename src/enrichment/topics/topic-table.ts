/** A table that a Kafka topic holds: the last record of a key is its row, one without value says that there is none. */
import { CommittedRows } from '../state/committed-rows.ts';
import type { Replica } from '../state/replica.ts';
import type { SqlType } from '../sql/sql-type.ts';
import type { KeyValue, SqlValue } from '../sql/value.ts';
import type { StoredRow, TableStore } from '../state/table-store.ts';
import { type ReadTable, tableKey } from '../sources/table-source.ts';
import { type LogHead, Timeline } from '../state/timeline.ts';
import { keysInOrder } from '../sources/catalog.ts';
import type { TopicSource } from '../sources/topic-source.ts';

/** By partition. */
export type Offsets = readonly number[];

export class TopicTable implements ReadTable {
  readonly name: string;
  readonly source: TopicSource;
  readonly replicas: readonly Replica[] = [];
  readonly counted = false;
  readonly #rows: TableStore;
  readonly #keys: readonly number[];
  readonly #keyTypes: readonly SqlType[];
  #committed: CommittedRows | null = null;
  #timeline: Timeline<Offsets> | null = null;

  /** `rows`: which each run fills anew. */
  constructor(name: string, source: TopicSource, rows: TableStore) {
    this.name = name;
    this.source = source;
    this.#rows = rows;
    this.#keys = keysInOrder(source.columns);
    this.#keyTypes = source.columns.flatMap(({ key, type }) => (key ? [type] : []));
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Where events see it; null before it has been read up to where it begins. */
  get timeline(): Timeline<Offsets> | null {
    return this.#timeline;
  }

  /** For queries of clients; the same each time. All that is read of a topic is committed. */
  observe(): CommittedRows {
    if (this.#committed === null) {
      this.#committed = new CommittedRows(this.#rows);
      if (this.#timeline !== null) this.#committed.show();
    }
    return this.#committed;
  }

  /** Before its first row. */
  begin(): void {
    this.#rows.clear();
  }

  /** The table is complete as of these offsets: from here on events see it as of their time. */
  complete(log: LogHead<Offsets>, at: Offsets): void {
    this.#timeline = new Timeline(log, JSON.stringify(at));
    this.#timeline.passed(at);
    this.#committed?.show();
  }

  /** Null where a part of it is NULL. */
  keyOf(row: readonly SqlValue[]): KeyValue | null {
    const values = this.#keys.map((index) => row[index] ?? null);
    return values.includes(null) ? null : tableKey(this.#keyTypes, values);
  }

  /** Null: there is no such row any more. */
  put(key: KeyValue, row: StoredRow | null): void {
    this.#timeline?.replaced(0, key, this.#rows.get(key) ?? null);
    this.#committed?.changing(key, row);
    if (row === null) this.#rows.delete(key);
    else this.#rows.put(key, row);
  }

  /** What has been put is visible to who asks. */
  settle(): void {
    this.#committed?.committing(true);
    this.#committed?.committed();
  }

  lookUp(key: KeyValue): StoredRow | null {
    const then = this.#timeline?.row(0, key);
    return then === undefined ? (this.#rows.get(key) ?? null) : then;
  }

  /** A topic has no transactions whose states could be told apart. */
  remember(): void {}

  keys(): Iterable<KeyValue> {
    return this.#rows.keys();
  }

  changedKeys(): Iterable<KeyValue> {
    return [];
  }
}
