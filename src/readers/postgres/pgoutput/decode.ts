import type { Change, RowChange } from '../../../model/change.ts';
import type { Row, Value } from '../../../model/value.ts';
import type { PostgresPosition } from '../position.ts';
import type { PostgresSource, PostgresTx } from '../source-info.ts';
import type { CopyChunk } from '../wire/copy-queue.ts';
import {
  EPOCH_2000_US,
  parseBegin,
  parseCommit,
  parseLogicalMessage,
  parseRelation,
  parseTruncate,
  readUint64,
  type RelationMessage,
  misplaced,
  truncated,
  unknownMessage,
} from './messages.ts';
import type { BatchLimits, Stop } from './batch-limits.ts';
import type { RelationState } from './relation-state.ts';
import { DELETE, INSERT, RowImages, UPDATE } from './row-images.ts';
import { TransactionProgress } from './transaction-progress.ts';
import { fillUnchanged } from './unchanged-values.ts';

export interface DecoderOptions {
  readonly from: PostgresPosition;
  /** Begin and end of transactions as elements. */
  readonly transactionMarkers: boolean;
}

/** A keepalive that came while no transaction was open moves the position too. */
const KEEPALIVE = 0x6b;
const XLOG_DATA = 0x77;
/** 'w', start, end and time before each message. */
const HEADER = 25;

/** Turns the frames of a replication stream into changes: synchronous, without a promise or closure per row. */
export class PgoutputDecoder {
  readonly #markers: boolean;
  readonly #images = new RowImages();
  readonly #relations = new Map<number, RelationState>();
  /** Relation messages that no row has referred to yet: roots come with all their partitions. */
  readonly #announced = new Map<number, RelationMessage>();
  readonly #progress: TransactionProgress;
  /** A batch has ended inside of the open transaction. */
  #split = false;

  /** What was decoded since `reset`. */
  changes: Change<PostgresSource>[] = [];
  bytes = 0;
  /** Some `after` holds UNCHANGED. */
  hasUnchanged = false;
  /** A keepalive asked for an answer. */
  replyRequested = false;
  keepalives = 0;
  /** Highest position the server spoke of. */
  received: number;

  constructor({ from, transactionMarkers }: DecoderOptions) {
    this.#markers = transactionMarkers;
    this.received = from.lsn;
    this.#progress = new TransactionProgress(from);
  }

  /** Where a restart would go on after the last change in `changes`. */
  get position(): PostgresPosition {
    return this.#progress.position;
  }

  get insideTransaction(): boolean {
    return this.#progress.tx !== null;
  }

  /**
   * Whether the batch should rather end with the open transaction: not where an earlier one has ended in it, since
   * it is large then, unless there are values to be read back once it is over.
   */
  get awaitsCommit(): boolean {
    return this.#progress.tx !== null && (!this.#split || this.hasUnchanged);
  }

  reset(): void {
    this.#split = this.#progress.tx !== null;
    this.changes = [];
    this.bytes = 0;
    this.hasUnchanged = false;
  }

  /** For elements that are made here rather than read: as part of the open transaction, at what came last. */
  here(): PostgresSource {
    const tx = this.#progress.tx ?? this.#progress.standIn(this.received, Date.now() * 1000);
    return { connector: 'postgresql', lsn: this.received, tx };
  }

  relation(oid: number): RelationState | undefined {
    return this.#relations.get(oid);
  }

  define(state: RelationState): void {
    this.#relations.set(state.oid, state);
    this.#announced.delete(state.oid);
  }

  /**
   * Decodes from frame number `from` on, until the chunk's end (null), an unresolved relation, or enough.
   */
  decode(chunk: CopyChunk, from: number, { soft, hard }: BatchLimits): Stop | null {
    const { buffer, frames } = chunk;
    const count = frames.length >> 1;
    if (from >= count) return null;
    this.#images.enter(frames[from * 2]!, frames[frames.length - 1]!);
    const { changes } = this;
    for (let frame = from; frame < count; frame++) {
      const start = frames[frame * 2]!;
      const end = frames[frame * 2 + 1]!;
      if (changes.length >= soft && (!this.awaitsCommit || changes.length >= hard)) {
        return { frame, relation: null };
      }
      if (buffer[start] === XLOG_DATA) {
        if (end - start <= HEADER) throw truncated();
        const missing = this.#message(buffer, start, end);
        if (missing !== null) return { frame, relation: missing };
      } else if (buffer[start] === KEEPALIVE) {
        this.#keepalive(buffer, start, end);
      } else {
        throw unknownMessage(buffer[start]!);
      }
      this.bytes += end - start;
    }
    return null;
  }

  #keepalive(buffer: Buffer, start: number, end: number): void {
    if (end - start < 18) throw truncated();
    const walEnd = readUint64(buffer, start + 1);
    if (walEnd > this.received) this.received = walEnd;
    // Everything that committed before walEnd has been sent.
    if (!this.insideTransaction) this.#progress.passed(walEnd);
    if (buffer[start + 17] === 1) this.replyRequested = true;
    this.keepalives++;
  }

  /** Decodes one message, or returns the relation that has to be resolved before it can be. */
  #message(buffer: Buffer, start: number, end: number): RelationMessage | null {
    const lsn = buffer.readUInt32BE(start + 1) * 0x1_0000_0000 + buffer.readUInt32BE(start + 5);
    if (lsn > this.received) this.received = lsn;
    const body = start + HEADER + 1;
    const type = buffer[start + HEADER]!;
    switch (type) {
      case INSERT:
      case UPDATE:
      case DELETE:
        return this.#row(type, lsn, buffer, body, end);
      case 0x42: // B
        this.#begin(lsn, buffer, body, end);
        return null;
      case 0x43: // C
        this.#commit(lsn, buffer, body, end);
        return null;
      case 0x52: {
        const message = parseRelation(buffer, body, end);
        this.#relations.delete(message.oid);
        this.#announced.set(message.oid, message);
        return null;
      }
      case 0x54: // T
        return this.#truncate(lsn, buffer, body, end);
      case 0x4d: // M
        this.#logicalMessage(lsn, buffer, body, end, readUint64(buffer, start + 17) + EPOCH_2000_US);
        return null;
      case 0x4f: // O: origin
      case 0x59: // Y: name of a type; the catalogue says more
        return null;
      default:
        throw unknownMessage(type);
    }
  }

  #begin(lsn: number, buffer: Buffer, at: number, end: number): void {
    const progress = this.#progress;
    if (progress.tx !== null) throw misplaced('BEGIN inside a transaction');
    progress.begin(lsn, parseBegin(buffer, at, end));
    this.#split = false;
  }

  #commit(lsn: number, buffer: Buffer, at: number, end: number): void {
    const progress = this.#progress;
    const { tx } = progress;
    const { endLsn } = parseCommit(buffer, at, end);
    if (tx === null) throw misplaced('COMMIT outside of a transaction');
    progress.commit(endLsn);
    if (this.#markers && progress.beginGiven) {
      this.changes.push({ kind: 'end', tx, at: { connector: 'postgresql', lsn, tx } });
    }
    if (endLsn > this.received) this.received = endLsn;
  }

  #giveBegin(tx: PostgresTx): void {
    this.#progress.beginGiven = true;
    this.changes.push({ kind: 'begin', tx, at: { connector: 'postgresql', lsn: tx.beginLsn, tx } });
  }

  #missing(oid: number): RelationMessage {
    const message = this.#announced.get(oid);
    if (message === undefined) throw misplaced(`rows of relation ${oid}, which was never described,`);
    return message;
  }

  #row(type: number, lsn: number, buffer: Buffer, start: number, end: number): RelationMessage | null {
    if (start + 5 > end) throw truncated();
    const oid = buffer.readUInt32BE(start);
    const relation = this.#relations.get(oid);
    if (relation === undefined) return this.#missing(oid);
    const tx = this.#progress.tx;
    if (tx === null) throw misplaced('A row outside of a transaction');
    if (!this.#progress.counts(relation.captured)) return null;
    if (this.#markers && !this.#progress.beginGiven) this.#giveBegin(tx);
    const images = this.#images;
    const unreadable = images.read(type, relation, { buffer, start: start + 4, end });
    const { before, after } = images;
    if (relation.labels.unknown) {
      // An enum has a label that its type had not when it was read: the row again, with the new type.
      this.#progress.uncount();
      return relation.message;
    }
    if (
      after !== null &&
      images.unchanged &&
      (before === null || !fillUnchanged(after as Value[], before as Row))
    ) {
      this.hasUnchanged = true;
    }
    const change: RowChange<PostgresSource> = {
      kind: 'row',
      op: type === INSERT ? 'c' : type === UPDATE ? 'u' : 'd',
      table: relation.schema,
      before,
      after,
      tx,
      seq: this.#progress.seq++,
      at: { connector: 'postgresql', lsn, tx },
      snapshot: null,
    };
    this.changes.push(unreadable === null ? change : { ...change, unreadable });
    return null;
  }

  #truncate(lsn: number, buffer: Buffer, start: number, end: number): RelationMessage | null {
    const { oids } = parseTruncate(buffer, start, end);
    const tx = this.#progress.tx;
    if (tx === null) throw misplaced('TRUNCATE outside of a transaction');
    for (const oid of oids) if (!this.#relations.has(oid)) return this.#missing(oid);
    for (const oid of oids) {
      const { captured, schema } = this.#relations.get(oid)!;
      if (!this.#progress.counts(captured)) continue;
      if (this.#markers && !this.#progress.beginGiven) this.#giveBegin(tx);
      const at: PostgresSource = { connector: 'postgresql', lsn, tx };
      this.changes.push({ kind: 'truncate', table: schema, tx, seq: this.#progress.seq++, at });
    }
    return null;
  }

  #logicalMessage(lsn: number, buffer: Buffer, start: number, end: number, sentUs: number): void {
    const { transactional, lsn: messageLsn, prefix, content } = parseLogicalMessage(buffer, start, end);
    if (transactional) {
      const tx = this.#progress.tx;
      if (tx === null) throw misplaced('A transactional message outside of a transaction');
      if (!this.#progress.countsMessage()) return;
      if (this.#markers && !this.#progress.beginGiven) this.#giveBegin(tx);
      const at: PostgresSource = { connector: 'postgresql', lsn, tx };
      this.changes.push({ kind: 'message', prefix, content, tx, seq: this.#progress.seq++, at });
      return;
    }
    const at: PostgresSource = { connector: 'postgresql', lsn, tx: this.#progress.standIn(lsn, sentUs) };
    this.changes.push({ kind: 'message', prefix, content, tx: null, seq: 0, at });
    // A restart behind its first byte does not send it again.
    this.#progress.passed(messageLsn + 1);
  }
}
