/**
 * The groups of a query with GROUP BY. What is kept of a group is part of the checkpoint, a key for each:
 *
 * | key | value |
 * | --- | --- |
 * | `enrich-table/<table>` | `{v, statement, epoch, time, arrivals}`: hash of the statement, run that wrote it, stream time, events grouped |
 * | `enrich-group/<table>/<group>` | `[time, shown, rows, counts, ordinals, values]` of the group, whose name is its keys and window as JSON |
 */
import { type Aggregate, type AggregateState, newState } from '../sql/functions/aggregates.ts';
import type { GroupPlan } from '../plan/group-plan.ts';
import type { ShownRow } from './result-table.ts';
import type { Replica } from './replica.ts';
import { type RowCodec, rowCodec } from './row-text.ts';
import type { Evaluate, Frame, Problem } from '../sql/frame.ts';
import { type SqlType, typeText } from '../sql/sql-type.ts';
import type { KeyValue, SqlValue } from '../sql/value.ts';
import { statementHash } from '../sql/statement-hash.ts';
import type { StoredRow } from './table-store.ts';
import { type JoinAsOf, type ReadTable, tableKey } from '../sources/table-source.ts';

export const AGGREGATE_TABLE_PREFIX = 'enrich-table/';
export const AGGREGATE_GROUP_PREFIX = 'enrich-group/';
/** Of what the checkpoint holds. */
const VERSION = 2;

export interface GroupWindow {
  readonly start: number;
  /** Behind the window's last millisecond; of a session the time of its last event. */
  readonly end: number;
}

export interface Group {
  readonly id: string;
  readonly keys: readonly SqlValue[];
  /** Its key in the table, whatever its window. */
  readonly key: KeyValue;
  /** Null without a window. */
  readonly window: GroupWindow | null;
  readonly states: readonly AggregateState[];
  /** The highest time of an event that went into it. */
  time: number;
  /** Whether the table shows a row for it. */
  shown: boolean;
  /** Events, or rows of a table, that are in it. */
  rows: number;
}

export interface GroupStoreOptions {
  /** Name of the table that the groups make. */
  readonly name: string;
  /** Of its statement and of those that make what it reads: groups of another one are of no use. */
  readonly lineage: string;
  readonly group: GroupPlan;
  readonly columns: readonly { readonly run: Evaluate }[];
  /** What the rows that are grouped come from. */
  readonly replicas: readonly Replica[];
  /** Whether they are events of a stream. */
  readonly counted: boolean;
}

/** Of the run that the groups are part of. */
export interface GroupRun {
  readonly known: ReadonlyMap<string, string>;
  /** Whether the log goes on where that stands. */
  readonly continuous: boolean;
  readonly epoch: number;
  readonly note: (problem: Problem) => void;
}

/** A table's name as keys of the checkpoint have it: without a slash. */
export function checkpointName(table: string): string {
  return encodeURIComponent(table);
}

export class GroupStore implements ReadTable {
  readonly #options: GroupStoreOptions;
  readonly #groups = new Map<string, Group>();
  readonly #dirty = new Set<string>();
  readonly #keyCodec: RowCodec;
  readonly #stateCodec: RowCodec;
  readonly #keyTypes: readonly SqlType[];
  readonly #frame: Frame;
  /** Groups without windows by the table's key. */
  readonly #byKey = new Map<KeyValue, Group>();
  /** Rows of groups as they were before the transaction under way; kept where somebody asks. */
  readonly #before = new Map<KeyValue, StoredRow | null>();
  #remembers = false;
  #epoch = 0;
  #streamTime = -Infinity;
  #arrivals = 0;
  #touched = true;

  constructor(options: GroupStoreOptions) {
    this.#options = options;
    const { group } = options;
    this.#keyTypes = group.keys.map(({ type }) => type);
    this.#keyCodec = rowCodec(this.#keyTypes);
    this.#stateCodec = rowCodec(
      group.aggregates.flatMap(({ valueType, itemType }) => [
        valueType,
        { kind: 'ARRAY' as const, element: itemType },
      ]),
    );
    this.#frame = { rows: [null], time: 0, change: null, note: () => undefined };
  }

  get replicas(): readonly Replica[] {
    return this.#options.replicas;
  }

  get counted(): boolean {
    return this.#options.counted;
  }

  get #name(): string {
    return checkpointName(this.#options.name);
  }

  /** The highest time of an event so far. */
  get streamTime(): number {
    return this.#streamTime;
  }

  /** Counts an event; answers its ordinal. */
  arrive(time: number): number {
    this.#touched = true;
    if (time > this.#streamTime) this.#streamTime = time;
    return this.#arrivals++;
  }

  get size(): number {
    return this.#groups.size;
  }

  /** The rows that the table shows. */
  *shown(): Generator<ShownRow> {
    for (const group of this.#groups.values())
      if (group.shown) yield { row: this.row(group).row, window: group.window };
  }

  values(): Iterable<Group> {
    return this.#groups.values();
  }

  /**
   * Takes what the checkpoint holds of it, if it is of this very statement and of the run before. Answers whether there
   * was something that could not be taken: then the table begins anew, and its keys are to be forgotten.
   */
  restore({ known, continuous, epoch: run, note }: GroupRun): 'restored' | 'new' | 'lost' {
    this.#epoch = run;
    this.#frame.note = note;
    const text = known.get(AGGREGATE_TABLE_PREFIX + this.#name);
    if (text === undefined) return 'new';
    const { v, statement, epoch, time, arrivals } = JSON.parse(text) as {
      v: number;
      statement: string;
      epoch: number;
      time: number | null;
      arrivals: number;
    };
    const follows = v === VERSION && statement === this.#statementHash && epoch === run - 1;
    if (!continuous || !follows) return 'lost';
    this.#streamTime = time ?? -Infinity;
    this.#arrivals = arrivals;
    for (const group of this.#stored(known)) this.#add(group);
    return 'restored';
  }

  /** Groups that the checkpoint has of this statement, whichever run has written them. */
  former(known: ReadonlyMap<string, string>): readonly Group[] {
    const text = known.get(AGGREGATE_TABLE_PREFIX + this.#name);
    if (text === undefined) return [];
    const { v, statement } = JSON.parse(text) as { readonly v: number; readonly statement: string };
    return v === VERSION && statement === this.#statementHash ? [...this.#stored(known)] : [];
  }

  /** What has changed since the last call, for the checkpoint. */
  flush(): readonly (readonly [string, string | null])[] {
    const changed: (readonly [string, string | null])[] = [];
    if (this.#touched) {
      const time = Number.isFinite(this.#streamTime) ? this.#streamTime : null;
      const epoch = this.#epoch;
      const arrivals = this.#arrivals;
      const meta = { v: VERSION, statement: this.#statementHash, epoch, time, arrivals };
      changed.push([AGGREGATE_TABLE_PREFIX + this.#name, JSON.stringify(meta)]);
    }
    for (const id of this.#dirty) {
      const group = this.#groups.get(id);
      changed.push([
        `${AGGREGATE_GROUP_PREFIX}${this.#name}/${id}`,
        group === undefined ? null : this.#encode(group),
      ]);
    }
    this.#touched = false;
    this.#dirty.clear();
    return changed;
  }

  /** Equal for equal values of the grouping expressions. */
  keyText(keys: readonly SqlValue[]): string {
    return JSON.stringify(this.#keyCodec.encode(keys));
  }

  /** The group, made where there is none; it is about to change. */
  open(keys: readonly SqlValue[], window: GroupWindow | null): Group {
    const id = this.#idOf(keys, window);
    this.#dirty.add(id);
    let group = this.#groups.get(id);
    if (group === undefined) {
      const states = this.#options.group.aggregates.map(newState);
      const key = tableKey(this.#keyTypes, keys);
      group = { id, keys, key, window, states, time: -Infinity, shown: false, rows: 0 };
      this.#add(group);
    }
    if (this.#remembers && !this.#before.has(group.key))
      this.#before.set(group.key, group.shown ? this.row(group).row : null);
    return group;
  }

  delete({ id, key, window }: Group): void {
    this.#groups.delete(id);
    if (window === null) this.#byKey.delete(key);
    this.#dirty.add(id);
  }

  remember(): void {
    this.#remembers = true;
  }

  /** States within a transaction are not asked for: statements that would do so are refused. */
  lookUp(key: KeyValue, asOf: JoinAsOf): StoredRow | null {
    const before = asOf === 'COMMIT' ? undefined : this.#before.get(key);
    if (before !== undefined) return before;
    const group = this.#byKey.get(key);
    return group?.shown === true ? this.row(group).row : null;
  }

  keys(): Iterable<KeyValue> {
    return this.#byKey.keys();
  }

  changedKeys(): Iterable<KeyValue> {
    return this.#before.keys();
  }

  /** A group as an earlier run has shown it: for those that read the table its row is the one before. */
  recall(group: Group): void {
    if (this.#remembers && group.shown) this.#before.set(group.key, this.row(group).row);
  }

  endTransaction(): void {
    this.#before.clear();
  }

  /** The group's row as the projection has it, and whether HAVING lets it pass. */
  row(group: Group): { readonly row: readonly SqlValue[]; readonly passes: boolean } {
    const { columns, group: groupPlan } = this.#options;
    const { keys, window, states, time } = group;
    const frame = this.#frame;
    frame.time = time;
    frame.rows[0] = [
      ...keys,
      window?.start ?? null,
      window?.end ?? null,
      ...groupPlan.aggregates.map((each, i) => resultOf(each, states[i])),
    ];
    const passes = groupPlan.having === null || groupPlan.having(frame) === true;
    return { row: columns.map(({ run }) => run(frame)), passes };
  }

  /** The same statement over columns of other types keeps other things. */
  get #statementHash(): string {
    const { lineage, group } = this.#options;
    const kept = group.aggregates.flatMap(({ valueType, itemType }) => [valueType, itemType]);
    return statementHash([lineage, ...[...this.#keyTypes, ...kept].map((type) => typeText(type))].join('\n'));
  }

  *#stored(known: ReadonlyMap<string, string>): Generator<Group> {
    const prefix = `${AGGREGATE_GROUP_PREFIX}${this.#name}/`;
    for (const [key, value] of known) {
      if (key.startsWith(prefix)) yield this.#decode(key.slice(prefix.length), value);
    }
  }

  #add(group: Group): void {
    this.#groups.set(group.id, group);
    if (group.window === null) this.#byKey.set(group.key, group);
  }

  #idOf(keys: readonly SqlValue[], window: GroupWindow | null): string {
    return JSON.stringify([this.#keyCodec.encode(keys), window?.start ?? null, window?.end ?? null]);
  }

  #encode({ states, time, shown, rows }: Group): string {
    const values = states.flatMap(({ value, items }): SqlValue[] => [value, items]);
    const counts = states.map(({ count }) => count);
    const ordinals = states.map(({ ordinals }) => ordinals);
    return JSON.stringify([time, shown, rows, counts, ordinals, this.#stateCodec.encode(values)]);
  }

  /** Of what `#encode` wrote. */
  #decode(id: string, text: string): Group {
    const [keys, start, end] = JSON.parse(id) as [unknown, number | null, number | null];
    const [time, shown, rows, counts, ordinals, values] = JSON.parse(text) as [
      number,
      boolean,
      number,
      number[],
      number[][],
      unknown,
    ];
    const decoded = this.#stateCodec.decode(values);
    const states = counts.map((count, i): AggregateState => {
      const items = decoded[2 * i + 1] as readonly SqlValue[] | null;
      return {
        count,
        value: decoded[2 * i] ?? null,
        items: [...(items ?? [])],
        ordinals: ordinals[i] ?? [],
        seen: null,
      };
    });
    const window = start === null || end === null ? null : { start, end };
    const decodedKeys = this.#keyCodec.decode(keys);
    const key = tableKey(this.#keyTypes, decodedKeys);
    return { id, keys: decodedKeys, key, window, states, time, shown, rows };
  }
}

function resultOf(aggregate: Aggregate, state: AggregateState | undefined): SqlValue {
  return state === undefined ? null : aggregate.result(state);
}
