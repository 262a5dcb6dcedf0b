/**
 * The groups of a query with GROUP BY. What is kept of a group is part of the checkpoint, a key for each:
 *
 * | key | value |
 * | --- | --- |
 * | `enrich-table/<table>` | `{v, statement, epoch, time, arrivals}`: hash of the statement, run that wrote it, stream time, events grouped |
 * | `enrich-group/<table>/<group>` | `[time, shown, rows, counts, ordinals, values]` of the group, whose name is its keys and window as JSON |
 */
import { hash } from 'node:crypto';
import { type Aggregate, type AggregateState, newState } from './aggregates.ts';
import type { GroupPlan } from './group-plan.ts';
import type { ProcessingLog } from './processing-log.ts';
import type { QueryPlan } from './program.ts';
import { type RowCodec, rowCodec } from './row-text.ts';
import type { Frame, Problem } from './sql/frame.ts';
import type { SqlValue } from './sql/value.ts';

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
  readonly plan: QueryPlan;
  readonly group: GroupPlan;
  readonly processing: ProcessingLog;
  /** Of this run. */
  readonly epoch: number;
}

/** A table's name as keys of the checkpoint have it: without a slash. */
export function checkpointName(table: string): string {
  return encodeURIComponent(table);
}

export class GroupStore {
  readonly #options: GroupStoreOptions;
  readonly #groups = new Map<string, Group>();
  readonly #dirty = new Set<string>();
  readonly #keyCodec: RowCodec;
  readonly #stateCodec: RowCodec;
  readonly #frame: Frame;
  #streamTime = -Infinity;
  #arrivals = 0;
  #touched = true;

  constructor(options: GroupStoreOptions) {
    this.#options = options;
    const { plan, group, processing } = options;
    this.#keyCodec = rowCodec(group.keys.map(({ type }) => type));
    this.#stateCodec = rowCodec(
      group.aggregates.flatMap(({ valueType, itemType }) => [
        valueType,
        { kind: 'ARRAY' as const, element: itemType },
      ]),
    );
    const note = (problem: Problem): void => processing.note(plan.id, problem);
    this.#frame = { rows: [null], time: 0, change: null, note };
  }

  get #name(): string {
    return checkpointName(this.#options.plan.target.name);
  }

  get size(): number {
    return this.#groups.size;
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

  values(): Iterable<Group> {
    return this.#groups.values();
  }

  /**
   * Takes what the checkpoint holds of it, if it is of this very statement and of the run before. Answers whether there
   * was something that could not be taken: then the table begins anew, and its keys are to be forgotten.
   */
  restore(known: ReadonlyMap<string, string>, continuous: boolean): 'restored' | 'new' | 'lost' {
    const text = known.get(AGGREGATE_TABLE_PREFIX + this.#name);
    if (text === undefined) return 'new';
    const { v, statement, epoch, time, arrivals } = JSON.parse(text) as {
      v: number;
      statement: string;
      epoch: number;
      time: number | null;
      arrivals: number;
    };
    const follows = v === VERSION && statement === this.#statementHash && epoch === this.#options.epoch - 1;
    if (!continuous || !follows) return 'lost';
    this.#streamTime = time ?? -Infinity;
    this.#arrivals = arrivals;
    const prefix = `${AGGREGATE_GROUP_PREFIX}${this.#name}/`;
    for (const [key, value] of known) {
      if (!key.startsWith(prefix)) continue;
      const group = this.#decode(key.slice(prefix.length), value);
      this.#groups.set(group.id, group);
    }
    return 'restored';
  }

  /** What has changed since the last call, for the checkpoint. */
  flush(): readonly (readonly [string, string | null])[] {
    const changed: (readonly [string, string | null])[] = [];
    if (this.#touched) {
      const time = Number.isFinite(this.#streamTime) ? this.#streamTime : null;
      const { epoch } = this.#options;
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

  find(keys: readonly SqlValue[]): Group | undefined {
    return this.#groups.get(this.#idOf(keys, null));
  }

  /** The group, made where there is none; it is about to change. */
  open(keys: readonly SqlValue[], window: GroupWindow | null): Group {
    const id = this.#idOf(keys, window);
    this.#dirty.add(id);
    let group = this.#groups.get(id);
    if (group === undefined) {
      const states = this.#options.group.aggregates.map(newState);
      group = { id, keys, window, states, time: -Infinity, shown: false, rows: 0 };
      this.#groups.set(id, group);
    }
    return group;
  }

  delete({ id }: Group): void {
    this.#groups.delete(id);
    this.#dirty.add(id);
  }

  /** The group's row as the projection has it, and whether HAVING lets it pass. */
  row(group: Group): { readonly row: readonly SqlValue[]; readonly passes: boolean } {
    const { plan, group: groupPlan } = this.#options;
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
    return { row: plan.columns.map(({ run }) => run(frame)), passes };
  }

  get #statementHash(): string {
    return hash('sha256', this.#options.plan.statement, 'hex').slice(0, 16);
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
    return { id, keys: this.#keyCodec.decode(keys), window, states, time, shown, rows };
  }
}

function resultOf(aggregate: Aggregate, state: AggregateState | undefined): SqlValue {
  return state === undefined ? null : aggregate.result(state);
}
