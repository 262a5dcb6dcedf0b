/**
 * A query over tables that runs. Behind each transaction it writes what has become of its rows: at most one record
 * for a key, computed from the tables as they were before the transaction and as they are behind it.
 */
import type { Arrival } from '../sql/functions/aggregates.ts';
import type { Group } from '../state/group.ts';
import { checkpointName, type GroupRun, AGGREGATE_TABLE_PREFIX } from '../state/group-store.ts';
import type { TableQueryPlan } from '../plan/program.ts';
import { isAhead, type OutputStream } from './query.ts';
import { stopped } from './query-problems.ts';
import type { ShownRow } from '../state/result-table.ts';
import type { Frame, Problem } from '../sql/frame.ts';
import { type KeyValue, sameRow, type SqlValue } from '../sql/value.ts';
import { typeText } from '../sql/sql-type.ts';
import { statementHash } from '../sql/statement-hash.ts';
import type { StoredRow } from '../state/table-store.ts';
import { keyValues } from '../sources/table-source.ts';
import type { ProcessingLog } from './processing-log.ts';

/** Rows between two looks at the sink's back-pressure. */
const ROWS_A_BREATH = 1_000;

export interface TableQueryContext {
  readonly target: OutputStream;
  readonly processing: ProcessingLog;
  /** Replicas that show a later state than the log's position. */
  readonly ahead: ReadonlySet<number>;
  readonly run: Omit<GroupRun, 'note'>;
  /** Whether all tables it reads are as the checkpoint has them. */
  readonly follows: boolean;
}

/** What a row gives to its group. */
interface Contribution {
  readonly keys: readonly SqlValue[];
  readonly values: readonly SqlValue[];
}

const unsaid = (): void => undefined;

export class TableQuery {
  readonly plan: TableQueryPlan;
  readonly #target: OutputStream;
  readonly #ahead: ReadonlySet<number>;
  readonly #note: (problem: Problem) => void;
  readonly #epoch: number;
  /** Whether the table shows all rows there are, so that changes are all there is to write. */
  #filled: boolean;
  #marked: boolean;
  /** Groups that an earlier run has shown. */
  #former: readonly Group[] = [];

  constructor(plan: TableQueryPlan, { target, processing, ahead, run, follows }: TableQueryContext) {
    this.plan = plan;
    this.#target = target;
    this.#ahead = ahead;
    this.#epoch = run.epoch;
    this.#note = (problem) => {
      processing.note(plan.id, problem);
      if (plan.onError === 'STOP') throw stopped(plan, problem);
    };
    const { groups } = plan;
    if (groups === null) this.#filled = follows && this.#wasFilled(run);
    else {
      const continuous = run.continuous && follows;
      this.#filled = groups.store.restore({ ...run, continuous, note: this.#note }) === 'restored';
      if (!this.#filled) this.#former = groups.store.former(run);
    }
    this.#marked = false;
  }

  /** Whether what the checkpoint holds of it is of use. */
  get restored(): boolean {
    return this.#filled || this.#former.length > 0;
  }

  /** The rows that the table shows. */
  *shown(): Generator<ShownRow> {
    const { groups, rows } = this.plan;
    if (groups !== null) {
      yield* groups.store.shown();
      return;
    }
    for (const key of rows.reader.keys()) {
      const row = rows.row(key, { asOf: 'COMMIT', seq: 0, note: unsaid });
      if (row !== null) yield { row, window: null };
    }
  }

  /** Writes all rows there are, where that has not been done. `ready` is the sink's back-pressure. */
  async fill(timeMs: number, ready: () => Promise<void> | undefined): Promise<void> {
    if (this.#filled) return;
    const { groups, rows } = this.plan;
    let since = 0;
    for (const key of rows.reader.keys()) {
      if (++since % ROWS_A_BREATH === 0) await ready();
      if (groups === null) {
        const row = rows.row(key, { asOf: 'COMMIT', seq: 0, note: this.#note });
        if (row !== null) this.#write(row, true, timeMs);
      } else {
        const contribution = this.#contribution(key, 'COMMIT', this.#note);
        if (contribution !== null) this.#apply(contribution, 'add', timeMs);
      }
    }
    if (groups === null) {
      // Groups that have gone since an earlier run showed them, and what that run made of them.
      for (const key of rows.reader.changedKeys()) {
        const gone = rows.lookUp(key, 'COMMIT', 0) === null;
        if (gone && rows.lookUp(key, 'BEFORE', 0) !== null) this.#write(this.#rowOfKey(key), false, timeMs);
      }
    } else {
      for (const group of this.#former) groups.store.recall(group);
      const former = new Map(this.#former.map((group) => [group.id, group]));
      for (const group of groups.store.values()) {
        if (++since % ROWS_A_BREATH === 0) await ready();
        group.shown = former.get(group.id)?.shown ?? false;
        former.delete(group.id);
        this.#show(group, null, timeMs);
      }
      for (const group of former.values()) {
        groups.store.delete(group);
        if (group.shown) this.#write(groups.store.row(group).row, false, timeMs);
      }
      this.#former = [];
    }
    this.#filled = true;
    this.#marked = false;
  }

  /** Call behind a transaction, whose changes the tables still tell from what was before. `timeMs`: of its commit. */
  process(timeMs: number): void {
    if (!this.#filled) return;
    if (this.plan.groups === null) this.#changeRows(timeMs);
    else this.#changeGroups(timeMs);
  }

  /** For the checkpoint: that the table is filled. What groups remember has a place of its own there. */
  flush(): readonly (readonly [string, string | null])[] {
    const { groups, target } = this.plan;
    if (groups !== null) return this.#filled ? groups.store.flush() : [];
    if (this.#marked || !this.#filled) return [];
    this.#marked = true;
    const mark = { v: 2, statement: this.#statementHash, epoch: this.#epoch };
    return [[AGGREGATE_TABLE_PREFIX + checkpointName(target.name), JSON.stringify(mark)]];
  }

  committing(): void {
    this.plan.groups?.store.committing();
  }

  committed(): void {
    this.plan.groups?.store.committed();
  }

  endTransaction(): void {
    this.plan.groups?.store.endTransaction();
  }

  get #statementHash(): string {
    const { lineage, target } = this.plan;
    return statementHash([lineage, ...target.columns.map(({ type }) => typeText(type))].join('\n'));
  }

  #wasFilled({ known, continuous, epoch }: Omit<GroupRun, 'note'>): boolean {
    const text = known.get(AGGREGATE_TABLE_PREFIX + checkpointName(this.plan.target.name));
    if (text === undefined || !continuous) return false;
    const mark = JSON.parse(text) as { readonly statement: string; readonly epoch: number };
    return mark.statement === this.#statementHash && mark.epoch === epoch - 1;
  }

  #changeRows(timeMs: number): void {
    const { rows, target } = this.plan;
    const types = target.columns.map(({ type }) => type);
    for (const key of rows.reader.changedKeys()) {
      const before = rows.row(key, { asOf: 'BEFORE', seq: 0, note: unsaid });
      const after = rows.row(key, { asOf: 'COMMIT', seq: 0, note: this.#note });
      if (after !== null) {
        if (before === null || !sameRow(types, before, after)) this.#write(after, true, timeMs);
      } else if (before !== null) this.#write(before, false, timeMs);
      // The table was read when the row had gone already; the topic may still show it.
      else if (isAhead(rows, this.#ahead)) this.#write(this.#rowOfKey(key), false, timeMs);
    }
  }

  /** Its key, and NULL for the rest. */
  #rowOfKey(key: KeyValue): readonly SqlValue[] {
    const { target, keyOrder } = this.plan;
    const row: SqlValue[] = target.columns.map(() => null);
    const types = keyOrder.flatMap((column) => target.columns[column]?.type ?? []);
    const values = keyValues(types, key);
    for (const [i, column] of keyOrder.entries()) row[column] = values[i] ?? null;
    return row;
  }

  #changeGroups(timeMs: number): void {
    const { rows, groups } = this.plan;
    if (groups === null) return;
    const aggregates = groups.plan.aggregates;
    /** Groups in the order of the first touch, and the rows they showed before. */
    const touched = new Map<Group, StoredRow | null>();
    const touch = (contribution: Contribution, how: 'add' | 'remove'): void => {
      const group = groups.store.open(contribution.keys, null);
      if (!touched.has(group)) touched.set(group, group.shown ? groups.store.row(group).row : null);
      this.#apply(contribution, how, timeMs);
    };
    for (const key of rows.reader.changedKeys()) {
      const before = this.#contribution(key, 'BEFORE', unsaid);
      const after = this.#contribution(key, 'COMMIT', this.#note);
      const same =
        before !== null &&
        after !== null &&
        sameRow(
          groups.plan.keys.map(({ type }) => type),
          before.keys,
          after.keys,
        ) &&
        aggregates.every((each, i) => each.undo?.same(before.values[i] ?? null, after.values[i] ?? null));
      if (same) continue;
      if (before !== null) touch(before, 'remove');
      if (after !== null) touch(after, 'add');
    }
    for (const [group, before] of touched) this.#show(group, before, timeMs);
  }

  /** Null where there is no row, or it is in no group. */
  #contribution(
    key: KeyValue,
    asOf: 'BEFORE' | 'COMMIT',
    note: (problem: Problem) => void,
  ): Contribution | null {
    const { rows, groups } = this.plan;
    const frame: Frame | null = rows.reader.read(key, { asOf, seq: 0, note });
    if (frame === null || groups === null) return null;
    const keys = groups.plan.keys.map(({ run }) => run(frame));
    if (keys.includes(null)) return null;
    const values = groups.plan.aggregates.map(({ argument }) => (argument === null ? null : argument(frame)));
    return { keys, values };
  }

  #apply({ keys, values }: Contribution, how: 'add' | 'remove', timeMs: number): void {
    const { groups } = this.plan;
    if (groups === null) return;
    const group = groups.store.open(keys, null);
    group.time = Math.max(group.time, timeMs);
    group.rows += how === 'add' ? 1 : -1;
    const arrival: Arrival = { ordinal: groups.store.arrive(timeMs), note: this.#note };
    for (const [i, aggregate] of groups.plan.aggregates.entries()) {
      const state = group.states[i];
      if (state === undefined) continue;
      if (how === 'add') aggregate.add(state, values[i] ?? null, arrival);
      else aggregate.undo?.remove(state, values[i] ?? null, arrival);
    }
  }

  /** Writes what has become of a group. One without rows is none. */
  #show(group: Group, before: StoredRow | null, timeMs: number): void {
    const { groups, target } = this.plan;
    if (groups === null) return;
    const { row, passes } = groups.store.row(group);
    const shown = passes && group.rows > 0;
    if (group.rows === 0) groups.store.delete(group);
    const { shown: wasShown } = group;
    group.shown = shown;
    if (!shown) {
      if (wasShown) this.#write(row, false, timeMs);
      return;
    }
    const types = target.columns.map(({ type }) => type);
    if (before === null || !sameRow(types, before, row)) this.#write(row, true, timeMs);
  }

  #write(row: readonly SqlValue[], hasValue: boolean, timeMs: number): void {
    const ahead = isAhead(this.plan.rows, this.#ahead);
    const event = { row, hasValue, seq: 0, time: timeMs, change: null, headers: null };
    const problem = this.#target.emit(event, ahead);
    if (problem !== null) this.#note(problem);
  }
}
