import { asHeadwaterError, HeadwaterError } from '../errors/headwater-error.ts';
import type { Batch } from '../model/batch.ts';
import type { Change, SourceInfo } from '../model/change.ts';
import type { PositionCodec } from '../model/position.ts';
import { type TableId, tableName } from '../model/table.ts';
import type { Log } from '../observability/log.ts';
import type { TableSnapshot } from './captured-table.ts';
import { KeylessRead } from './keyless-read.ts';
import { Mailbox } from './mailbox.ts';
import { RecentTransactions } from './recent-transactions.ts';
import type { ChunkLimit, SnapshotSource, WindowReader } from './snapshot-source.ts';
import { StreamTap } from './stream-tap.ts';
import type { Delivery } from './view-phase.ts';
import { Window } from './window.ts';

/** What one window holds in memory at most. */
const WINDOW_ROWS = 5_000;
const WINDOW_BYTES = 4 * 1024 * 1024;
/** Windows that have been read wait for the stream; meanwhile others are read. */
const WINDOWS_PER_LANE = 3;
/** Rows of a window leave in batches of this size. */
const BATCH_ROWS = 1_000;
/** An idle stream is asked for its position this often while something waits for it. */
const NUDGE_MS = 50;
/** A window that has waited this long may get another high mark. */
const SETTLE_MS = 200;
/** Windows of one chunk that came to nothing before the table is given up. */
const MAX_ATTEMPTS = 50;
const REREAD_MS = 5;
const MAX_REREAD_MS = 500;

export interface WindowPhaseOptions<P, S extends SourceInfo> {
  readonly stream: AsyncIterable<Batch<P, S>>;
  readonly nudge: () => void;
  readonly source: SnapshotSource<P, S>;
  readonly codec: PositionCodec<P>;
  readonly tables: readonly TableSnapshot[];
  readonly parallelism: number;
  readonly chunkRows: number;
  /** Makes a batch of rows and the ledger as it stands. */
  readonly deliver: (delivery: Delivery<S>, resume: P | null) => Batch<P, S>;
  readonly onTableError: (table: TableSnapshot, error: HeadwaterError) => void;
  /** Nothing is left to be read; the stream goes on, unless `endWhenDone`. */
  readonly onDone: () => void;
  readonly endWhenDone: boolean;
  readonly log: Log;
  readonly now: () => Date;
}

/** Phase B: passes the stream through and puts windows in between. */
export async function* mergeWindows<P, S extends SourceInfo>(
  options: WindowPhaseOptions<P, S>,
  signal: AbortSignal,
): AsyncGenerator<Batch<P, S>> {
  const merger = new WindowMerger(options);
  const abort = (): void => merger.abort();
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    const complete = yield* merger.run();
    await merger.close();
    if (complete && !options.endWhenDone) yield* merger.rest();
  } finally {
    signal.removeEventListener('abort', abort);
    merger.abort();
    await merger.close();
    await merger.end();
  }
}

interface Job {
  readonly table: TableSnapshot;
  readonly chunk: number;
  attempt: number;
}

class WindowMerger<P, S extends SourceInfo> {
  readonly #options: WindowPhaseOptions<P, S>;
  readonly #ending = new AbortController();
  readonly #mail = new Mailbox();
  readonly #tap: StreamTap<Batch<P, S>>;
  readonly #recent = new RecentTransactions();
  /** Transactions that may have been delivered before this process began, and were visible to nobody then. */
  #unseen: readonly string[] = [];
  readonly #windows: Window<P, S>[] = [];
  readonly #unplanned: TableSnapshot[] = [];
  readonly #jobs: Job[] = [];
  readonly #keyless: KeylessRead<P, S>[] = [];
  readonly #limits = new Map<TableSnapshot, ChunkLimit>();
  /** Chunk reads and plans under way. */
  readonly #work = new Set<Promise<void>>();
  #planning = 0;
  #reader: WindowReader<P, S> | null = null;
  #failure: { readonly error: unknown } | null = null;
  /** The stream's last position, null where it may not be committed there or nothing has come yet. */
  #resume: P | null = null;
  /** Whether the stream stands between two transactions. */
  #between = false;
  #ended = false;
  #nudger: NodeJS.Timeout | null = null;
  readonly #byName = new Map<string, TableSnapshot>();

  constructor(options: WindowPhaseOptions<P, S>) {
    this.#options = options;
    this.#tap = new StreamTap(options.stream, this.#mail.notify);
  }

  /** Everything ends as soon as possible; what has not left yet is not delivered. */
  abort(): void {
    this.#ending.abort();
    this.#mail.notify();
  }

  /** Answers whether nothing is left to be read; false where the stream ended or all was aborted. */
  async *run(): AsyncGenerator<Batch<P, S>, boolean> {
    const { source, tables, parallelism, onDone } = this.#options;
    const signal = this.#ending.signal;
    if (signal.aborted) return false;
    const pending = tables.filter((table) => table.pending);
    this.#reader = await source.openWindows({ parallelism }, signal);
    const keyed = await this.#reader.keyed(
      pending.map((table) => table.id),
      signal,
    );
    this.#unseen = (await this.#reader.unseen?.(signal)) ?? [];
    if (this.#unseen.length > 0) {
      this.#options.log.info(
        { transactions: this.#unseen.length },
        'waiting for transactions that are not visible yet, perhaps for a synchronous standby, before rows are read',
      );
    }
    pending.forEach((table, i) => {
      this.#byName.set(table.name, table);
      if (keyed[i] === false)
        this.#keyless.push(new KeylessRead(table, this.#options.codec, this.#mail.notify));
      else this.#unplanned.push(table);
    });
    for (;;) {
      this.#fill();
      if (this.#nothingLeft()) break;
      this.#keepNudging();
      if (!this.#holdsStream()) this.#tap.pull();
      await this.#mail.wait();
      if (signal.aborted) return false;
      if (this.#failure !== null) throw this.#failure.error;
      const next = this.#tap.take();
      if (next !== null) {
        if (next.done === true) {
          this.#ended = true;
          return false;
        }
        yield this.#pass(next.value);
        this.#keylessCaughtUp();
      }
      yield* this.#closeWindows();
      yield* this.#keylessRows();
    }
    onDone();
    return true;
  }

  /** The stream alone, once `run` has nothing left. */
  rest(): AsyncGenerator<Batch<P, S>> {
    return this.#tap.rest();
  }

  async close(): Promise<void> {
    this.#stopNudging();
    await Promise.all(this.#work);
    await Promise.all(this.#keyless.map((read) => read.close()));
    this.#keyless.length = 0;
    const reader = this.#reader;
    this.#reader = null;
    await reader?.[Symbol.asyncDispose]();
  }

  async end(): Promise<void> {
    if (!this.#ended) await this.#tap.end();
  }

  // --- the stream ---

  /** Notes what a batch of the stream touches; answers it without what a keyless table's view will show. */
  #pass(batch: Batch<P, S>): Batch<P, S> {
    const { changes } = batch;
    let kept: Change<S>[] | null = null;
    let schemaId: TableId | null = null;
    let windows: readonly Window<P, S>[] = [];
    let keyless: KeylessRead<P, S> | undefined;
    for (let i = 0; i < changes.length; i++) {
      const change = changes[i]!;
      if (change.kind !== 'message' && change.tx !== null) this.#recent.add(change.tx.id);
      if (change.kind !== 'row' && change.kind !== 'truncate' && change.kind !== 'schema') {
        kept?.push(change);
        continue;
      }
      const id = change.kind === 'schema' ? change.id : change.table.id;
      if (id !== schemaId) {
        schemaId = id;
        const table = this.#byName.get(tableName(id));
        windows = table === undefined ? [] : this.#windows.filter((window) => window.table === table);
        keyless = table === undefined ? undefined : this.#keyless.find((read) => read.table === table);
      }
      if (keyless !== undefined && change.kind !== 'schema' && keyless.leavesOut(change)) {
        kept ??= changes.slice(0, i);
        continue;
      }
      kept?.push(change);
      for (const window of windows) window.observe(change);
    }
    this.#resume = batch.resume;
    this.#between = batch.resume !== null && !this.#options.codec.insideTransaction(batch.resume);
    if (this.#between) for (const read of this.#keyless) read.passed(batch.resume!);
    return kept === null ? batch : { ...batch, changes: kept };
  }

  #passed(position: P): boolean {
    if (!this.#between || this.#resume === null) return false;
    return (this.#options.codec.compare(this.#resume, position) ?? -1) >= 0;
  }

  #holdsStream(): boolean {
    const now = Date.now();
    return this.#between && this.#keyless.some((read) => read.holdsStream(now));
  }

  #keepNudging(): void {
    if (this.#nudger !== null) return;
    this.#options.nudge();
    this.#nudger = setInterval(() => this.#options.nudge(), NUDGE_MS);
  }

  #stopNudging(): void {
    if (this.#nudger !== null) clearInterval(this.#nudger);
    this.#nudger = null;
  }

  // --- what to read next ---

  #nothingLeft(): boolean {
    return (
      this.#windows.length === 0 &&
      this.#jobs.length === 0 &&
      this.#planning === 0 &&
      this.#unplanned.length === 0 &&
      this.#keyless.length === 0
    );
  }

  /** Starts as much as may run at once. Windows open between two transactions of the stream only. */
  #fill(): void {
    const { parallelism, source } = this.#options;
    const lanes = Math.max(1, parallelism);
    const reading = this.#windows.filter((window) => window.chunk === null).length;
    let busy = reading + this.#planning + this.#keyless.filter((read) => read.started).length;
    while (busy < lanes) {
      const room = this.#between && this.#windows.length < WINDOWS_PER_LANE * lanes;
      const job = room ? this.#jobs.shift() : undefined;
      if (job !== undefined) {
        this.#open(job);
      } else if (this.#jobs.length < lanes && this.#unplanned.length > 0) {
        this.#plan(this.#unplanned.shift()!);
      } else if (this.#between && this.#keyless.length > 0 && !this.#keyless.some((read) => read.started)) {
        this.#keyless[0]!.start(source, this.#ending.signal);
      } else {
        return;
      }
      busy++;
    }
  }

  #plan(table: TableSnapshot): void {
    const { chunkRows, now, log } = this.#options;
    this.#planning++;
    table.reading = true;
    const begun = table.ledger?.by === 'key' ? table.ledger.ranges() : null;
    if (table.ledger?.by === 'block') {
      log.warn(
        { table: table.name, rows: table.rows },
        'the table was being read by block, which cannot be gone on with; it is read again from the beginning',
      );
    }
    this.#background(table, async () => {
      try {
        const plan = await this.#reader!.plan(
          table.id,
          { chunkRows, where: table.where, ...(begun === null ? {} : { chunks: begun }) },
          this.#ending.signal,
        );
        table.adopt(plan, now());
        plan.chunks.forEach((_, chunk) => {
          if (table.ledger!.remaining(chunk) !== null) this.#jobs.push({ table, chunk, attempt: 0 });
        });
      } finally {
        this.#planning--;
      }
    });
  }

  // --- windows ---

  #open(job: Job): void {
    const { table, chunk, attempt } = job;
    const window = new Window<P, S>({
      table,
      chunkIndex: chunk,
      range: table.ledger!.remaining(chunk)!,
      plan: table.plan!,
      openedAt: this.#recent.mark,
      attempt,
    });
    this.#windows.push(window);
    this.#read(window, 0);
  }

  #read(window: Window<P, S>, delayMs: number): void {
    this.#background(window.table, async () => {
      const signal = this.#ending.signal;
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      signal.throwIfAborted();
      window.checked = false;
      const limit = this.#limits.get(window.table) ?? { maxRows: WINDOW_ROWS, maxBytes: WINDOW_BYTES };
      window.settledHigh = null;
      window.chunk = await this.#reader!.chunk(window.plan, window.range, limit, signal);
      window.readAt = performance.now();
    });
  }

  /** Runs beside the loop; a failure of one table stays with it. */
  #background(table: TableSnapshot, step: () => Promise<void>): void {
    const work: Promise<void> = step()
      .catch((error: unknown) => {
        if (this.#ending.signal.aborted) return;
        const known = asHeadwaterError(error);
        if (known.entry.fate === 'quarantine') this.#giveUp(table, known);
        else this.#failure ??= { error };
      })
      .finally(() => {
        this.#work.delete(work);
        this.#mail.notify();
      });
    this.#work.add(work);
  }

  /** Delivers the chunks whose high mark the stream has passed. */
  async *#closeWindows(): AsyncGenerator<Batch<P, S>> {
    for (let i = 0; i < this.#windows.length;) {
      const window = this.#windows[i]!;
      if (window.chunk === null || !this.#current(window)) {
        i++;
        continue;
      }
      if (!this.#passed(window.settledHigh ?? window.chunk.high)) {
        this.#hasten(window);
        i++;
        continue;
      }
      this.#windows.splice(i, 1);
      yield* this.#close(window);
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
    this.#background(window.table, async () => {
      const { chunk } = window;
      const high = await this.#reader!.settled(ageMs, this.#ending.signal);
      if (window.chunk === chunk) window.settledHigh = high;
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

  async *#close(window: Window<P, S>): AsyncGenerator<Batch<P, S>> {
    const { table, chunkIndex } = window;
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
    ledger.advance(chunkIndex, lastKey, rows.length);
    const last = lastKey === null && ledger.finish(chunkIndex);
    if (last) {
      ledger.complete(now());
      table.reading = false;
      this.#byName.delete(table.name);
    } else if (lastKey !== null) {
      this.#jobs.unshift({ table, chunk: chunkIndex, attempt: 0 });
    }
    yield deliver(
      {
        table,
        rows: at === 0 ? rows : rows.slice(at),
        bytes: rows.length === 0 ? 0 : Math.round((bytes * (rows.length - at)) / rows.length),
        first: first && at === 0,
        last,
      },
      this.#resume,
    );
  }

  #again({ table, chunkIndex, attempt }: Window<P, S>): void {
    if (attempt >= MAX_ATTEMPTS) {
      this.#giveUp(
        table,
        new HeadwaterError(
          'snapshot.table-unsettled',
          `No chunk of the table ${table.name} could be read that agrees with the log.`,
          { details: { table: table.name, attempts: attempt } },
        ),
      );
      return;
    }
    this.#jobs.unshift({ table, chunk: chunkIndex, attempt: attempt + 1 });
  }

  #giveUp(table: TableSnapshot, error: HeadwaterError): void {
    if (table.failure !== null) return;
    table.failure = error;
    table.reading = false;
    this.#byName.delete(table.name);
    const others = <T extends { readonly table: TableSnapshot }>(list: T[]): void => {
      list.splice(0, list.length, ...list.filter((entry) => entry.table !== table));
    };
    others(this.#windows);
    others(this.#jobs);
    others(this.#keyless);
    this.#options.onTableError(table, error);
  }

  // --- tables without a key ---

  #keylessCaughtUp(): void {
    const { chunkRows, now } = this.#options;
    for (const read of this.#keyless) {
      if (read.catchingUp && this.#passed(read.position)) read.read({ chunkRows, now }, this.#ending.signal);
    }
  }

  async *#keylessRows(): AsyncGenerator<Batch<P, S>> {
    this.#keylessCaughtUp();
    const [read] = this.#keyless;
    if (read === undefined) return;
    if (this.#resume !== null) {
      const delivery = read.take();
      if (delivery !== null) yield this.#options.deliver(delivery, this.#resume);
    }
    if (!read.over) return;
    if (read.failure !== null) {
      this.#giveUp(read.table, read.failure);
    } else if (read.table.done) {
      this.#keyless.shift();
      this.#byName.delete(read.table.name);
      read.table.reading = false;
    }
  }
}
