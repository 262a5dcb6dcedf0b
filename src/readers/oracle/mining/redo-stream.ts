import type { Batch } from '../../../model/batch.ts';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { tableName } from '../../../model/table.ts';
import type { Log } from '../../../observability/log.ts';
import { applyDdl, type DescribeTable } from '../apply-ddl.ts';
import type { CommitLog } from '../commit-log.ts';
import { serverOffsetMinutes } from '../database.ts';
import type { LogCollector } from '../logs/collect-logs.ts';
import {
  isDelivered,
  type OpenDelivery,
  type OraclePosition,
  type ThreadCommits,
  withCommit,
} from '../position.ts';
import { greatest, least } from '../scn.ts';
import { ServerClock } from '../server-clock.ts';
import { OracleError, type OracleSession } from '../session/oracle-session.ts';
import { filterOf, type OracleReaderOptions } from '../settings.ts';
import type { OracleSource, OracleTx } from '../source-info.ts';
import type { CapturedRef, TableHistory } from '../table-history.ts';
import { assemble, type AssemblerOptions, type Event } from '../transactions/assembler.ts';
import { sizeOf } from '../transactions/redo-item.ts';
import type { Transaction } from '../transactions/transaction.ts';
import type { TransactionBuffer } from '../transactions/transaction-buffer.ts';
import type { DecodeText } from '../types/character-sets.ts';
import type { Warnings } from '../warnings.ts';
import { joinContinued } from './continued-rows.ts';
import type { FlushWriter } from './flush-writer.ts';
import { MiningSession } from './mining-session.ts';
import { Outbox } from './outbox.ts';
import { Recovery } from './recovery.ts';
import {
  COMMIT,
  DDL,
  DELETE,
  INSERT,
  LOB_CODES,
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
import { ReadOnce } from './read-once.ts';
import { WindowSize } from './window.ts';

const FETCH_ROWS = 2_000;
const CLOCK_MS = 60_000;
/** A batch without changes at least so often: timers downstream run by them. */
const PROGRESS_MS = 1_000;
/** So many gaps in a row that LogMiner reports at one SCN, and the redo is lost. */
const MISSING_SCN_LIMIT = 3;

export interface RedoStreamParts {
  readonly options: OracleReaderOptions;
  readonly connectMining: () => Promise<OracleSession>;
  readonly utility: OracleSession;
  readonly collector: LogCollector;
  readonly history: TableHistory;
  readonly describe: DescribeTable;
  readonly buffer: TransactionBuffer;
  readonly decode: DecodeText;
  readonly flush: FlushWriter | null;
  readonly commitLog: CommitLog;
  readonly warnings: Warnings;
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
  readonly #from: OraclePosition;
  readonly #statement: () => string;
  readonly #assembler: AssemblerOptions;
  readonly #window: WindowSize;
  readonly #recovery = new Recovery();
  readonly #outbox: Outbox;
  readonly #once = new ReadOnce();
  readonly #filter: string;
  #clock = new ServerClock(0);
  #clockAt = -Infinity;
  #memoryAt = performance.now();
  #session: OracleSession | null = null;
  #mining: MiningSession | null = null;
  /** What committed at or below is delivered, and is not read again. */
  #read: bigint;
  #upTo: bigint;
  #commits: ReadonlyMap<number, ThreadCommits>;
  /** SCN of the row in hand; all below it is processed. */
  #at: bigint;
  #scn: bigint;
  #delivering: { readonly transaction: Transaction; readonly xid: string; done: number } | null = null;
  /** Ends of windows at the log's end, until all instances must have flushed what is before them. */
  #edges: { readonly scn: bigint; readonly at: number }[] = [];
  #extraLogs = 0;
  #lastStart: bigint | null = null;
  #missing: { readonly scn: bigint; readonly count: number } = { scn: 0n, count: 0 };
  /** The transaction that delivery was in when the position was stored, until its COMMIT comes by again. */
  #resumed: OpenDelivery | null;
  #reported: OraclePosition | null = null;
  #reportedAt = 0;

  constructor(parts: RedoStreamParts, from: OraclePosition) {
    this.#parts = parts;
    this.#from = from;
    const { options, history, warnings, decode } = parts;
    const { pdb, lobs, strategy, onUnreadable } = options;
    // A new table of another DDL is in the list from the next window on.
    this.#statement = () => redoStatement({ pdb, tables: history.names, lobs, unknown: true });
    this.#window = new WindowSize(options.limits);
    this.#outbox = new Outbox(options.limits.batchChanges);
    this.#filter = filterOf(options);
    this.#assembler = {
      history,
      decode,
      lobs,
      hybrid: strategy === 'hybrid',
      onUnreadable,
      warnings,
      drifted: async (ref, scn) => this.#drifted(ref, scn),
    };
    this.#read = from.scn;
    this.#at = from.scn;
    this.#scn = from.scn;
    this.#upTo = from.upTo;
    this.#commits = from.commits;
    this.#resumed = from.mid;
  }

  async *batches(signal: AbortSignal): AsyncGenerator<Batch<OraclePosition, OracleSource>> {
    const { options, collector, buffer, sleep } = this.#parts;
    const { archiveOnly, limits, lobs } = options;
    try {
      while (!signal.aborted) {
        await this.#lookAtClock();
        const edge = await collector.edge(this.#read);
        const start = this.#sessionStart();
        if (start !== this.#lastStart) this.#extraLogs = 0;
        this.#lastStart = start;
        if (edge === null || edge <= this.#read) {
          yield* this.#progress();
          await this.#flushRedo(signal);
          await sleep(archiveOnly ? limits.archivePollMs : limits.idleMs);
          continue;
        }
        const { selection } = await collector.collect(start, this.#extraLogs);
        const upper = least(edge, this.#read + this.#window.size, selection.upTo ?? edge);
        if (upper <= this.#read) {
          this.#extraLogs++; // an old transaction holds the start back: more logs lie in between
          continue;
        }
        const atEdge = upper === edge;
        const begun = performance.now();
        let activity: 'start' | 'fetch' = 'start';
        try {
          const mining = await this.#miningSession();
          await mining.start(selection.files, start, upper);
          activity = 'fetch';
          // LogMiner puts a LOB's operations together only where it sees them all.
          const low = lobs ? start : this.#once.low(this.#read);
          yield* this.#rows(mining, low, upper, signal);
          if (signal.aborted) break;
        } catch (error) {
          if (!(error instanceof OracleError) || signal.aborted) throw error;
          await this.#recover(error, activity, start);
          continue;
        }
        this.#recovery.succeeded();
        this.#windowDone(upper, atEdge);
        if (!atEdge) this.#window.took(performance.now() - begun);
        yield* this.#progress();
        await this.#rotate();
        if (atEdge) {
          await this.#flushRedo(signal);
          await sleep(archiveOnly ? limits.archivePollMs : limits.idleMs);
        }
      }
    } finally {
      await this.#mining?.end().catch(() => undefined); // a broken session has ended it
      await this.#session?.[Symbol.asyncDispose]();
      await buffer.close();
    }
  }

  // --- windows ---

  /** Before the first row of any transaction that is still open. */
  #sessionStart(): bigint {
    const oldest = this.#parts.buffer.oldest();
    return oldest === null ? this.#read : least(greatest(this.#scn, oldest - 1n), this.#read);
  }

  #windowDone(upper: bigint, atEdge: boolean): void {
    this.#once.windowDone(upper);
    if (!atEdge) {
      this.#read = upper;
    } else {
      // An instance may still flush older redo: only what it must have flushed by now is not read again.
      this.#read = greatest(this.#read, least(this.#at, upper), this.#settled());
      this.#edges.push({ scn: upper, at: performance.now() });
    }
    this.#at = greatest(this.#at, this.#read);
    this.#upTo = greatest(this.#upTo, upper);
  }

  #settled(): bigint {
    const until = performance.now() - this.#parts.options.limits.settleMs;
    let settled = 0n;
    while (this.#edges[0] !== undefined && this.#edges[0].at <= until) settled = this.#edges.shift()!.scn;
    return settled;
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
        if (!this.#outbox.empty) yield this.#batch();
        if (signal.aborted) return;
      }
      join.end();
    } finally {
      await cursor.close();
    }
  }

  /** Whether a row was not processed before, in an earlier reading of its range. */
  #isNew(row: RedoRow): boolean {
    if (row.scn <= this.#once.low(this.#read))
      return this.#parts.options.lobs && isChange(row.code) && this.#parts.buffer.has(row.xid);
    if (!this.#once.isNew(row)) return false;
    if (row.scn < this.#at) this.#parts.warnings.count('scn-went-back', row);
    else this.#at = row.scn;
    return true;
  }

  /** A row that only adds to what is open; false for any other. */
  #take(row: RedoRow, timeMs: number): boolean {
    const { buffer } = this.#parts;
    if (row.code === START) {
      buffer.start(row, timeMs);
      return true;
    }
    if (!isChange(row.code)) return false;
    const ref = this.#resolve(row);
    if (ref === null) return true;
    if (row.undo) buffer.undo(row, ref);
    else buffer.add(row, ref, timeMs);
    return true;
  }

  async *#process(row: RedoRow, timeMs: number): AsyncGenerator<Batch<OraclePosition, OracleSource>> {
    const { buffer, history } = this.#parts;
    switch (row.code) {
      case COMMIT:
        yield* this.#commit(row, timeMs);
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
        for (const change of changes) this.#outbox.push(change, row.sql?.length ?? 0);
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
    if (found !== null && options.strategy === 'online_catalog') {
      throw new HeadwaterError(
        'source.redo-unreadable',
        `A change of ${tableName(found.id)} from before a DDL cannot be read with the dictionary of today, at SCN ${row.scn}.`,
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

  // --- delivery ---

  async *#commit(row: RedoRow, timeMs: number): AsyncGenerator<Batch<OraclePosition, OracleSource>> {
    const { buffer, options, commitLog, warnings } = this.#parts;
    const { xid, scn, thread } = row;
    const transaction = buffer.take(xid);
    if (transaction === undefined) return;
    const boundary = { ...this.#from, commits: this.#commits };
    if (transaction.count === 0 || isDelivered(boundary, { scn, thread, xid })) {
      await transaction.forget();
      return;
    }
    const tx: OracleTx = {
      id: xid,
      commitTimeUs: timeMs * 1000,
      commitScn: scn,
      commitThread: thread,
      startScn: transaction.startScn,
      startTimeMs: transaction.startTimeMs,
      user: transaction.user ?? row.user,
    };
    const mid = this.#resumed?.xid === xid ? this.#resumed : null;
    this.#resumed = null;
    if (mid !== null && mid.filter !== this.#filter) warnings.count('recounted', row);
    const skip = mid !== null && mid.filter === this.#filter ? mid.done : 0;
    commitLog.add(xid, scn);
    const here: OracleSource = {
      connector: 'oracle',
      scn,
      timeMs,
      tx,
      rsId: row.rsId,
      ssn: row.ssn,
      thread,
      rowId: null,
      txSeq: null,
    };
    const delivering = { transaction, xid, done: 0 };
    this.#delivering = delivering;
    try {
      let begun = skip > 0 || !options.transactionMetadata;
      for await (const events of assemble(transaction, this.#assembler)) {
        for (const event of events) {
          if (++delivering.done <= skip) continue;
          if (!begun) this.#outbox.push({ kind: 'begin', tx, at: here }, 0);
          begun = true;
          this.#push(event, tx, delivering.done - 1);
          if (this.#outbox.full) yield this.#batch();
        }
      }
      if (options.transactionMetadata && begun && delivering.done > 0) {
        this.#outbox.push({ kind: 'end', tx, at: here }, 0);
      }
    } finally {
      this.#delivering = null;
      await transaction.forget();
    }
    this.#commits = withCommit(this.#commits, { scn, thread, xid });
    if (this.#outbox.full) yield this.#batch();
  }

  #push(event: Event, tx: OracleTx, seq: number): void {
    const { item, model } = event;
    const at: OracleSource = {
      connector: 'oracle',
      scn: item.scn,
      timeMs: item.timeMs,
      tx,
      rsId: item.rsId,
      ssn: item.ssn,
      thread: item.thread,
      rowId: item.rowId,
      txSeq: seq + 1,
    };
    const table = model.schema;
    if (event.kind === 'truncate') {
      this.#outbox.push({ kind: 'truncate', table, tx, seq, at }, sizeOf(item));
      return;
    }
    const { op, before, after, unreadable } = event;
    const change = { kind: 'row', op, table, before, after, tx, seq, at, snapshot: null } as const;
    this.#outbox.push(unreadable === null ? change : { ...change, unreadable }, sizeOf(item));
  }

  #position(): OraclePosition {
    const delivering = this.#delivering;
    const read = greatest(this.#read, this.#at - 1n);
    const oldest = this.#parts.buffer.oldest();
    let scn = oldest === null ? read : least(read, oldest - 1n);
    if (delivering !== null) scn = least(scn, delivering.transaction.since - 1n);
    // Never back: what comes into play later wrote nothing before.
    this.#scn = greatest(this.#scn, scn);
    const { read: boundary } = this.#from;
    const mid =
      delivering === null || delivering.done === 0
        ? this.#resumed
        : { xid: delivering.xid, done: delivering.done, filter: this.#filter };
    return {
      scn: this.#scn,
      read: greatest(read, boundary),
      upTo: greatest(this.#upTo, read),
      commits: this.#commits,
      mid,
    };
  }

  #batch(): Batch<OraclePosition, OracleSource> {
    const position = this.#position();
    this.#reported = position;
    this.#reportedAt = performance.now();
    return this.#outbox.take(position, this.#parts.history.takeChanged(position.scn));
  }

  /** What is there, and where there is nothing how far the log has been read. */
  *#progress(): Generator<Batch<OraclePosition, OracleSource>> {
    const { scn, upTo } = this.#position();
    const moved = this.#reported === null || scn !== this.#reported.scn || upTo !== this.#reported.upTo;
    if (this.#outbox.empty && !moved && performance.now() - this.#reportedAt < PROGRESS_MS) return;
    yield this.#batch();
  }

  // --- the session ---

  async #miningSession(): Promise<MiningSession> {
    this.#session ??= await this.#parts.connectMining();
    this.#mining ??= new MiningSession(this.#session);
    return this.#mining;
  }

  async #recover(error: OracleError, activity: 'start' | 'fetch', start: bigint): Promise<void> {
    const { log, collector, options, sleep } = this.#parts;
    this.#once.windowFailed();
    log.info(
      { error: error.message, activity, start: String(start), window: String(this.#window.size) },
      'reading the redo log was interrupted; the window is read again',
    );
    let kind;
    try {
      kind = this.#recovery.next(error, { while: activity });
    } catch (mapped) {
      if (!(mapped instanceof HeadwaterError) || mapped.code !== 'source.log-missing') throw mapped;
      throw await collector.missing(start, `LogMiner says ${error.message}`);
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
    // Whatever it was, the next window begins with a LogMiner session of its own.
    await this.#mining?.end().catch(() => undefined);
    this.#mining = null;
    if (kind === 'log-moved' || kind === 'passing') await sleep(options.limits.logRetryMs);
  }

  /** LogMiner's memory at the server only grows: now and then its session ends, and if need be its connection. */
  async #rotate(): Promise<void> {
    const { limits } = this.#parts.options;
    const mining = this.#mining;
    if (mining === null) return;
    const now = performance.now();
    if (mining.since > 0 && now - mining.since > limits.sessionMs) await mining.end();
    if (now - this.#memoryAt < limits.memoryCheckMs) return;
    this.#memoryAt = now;
    if ((await mining.memory()) <= limits.sessionMemoryBytes) return;
    await mining.end();
    this.#mining = null;
    await this.#session?.[Symbol.asyncDispose]();
    this.#session = null;
  }

  async #flushRedo(signal: AbortSignal): Promise<void> {
    await this.#parts.flush?.flush(this.#upTo, signal);
  }

  async #lookAtClock(): Promise<void> {
    const now = performance.now();
    if (now - this.#clockAt < CLOCK_MS) return;
    const offset = await serverOffsetMinutes(this.#parts.utility);
    if (this.#clockAt === -Infinity) this.#clock = new ServerClock(offset);
    else this.#clock.offsetMinutes = offset;
    this.#clockAt = now;
  }

  /** A row names a column that the table did not have at its SCN. */
  async #drifted(ref: CapturedRef, scn: bigint): Promise<void> {
    const { describe, history, warnings } = this.#parts;
    warnings.count('schema-drift', { scn, table: tableName(ref.id) });
    const described = await describe(ref.id);
    if (described !== null) history.evolve(ref, scn, { ...described, approximate: true });
  }
}

function isChange(code: number): boolean {
  return code === INSERT || code === UPDATE || code === DELETE || code === UNSUPPORTED || isLob(code);
}

function isLob(code: number): boolean {
  return (LOB_CODES as readonly number[]).includes(code);
}

/** Names that LogMiner makes up where the dictionary has none, and those of dropped tables. */
function isNameless(table: string): boolean {
  return table.startsWith('OBJ#') || table.startsWith('BIN$') || table === 'UNKNOWN';
}
