/** GROUP BY over a stream: each event goes into its group, or into the windows of it that cover the event. */
import type { Arrival } from '../sql/functions/aggregates.ts';
import type { StreamEvent } from './event.ts';
import type { GroupPlan, SessionPlan, SpanPlan } from '../plan/group-plan.ts';
import type { Group, GroupWindow } from '../state/group.ts';
import type { GroupStore } from '../state/group-store.ts';
import type { RowTarget } from './query.ts';
import type { Frame, Problem } from '../sql/frame.ts';
import type { SqlValue } from '../sql/value.ts';

export interface AggregationOptions {
  readonly group: GroupPlan;
  /** What has been restored of it. */
  readonly store: GroupStore;
  readonly target: RowTarget;
  readonly note: (problem: Problem) => void;
}

/** What an event gives to a group. */
interface Contribution {
  readonly keys: readonly SqlValue[];
  readonly values: readonly SqlValue[];
  readonly event: StreamEvent;
  readonly arrival: Arrival;
  readonly ahead: boolean;
}

export class Aggregation {
  readonly #options: AggregationOptions;
  readonly #store: GroupStore;
  #sweptAt = -Infinity;

  constructor(options: AggregationOptions) {
    this.#options = options;
    this.#store = options.store;
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
    const arrival = { ordinal: this.#store.arrive(event.time), note: this.#options.note };
    const contribution = { keys, values, event, arrival, ahead };
    const { window } = group;
    if (window === null) this.#update(this.#store.open(keys, null), contribution);
    else if (window.kind === 'SESSION') this.#addToSession(window, contribution);
    else this.#addToSpans(window, contribution);
    if (window !== null) this.#sweep(window);
  }

  #addToSpans({ sizeMs, advanceMs, graceMs }: SpanPlan, contribution: Contribution): void {
    const { keys, event } = contribution;
    const last = Math.floor(event.time / advanceMs) * advanceMs;
    const first = last - Math.floor((sizeMs - 1 - (event.time - last)) / advanceMs) * advanceMs;
    for (let start = Math.max(first, 0); start <= last; start += advanceMs) {
      const end = start + sizeMs;
      if (end + graceMs <= this.#store.streamTime) this.#options.note('late');
      else this.#update(this.#store.open(keys, { start, end }), contribution);
    }
  }

  /** Sessions that the event reaches become one with it. Rows whose session is another one now are taken back first. */
  #addToSession(plan: SessionPlan, contribution: Contribution): void {
    const { gapMs, graceMs } = plan;
    const { keys, event, arrival } = contribution;
    const { time } = event;
    // One that is no longer kept may be there still: it depends on when it was last looked for.
    const reached = this.#store
      .sessions(keys)
      .filter(
        ({ window }) =>
          window !== null &&
          window.start - gapMs <= time &&
          time <= window.end + gapMs &&
          this.#isKept(plan, window),
      );
    const start = Math.min(time, ...reached.map(({ window }) => window?.start ?? time));
    const end = Math.max(time, ...reached.map(({ window }) => window?.end ?? time));
    if (end + gapMs + graceMs < this.#store.streamTime) {
      this.#options.note('late');
      return;
    }
    const window: GroupWindow = { start, end };
    const [only] = reached;
    if (only?.window?.start === start && only.window.end === end && reached.length === 1) {
      this.#update(this.#store.open(keys, window), contribution);
      return;
    }
    for (const absorbed of reached) {
      this.#store.delete(absorbed);
      if (absorbed.shown) this.#emit(absorbed, { ...contribution, event: { ...event, hasValue: false } });
    }
    const merged = this.#store.open(keys, window);
    for (const absorbed of reached) {
      merged.time = Math.max(merged.time, absorbed.time);
      merged.rows += absorbed.rows;
      for (const [i, aggregate] of this.#options.group.aggregates.entries())
        aggregate.merge(merged.states[i]!, absorbed.states[i]!, arrival);
    }
    this.#update(merged, contribution);
  }

  #update(group: Group, contribution: Contribution): void {
    const { values, event, arrival } = contribution;
    group.time = Math.max(group.time, event.time);
    group.rows++;
    for (const [i, aggregate] of this.#options.group.aggregates.entries())
      aggregate.add(group.states[i]!, values[i] ?? null, arrival);
    this.#emit(group, contribution);
  }

  /** An event without a value takes the row back. */
  #emit(group: Group, { event, ahead }: Contribution): void {
    const { target, group: plan, note } = this.#options;
    const { row, passes } = this.#store.row(group);
    const hasValue = event.hasValue && passes;
    // A row that was never shown needs no record to take it back.
    if (!hasValue && !group.shown) return;
    group.shown = hasValue;
    const window =
      group.window === null ? null : { ...group.window, session: plan.window?.kind === 'SESSION' };
    const problem = target.emit(
      { row, hasValue, seq: event.seq, time: group.time, change: null, headers: null },
      ahead,
      window,
    );
    if (problem !== null) note(problem);
  }

  /** Forgets windows that no event can reach any more; now and then, since all groups are looked at. */
  #sweep(window: SpanPlan | SessionPlan): void {
    const { streamTime } = this.#store;
    const span = window.kind === 'SESSION' ? window.gapMs : window.sizeMs;
    if (!this.#store.sweeping) {
      if (streamTime < this.#sweptAt + span) return;
      this.#sweptAt = streamTime;
    }
    for (const group of this.#store.stale((each) => this.#isKept(window, each))) {
      this.#options.target.forget?.(this.#store.row(group).row, group.window);
      this.#store.delete(group);
    }
  }

  /** Whether an event can still reach it, or somebody may ask for it. */
  #isKept(plan: SpanPlan | SessionPlan, { end }: GroupWindow): boolean {
    const { streamTime } = this.#store;
    return plan.kind === 'SESSION' ? end + plan.keptMs >= streamTime : end + plan.keptMs > streamTime;
  }
}
