import { asHeadwaterError, HeadwaterError } from '../errors/headwater-error.ts';
import type { RowChange, SourceInfo, TruncateChange } from '../model/change.ts';
import type { PositionCodec } from '../model/position.ts';
import type { TableSnapshot } from './captured-table.ts';
import type { RowBlock, SnapshotSource, SnapshotView } from './snapshot-source.ts';
import { TableFeed } from './table-feed.ts';
import type { Delivery } from './delivery.ts';

const MAX_OPENINGS = 20;
/** Transactions that are remembered one by one while a view opens; of more only how far they reach. */
const MAX_LEFT_OUT = 10_000;
/** While the view opens the stream may wait this long, so that nothing newer than the view goes by. */
const HOLD_STREAM_MS = 300;

export interface KeylessReadOptions {
  readonly chunkRows: number;
  readonly now: () => Date;
}

/**
 * A table without a key, read while the stream runs: from a view of its own at a position L. Up to L the
 * stream's changes of the table are left out, since the view shows them; from L on the stream delivers them.
 * Where the view opens only after a change newer than it was left out, another view is opened.
 * Between its rows and later changes of the table no order is kept.
 */
export class KeylessRead<P, S extends SourceInfo> {
  readonly table: TableSnapshot;
  readonly #codec: PositionCodec<P>;
  readonly #notify: () => void;
  #state: 'queued' | 'opening' | 'catching-up' | 'reading' | 'over' = 'queued';
  #leftOut = new Set<string>();
  /** Everything left out that is not in `#leftOut` had committed by this position of the stream. */
  #leftOutUpTo: P | null = null;
  #view: SnapshotView<P, S> | null = null;
  #openings = 0;
  #holdUntil = 0;
  #failure: HeadwaterError | null = null;
  #fatal: { readonly error: unknown } | null = null;
  #iterator: AsyncIterator<Delivery<S>> | null = null;
  #next: IteratorResult<Delivery<S>> | null = null;
  #truncated = false;
  /** Somebody has locked the table. */
  #locked = false;
  #options: KeylessReadOptions | null = null;
  #work: Promise<void> = Promise.resolve();

  constructor(table: TableSnapshot, codec: PositionCodec<P>, notify: () => void) {
    this.table = table;
    this.#codec = codec;
    this.#notify = notify;
  }

  get started(): boolean {
    return this.#state !== 'queued';
  }

  /** Whether it waits for others: for transactions to end, or for the table to be unlocked. */
  get waits(): boolean {
    return this.#state === 'opening' || this.#locked;
  }

  /** Whether another table may be read: views open one after the other, and one at a time is read. */
  get letsOthersBegin(): boolean {
    return this.#state === 'queued' || this.#locked;
  }

  get over(): boolean {
    return this.#state === 'over';
  }

  /** Waits for the stream to pass the view. */
  get catchingUp(): boolean {
    return this.#state === 'catching-up';
  }

  get failure(): HeadwaterError | null {
    return this.#failure;
  }

  /** Whether the stream should not be read just now. */
  get holdsStream(): boolean {
    return this.#state === 'opening' && performance.now() < this.#holdUntil;
  }

  /** Whether a change of this table is left out of the stream. */
  leavesOut(change: RowChange<S> | TruncateChange<S>): boolean {
    if (change.tx === null) return false;
    // Rows still to come would outlive the truncation that ended them.
    if (change.kind === 'truncate' && this.#state === 'reading') this.#truncated = true;
    switch (this.#state) {
      case 'queued':
        return true;
      case 'opening':
        this.#leftOut.add(change.tx.id);
        return true;
      case 'catching-up':
        return this.#view!.sees(change.tx.id);
      default:
        return false;
    }
  }

  /** The stream stands between two transactions, here, and all up to here has been asked about. */
  passed(position: P): void {
    // A view opens when transactions that run have ended, which can take days.
    if (this.#leftOut.size <= MAX_LEFT_OUT) return;
    this.#leftOutUpTo = position;
    this.#leftOut.clear();
  }

  /** Opens the view. Nothing of the stream may be half processed. */
  start(source: SnapshotSource<P, S>, signal: AbortSignal): void {
    this.#state = 'opening';
    this.#openings++;
    this.#leftOut.clear();
    this.#leftOutUpTo = null;
    this.#holdUntil = performance.now() + HOLD_STREAM_MS;
    const timer = setTimeout(this.#notify, HOLD_STREAM_MS);
    this.#run(async () => {
      try {
        this.#view = await source.openOwnView({ parallelism: 1, tables: [this.table.id] }, signal);
      } finally {
        clearTimeout(timer);
      }
      const view = this.#view;
      if (this.#showsLeftOut(view)) {
        this.#state = 'catching-up';
        return;
      }
      await this.#closeView();
      if (this.#openings >= MAX_OPENINGS) {
        throw new HeadwaterError(
          'snapshot.table-unsettled',
          `The table ${this.table.name} changes too fast to be read without a key.`,
          { details: { table: this.table.name } },
        );
      }
      this.#state = 'queued';
    });
  }

  #showsLeftOut(view: SnapshotView<P, S>): boolean {
    const upTo = this.#leftOutUpTo;
    if (upTo !== null && (this.#codec.compare(upTo, view.position) ?? 1) > 0) return false;
    for (const tx of this.#leftOut) if (!view.sees(tx)) return false;
    return true;
  }

  /** The position the stream must pass before rows are read. Only while catching up. */
  get position(): P {
    return this.#view!.position;
  }

  /** The stream has passed the view. */
  read(options: KeylessReadOptions, signal: AbortSignal): void {
    this.#state = 'reading';
    this.#options = options;
    const onLocked = (locked: boolean): void => {
      if (locked === this.#locked) return;
      this.#locked = locked;
      this.#notify();
    };
    this.#iterator = deliveries(this.#view!, this.table, { ...options, onLocked }, signal);
    this.#pull();
  }

  /** Rows that are ready, and asks for more; null where there are none at the moment. */
  take(): Delivery<S> | null {
    if (this.#fatal !== null) throw this.#fatal.error;
    const next = this.#next;
    this.#next = null;
    if (next === null || next.done === true) return null;
    if (this.#truncated) return this.#cutShort();
    this.#pull();
    return next.value;
  }

  #cutShort(): Delivery<S> {
    this.#run(async () => {
      await this.#closeView();
      this.#state = 'over';
    });
    const { table } = this;
    if (!table.done) table.ledger!.complete(this.#options!.now());
    return { table, rows: [], bytes: 0, first: false, last: true };
  }

  async close(): Promise<void> {
    await this.#work;
    await this.#closeView();
  }

  #pull(): void {
    this.#run(async () => {
      const next = await this.#iterator!.next();
      if (next.done === true) {
        this.#state = 'over';
        await this.#closeView();
      } else {
        this.#next = next;
      }
    });
  }

  #run(step: () => Promise<void>): void {
    this.#work = this.#work
      .then(step)
      .catch(async (error: unknown) => {
        const known = asHeadwaterError(error);
        if (known.entry.fate === 'quarantine') this.#failure = known;
        else this.#fatal = { error };
        this.#state = 'over';
        // At once: its snapshot holds the source's vacuum back, and nobody else closes it for a table given up.
        await this.#closeView().catch(() => undefined);
      })
      .then(this.#notify);
  }

  async #closeView(): Promise<void> {
    const view = this.#view;
    this.#view = null;
    await view?.[Symbol.asyncDispose]();
  }
}

interface Locks {
  readonly onLocked: (locked: boolean) => void;
}

async function* deliveries<P, S extends SourceInfo>(
  view: SnapshotView<P, S>,
  table: TableSnapshot,
  { chunkRows, now, onLocked }: KeylessReadOptions & Locks,
  signal: AbortSignal,
): AsyncGenerator<Delivery<S>> {
  const plan = await unlocked(() => view.plan(table.id, { chunkRows, where: table.where }, signal), {
    onLocked,
  });
  // What an earlier attempt delivered of it cannot be told from the rest.
  table.reset();
  table.adopt(plan, now());
  table.reading = true;
  const feed = new TableFeed<S>(table, now);
  for (const [chunk, range] of plan.chunks.entries()) {
    let rows!: AsyncIterator<RowBlock<S>>;
    // A chunk that has begun has its lock.
    const first = await unlocked(
      () => {
        rows = view.rows(plan, range, signal)[Symbol.asyncIterator]();
        return rows.next();
      },
      { onLocked },
    );
    for (let next = first; next.done !== true; next = await rows.next()) {
      const delivery = feed.block(chunk, next.value);
      if (delivery !== null) yield delivery;
    }
    if (signal.aborted) return;
    const delivery = feed.chunkEnd(chunk);
    if (delivery !== null) yield delivery;
  }
}

/** Tries again until the table is no longer locked; each try waits for it as long as the view does. */
async function unlocked<T>(step: () => Promise<T>, { onLocked }: Locks): Promise<T> {
  for (;;) {
    try {
      const result = await step();
      onLocked(false);
      return result;
    } catch (error) {
      if (asHeadwaterError(error).code !== 'snapshot.table-locked') throw error;
      onLocked(true);
    }
  }
}
