import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Change, RowChange } from '../../../model/change.ts';
import { tableName, type TableSchema } from '../../../model/table.ts';
import type { Gtid } from '../gtid/gtid-set.ts';
import type { MysqlPosition } from '../position.ts';
import type { MysqlSource, MysqlTx } from '../source-info.ts';
import { misplaced } from './byte-cursor.ts';
import type { DecoderOptions } from './decoding.ts';
import { LogPlace } from './log-place.ts';
import { committed, normalisedXid, PreparedTransactions } from './prepared-transactions.ts';
import { TransactionIdentity } from './transaction-identity.ts';
import { TransactionProgress } from './transaction-progress.ts';
import { unreadableChange } from './unreadable-change.ts';

/** What a GTID event, or BEGIN where there is none, says of the transaction that it opens. */
export interface Opening {
  readonly gtid: Gtid | null;
  readonly text: string | null;
  readonly commitTimeUs: number | null;
  /** Offset at which it begins. */
  readonly start: number;
}

/** A place in the transaction that ROLLBACK TO goes back to. */
interface Savepoint {
  readonly name: string;
  /** Into what has not left yet. */
  at: number;
  /** Changes before it, by table. */
  readonly before: ReadonlyMap<string, number>;
}

const NOTHING: ReadonlyMap<string, number> = new Map();

/**
 * Where in which transaction the stream stands, and the changes that leave it: at once, since the log holds only what
 * has committed. Two exceptions: those of XA PREPARE wait for their XA COMMIT; and where a transaction has done what no
 * ROLLBACK undoes, such as CREATE TEMPORARY TABLE, MariaDB logs its rows with the ROLLBACK, or the ROLLBACK TO a
 * savepoint, behind them. Those are taken back where they have not left, and notes tell of those that have: a batch
 * ends inside of large transactions only.
 */
export class OpenTransaction {
  readonly place: LogPlace;
  readonly progress: TransactionProgress;
  readonly identity = new TransactionIdentity();
  /** What has left since it was taken last. */
  changes: Change<MysqlSource>[] = [];
  inside = false;
  /** BEGIN was seen, so that a statement is not a transaction of its own. */
  began = false;
  /** The statement of the rows that follow, where it is wanted. */
  query: string | null = null;
  /** The server's clock at the last event, seconds since the epoch. */
  timestamp = 0;
  readonly #options: DecoderOptions;
  readonly #prepared = new PreparedTransactions();
  #seq = 0;
  #beginGiven = false;
  #split = false;
  /** The rows of XA START … XA PREPARE go here instead. */
  #held: RowChange<MysqlSource>[] | null = null;
  #kept = false;
  /** Into `changes`, where it began. */
  #begunAt = 0;
  /** Where it begins in the file. */
  #start = 0;
  /** It was delivered, or prepared, before a restart. */
  #again = false;
  #savepoints: Savepoint[] = [];

  constructor(options: DecoderOptions) {
    this.#options = options;
    this.place = new LogPlace(options.from);
    this.progress = new TransactionProgress(options.from.mid, options.connector);
  }

  /** Where a restart would go on after the last change in `changes`. */
  get position(): MysqlPosition {
    const { gtids, doneFile: file, donePos: pos } = this.place;
    const { skip, mid } = this.progress;
    const open = this.inside && this.#held === null && !this.#again;
    const prepared = this.place.preparedStart(this.#prepared);
    return { gtids, file, pos, mid: skip ?? (open ? mid : null), prepared };
  }

  /** Whether nothing of it is of interest: it was delivered before a restart. */
  get isPassedOver(): boolean {
    return this.#again && this.#held === null;
  }

  /** Whether the batch should rather end with it: not where an earlier one has ended in it. */
  get awaitsCommit(): boolean {
    return this.inside && !this.#split;
  }

  /** Whether rows were given, since it was asked last, that wait for what is decided later. */
  takeKept(): boolean {
    const kept = this.#kept;
    this.#kept = false;
    return kept;
  }

  /** Hands the changes over. */
  reset(): void {
    this.#split = this.inside;
    this.changes = [];
    this.#begunAt = 0;
    if (this.#held === null) for (const savepoint of this.#savepoints) savepoint.at = 0;
  }

  /** For elements that are made from statements: as part of the transaction. */
  here(pos: number = this.place.pos): MysqlSource {
    return {
      connector: this.#options.connector,
      tx: this.tx(),
      file: this.place.file,
      pos,
      row: 0,
      query: null,
    };
  }

  tx(): MysqlTx {
    return this.identity.tx(this.place, this.timestamp);
  }

  /** Ordinal of the next change, also of one that was delivered before a restart. */
  nextSeq(): number {
    return this.#seq++;
  }

  open({ gtid, text, commitTimeUs, start }: Opening): void {
    if (this.inside) throw misplaced('a GTID inside of a transaction');
    this.inside = true;
    this.#again = this.place.covers(gtid, start);
    this.#start = start;
    this.identity.begin(gtid, text, commitTimeUs);
    this.progress.begin(text ?? `${this.place.file}:${start}`, gtid === null && !this.#again);
    this.began = false;
    this.#seq = 0;
    this.#split = false;
    this.#beginGiven = false;
    this.#held = null;
    this.#begunAt = this.changes.length;
    this.query = null;
  }

  /** A row; `bytes` is what it takes in the log. */
  give(change: RowChange<MysqlSource>, eventStart: number, bytes: number): void {
    if (this.#held !== null) {
      this.#held.push(change);
      this.#kept = true;
      this.#prepared.hold(bytes);
      return;
    }
    if (this.#options.transactionMarkers && !this.#beginGiven) {
      this.#beginGiven = true;
      this.changes.push({ kind: 'begin', tx: this.tx(), at: this.here(eventStart) });
    }
    this.changes.push(change);
  }

  /** Rows that were delivered before a restart: the transaction's beginning went out with them. */
  passDelivered(): void {
    this.#beginGiven = this.#options.transactionMarkers;
  }

  end(end: number): void {
    this.progress.end();
    if (this.#beginGiven) this.changes.push({ kind: 'end', tx: this.tx(), at: this.here() });
    const { gtid } = this.identity;
    if (gtid !== null) this.place.add(gtid);
    this.place.pass(end);
    this.#close();
  }

  savepoint(name: string): void {
    this.#savepoints = this.#savepoints.filter((other) => other.name !== name);
    this.#savepoints.push({
      name,
      at: (this.#held ?? this.changes).length,
      before: this.progress.counts(),
    });
  }

  rollBackTo(name: string): void {
    const found = this.#savepoints.findIndex((savepoint) => savepoint.name === name);
    const savepoint = this.#savepoints[found];
    if (savepoint === undefined) throw misplaced('ROLLBACK TO a savepoint that is not there');
    this.#savepoints.length = found + 1;
    this.#takeBack(savepoint.at, savepoint.before);
  }

  rollBack(end: number): void {
    this.#takeBack(this.#begunAt, NOTHING);
    this.#takeBackBegin();
    this.end(end);
  }

  /** The server died while it wrote the transaction, which has not happened: its GTID will be another one's. */
  abandon(): void {
    this.#takeBack(this.#begunAt, NOTHING);
    this.#takeBackBegin();
    this.progress.abandon();
    this.#close();
  }

  #takeBack(at: number, before: ReadonlyMap<string, number>): void {
    const all: Change<MysqlSource>[] = this.#held ?? this.changes;
    const left = new Map<string, number>();
    let kept = at;
    for (let i = at; i < all.length; i++) {
      const change = all[i]!;
      const undone = change.kind === 'row';
      if (undone) left.set(tableName(change.table.id), (left.get(tableName(change.table.id)) ?? 0) + 1);
      // A note tells of more than this one change.
      if (!undone || change.unreadable !== undefined) all[kept++] = change;
    }
    all.length = kept;
    for (const { schema, changes } of this.progress.takeBack(before)) {
      const gone = changes - (left.get(tableName(schema.id)) ?? 0);
      if (gone > 0) this.changes.push(this.#rolledBack(schema, gone));
    }
  }

  #takeBackBegin(): void {
    const [only] = this.changes.slice(this.#begunAt);
    if (only?.kind !== 'begin' || this.changes.length > this.#begunAt + 1) return;
    this.changes.length = this.#begunAt;
    this.#beginGiven = false;
  }

  #rolledBack(schema: TableSchema, changes: number): RowChange<MysqlSource> {
    const table = tableName(schema.id);
    const at = this.here();
    const error = new HeadwaterError(
      'source.rolled-back',
      `${changes} changes of ${table} were delivered that were rolled back, at offset ${at.pos} of ${at.file}.`,
      { details: { table, changes } },
    );
    return unreadableChange(schema, error, { seq: this.nextSeq(), at });
  }

  /** What follows is not committed before XA COMMIT; of what was delivered before only what was not decided is held. */
  hold(xid: string): void {
    if (!this.#again || this.place.isWanted(normalisedXid(xid))) this.#held = [];
  }

  prepare(text: string): void {
    const xid = normalisedXid(text);
    const { gtid } = this.identity;
    if (!this.isPassedOver) {
      const start = this.place.startOf(this.#start);
      this.#prepared.add(xid, { gtid, changes: this.#held ?? [], start });
    }
    this.place.prepare(xid, gtid);
    this.#close();
  }

  /** XA COMMIT … ONE PHASE, as XA PREPARE logs it. */
  commitHeld(end: number): void {
    if (!this.#again) this.#release(this.#held ?? []);
    this.end(end);
  }

  /** XA COMMIT or XA ROLLBACK. Throws `source.position-lost` where what is committed was not read here. */
  decide(xid: string, verb: 'COMMIT' | 'ROLLBACK', end: number): void {
    const decided = this.#prepared.take(normalisedXid(xid));
    if (verb === 'ROLLBACK' || this.#again) {
      // Nothing of it, or nothing more.
    } else if (decided !== null) {
      this.#release(decided.changes);
    } else {
      throw new HeadwaterError(
        'source.position-lost',
        `The transaction of XA COMMIT at offset ${this.place.pos} of ${this.place.file} was prepared before the place where reading began; its changes are not known.`,
      );
    }
    this.end(end);
  }

  #release(changes: readonly RowChange<MysqlSource>[]): void {
    const { transactionMarkers } = this.#options;
    for (const change of committed(changes, this.tx(), transactionMarkers)) this.changes.push(change);
  }

  #close(): void {
    this.inside = false;
    this.#again = false;
    this.#prepared.release();
    this.identity.end();
    this.#held = null;
    this.#savepoints = [];
    this.query = null;
  }
}
