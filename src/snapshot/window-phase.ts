import { asHeadwaterError, type HeadwaterError } from '../errors/headwater-error.ts';
import type { Batch } from '../model/batch.ts';
import type { Change, SourceInfo } from '../model/change.ts';
import type { PositionCodec } from '../model/position.ts';
import { type TableId, tableName } from '../model/table.ts';
import type { Log } from '../observability/log.ts';
import type { TableSnapshot } from './captured-table.ts';
import { ChunkWindows } from './chunk-windows.ts';
import { KeylessRead } from './keyless-read.ts';
import { Mailbox } from './mailbox.ts';
import type { SnapshotSource, WindowReader } from './snapshot-source.ts';
import { StreamPlace } from './stream-place.ts';
import { StreamTap } from './stream-tap.ts';
import type { Delivery } from './delivery.ts';

/** An idle stream is asked for its position this often while something waits for it. */
const NUDGE_MS = 50;
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

class WindowMerger<P, S extends SourceInfo> {
  readonly #options: WindowPhaseOptions<P, S>;
  readonly #ending = new AbortController();
  readonly #mail = new Mailbox();
  readonly #tap: StreamTap<Batch<P, S>>;
  readonly #place: StreamPlace<P>;
  readonly #keyless: KeylessRead<P, S>[] = [];
  /** Chunk reads and plans under way. */
  readonly #work = new Set<Promise<void>>();
  #reader: WindowReader<P, S> | null = null;
  /** Null before the reader is open. */
  #chunks: ChunkWindows<P, S> | null = null;
  #failure: { readonly error: unknown } | null = null;
  #ended = false;
  #nudger: NodeJS.Timeout | null = null;
  readonly #byName = new Map<string, TableSnapshot>();

  constructor(options: WindowPhaseOptions<P, S>) {
    this.#options = options;
    this.#tap = new StreamTap(options.stream, this.#mail.notify);
    this.#place = new StreamPlace(options.codec);
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
    const chunks = await this.#openChunks(this.#reader, signal);
    this.#chunks = chunks;
    pending.forEach((table, i) => {
      this.#byName.set(table.name, table);
      if (keyed[i] === false)
        this.#keyless.push(new KeylessRead(table, this.#options.codec, this.#mail.notify));
      else chunks.add(table);
    });
    for (;;) {
      this.#fill(chunks);
      if (chunks.nothingLeft && this.#keyless.length === 0) break;
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
        yield* this.#pass(next.value, chunks);
        this.#keylessCaughtUp();
      }
      yield* chunks.close();
      yield* this.#keylessRows();
    }
    onDone();
    return true;
  }

  async #openChunks(reader: WindowReader<P, S>, signal: AbortSignal): Promise<ChunkWindows<P, S>> {
    const { chunkRows, parallelism, nudge, deliver, log, now } = this.#options;
    const unseen = (await reader.unseen?.(signal)) ?? [];
    if (unseen.length > 0) {
      log.info(
        { transactions: unseen.length },
        'waiting for transactions that are not visible yet, perhaps for a synchronous standby, before rows are read',
      );
    }
    return new ChunkWindows(
      {
        reader,
        place: this.#place,
        chunkRows,
        lanes: Math.max(1, parallelism),
        nudge,
        deliver,
        background: (table, step) => this.#background(table, step),
        giveUp: (table, error) => this.#giveUp(table, error),
        done: (table) => this.#byName.delete(table.name),
        log,
        now,
        signal,
      },
      unseen,
    );
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

  /**
   * Notes what a batch of the stream touches; gives it without what a keyless table's view will show. Before it come the
   * ledgers that it has changed, for the same commit.
   */
  *#pass(batch: Batch<P, S>, chunks: ChunkWindows<P, S>): Generator<Batch<P, S>> {
    const { changes } = batch;
    let kept: Change<S>[] | null = null;
    let schemaId: TableId | null = null;
    let table: TableSnapshot | undefined;
    const ledgers = new Set<TableSnapshot>();
    let keyless: KeylessRead<P, S> | undefined;
    for (let i = 0; i < changes.length; i++) {
      const change = changes[i]!;
      if (change.kind !== 'message' && change.tx !== null) chunks.saw(change.tx.id);
      if (change.kind !== 'row' && change.kind !== 'truncate' && change.kind !== 'schema') {
        kept?.push(change);
        continue;
      }
      const id = change.kind === 'schema' ? change.id : change.table.id;
      if (id !== schemaId) {
        schemaId = id;
        table = this.#byName.get(tableName(id));
        keyless = table === undefined ? undefined : this.#keyless.find((read) => read.table === table);
      }
      if (keyless !== undefined && change.kind !== 'schema' && keyless.leavesOut(change)) {
        kept ??= changes.slice(0, i);
        continue;
      }
      kept?.push(change);
      if (table !== undefined && chunks.observe(table, change)) ledgers.add(table);
    }
    this.#place.moved(batch);
    if (this.#place.between) for (const read of this.#keyless) read.passed(batch.resume!);
    for (const changed of ledgers) {
      yield this.#options.deliver({ table: changed, rows: [], bytes: 0, first: false, last: false }, null);
    }
    yield kept === null ? batch : { ...batch, changes: kept };
  }

  #holdsStream(): boolean {
    return this.#place.between && this.#keyless.some((read) => read.holdsStream);
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

  /** Starts as much as may run at once. */
  #fill(chunks: ChunkWindows<P, S>): void {
    const { parallelism, source } = this.#options;
    // One that waits takes no lane: what it waits for may last for days, and nobody else need wait with it.
    let busy = chunks.busy + this.#keyless.filter((read) => read.started && !read.waits).length;
    for (; busy < Math.max(1, parallelism); busy++) {
      if (chunks.start()) continue;
      const next = this.#keyless.find((read) => !read.started);
      if (next === undefined || !this.#place.between) return;
      if (!this.#keyless.every((read) => read.letsOthersBegin)) return;
      next.start(source, this.#ending.signal);
    }
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

  #giveUp(table: TableSnapshot, error: HeadwaterError): void {
    if (table.failure !== null) return;
    table.failure = error;
    table.reading = false;
    this.#byName.delete(table.name);
    this.#chunks?.forget(table);
    const at = this.#keyless.findIndex((read) => read.table === table);
    if (at >= 0) this.#keyless.splice(at, 1);
    this.#options.onTableError(table, error);
  }

  // --- tables without a key ---

  #keylessCaughtUp(): void {
    const { chunkRows, now } = this.#options;
    for (const read of this.#keyless) {
      if (read.catchingUp && this.#place.passed(read.position))
        read.read({ chunkRows, now }, this.#ending.signal);
    }
  }

  async *#keylessRows(): AsyncGenerator<Batch<P, S>> {
    this.#keylessCaughtUp();
    for (const read of this.#keyless.filter(({ started }) => started)) {
      const { resume } = this.#place;
      if (resume !== null) {
        const delivery = read.take();
        if (delivery !== null) yield this.#options.deliver(delivery, resume);
      }
      if (!read.over) continue;
      if (read.failure !== null) {
        this.#giveUp(read.table, read.failure);
      } else if (read.table.done) {
        this.#keyless.splice(this.#keyless.indexOf(read), 1);
        this.#byName.delete(read.table.name);
        read.table.reading = false;
      }
    }
  }
}
