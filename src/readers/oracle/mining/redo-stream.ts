import type { Batch } from '../../../model/batch.ts';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { tableName } from '../../../model/table.ts';
import type { Log } from '../../../observability/log.ts';
import { applyDdl } from '../apply-ddl.ts';
import { serverOffsetMinutes } from '../database.ts';
import type { LogCollector } from '../logs/collect-logs.ts';
import type { LogSelection } from '../logs/select-logs.ts';
import type { OraclePosition } from '../position.ts';
import { greatest, least } from '../scn.ts';
import { ServerClock } from '../server-clock.ts';
import { OracleError, type OracleSession } from '../session/oracle-session.ts';
import type { OracleSource } from '../source-info.ts';
import type { CapturedRef } from '../table-history.ts';
import { joinContinued } from './continued-rows.ts';
import { Delivery, type DeliveryParts } from './delivery.ts';
import type { FlushWriter } from './flush-writer.ts';
import { Frontier } from './frontier.ts';
import type { MiningSession } from './mining-session.ts';
import { MiningSessions } from './mining-sessions.ts';
import { Recovery } from './recovery.ts';
import {
  COMMIT,
  DDL,
  DELETE,
  INSERT,
  INTERNAL,
  isLob,
  MISSING_SCN,
  REPLICATION_MARKER,
  type RedoRow,
  redoRow,
  redoStatement,
  ROLLBACK,
  START,
  UNSUPPORTED,
  UPDATE,
} from './redo-row.ts';
import { WindowSize } from './window.ts';

const FETCH_ROWS = 2_000;
const CLOCK_MS = 60_000;
/** So many gaps in a row that LogMiner reports at one SCN, and the redo is lost. */
const MISSING_SCN_LIMIT = 3;

export interface RedoStreamParts extends DeliveryParts {
  readonly connectMining: () => Promise<OracleSession>;
  readonly utility: OracleSession;
  readonly collector: LogCollector;
  readonly flush: FlushWriter | null;
  readonly log: Log;
  /** Ends early when the reader is nudged. */
  readonly sleep: (ms: number) => Promise<void>;
}

/**
 * The redo log as committed transactions: mines it window by window, keeps open transactions, delivers them as
 * their COMMIT comes by. One object for one attempt.
 */
export class RedoStream {
  readonly #parts: RedoStreamParts;
  readonly #statement: () => string;
  readonly #window: WindowSize;
  readonly #recovery = new Recovery();
  readonly #delivery: Delivery;
  readonly #frontier: Frontier;
  readonly #sessions: MiningSessions;
  #clock = new ServerClock(0);
  #clockAt = -Infinity;
  #extraLogs = 0;
  #lastStart: bigint | null = null;
  /** Mining begins no earlier: the log before it is gone, and what has been read of it is kept here. */
  #floor = 0n;
  #missing: { readonly scn: bigint; readonly count: number } = { scn: 0n, count: 0 };

  constructor(parts: RedoStreamParts, from: OraclePosition) {
    this.#parts = parts;
    const { options, history } = parts;
    const { pdb, lobs } = options;
    // A new table of another DDL is in the list from the next window on.
    this.#statement = () =>
      redoStatement({
        pdb,
        tables: history.names,
        lobs,
        statementEnds: history.hasLargeColumns,
      });
    this.#window = new WindowSize(options.limits);
    this.#frontier = new Frontier(from, options.limits.settleMs);
    this.#sessions = new MiningSessions({
      connect: parts.connectMining,
      limits: options.limits,
      dictionary: options.strategy === 'redo_log_catalog' ? 'redo' : 'online',
      reconnects: options.sessionReconnect,
    });
    this.#delivery = new Delivery(parts, from, this.#frontier);
  }

  async *batches(signal: AbortSignal): AsyncGenerator<Batch<OraclePosition, OracleSource>> {
    const { options, collector, buffer, sleep } = this.#parts;
    const frontier = this.#frontier;
    const { archiveOnly, limits, lobs } = options;
    try {
      while (!signal.aborted) {
        await this.#lookAtClock();
        await collector.dictionaries?.keepUp();
        const edge = await collector.edge(frontier.read);
        const start = greatest(frontier.sessionStart(buffer.oldest()), this.#floor);
        if (start !== this.#lastStart) this.#extraLogs = 0;
        this.#lastStart = start;
        if (edge === null || edge <= frontier.read) {
          yield* this.#delivery.progress();
          await this.#flushRedo(signal);
          await sleep(archiveOnly ? limits.archivePollMs : limits.idleMs);
          continue;
        }
        const selection = await this.#collect(start);
        if (selection === null) continue;
        const upper = least(edge, frontier.read + this.#window.size, selection.upTo ?? edge);
        if (upper <= frontier.read) {
          this.#extraLogs++; // an old transaction holds the start back: more logs lie in between
          continue;
        }
        const atEdge = upper === edge;
        const begun = performance.now();
        let activity: 'start' | 'fetch' = 'start';
        try {
          const mining = await this.#sessions.get();
          await mining.start(selection.files, start, upper);
          activity = 'fetch';
          // LogMiner puts a LOB's operations together only where it sees them all.
          const low = lobs ? start : frontier.low;
          yield* this.#rows(mining, low, upper, signal);
          if (signal.aborted) break;
        } catch (error) {
          if (!(error instanceof OracleError) || signal.aborted) throw error;
          await this.#recover(error, activity, start);
          continue;
        }
        this.#recovery.succeeded();
        frontier.windowDone(upper, atEdge);
        if (!atEdge) this.#window.took(performance.now() - begun);
        yield* this.#delivery.progress();
        await this.#sessions.rotate();
        if (atEdge) {
          await this.#flushRedo(signal);
          await sleep(archiveOnly ? limits.archivePollMs : limits.idleMs);
        }
      }
    } finally {
      await this.#sessions[Symbol.asyncDispose]();
      await buffer.close();
    }
  }

  /**
   * The files to mine from there. Null where an open transaction has begun before what is still archived: from now on
   * mining begins with what has not been read yet.
   */
  async #collect(start: bigint): Promise<LogSelection | null> {
    const { collector, warnings } = this.#parts;
    try {
      return (await collector.collect(start, this.#extraLogs)).selection;
    } catch (error) {
      const { read } = this.#frontier;
      if (start >= read || !(error instanceof HeadwaterError) || !isLogGone(error)) throw error;
      warnings.count('begin-gone', { scn: start });
      this.#floor = read;
      return null;
    }
  }

  async *#rows(
    mining: MiningSession,
    low: bigint,
    upper: bigint,
    signal: AbortSignal,
  ): AsyncGenerator<Batch<OraclePosition, OracleSource>> {
    const { options, buffer } = this.#parts;
    const { pdb, limits } = options;
    const binds = { low: String(low), high: String(upper), ...(pdb === null ? {} : { pdb }) };
    const cursor = await mining.open(this.#statement(), binds);
    const join = joinContinued(limits.statementBytes);
    try {
      for (;;) {
        const rows = await cursor.next(FETCH_ROWS);
        if (rows.length === 0) break;
        for (const raw of rows) {
          const row = join.next(redoRow(raw));
          if (row === null || !this.#isNew(row)) continue;
          const timeMs = this.#clock.utcMs(row.time);
          // Nearly all rows; the others may have to wait, or end in a batch.
          if (!this.#take(row, timeMs)) yield* this.#process(row, timeMs);
        }
        if (buffer.mustSpill) await buffer.spill();
        if (!this.#delivery.empty) yield this.#delivery.batch();
        if (signal.aborted) return;
      }
      join.end();
    } finally {
      await cursor.close();
    }
  }

  /** Whether a row was not processed before, in an earlier reading of its range. */
  #isNew(row: RedoRow): boolean {
    const frontier = this.#frontier;
    if (row.scn <= frontier.low)
      return this.#parts.options.lobs && isChange(row.code) && this.#parts.buffer.has(row.xid);
    if (!frontier.isNew(row)) return false;
    if (!frontier.moveTo(row)) this.#parts.warnings.count('scn-went-back', row);
    return true;
  }

  /** A row that only adds to what is open; false for any other. */
  #take(row: RedoRow, timeMs: number): boolean {
    const { buffer } = this.#parts;
    if (row.code === START) {
      buffer.start(row, timeMs);
      return true;
    }
    if (row.code === INTERNAL) {
      this.#endStatement(row, timeMs);
      return true;
    }
    if (!isChange(row.code)) return false;
    const ref = this.#resolve(row);
    if (ref === null) return true;
    if (row.undo) buffer.undo(row, ref);
    else buffer.add(row, ref, timeMs);
    return true;
  }

  /** What it has done to a LOB alone is in no row that is read without `lobs`, and may be undone. */
  #endStatement(row: RedoRow, timeMs: number): void {
    const { buffer, history, options } = this.#parts;
    const ref = history.findObject(row.objectId, row.dataObjectId);
    if (buffer.endStatement(row, ref) || options.lobs || ref === null) return;
    if (history.current(ref).decoders.some(({ large }) => large)) buffer.add(row, ref, timeMs);
  }

  async *#process(row: RedoRow, timeMs: number): AsyncGenerator<Batch<OraclePosition, OracleSource>> {
    const { buffer, history } = this.#parts;
    switch (row.code) {
      case COMMIT:
        yield* this.#delivery.commit(row, timeMs);
        return;
      case ROLLBACK:
      case REPLICATION_MARKER:
        await buffer.rollback(row);
        return;
      case MISSING_SCN:
        this.#missingScn(row);
        return;
      case DDL: {
        const ref = row.owner === null || row.table === null ? null : history.find(row.owner, row.table);
        if (ref === null || row.undo) return;
        const { changes, truncates } = await applyDdl(row, ref, this.#parts, timeMs);
        this.#delivery.pushDdl(row, changes);
        if (truncates) buffer.add(row, ref, timeMs);
      }
    }
  }

  /** The captured table of a row; null for others'. */
  #resolve(row: RedoRow): CapturedRef | null {
    const { history, options, buffer } = this.#parts;
    const { owner, table } = row;
    if (table === null) return isLob(row.code) ? buffer.lastRef(row.xid) : null;
    const ref = owner === null ? null : history.find(owner, table);
    if (ref !== null || !isNameless(table)) return ref;
    const found = history.findObject(row.objectId, row.dataObjectId);
    if (found !== null && options.strategy !== 'hybrid') {
      throw new HeadwaterError(
        'source.redo-unreadable',
        `A change of ${tableName(found.id)} from before a DDL cannot be read with the dictionary that LogMiner has, at SCN ${row.scn}.`,
        {
          fix: 'Use source.oracle.strategy: hybrid; or before a DDL stop the writers, let Headwater catch up, run it, let Headwater catch up again, and go on.',
          details: { table: tableName(found.id), scn: String(row.scn) },
        },
      );
    }
    return found;
  }

  #missingScn(row: RedoRow): void {
    this.#parts.warnings.count('missing-scn', row);
    this.#missing = { scn: row.scn, count: this.#missing.scn === row.scn ? this.#missing.count + 1 : 1 };
    if (this.#missing.count < MISSING_SCN_LIMIT) return;
    throw new HeadwaterError(
      'source.position-lost',
      `LogMiner reports a gap in the redo log at SCN ${row.scn}.`,
      {
        details: { scn: String(row.scn) },
      },
    );
  }

  async #recover(error: OracleError, activity: 'start' | 'fetch', start: bigint): Promise<void> {
    const { log, collector, options, sleep } = this.#parts;
    this.#frontier.windowFailed();
    const window = String(this.#window.size);
    const files = activity === 'start' ? await this.#sessions.files() : undefined;
    log.info(
      { error: error.message, activity, start: String(start), window, files },
      'reading the redo log was interrupted; the window is read again',
    );
    let kind;
    try {
      kind = this.#recovery.next(error, { while: activity });
    } catch (mapped) {
      if (!(mapped instanceof HeadwaterError) || mapped.code !== 'source.log-missing') throw mapped;
      throw await collector.missing(start, `LogMiner says ${error.message}`);
    }
    if (kind === 'memory') {
      this.#window.halve();
      await this.#sessions.reconnect();
      await sleep(options.limits.logRetryMs);
      return;
    }
    if (kind === 'timeout' && !this.#window.halve()) {
      throw new HeadwaterError(
        'source.query-interrupted',
        `The smallest part of the redo log takes too long to read (${error.message}).`,
        {
          fix: 'Raise source.oracle.query_timeout.',
          cause: error,
        },
      );
    }
    await this.#sessions.drop();
    if (kind === 'log-moved' || kind === 'passing') await sleep(options.limits.logRetryMs);
  }

  async #flushRedo(signal: AbortSignal): Promise<void> {
    await this.#parts.flush?.flush(this.#frontier.upTo, signal);
  }

  async #lookAtClock(): Promise<void> {
    const now = performance.now();
    if (now - this.#clockAt < CLOCK_MS) return;
    const offset = await serverOffsetMinutes(this.#parts.utility);
    if (this.#clockAt === -Infinity) this.#clock = new ServerClock(offset);
    else this.#clock.asked(offset, Date.now());
    this.#clockAt = now;
  }
}

function isChange(code: number): boolean {
  return code === INSERT || code === UPDATE || code === DELETE || code === UNSUPPORTED || isLob(code);
}

function isLogGone({ code }: HeadwaterError): boolean {
  return code === 'source.position-lost' || code === 'source.log-missing';
}

/** Names that LogMiner makes up where the dictionary has none, and those of dropped tables. */
function isNameless(table: string): boolean {
  return table.startsWith('OBJ#') || table.startsWith('BIN$') || table === 'UNKNOWN';
}
