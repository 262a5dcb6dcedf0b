/**
 * Groups of a query that runs. What is kept of a group is part of the checkpoint, a key for each:
 *
 * | key | value |
 * | --- | --- |
 * | `enrich-table/<table>` | `{v, statement, epoch, time}`: hash of the statement, run that wrote it, stream time |
 * | `enrich-group/<table>/<group>` | `[time, shown, states]` of the group, whose name is its values and window as JSON |
 */
import { hash } from 'node:crypto';
import { type Aggregate, type AggregateState, newState } from './aggregates.ts';
import type { StreamEvent } from './event.ts';
import type { GroupPlan } from './group-plan.ts';
import type { ProcessingLog } from './processing-log.ts';
import type { QueryPlan } from './program.ts';
import type { RowTarget, WindowBounds } from './query.ts';
import { type RowCodec, rowCodec } from './row-text.ts';
import type { Frame, Problem } from './sql/frame.ts';
import type { SqlValue } from './sql/value.ts';

export const AGGREGATE_TABLE_PREFIX = 'enrich-table/';
export const AGGREGATE_GROUP_PREFIX = 'enrich-group/';

interface Group {
  readonly keys: readonly SqlValue[];
  /** Null without a window. */
  readonly windowStart: number | null;
  readonly states: readonly AggregateState[];
  /** The highest time of an event that went into it. */
  time: number;
  /** Whether the table shows a row for it. */
  shown: boolean;
}

export interface ShownRow {
  readonly row: readonly SqlValue[];
  readonly window: WindowBounds | null;
  /** ROWTIME */
  readonly time: number;
}

export function checkpointName(table: string): string {
  return encodeURIComponent(table);
}

export interface AggregationOptions {
  readonly plan: QueryPlan;
  readonly group: GroupPlan;
  readonly target: RowTarget;
  readonly processing: ProcessingLog;
  /** Of this run. */
  readonly epoch: number;
}

export class Aggregation {
  readonly #options: AggregationOptions;
  readonly #groups = new Map<string, Group>();
  readonly #dirty = new Set<string>();
  readonly #keyCodec: RowCodec;
  readonly #stateCodec: RowCodec;
  readonly #frame: Frame;
  readonly #note: (problem: Problem) => void;
  #streamTime = -Infinity;
  #sweptAt = -Infinity;
  #touched = true;

  constructor(options: AggregationOptions) {
    this.#options = options;
    const { plan, group, processing } = options;
    this.#keyCodec = rowCodec(group.keys.map(({ type }) => type));
    this.#stateCodec = rowCodec(
      group.aggregates.flatMap(({ valueType, itemType }) => [
        valueType,
        { kind: 'ARRAY' as const, element: itemType },
      ]),
    );
    this.#note = (problem) => processing.note(plan.id, problem);
    this.#frame = { rows: [null], time: 0, change: null, note: this.#note };
  }

  /** As keys of the checkpoint have it: without a slash. */
  get #name(): string {
    return checkpointName(this.#options.plan.target.name);
  }

  /**
   * Takes what the checkpoint holds of it, if it is of this very statement and of the run before. Answers whether there
   * was something that could not be taken: then the table begins anew, and its keys are to be forgotten.
   */
  restore(known: ReadonlyMap<string, string>, continuous: boolean): 'restored' | 'new' | 'lost' {
    const text = known.get(AGGREGATE_TABLE_PREFIX + this.#name);
    if (text === undefined) return 'new';
    const { statement, epoch, time } = JSON.parse(text) as {
      statement: string;
      epoch: number;
      time: number | null;
    };
    if (!continuous || statement !== this.#statementHash || epoch !== this.#options.epoch - 1) return 'lost';
    this.#streamTime = time ?? -Infinity;
    const prefix = `${AGGREGATE_GROUP_PREFIX}${this.#name}/`;
    for (const [key, value] of known) {
      if (key.startsWith(prefix))
        this.#groups.set(key.slice(prefix.length), this.#decode(key.slice(prefix.length), value));
    }
    return 'restored';
  }

  add(frame: Frame, event: StreamEvent, ahead: boolean): void {
    const { group } = this.#options;
    const keys: SqlValue[] = [];
    for (const { run } of group.keys) {
      const value = run(frame);
      if (value === null) return;
      keys.push(value);
    }
    const values = group.aggregates.map(({ argument }) => (argument === null ? null : argument(frame)));
    const { window } = group;
    if (event.time > this.#streamTime) {
      this.#streamTime = event.time;
      this.#touched = true;
    }
    if (window === null) {
      this.#update({ keys, windowStart: null, values }, event, ahead);
      return;
    }
    const { sizeMs, advanceMs, graceMs } = window;
    const last = Math.floor(event.time / advanceMs) * advanceMs;
    const first = last - Math.floor((sizeMs - 1 - (event.time - last)) / advanceMs) * advanceMs;
    for (let start = Math.max(first, 0); start <= last; start += advanceMs) {
      if (start + sizeMs + graceMs <= this.#streamTime) this.#note('late');
      else this.#update({ keys, windowStart: start, values }, event, ahead);
    }
    this.#sweep();
  }

  get size(): number {
    return this.#groups.size;
  }

  /** The rows that the table shows. */
  *shown(): Generator<ShownRow> {
    for (const group of this.#groups.values()) {
      const { row } = this.#rowOf(group);
      if (group.shown) yield { row, window: this.#windowOf(group), time: group.time };
    }
  }

  /** What has changed since the last call, for the checkpoint. */
  flush(): readonly (readonly [string, string | null])[] {
    const changed: (readonly [string, string | null])[] = [];
    if (this.#touched) {
      const time = Number.isFinite(this.#streamTime) ? this.#streamTime : null;
      const meta = { v: 1, statement: this.#statementHash, epoch: this.#options.epoch, time };
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

  get #statementHash(): string {
    return hash('sha256', this.#options.plan.statement, 'hex').slice(0, 16);
  }

  #update(
    {
      keys,
      windowStart,
      values,
    }: Pick<Group, 'keys' | 'windowStart'> & { readonly values: readonly SqlValue[] },
    event: StreamEvent,
    ahead: boolean,
  ): void {
    const { aggregates } = this.#options.group;
    const id = JSON.stringify([this.#keyCodec.encode(keys), windowStart]);
    let group = this.#groups.get(id);
    if (group === undefined) {
      group = { keys, windowStart, states: aggregates.map(newState), time: event.time, shown: false };
      this.#groups.set(id, group);
    }
    group.time = Math.max(group.time, event.time);
    for (let i = 0; i < aggregates.length; i++) {
      aggregates[i]!.add(group.states[i]!, values[i] ?? null, this.#note);
    }
    this.#dirty.add(id);
    this.#emit(group, event, ahead);
  }

  #emit(group: Group, event: StreamEvent, ahead: boolean): void {
    const { time } = group;
    const { row, passes } = this.#rowOf(group);
    // A row that was never shown needs no record to take it back.
    if (!passes && !group.shown) return;
    group.shown = passes;
    const { seq } = event;
    this.#options.target.emit(
      { row, hasValue: passes, seq, time, change: null },
      ahead,
      this.#windowOf(group),
    );
  }

  /** The group's row as the projection has it, and whether HAVING lets it pass. */
  #rowOf(group: Group): { readonly row: readonly SqlValue[]; readonly passes: boolean } {
    const { plan, group: groupPlan } = this.#options;
    const { keys, states, time } = group;
    const window = this.#windowOf(group);
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

  #windowOf({ windowStart }: Group): WindowBounds | null {
    const { window } = this.#options.group;
    if (windowStart === null || window === null) return null;
    return { start: windowStart, end: windowStart + window.sizeMs };
  }

  /** Forgets windows that no event can reach any more; now and then, since all groups are looked at. */
  #sweep(): void {
    const { window } = this.#options.group;
    if (window === null || this.#streamTime < this.#sweptAt + window.sizeMs) return;
    this.#sweptAt = this.#streamTime;
    for (const [id, group] of this.#groups) {
      if ((group.windowStart ?? 0) + window.sizeMs + window.keptMs > this.#streamTime) continue;
      this.#options.target.forget?.(this.#rowOf(group).row, this.#windowOf(group));
      this.#groups.delete(id);
      this.#dirty.add(id);
    }
  }

  #encode({ states, time, shown }: Group): string {
    const values = states.flatMap(({ value, items }): SqlValue[] => [value, items]);
    const counts = states.map(({ count }) => count);
    return JSON.stringify([time, shown, counts, this.#stateCodec.encode(values)]);
  }

  /** Of what `#encode` wrote. */
  #decode(id: string, text: string): Group {
    const [keys, windowStart] = JSON.parse(id) as [unknown, number | null];
    const [time, shown, counts, values] = JSON.parse(text) as [number, boolean, number[], unknown];
    const decoded = this.#stateCodec.decode(values);
    const states = counts.map((count, i): AggregateState => {
      const items = decoded[2 * i + 1] as readonly SqlValue[] | null;
      return { count, value: decoded[2 * i] ?? null, items: [...(items ?? [])], seen: null };
    });
    return { keys: this.#keyCodec.decode(keys), windowStart, states, time, shown };
  }
}

function resultOf(aggregate: Aggregate, state: AggregateState | undefined): SqlValue {
  return state === undefined ? null : aggregate.result(state);
}
