import { HeadwaterError } from '../../errors/headwater-error.ts';
import type { Batch } from '../../model/batch.ts';
import { tableName, type TableSchema } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import type { SnapshotSource } from '../../snapshot/snapshot-source.ts';
import { POLL_PREFIX, TABLE_PREFIX } from '../../state/checkpoint.ts';
import { type PollDialect, type PolledTable, type PollMark } from '../poll-dialect.ts';
import { SchemaVersions } from '../schema-versions.ts';
import type { CapturedTable, Finding, Head, Opened, OpenRequest, Reader, StoredLog } from '../reader.ts';
import {
  type Beginning,
  beginAt,
  decodeBeginning,
  decodeCursor,
  encodeBeginning,
  type TableCursor,
} from './cursor.ts';
import { beginNumbers } from './begin-numbers.ts';
import { STEP_US } from './horizon.ts';
import { Marks } from './marks.ts';
import { NOTHING, type PolledBlock } from './pass-context.ts';
import { POLL_POSITIONS, type PollPosition } from './position.ts';
import { RowState } from './row-state.ts';
import type { PollReaderOptions } from './settings.ts';
import { snapshotsBeside } from './snapshot-source.ts';
import type { PollSource } from './source-info.ts';
import { limitationOf, refuseKeyless } from './table-limits.ts';
import { TablePoll } from './table-poll.ts';

/** `number` gives a schema the version number it has in the pipeline. */
export type MakeDialect = (number: (schema: TableSchema) => TableSchema) => PollDialect;

/** Tables that are asked again and again for what is new. Connects when first asked for something. */
export function createPollingReader(
  options: PollReaderOptions,
  dialect: MakeDialect,
  log: Log,
): Reader<PollPosition, PollSource> {
  return new PollingReader(options, dialect, log);
}

class PollingReader implements Reader<PollPosition, PollSource> {
  readonly codec = POLL_POSITIONS;
  readonly #options: PollReaderOptions;
  readonly #dialect: PollDialect;
  readonly #log: Log;
  readonly #marks: Marks;
  #captured: readonly CapturedTable[] = [];
  #polls: readonly TablePoll[] = [];
  #rowState: RowState | null = null;
  #versions = new SchemaVersions(new Map());
  /** State that leaves with the first batch. */
  #unsaved = new Map<string, string | null>();
  #position: PollPosition = { round: 0, batch: 0, kept: null, from: null };
  /** Where `head` is while a round is under way, or none has been since the start. */
  #ahead = 1;
  /** Transactions up to here were there when reading began: a round counts only when they have ended. */
  #startBound: bigint | null = null;
  #wake: (() => void) | null = null;
  #nudged = false;
  #toldFull = false;
  #reading = false;

  constructor(options: PollReaderOptions, dialect: MakeDialect, log: Log) {
    this.#options = options;
    this.#dialect = dialect((schema) => this.#versions.number(schema));
    this.#log = log;
    this.#marks = new Marks(this.#dialect, options.clocks, log);
  }

  preflight(signal: AbortSignal): Promise<readonly Finding[]> {
    return this.#dialect.preflight(signal);
  }

  async tables(
    signal: AbortSignal,
    onUnmatched?: (message: string) => void,
  ): Promise<readonly CapturedTable[]> {
    this.#captured = (await this.#dialect.tables(signal, onUnmatched)).map((table) => ({
      ...table,
      limitation: limitationOf(table, this.#options),
    }));
    return this.#captured;
  }

  async describe(signal: AbortSignal): Promise<readonly TableSchema[]> {
    const ids = this.#captured.map(({ id }) => id);
    return (await this.#dialect.describe(ids, signal)).map(({ schema }) => schema);
  }

  async examine(
    { stored, lost = null }: StoredLog<PollPosition>,
    signal: AbortSignal,
  ): Promise<string | null> {
    if (stored === null) return null;
    if (lost !== null) return lost;
    const same = stored.identity === (await this.#dialect.identity(signal));
    return same ? null : 'another server, or another history of it, answers now';
  }

  async open(request: OpenRequest<PollPosition>, signal: AbortSignal): Promise<Opened<PollPosition>> {
    if (this.#captured.length === 0) await this.tables(signal);
    const identity = await this.#dialect.identity(signal);
    const { stored } = request;
    const reason = await this.examine(request, signal);
    if (reason !== null && this.#options.onGap === 'fail') {
      throw new HeadwaterError(
        'source.position-lost',
        `Polling cannot go on from the checkpoint: ${reason}.`,
      );
    }
    this.#versions = new SchemaVersions(request.state ?? new Map());
    this.#dialect.forget();
    const mark = await this.#mark(signal);
    const now = beginningAt(mark, this.#marks.ahead?.leastUs ?? null);
    const goesOn = stored !== null && reason === null;
    this.#position = goesOn
      ? stored.position
      : {
          round: stored?.position.round ?? 0,
          batch: stored?.position.batch ?? 0,
          kept: null,
          from: encodeBeginning(now),
        };
    this.#resume(goesOn ? (request.state ?? new Map()) : new Map(), now);
    this.#noteSetBackMeanwhile();
    const tables = await this.#dialect.describe(
      this.#polls.map(({ id }) => id),
      signal,
    );
    refuseKeyless(tables, this.#options);
    this.#openRowState(request.state ?? new Map(), { goesOn, tables });
    await beginNumbers(
      {
        dialect: this.#dialect,
        polls: this.#polls,
        tables,
        horizon: this.#marks.horizon,
        mark: () => this.#mark(signal),
      },
      signal,
    );
    const start = this.#position;
    return {
      identity,
      continuity:
        reason !== null
          ? { kind: 'gap', reason, start }
          : stored === null
            ? { kind: 'fresh', start }
            : { kind: 'continuous' },
    };
  }

  head(): Promise<Head<PollPosition>> {
    const { round } = this.#position;
    return Promise.resolve({
      position: { ...this.#position, round: round + this.#ahead, batch: 0 },
      retainedBytes: null,
    });
  }

  async checkTables(signal: AbortSignal): Promise<void> {
    if ((await this.#options.logIsReadable?.(signal)) === true) {
      throw new HeadwaterError(
        'source.log-readable',
        'The log, which could not be read before, can be read now: it takes the place of polling.',
      );
    }
    // The list alone: what a pattern no longer matches is said at the next start.
    const now = await this.#dialect.tables(signal, () => {});
    const names = (tables: readonly CapturedTable[]): string =>
      tables
        .map(({ id }) => tableName(id))
        .sort()
        .join(', ');
    if (names(now) === names(this.#captured)) return;
    throw new HeadwaterError(
      'source.tables-changed',
      'The settings match other tables now than those that are polled.',
    );
  }

  async *read(from: PollPosition, signal: AbortSignal): AsyncGenerator<Batch<PollPosition, PollSource>> {
    this.#position = { ...from, kept: this.#rowState?.kept ?? null };
    // Tables of which something may be missing that had been committed when reading began: no round counts before.
    const owed = new Set(this.#polls);
    while (!signal.aborted) {
      const due = this.#polls.filter(({ dueAt }) => dueAt <= performance.now());
      if (due.length === 0) {
        await this.#sleep(Math.min(...this.#polls.map(({ dueAt }) => dueAt)) - performance.now(), signal);
        if (this.#nudged) yield this.#batch(NOTHING);
        this.#nudged = false;
        continue;
      }
      this.#ahead = 1;
      this.#reading = true;
      const mark = await this.#mark(signal);
      this.#startBound ??= mark.versions?.next ?? 0n;
      const tables = await this.#dialect.describe(
        due.map(({ id }) => id),
        signal,
      );
      const byName = new Map(tables.map((table) => [tableName(table.schema.id), table]));
      const context = {
        dialect: this.#dialect,
        mark,
        aheadUs: this.#marks.ahead?.leastUs ?? null,
        horizon: this.#marks.horizon,
        overlapUs: this.#options.overlapMs * 1000,
        batchRows: this.#options.batchRows,
        rowState: this.#rowState,
        next: () => this.#next(mark),
      };
      // What had ended when reading began is seen by a pass that begins once those have ended that ran then.
      const ended = mark.versions === null || mark.versions.oldest >= this.#startBound;
      const whole = ended ? due.filter((poll) => !poll.goesOn) : [];
      for (const poll of due) {
        const table = byName.get(tableName(poll.id));
        if (table === undefined) {
          throw new HeadwaterError('source.tables-changed', `The table ${tableName(poll.id)} is gone.`);
        }
        for await (const block of poll.pass(table, context, signal)) yield this.#batch(block);
        if (signal.aborted) return;
      }
      for (const poll of whole) owed.delete(poll);
      const complete = owed.size === 0;
      if (complete) this.#position = { ...this.#position, round: this.#position.round + 1 };
      this.#ahead = complete ? 0 : 1;
      this.#reading = false;
      this.#noteFull();
      yield this.#batch(NOTHING);
    }
  }

  #noteFull(): void {
    if (this.#rowState?.full !== true || this.#toldFull) return;
    this.#toldFull = true;
    this.#log.warn(
      { limitBytes: this.#options.stateLimitBytes },
      'what is kept of rows has reached source.poll.remember_limit: rows that come from here on are not remembered, and those read whole, or within the overlap, are emitted again and again',
    );
  }

  confirm(position: PollPosition): void {
    this.#rowState?.confirm(position.batch);
  }

  nudge(): void {
    this.#nudged = true;
    this.#wake?.();
  }

  snapshotSource(): SnapshotSource<PollPosition, PollSource> {
    return snapshotsBeside(this.#dialect, {
      position: () => this.#position,
      reading: () => this.#reading,
      options: this.#options,
      rowState: () => this.#rowState,
      sinceUs: (id) => {
        const poll = this.#polls.find((each) => tableName(each.id) === tableName(id));
        return poll?.lowUs(this.#options.overlapMs * 1000) ?? null;
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#rowState?.close();
    this.#rowState = null;
    await this.#dialect[Symbol.asyncDispose]();
  }

  async #mark(signal: AbortSignal): Promise<PollMark> {
    const { mark, backUs } = await this.#marks.take(signal);
    if (backUs !== null)
      this.#setBack((poll) => poll.clockSetBack(backUs, this.#marks.ahead?.leastUs ?? null));
    return mark;
  }

  #setBack(each: (poll: TablePoll) => void): void {
    this.#log.warn({}, 'the clock of the source was set back; what was written since is looked for again');
    this.#polls.forEach(each);
  }

  /** Since the checkpoint, which says how the source's clock stood to ours. */
  #noteSetBackMeanwhile(): void {
    const now = this.#marks.ahead;
    if (now === null) return;
    const behind = ({ aheadUs }: TableCursor): number => (aheadUs === null ? 0 : aheadUs - now.mostUs);
    if (!this.#polls.some(({ cursor }) => behind(cursor) > STEP_US)) return;
    this.#setBack((poll) => {
      const { us } = poll.cursor;
      if (us !== null) poll.clockSetBack(us - Math.max(0, behind(poll.cursor)), now.leastUs);
    });
  }

  #resume(state: ReadonlyMap<string, string>, now: Beginning): void {
    const names = new Set(this.#captured.map(({ id }) => tableName(id)));
    for (const key of state.keys()) {
      if (key.startsWith(POLL_PREFIX) && !names.has(key.slice(POLL_PREFIX.length)))
        this.#unsaved.set(key, null);
    }
    this.#polls = this.#captured.map(({ id }) => {
      const settings = this.#options.settingsOf(id);
      const key = POLL_PREFIX + tableName(id);
      const text = state.get(key);
      const began = state.has(TABLE_PREFIX + tableName(id));
      if (text !== undefined)
        return new TablePoll(id, settings, { cursor: decodeCursor(text, key), saved: true, began });
      // Its snapshot has begun: what was written since is not known from anywhere else.
      const beginning = began ? decodeBeginning(this.#position.from) : now;
      return new TablePoll(id, settings, { cursor: beginAt(beginning), saved: false, began });
    });
  }

  #openRowState(
    state: ReadonlyMap<string, string>,
    { goesOn, tables }: { readonly goesOn: boolean; readonly tables: readonly PolledTable[] },
  ): void {
    const versioned = new Set(
      tables.filter((table) => table.versioned).map(({ schema }) => tableName(schema.id)),
    );
    const needed = this.#polls.some(
      ({ id, settings }) => settings.remember !== 'overlap' || !versioned.has(tableName(id)),
    );
    if (!needed) return;
    const { statePath: path, stateLimitBytes: limitBytes, snapshots } = this.#options;
    this.#rowState = new RowState({ path, limitBytes }, this.#position.kept);
    this.#rowState.goOnFrom(this.#position.batch);
    if (this.#rowState.fresh && goesOn) {
      this.#log.warn(
        { path },
        'the local state of polling does not belong to the checkpoint; rows of the overlap are emitted again',
      );
    }
    for (const { id, settings } of this.#polls) {
      const begins = !goesOn || !state.has(TABLE_PREFIX + tableName(id));
      if (snapshots && begins && settings.remember !== 'overlap') this.#rowState.beginTable(tableName(id));
    }
    this.#position = { ...this.#position, kept: this.#rowState.kept };
  }

  #next({ clockUs }: PollMark): PollSource {
    this.#position = { ...this.#position, batch: this.#position.batch + 1 };
    return { connector: 'polling', readUs: clockUs, batch: this.#position.batch };
  }

  #batch({ changes, bytes, state, release }: PolledBlock): Batch<PollPosition, PollSource> {
    // Each has a position of its own: windows of a snapshot close by it.
    if (changes.length === 0) this.#position = { ...this.#position, batch: this.#position.batch + 1 };
    this.#position = { ...this.#position, kept: this.#rowState?.kept ?? null };
    const batch = { changes, bytes, resume: this.#position, release };
    const versions = this.#versions.takeChanged();
    if (state === undefined && versions === undefined && this.#unsaved.size === 0) return batch;
    const unsaved = this.#unsaved;
    this.#unsaved = new Map();
    return { ...batch, state: new Map([...unsaved, ...(versions ?? []), ...(state ?? [])]) };
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#nudged) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#wake = null;
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, ms));
      signal.addEventListener('abort', done, { once: true });
      this.#wake = done;
      if (signal.aborted) done();
    });
  }
}

function beginningAt(
  { clockUs, running, hidden, startedUs, versions }: PollMark,
  aheadUs: number | null,
): Beginning {
  const nobody = running.length === 0 && !hidden;
  return { from: versions?.oldest ?? null, us: nobody ? clockUs : startedUs, aheadUs };
}
