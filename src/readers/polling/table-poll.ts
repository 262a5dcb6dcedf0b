import { type TableId, tableName } from '../../model/table.ts';
import { POLL_PREFIX } from '../../state/checkpoint.ts';
import {
  type PollBlock,
  type PolledTable,
  type PollLow,
  type PollScan,
  PollTableChanged,
} from '../poll-dialect.ts';
import { encodeCursor, type TableCursor } from './cursor.ts';
import { STEP_US } from './horizon.ts';
import { madeTogether, type PassContext, type PolledBlock } from './pass-context.ts';
import { PolledRows } from './polled-rows.ts';
import type { PolledTableSettings } from './settings.ts';
import { sweep } from './sweep.ts';

/** Reading takes up so much of the time at most: a slow table, or a busy server, is left alone for longer. */
const DUTY = 0.1;
/** Progress without rows is made durable this often. */
const IDLE_SAVE_MS = 60_000;
const MAX_ALTERED = 10;
/** Rows that are forgotten at once. */
const FORGET_ROWS = 10_000;

/** One table while it is polled. */
export class TablePoll {
  readonly id: TableId;
  readonly settings: PolledTableSettings;
  /** performance.now() at which it is due. */
  dueAt = 0;
  readonly #name: string;
  #cursor: TableCursor;
  #savedAt: number;
  #dirty: boolean;
  /** Greatest values of the incrementing column, each under the mark that came after it was read; oldest first. */
  #highs: { readonly mark: number; readonly text: string }[] = [];

  /** `saved`: whether the durable state has the cursor; `began`: whether it tells of the table's snapshot. */
  constructor(
    id: TableId,
    settings: PolledTableSettings,
    of: { readonly cursor: TableCursor; readonly saved: boolean; readonly began: boolean },
  ) {
    this.id = id;
    this.settings = settings;
    this.#name = tableName(id);
    this.#cursor = of.cursor;
    this.isNew = !of.saved && !of.began;
    this.#dirty = !of.saved;
    this.#savedAt = performance.now();
  }

  /** Nothing of it has been made durable yet. */
  readonly isNew: boolean;

  /** Whether the next pass goes on with one that was broken off, and so does not show all that is there by now. */
  get goesOn(): boolean {
    return this.#cursor.pass !== null;
  }

  get cursor(): TableCursor {
    return this.#cursor;
  }

  set cursor(cursor: TableCursor) {
    this.#cursor = cursor;
    this.#dirty = true;
  }

  /** From which time on its rows are read; null: from any. Columns round, and small steps of a clock go unnoticed. */
  lowUs(overlapUs: number): number | null {
    const { us } = this.#cursor;
    return us === null ? null : us - overlapUs - STEP_US;
  }

  /** The server's clock was set back: what is written from then on has times from here on. */
  clockSetBack(us: number, aheadUs: number | null): void {
    if (this.#cursor.us === null) return;
    this.cursor = { ...this.#cursor, us: Math.min(this.#cursor.us, us), aheadUs };
  }

  /**
   * Goes through the table once, or goes on with a pass that was under way. Blocks without changes are progress
   * through rows that have been delivered. Ends early where `signal` aborts.
   */
  async *pass(first: PolledTable, context: PassContext, signal: AbortSignal): AsyncGenerator<PolledBlock> {
    const { mark, horizon, dialect, overlapUs } = context;
    const startedAt = performance.now();
    const { from, sweptFrom } = this.#cursor;
    const resumed = this.#cursor.pass;
    const to = resumed === null ? (mark.versions?.oldest ?? null) : resumed.to;
    // Nothing has ended since; what had ended before may still wait for the sweep. Views and queries may show more
    // than what is written here: the time, another server's tables.
    if (first.versioned && from !== null && to !== null && to <= from && resumed === null) {
      if (this.settings.sweepMs === null || sweptFrom === from) this.#due(startedAt);
      else yield* this.#finish(first, context, { startedAt, signal });
      return;
    }
    const settledUs = horizon.settledUs;
    const settledMark = horizon.settledBefore(mark.clockUs - overlapUs);
    let high: string | null = null;
    let table = first;
    let altered = 0;
    const scans = scansOf(first);
    for (let scan = resumed?.scan ?? 0; scan < scans.length;) {
      const kind = scans[scan]!;
      const after = this.#cursor.pass?.after ?? null;
      const rows = new PolledRows(table, this.settings.remember, context.rowState);
      const part: PollScan = {
        kind,
        low: kind === 'cursor' ? this.#low(table, context) : null,
        after,
        versions: from === null || to === null || !table.versioned ? null : { from, to },
        limit: context.batchRows,
      };
      try {
        for await (const block of dialect.read(table, part, signal)) {
          this.#cursor = { ...this.#cursor, pass: { to, scan, after: block.after } };
          if (kind === 'cursor') high = block.after?.[0] ?? high;
          yield this.#block(block, rows, context);
          if (signal.aborted) return;
        }
      } catch (error) {
        if (!(error instanceof PollTableChanged) || ++altered > MAX_ALTERED) throw error;
        const [again] = await dialect.describe([this.id], signal);
        if (again === undefined) return;
        table = again;
        continue;
      }
      scan++;
      this.#cursor = { ...this.#cursor, pass: { to, scan, after: null } };
    }
    if (resumed === null) {
      this.#complete({ to, settledUs, aheadUs: context.aheadUs, settledMark, high, mark: horizon.number });
      if (this.settings.remember === 'overlap' && !table.versioned && this.#stamp > 0) {
        yield* this.#forget(context, this.#stamp);
      }
    } else {
      this.cursor = { ...this.#cursor, from: to ?? from, pass: null };
    }
    this.#stamp = 0;
    yield* this.#finish(table, context, { startedAt, signal });
    // What has been written since it began may lie before the place where it went on.
    if (resumed !== null) this.dueAt = 0;
  }

  /**
   * Rows that have left the overlap, such as most of what a snapshot has read. The place from which the next pass reads
   * is kept with that: whoever went on from an earlier one would read them again, and not know them.
   */
  *#forget({ rowState, next }: PassContext, notSeenSince: number): Generator<PolledBlock> {
    const of = { notSeenSince, limit: FORGET_ROWS };
    for (;;) {
      const forgotten = rowState?.forget(this.#name, { ...of, batch: next().batch }) ?? 0;
      if (forgotten > 0) yield { changes: [], bytes: 0, state: this.#save() };
      if (forgotten < FORGET_ROWS) return;
    }
  }

  /** The end of a pass: the sweep where it is due, and what is to be kept. */
  async *#finish(
    table: PolledTable,
    context: PassContext,
    { startedAt, signal }: { readonly startedAt: number; readonly signal: AbortSignal },
  ): AsyncGenerator<PolledBlock> {
    const { sweepMs } = this.settings;
    const sinceMs = Date.now() - this.#cursor.sweptAt;
    // Our own clock may have been set back meanwhile.
    if (sweepMs !== null && (sinceMs >= sweepMs || sinceMs < 0)) {
      try {
        yield* this.#sweep(table, context, signal);
      } catch (error) {
        // Altered meanwhile: with the next pass again.
        if (!(error instanceof PollTableChanged)) throw error;
      }
      if (signal.aborted) return;
    }
    if (this.#dirty || startedAt - this.#savedAt > IDLE_SAVE_MS) {
      yield { changes: [], bytes: 0, state: this.#save() };
    }
    this.#due(startedAt);
  }

  async *#sweep(table: PolledTable, context: PassContext, signal: AbortSignal): AsyncGenerator<PolledBlock> {
    const { rowState, overlapUs } = context;
    if (rowState === null) return;
    const { settings } = this;
    const cursor = this.#cursor;
    const startedAt = Date.now();
    const onMissed = (count: number): ReadonlyMap<string, string> => {
      this.#cursor = { ...this.#cursor, missed: this.#cursor.missed + count };
      return this.#save();
    };
    yield* sweep(
      { table, settings, rowState, cursor, lowUs: this.lowUs(overlapUs), onMissed },
      context,
      signal,
    );
    if (!signal.aborted) this.cursor = { ...this.#cursor, sweptAt: startedAt, sweptFrom: cursor.from };
  }

  /** Number of the pass's first batch. */
  #stamp = 0;

  #block(block: PollBlock, rows: PolledRows, context: PassContext): PolledBlock {
    const changes = madeTogether(context, (of) => {
      if (this.#stamp === 0) this.#stamp = of.at.batch;
      return rows.changes(block.rows, { ...of, stamp: this.#stamp });
    });
    const state = changes.length === 0 ? undefined : this.#save();
    // The end of the pass is worth keeping too.
    if (state !== undefined) this.#dirty = true;
    return { changes, bytes: block.bytes, state, release: block.release };
  }

  #low({ options }: PolledTable, { mark, overlapUs }: PassContext): PollLow | null {
    const { value } = this.#cursor;
    if (options.mode === 'incrementing') return value === null ? null : { kind: 'value', text: value };
    const us = this.lowUs(overlapUs);
    return us === null ? null : { kind: 'time', us, nowUs: mark.clockUs };
  }

  #complete(of: {
    readonly to: bigint | null;
    readonly settledUs: number | null;
    readonly aheadUs: number | null;
    readonly settledMark: number | null;
    readonly high: string | null;
    readonly mark: number;
  }): void {
    const { to, settledUs, aheadUs, settledMark, high, mark } = of;
    let { value } = this.#cursor;
    let settled = 0;
    for (const [i, each] of this.#highs.entries()) {
      if (settledMark === null || each.mark > settledMark) break;
      value = each.text;
      settled = i + 1;
    }
    this.#highs.splice(0, settled);
    if (high !== null) this.#highs.push({ mark: mark + 1, text: high });
    const { from, us } = this.#cursor;
    this.#cursor = { ...this.#cursor, from: to ?? from, us: settledUs ?? us, aheadUs, value, pass: null };
  }

  #save(): ReadonlyMap<string, string> {
    this.#dirty = false;
    this.#savedAt = performance.now();
    return new Map([[POLL_PREFIX + this.#name, encodeCursor(this.#cursor)]]);
  }

  #due(startedAt: number): void {
    const now = performance.now();
    this.dueAt = Math.max(startedAt + this.settings.everyMs, now + (now - startedAt) * (1 / DUTY - 1));
  }
}

function scansOf({ options: { mode }, nullable }: PolledTable): readonly PollScan['kind'][] {
  if (mode === 'bulk') return ['all'];
  return mode !== 'incrementing' && nullable ? ['cursor', 'nulls'] : ['cursor'];
}
