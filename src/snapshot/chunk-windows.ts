import { setTimeout as sleep } from 'node:timers/promises';
import { asHeadwaterError, HeadwaterError } from '../errors/headwater-error.ts';
import type { Batch } from '../model/batch.ts';
import type { RowChange, SchemaChange, SourceInfo, TruncateChange } from '../model/change.ts';
import type { Log } from '../observability/log.ts';
import type { TableSnapshot } from './captured-table.ts';
import { RecentTransactions } from './recent-transactions.ts';
import type { ChunkLimit, WindowReader } from './snapshot-source.ts';
import type { StreamPlace } from './stream-place.ts';
import type { Delivery } from './delivery.ts';
import { keyText, keyValues, movedKey } from './row-key.ts';
import { Window, type WindowPart } from './window.ts';

/** What one window holds in memory at most. */
const LIMIT: ChunkLimit = { maxRows: 5_000, maxBytes: 4 * 1024 * 1024 };
/** Windows that have been read wait for the stream; meanwhile others are read. */
const WINDOWS_PER_LANE = 3;
/** Rows of a window leave in batches of this size. */
const BATCH_ROWS = 1_000;
/** A window that has waited this long may get another high mark. */
const SETTLE_MS = 200;
/** Asked too early for one, the source is left alone for so long. */
const SETTLE_PAUSE_MS = 50;
/** Windows of one chunk that came to nothing before the table is given up. */
const MAX_ATTEMPTS = 50;
const REREAD_MS = 5;
const MAX_REREAD_MS = 500;
/** Rows owed that are read at once; so many do not wait for the rest of their table. */
const OWED_AT_ONCE = 1_000;
/** Of a table none of whose rows has been seen. */
const UNKNOWN_ROW_BYTES = 16 * 1024;
/** The ledger holds them all, and goes out with every commit. A table with more begins again. */
const MAX_OWED = 5_000;
/** A table that was locked is left alone for so long; meanwhile others are read. */
const LOCKED_MS = 1_000;

export interface ChunkWindowsOptions<P, S extends SourceInfo> {
  readonly reader: WindowReader<P, S>;
  readonly place: StreamPlace<P>;
  readonly chunkRows: number;
  /** Reads at once, at most. */
  readonly lanes: number;
  readonly nudge: () => void;
  readonly deliver: (delivery: Delivery<S>, resume: P | null) => Batch<P, S>;
  /** Runs a step beside the loop that merges; a failure of the table stays with it. */
  readonly background: (table: TableSnapshot, step: () => Promise<void>) => void;
  readonly giveUp: (table: TableSnapshot, error: HeadwaterError) => void;
  /** The table's last row has left. */
  readonly done: (table: TableSnapshot) => void;
  readonly log: Log;
  readonly now: () => Date;
  readonly signal: AbortSignal;
}

interface Job {
  readonly table: TableSnapshot;
  /** Index of a chunk, or the rows that are owed by then. */
  readonly chunk: number | 'owed';
  readonly attempt: number;
}

/** Tables with a key, chunk by chunk: each is read in a window that opens and closes on the stream. */
export class ChunkWindows<P, S extends SourceInfo> {
  readonly #options: ChunkWindowsOptions<P, S>;
  readonly #recent = new RecentTransactions();
  /** Transactions that may have been delivered before this process began, and were visible to nobody then. */
  readonly #unseen: readonly string[];
  readonly #windows: Window<P, S>[] = [];
  readonly #unplanned: TableSnapshot[] = [];
  readonly #jobs: Job[] = [];
  /** When a table that was found locked is tried again, performance.now(). */
  readonly #lockedUntil = new Map<TableSnapshot, number>();
  readonly #planning = new Set<TableSnapshot>();
  /** As measured in the table's last window. */
  readonly #rowBytes = new Map<TableSnapshot, number>();

  constructor(options: ChunkWindowsOptions<P, S>, unseen: readonly string[]) {
    this.#options = options;
    this.#unseen = unseen;
  }

  add(table: TableSnapshot): void {
    this.#unplanned.push(table);
  }

  get nothingLeft(): boolean {
    return (
      this.#windows.length === 0 &&
      this.#jobs.length === 0 &&
      this.#planning.size === 0 &&
      this.#unplanned.length === 0
    );
  }

  /** Reads and plans under way. */
  get busy(): number {
    return this.#windows.filter((window) => window.chunk === null).length + this.#planning.size;
  }

  /** Starts one more read or plan; false where there is none that may be. Windows open between transactions only. */
  start(): boolean {
    const { lanes, place } = this.#options;
    const room = place.between && this.#windows.length < WINDOWS_PER_LANE * lanes;
    const next = room ? this.#jobs.findIndex(({ table }) => this.#mayRead(table)) : -1;
    if (next >= 0) {
      this.#open(this.#jobs.splice(next, 1)[0]!);
      return true;
    }
    const planned = this.#unplanned.findIndex((table) => this.#mayRead(table));
    if (planned < 0 || this.#jobs.filter(({ table }) => this.#mayRead(table)).length >= lanes) return false;
    this.#plan(this.#unplanned.splice(planned, 1)[0]!);
    return true;
  }

  #mayRead(table: TableSnapshot): boolean {
    return performance.now() >= (this.#lockedUntil.get(table) ?? 0);
  }

  /** The step of a table; where somebody has locked it, `later` puts it back for another time. */
  #unlessLocked(table: TableSnapshot, step: () => Promise<void>, later: () => void): void {
    this.#options.background(table, async () => {
      try {
        await step();
      } catch (error) {
        if (asHeadwaterError(error).code !== 'snapshot.table-locked') throw error;
        if (!this.#lockedUntil.has(table))
          this.#options.log.info({ table: table.name }, 'the table is locked; others are read meanwhile');
        this.#lockedUntil.set(table, performance.now() + LOCKED_MS);
        later();
      }
    });
  }

  /** The stream has delivered something of the transaction. */
  saw(tx: string): void {
    this.#recent.add(tx);
  }

  forget(table: TableSnapshot): void {
    const others = <T extends { readonly table: TableSnapshot }>(list: T[]): void => {
      list.splice(0, list.length, ...list.filter((entry) => entry.table !== table));
    };
    others(this.#windows);
    others(this.#jobs);
  }

  #plan(table: TableSnapshot): void {
    const { chunkRows, now, log } = this.#options;
    this.#planning.add(table);
    table.reading = true;
    const begun = table.ledger?.by === 'key' ? table.ledger.ranges() : null;
    if (table.ledger?.by === 'block') {
      log.warn(
        { table: table.name, rows: table.rows },
        'the table was being read by block, which cannot be gone on with; it is read again from the beginning',
      );
    }
    const plan = async (): Promise<void> => {
      try {
        const planned = await this.#options.reader.plan(
          table.id,
          { chunkRows, where: table.where, ...(begun === null ? {} : { chunks: begun }) },
          this.#options.signal,
        );
        table.adopt(planned, now());
        planned.chunks.forEach((_, chunk) => {
          if (table.ledger!.remaining(chunk) !== null) this.#jobs.push({ table, chunk, attempt: 0 });
        });
        if (table.ledger!.allRead) this.#jobs.push({ table, chunk: 'owed', attempt: 0 });
      } finally {
        this.#planning.delete(table);
      }
    };
    this.#unlessLocked(table, plan, () => this.#unplanned.push(table));
  }

  #open(job: Job): void {
    const { table, chunk, attempt } = job;
    const ledger = table.ledger!;
    const part: WindowPart =
      chunk === 'owed'
        ? { kind: 'owed', keys: [...ledger.owed].slice(0, this.#owedAtOnce(table)) }
        : { kind: 'chunk', index: chunk, range: ledger.remaining(chunk)! };
    const window = new Window<P, S>({
      table,
      part,
      plan: table.plan!,
      openedAt: this.#recent.mark,
      attempt,
      owes: this.#options.reader.rowsOf !== undefined,
    });
    this.#windows.push(window);
    this.#read(window, 0);
  }

  #read(window: Window<P, S>, delayMs: number): void {
    const read = async (): Promise<void> => {
      const { reader, signal } = this.#options;
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      signal.throwIfAborted();
      window.checked = false;
      window.settledHigh = null;
      const { part, plan, table } = window;
      try {
        window.chunk =
          part.kind === 'chunk'
            ? await reader.chunk(plan, part.range, LIMIT, signal)
            : await reader.rowsOf!(plan, part.keys.map(keyValues), signal);
      } catch (error) {
        if (asHeadwaterError(error).code !== 'snapshot.table-rewritten') throw error;
        // Of several windows the first one to find that out.
        if (this.#windows.includes(window)) this.#beginAgain(table, 'its rows are not where they were');
        return;
      }
      window.readAt = performance.now();
    };
    this.#unlessLocked(window.table, read, () => {
      const at = this.#windows.indexOf(window);
      if (at < 0) return;
      this.#windows.splice(at, 1);
      this.#jobs.push(jobOf(window, window.attempt));
    });
  }

  /** Delivers the chunks whose high mark the stream has passed. */
  async *close(): AsyncGenerator<Batch<P, S>> {
    for (let i = 0; i < this.#windows.length;) {
      const window = this.#windows[i]!;
      if (window.chunk === null || !this.#current(window)) {
        i++;
        continue;
      }
      if (!this.#options.place.passed(window.settledHigh ?? window.chunk.high)) {
        this.#hasten(window);
        i++;
        continue;
      }
      this.#windows.splice(i, 1);
      yield* this.#deliver(window);
      // The list may be another one after the yields.
      i = 0;
    }
  }

  /** An idle source may have to be asked, and may never get past a mark that only unflushed log reaches. */
  #hasten(window: Window<P, S>): void {
    if (!window.nudged) this.#options.nudge();
    window.nudged = true;
    const ageMs = performance.now() - window.readAt;
    if (window.settling || window.settledHigh !== null || ageMs < SETTLE_MS) return;
    window.settling = true;
    this.#options.background(window.table, async () => {
      const { chunk } = window;
      const { reader, signal } = this.#options;
      const high = await reader.settled(ageMs, signal);
      if (window.chunk === chunk) window.settledHigh = high;
      // Each end of a step wakes the loop, which would ask again: one that answers at once would never let it rest.
      if (high === null) await sleep(SETTLE_PAUSE_MS, undefined, { signal });
      window.settling = false;
    });
  }

  /** Whether the chunk saw all that the stream had delivered when the window opened; else it is read again. */
  #current(window: Window<P, S>): boolean {
    if (window.checked) return true;
    const chunk = window.chunk!;
    const sees = (tx: string): boolean => chunk.sees(tx);
    if (!this.#unseen.every(sees) || this.#recent.anyUnseen(window.openedAt, sees)) {
      window.chunk = null;
      this.#read(window, Math.min(MAX_REREAD_MS, REREAD_MS * 2 ** window.rereads++));
      return false;
    }
    window.checked = true;
    return true;
  }

  async *#deliver(window: Window<P, S>): AsyncGenerator<Batch<P, S>> {
    const { table, part } = window;
    const { lastKey, bytes, plan } = window.chunk!;
    const { deliver, now } = this.#options;
    const rows = window.survivors();
    const ledger = table.ledger!;
    if (plan !== window.plan) {
      table.plan = plan;
      ledger.schema = plan.schema.version;
    }
    if (rows === null) {
      this.#again(window);
      return;
    }
    // Only the last batch may be committed: with it goes the ledger that knows of them all.
    if (bytes > 0) this.#rowBytes.set(table, bytes / window.chunk!.rows.length);
    const first = ledger.rows === 0;
    let at = 0;
    for (; rows.length - at > BATCH_ROWS; at += BATCH_ROWS) {
      yield deliver(
        {
          table,
          rows: rows.slice(at, at + BATCH_ROWS),
          bytes: Math.round((bytes * BATCH_ROWS) / rows.length),
          first: first && at === 0,
          last: false,
        },
        null,
      );
    }
    ledger.advance(part.kind === 'chunk' ? part.index : null, lastKey, rows.length);
    this.#settle(window, rows);
    if (lastKey !== null) this.#jobs.unshift(jobOf(window, 0));
    else if (part.kind === 'chunk') ledger.finish(part.index);
    const last = ledger.allRead && ledger.owed.size === 0;
    if (last) {
      ledger.complete(now());
      table.reading = false;
      this.#options.done(table);
    } else {
      this.#readOwed(table);
    }
    yield deliver(
      {
        table,
        rows: at === 0 ? rows : rows.slice(at),
        bytes: rows.length === 0 ? 0 : Math.round((bytes * (rows.length - at)) / rows.length),
        first: first && at === 0,
        last,
      },
      this.#options.place.resume,
    );
  }

  /** A window's rows are delivered: of those that were owed, some are no longer. */
  #settle(window: Window<P, S>, rows: readonly RowChange<S>[]): void {
    const { owed } = window.table.ledger!;
    if (owed.size === 0) return;
    const { part } = window;
    const keys =
      part.kind === 'owed' ? part.keys : rows.map(({ table, after }) => keyText(after!, table.key));
    for (const key of keys) {
      if (key !== undefined && window.settles(key)) window.table.ledger!.settle(key);
    }
  }

  /** As many as a chunk would have, by the size of rows delivered before. */
  #owedAtOnce(table: TableSnapshot): number {
    const rowBytes = this.#rowBytes.get(table) ?? UNKNOWN_ROW_BYTES;
    return Math.max(1, Math.min(OWED_AT_ONCE, Math.floor(LIMIT.maxBytes / rowBytes)));
  }

  /** Rows that are owed are read behind the chunks, which bring most of them, or when there are many. */
  #readOwed(table: TableSnapshot): void {
    const { owed, allRead } = table.ledger!;
    if (owed.size === 0 || (!allRead && owed.size < OWED_AT_ONCE)) return;
    if (this.#jobs.some((job) => job.table === table && job.chunk === 'owed')) return;
    if (this.#windows.some((window) => window.table === table && window.part.kind === 'owed')) return;
    this.#jobs.unshift({ table, chunk: 'owed', attempt: 0 });
  }

  /** A change of the table went by. Answers whether its ledger is another one now. */
  observe(table: TableSnapshot, change: RowChange<S> | TruncateChange<S> | SchemaChange<S>): boolean {
    let owed: string | undefined;
    // Where nothing has been read yet, all is still to come.
    if (change.kind === 'row' && table.ledger !== null && this.#options.reader.rowsOf !== undefined) {
      owed = movedKey(change);
    }
    for (const window of this.#windows) {
      if (window.table !== table) continue;
      window.observe(change);
      if (owed !== undefined) window.owe(owed);
    }
    if (owed === undefined) return false;
    table.ledger!.owe(owed);
    if (table.ledger!.owed.size > MAX_OWED)
      this.#beginAgain(table, 'the keys of many rows have changed, and the log has not all of their columns');
    else if (table.plan !== null) this.#readOwed(table);
    return true;
  }

  #beginAgain(table: TableSnapshot, why: string): void {
    this.#options.log.warn(
      { table: table.name, rows: table.rows },
      `${why}: the table is read again from the beginning`,
    );
    table.reset();
    this.forget(table);
    if (!this.#planning.has(table) && !this.#unplanned.includes(table)) this.#unplanned.push(table);
  }

  #again(window: Window<P, S>): void {
    const { table, attempt } = window;
    if (attempt >= MAX_ATTEMPTS) {
      this.#options.giveUp(
        table,
        new HeadwaterError(
          'snapshot.table-unsettled',
          `No chunk of the table ${table.name} could be read that agrees with the log.`,
          { details: { table: table.name, attempts: attempt } },
        ),
      );
      return;
    }
    this.#jobs.unshift(jobOf(window, attempt + 1));
  }
}

function jobOf({ table, part }: Pick<Window<unknown, SourceInfo>, 'table' | 'part'>, attempt: number): Job {
  return { table, chunk: part.kind === 'chunk' ? part.index : 'owed', attempt };
}
