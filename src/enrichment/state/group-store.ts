/**
 * The groups of a query with GROUP BY. What is kept of a group is part of the checkpoint, a key for each:
 *
 * | key | value |
 * | --- | --- |
 * | `enrich-table/<table>` | `{v, statement, epoch, time, arrivals}`: hash of the statement, run that wrote it, stream time, events grouped |
 * | `enrich-group/<table>/<group>` | `[time, shown, rows, counts, ordinals, values]` of the group, whose name is its keys and window as JSON |
 */
import type { GroupPlan } from '../plan/group-plan.ts';
import type { ShownRow } from './result-table.ts';
import type { Replica } from './replica.ts';
import { type Aggregate, type AggregateState, newState } from '../sql/functions/aggregates.ts';
import type { Evaluate, Frame, Problem } from '../sql/frame.ts';
import { typeText } from '../sql/sql-type.ts';
import type { KeyValue, SqlValue } from '../sql/value.ts';
import { statementHash } from '../sql/statement-hash.ts';
import { type BulkGroups, groupPrefix, MemoryGroupTexts } from './bulk-groups.ts';
import { DiskGroups } from './disk-groups.ts';
import { type Group, GroupCodec, type GroupWindow, type KeptGroups } from './group.ts';
import { MemoryGroups } from './memory-groups.ts';
import type { SpendBytes } from './slabs.ts';
import type { StoredRow } from './table-store.ts';
import { type JoinAsOf, type ReadTable, tableKey } from '../sources/table-source.ts';

export const AGGREGATE_TABLE_PREFIX = 'enrich-table/';
/** Of what the checkpoint holds. */
const VERSION = 2;

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
  /** Hears what groups in memory take. */
  readonly spend: SpendBytes;
}

/** Of the run that the groups are part of. */
export interface GroupRun {
  readonly known: ReadonlyMap<string, string>;
  /** The groups of that checkpoint. */
  readonly groups: BulkGroups;
  /** Whether the log goes on where that stands. */
  readonly continuous: boolean;
  readonly epoch: number;
  readonly note: (problem: Problem) => void;
}

/** Of a table, as the checkpoint has it. */
interface Meta {
  readonly v: number;
  readonly statement: string;
  readonly epoch: number;
  readonly time: number | null;
  readonly arrivals: number;
}

/** For groups of which nobody keeps anything. */
export function ofNoRun(note: GroupRun['note']): GroupRun {
  return { known: new Map(), groups: new MemoryGroupTexts(), continuous: false, epoch: 0, note };
}

/** A table's name as keys of the checkpoint have it: without a slash. */
export function checkpointName(table: string): string {
  return encodeURIComponent(table);
}

export class GroupStore implements ReadTable {
  readonly #options: GroupStoreOptions;
  readonly #codec: GroupCodec;
  readonly #frame: Frame;
  #groups: KeptGroups;
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
    this.#codec = new GroupCodec(
      group.keys.map(({ type }) => type),
      group.aggregates,
    );
    this.#groups = this.#inMemory();
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

  /** Of keys of the checkpoint, in front of a group's id. */
  get #prefix(): string {
    return groupPrefix(this.#name);
  }

  get #hasSessions(): boolean {
    return this.#options.group.window?.kind === 'SESSION';
  }

  #inMemory(): MemoryGroups {
    return new MemoryGroups(this.#codec, { sessions: this.#hasSessions, spend: this.#options.spend });
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

  /** Groups that are in memory only until the commit that holds them is durable. */
  get pending(): number {
    return this.#groups.pending;
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
  restore(run: GroupRun): 'restored' | 'new' | 'lost' {
    const { groups: texts } = run;
    this.#epoch = run.epoch;
    this.#frame.note = run.note;
    const found = this.#restoreMeta(run);
    const known = found === 'restored';
    if (texts.onDisk) {
      const prefix = this.#prefix;
      this.#groups = new DiskGroups(this.#codec, { texts, prefix, known, sessions: this.#hasSessions });
    } else {
      const groups = this.#inMemory();
      if (known) for (const group of this.#stored(texts)) groups.restore(group);
      this.#groups = groups;
    }
    return found;
  }

  #restoreMeta(run: Omit<GroupRun, 'note'>): 'restored' | 'new' | 'lost' {
    const text = run.known.get(AGGREGATE_TABLE_PREFIX + this.#name);
    if (text === undefined) return 'new';
    const { v, statement, epoch, time, arrivals } = JSON.parse(text) as Meta;
    const follows = v === VERSION && statement === this.#statementHash && epoch === run.epoch - 1;
    if (!run.continuous || !follows) return 'lost';
    this.#streamTime = time ?? -Infinity;
    this.#arrivals = arrivals;
    return 'restored';
  }

  /** Of a run in which its query waits and its events with it: the next one takes from the checkpoint what this one could. */
  waiting(run: Omit<GroupRun, 'note'>): readonly (readonly [string, string])[] {
    this.#epoch = run.epoch;
    return this.#restoreMeta(run) === 'restored' ? [this.#meta] : [];
  }

  /** Groups that the checkpoint has of this statement, whichever run has written them. */
  former({ known, groups }: Pick<GroupRun, 'known' | 'groups'>): readonly Group[] {
    const text = known.get(AGGREGATE_TABLE_PREFIX + this.#name);
    if (text === undefined) return [];
    const { v, statement } = JSON.parse(text) as { readonly v: number; readonly statement: string };
    return v === VERSION && statement === this.#statementHash ? [...this.#stored(groups)] : [];
  }

  /** What has changed since the last call, for the checkpoint. */
  flush(): readonly (readonly [string, string | null])[] {
    const changed: (readonly [string, string | null])[] = [];
    if (this.#touched) changed.push(this.#meta);
    const prefix = this.#prefix;
    for (const [id, text] of this.#groups.flush()) changed.push([prefix + id, text]);
    this.#touched = false;
    return changed;
  }

  /** A commit begins that makes durable what has been flushed. */
  committing(): void {
    this.#groups.committing();
  }

  /** The oldest commit under way is durable. */
  committed(): void {
    this.#groups.committed();
  }

  /** The group, made where there is none; it is about to change. */
  open(keys: readonly SqlValue[], window: GroupWindow | null): Group {
    const keyText = this.#codec.keyText(keys);
    const id = this.#codec.idOf(keyText, window);
    let group = this.#groups.get(id, keyText);
    if (group === undefined) {
      const states = this.#options.group.aggregates.map(newState);
      const key = tableKey(this.#codec.keyTypes, keys);
      group = { id, keys, key, window, states, time: -Infinity, shown: false, rows: 0 };
      this.#groups.add(group, keyText);
    } else this.#groups.touch(group);
    if (this.#remembers && !this.#before.has(group.key))
      this.#before.set(group.key, group.shown ? this.row(group).row : null);
    return group;
  }

  delete(group: Group): void {
    this.#groups.delete(group);
  }

  /** Those of one key, where windows are sessions, in the order of time. */
  sessions(keys: readonly SqlValue[]): readonly Group[] {
    return this.#groups.sessions(this.#codec.keyText(keys));
  }

  /** Whether `stale` has more to look at. */
  get sweeping(): boolean {
    return this.#groups.sweeping;
  }

  /** Groups that are not to be kept any longer; they may be deleted as they come. Some may wait for a later call. */
  stale(isKept: (window: GroupWindow) => boolean): Iterable<Group> {
    return this.#groups.stale(isKept);
  }

  remember(): void {
    this.#remembers = true;
  }

  /** States within a transaction are not asked for: statements that would do so are refused. */
  lookUp(key: KeyValue, asOf: JoinAsOf): StoredRow | null {
    const before = asOf === 'COMMIT' ? undefined : this.#before.get(key);
    if (before !== undefined) return before;
    const group = this.#groups.ofKey(key);
    return group?.shown === true ? this.row(group).row : null;
  }

  keys(): Iterable<KeyValue> {
    return this.#groups.keys();
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

  get #meta(): readonly [string, string] {
    const meta: Meta = {
      v: VERSION,
      statement: this.#statementHash,
      epoch: this.#epoch,
      time: Number.isFinite(this.#streamTime) ? this.#streamTime : null,
      arrivals: this.#arrivals,
    };
    return [AGGREGATE_TABLE_PREFIX + this.#name, JSON.stringify(meta)];
  }

  /** The same statement over columns of other types keeps other things. */
  get #statementHash(): string {
    const { lineage, group } = this.#options;
    const kept = group.aggregates.flatMap(({ valueType, itemType }) => [valueType, itemType]);
    return statementHash(
      [lineage, ...[...this.#codec.keyTypes, ...kept].map((type) => typeText(type))].join('\n'),
    );
  }

  *#stored(texts: BulkGroups): Generator<Group> {
    const prefix = this.#prefix;
    for (const [key, text] of texts.entries(prefix)) yield this.#codec.decode(key.slice(prefix.length), text);
  }
}

function resultOf(aggregate: Aggregate, state: AggregateState | undefined): SqlValue {
  return state === undefined ? null : aggregate.result(state);
}
