import type { Batch } from '../../../model/batch.ts';
import type { Change } from '../../../model/change.ts';
import { tableName } from '../../../model/table.ts';
import type { DescribeTable } from '../apply-ddl.ts';
import type { CommitLog } from '../commit-log.ts';
import {
  isDelivered,
  type OpenDelivery,
  type OraclePosition,
  type ThreadCommits,
  withCommit,
} from '../position.ts';
import { filterOf, type OracleReaderOptions } from '../settings.ts';
import type { OracleSource, OracleTx } from '../source-info.ts';
import type { CapturedRef, TableHistory } from '../table-history.ts';
import { assemble, type AssemblerOptions, type Event } from '../transactions/assembler.ts';
import { sizeOf } from '../transactions/redo-item.ts';
import type { Reselect } from '../transactions/reselect.ts';
import type { Transaction } from '../transactions/transaction.ts';
import type { TransactionBuffer } from '../transactions/transaction-buffer.ts';
import type { DecodeText } from '../types/character-sets.ts';
import type { Warnings } from '../warnings.ts';
import type { Frontier } from './frontier.ts';
import { Outbox } from './outbox.ts';
import { isIncomplete, type RedoRow } from './redo-row.ts';

/** A batch without changes at least so often: timers downstream run by them. */
const PROGRESS_MS = 1_000;

export interface DeliveryParts {
  readonly options: OracleReaderOptions;
  readonly history: TableHistory;
  readonly describe: DescribeTable;
  readonly buffer: TransactionBuffer;
  readonly decode: DecodeText;
  /** Null where values that the log does not have stay unknown. */
  readonly reselect: Reselect | null;
  readonly commitLog: CommitLog;
  readonly warnings: Warnings;
}

/** Committed transactions as batches, each with the position from which another attempt would go on. */
export class Delivery {
  readonly #parts: DeliveryParts;
  readonly #from: OraclePosition;
  readonly #frontier: Frontier;
  readonly #assembler: Omit<AssemblerOptions, 'xid'>;
  readonly #outbox: Outbox;
  readonly #filter: string;
  #commits: ReadonlyMap<number, ThreadCommits>;
  #delivering: { readonly transaction: Transaction; readonly xid: string; done: number } | null = null;
  /** The transaction that delivery was in when the position was stored, until its COMMIT comes by again. */
  #resumed: OpenDelivery | null;
  #reported: OraclePosition | null = null;
  #reportedAt = 0;

  constructor(parts: DeliveryParts, from: OraclePosition, frontier: Frontier) {
    this.#parts = parts;
    this.#from = from;
    this.#frontier = frontier;
    const { options, history, warnings, decode } = parts;
    const { lobs, strategy, onUnreadable, absentColumns } = options;
    this.#outbox = new Outbox(options.limits.batchChanges);
    this.#filter = filterOf(options);
    this.#assembler = {
      history,
      decode,
      lobs,
      hybrid: strategy === 'hybrid',
      onUnreadable,
      absentColumns,
      warnings,
      drifted: async (ref, scn) => this.#drifted(ref, scn),
    };
    this.#commits = from.commits;
    this.#resumed = from.mid;
  }

  get empty(): boolean {
    return this.#outbox.empty;
  }

  /** What belongs to no transaction. */
  push(change: Change<OracleSource>, bytes: number): void {
    this.#outbox.push(change, bytes);
  }

  /** A transaction has committed: its changes, in batches; the last ones may stay for the next batch. */
  async *commit(row: RedoRow, timeMs: number): AsyncGenerator<Batch<OraclePosition, OracleSource>> {
    const { buffer, options, commitLog, warnings, reselect } = this.#parts;
    const { scn, thread } = row;
    const transaction = buffer.take(row.xid);
    if (transaction === undefined) return;
    const xid = isIncomplete(row.xid) ? transaction.xid : row.xid;
    const boundary = { ...this.#from, commits: this.#commits };
    if (transaction.count === 0 || isDelivered(boundary, { scn, thread, xid })) {
      await transaction.forget();
      return;
    }
    const user = transaction.user ?? row.user;
    const tx: OracleTx = {
      id: xid,
      commitTimeUs: timeMs * 1000,
      commitScn: scn,
      commitThread: thread,
      startScn: transaction.startScn,
      startTimeMs: transaction.startTimeMs,
      user,
    };
    const mid = this.#resumed?.xid === xid ? this.#resumed : null;
    this.#resumed = null;
    if (user !== null && options.excludeUsers.includes(user)) {
      await transaction.forget();
      return;
    }
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
      for await (const events of assemble(transaction, { ...this.#assembler, xid })) {
        for (const event of events) {
          if (++delivering.done <= skip) continue;
          if (!begun) this.#outbox.push({ kind: 'begin', tx, at: here }, 0);
          begun = true;
          if (reselect !== null && event.kind === 'row' && reselect.wants(event)) {
            await reselect.fill(event, scn);
          }
          this.#push(event, tx, delivering.done - 1);
          if (this.#outbox.full) yield this.batch();
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
    if (this.#outbox.full) yield this.batch();
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
    const oldest = this.#parts.buffer.oldest();
    const mid =
      delivering === null || delivering.done === 0
        ? this.#resumed
        : { xid: delivering.xid, done: delivering.done, filter: this.#filter };
    const reached = this.#frontier.position(oldest, delivering?.transaction.since ?? null);
    return { ...reached, commits: this.#commits, mid };
  }

  /** What there is to deliver, maybe nothing, with how far that brings us. */
  batch(): Batch<OraclePosition, OracleSource> {
    const position = this.#position();
    this.#reported = position;
    this.#reportedAt = performance.now();
    return this.#outbox.take(position, this.#parts.history.takeChanged(position.scn));
  }

  /** What is there, and where there is nothing how far the log has been read. */
  *progress(): Generator<Batch<OraclePosition, OracleSource>> {
    const { scn, upTo } = this.#position();
    const moved = this.#reported === null || scn !== this.#reported.scn || upTo !== this.#reported.upTo;
    if (this.#outbox.empty && !moved && performance.now() - this.#reportedAt < PROGRESS_MS) return;
    yield this.batch();
  }

  /** A row names a column that the table did not have at its SCN. */
  async #drifted(ref: CapturedRef, scn: bigint): Promise<void> {
    const { describe, history, warnings } = this.#parts;
    warnings.count('schema-drift', { scn, table: tableName(ref.id) });
    const described = await describe(ref.id);
    if (described !== null) history.evolve(ref, scn, { ...described, approximate: true });
  }
}
