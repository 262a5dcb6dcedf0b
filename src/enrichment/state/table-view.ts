/**
 * The rows of a query over tables. Nothing of them is kept: each is computed from the rows of the tables it reads,
 * as they are or were before the transaction under way.
 */
import type { JoinPlan } from '../plan/join-plan.ts';
import type { Replica } from './replica.ts';
import type { Evaluate, Frame, Problem } from '../sql/frame.ts';
import type { KeyValue, SqlValue } from '../sql/value.ts';
import type { StoredRow } from './table-store.ts';
import type { JoinAsOf, ReadTable, Remembered } from '../sources/table-source.ts';

export interface TableJoin extends JoinPlan {
  /** The key of the first table's row that a row with that key is joined to. */
  readonly firstKey: (key: KeyValue) => KeyValue;
}

export interface JoinedTables {
  readonly first: ReadTable;
  readonly joins: readonly TableJoin[];
  readonly where: Evaluate | null;
}

/** FROM, JOIN and WHERE over tables: which rows there are for a key of the first one. */
export class TableReader {
  readonly #tables: JoinedTables;
  readonly #frame: Frame;
  readonly replicas: readonly Replica[];
  readonly counted: boolean;

  constructor(tables: JoinedTables) {
    this.#tables = tables;
    const all = [tables.first, ...tables.joins.map(({ rows }) => rows)];
    this.replicas = [...new Set(all.flatMap(({ replicas }) => replicas))];
    this.counted = all.some(({ counted }) => counted);
    this.#frame = { rows: all.map(() => null), time: 0, change: null, note: () => undefined };
  }

  remember(what: Remembered): void {
    const { first, joins } = this.#tables;
    first.remember(what);
    for (const { rows } of joins) rows.remember(what);
  }

  /** The frame to evaluate expressions on; null where there is no row. It holds until the next call. */
  read(key: KeyValue, { asOf, seq, note }: ReadAs): Frame | null {
    const { first, joins, where } = this.#tables;
    const frame = this.#frame;
    frame.note = note;
    frame.rows.fill(null);
    const row = first.lookUp(key, asOf, seq);
    if (row === null) return null;
    frame.rows[0] = row;
    for (const [i, join] of joins.entries()) {
      const joined = join.key(frame);
      const other = joined === null ? null : join.rows.lookUp(joined, asOf, seq);
      if (other === null && join.kind === 'INNER') return null;
      frame.rows[i + 1] = other;
    }
    return where === null || where(frame) === true ? frame : null;
  }

  keys(): Iterable<KeyValue> {
    return this.#tables.first.keys();
  }

  /** Keys of the first table whose rows here can be others than before the transaction. */
  changedKeys(): ReadonlySet<KeyValue> {
    const { first, joins } = this.#tables;
    const changed = new Set(first.changedKeys());
    for (const { rows, firstKey } of joins) for (const key of rows.changedKeys()) changed.add(firstKey(key));
    return changed;
  }
}

export interface ReadAs {
  readonly asOf: JoinAsOf;
  readonly seq: number;
  readonly note: (problem: Problem) => void;
}

/** What failed has been said where the row was written. */
const unsaid = (): void => undefined;

export class TableView implements ReadTable {
  readonly reader: TableReader;
  readonly #columns: readonly { readonly run: Evaluate }[];

  constructor(reader: TableReader, columns: readonly { readonly run: Evaluate }[]) {
    this.reader = reader;
    this.#columns = columns;
  }

  get replicas(): readonly Replica[] {
    return this.reader.replicas;
  }

  get counted(): boolean {
    return this.reader.counted;
  }

  remember(what: Remembered): void {
    this.reader.remember(what);
  }

  lookUp(key: KeyValue, asOf: JoinAsOf, seq: number): StoredRow | null {
    return this.row(key, { asOf, seq, note: unsaid });
  }

  row(key: KeyValue, as: ReadAs): SqlValue[] | null {
    const frame = this.reader.read(key, as);
    return frame === null ? null : this.#columns.map(({ run }) => run(frame));
  }

  keys(): Iterable<KeyValue> {
    return this.reader.keys();
  }

  changedKeys(): Iterable<KeyValue> {
    return this.reader.changedKeys();
  }
}
