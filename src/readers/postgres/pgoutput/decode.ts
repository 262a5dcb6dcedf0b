import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Change, RowChange } from '../../../model/change.ts';
import { type Image, TextRow, valueOf } from '../../../model/text-row.ts';
import { ABSENT, type Row, UNCHANGED, type Value } from '../../../model/value.ts';
import { formatLsn, type PostgresPosition } from '../position.ts';
import type { PostgresSource, PostgresTx } from '../source-info.ts';
import { isBeyondAscii } from '../../buffer-slices.ts';
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
import { fillUnchanged } from './unchanged-values.ts';
import { tupleEnd } from './text-tuple.ts';
import { lenient } from './unreadable-row.ts';

export interface DecoderOptions {
  readonly from: PostgresPosition;
  /** Begin and end of transactions as elements. */
  readonly transactionMarkers: boolean;
}

/** A row's images within a message. */
interface Span {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** A keepalive that came while no transaction was open moves the position too. */
const KEEPALIVE = 0x6b;
const XLOG_DATA = 0x77;
/** 'w', start, end and time before each message. */
const HEADER = 25;

/**
 * Turns the frames of a replication stream into changes: synchronous, without a promise or closure per row.
 *
 * Rows stay text where they may (model/text-row.ts). Of the others one latin1 string is made per chunk and values
 * are slices of it: a byte is a character, so offsets agree, and only values that hold bytes past ASCII are
 * decoded again, as UTF-8.
 */
export class PgoutputDecoder {
  readonly #markers: boolean;
  readonly #relations = new Map<number, RelationState>();
  /** Relation messages that no row has referred to yet: roots come with all their partitions. */
  readonly #announced = new Map<number, RelationMessage>();
  #skip: PostgresPosition['mid'];
  /** End of the last whole transaction, or a keepalive's position behind it. */
  #lsn: number;
  /** End of the last COMMIT seen. */
  #lastCommitLsn: number;
  #tx: PostgresTx | null = null;
  /** Rows and truncated tables of the open transaction as the server counts them; see PostgresPosition. */
  #done = 0;
  /** Messages behind the change numbered `#messagesBehind`. */
  #messages = 0;
  #messagesBehind = 0;
  /** Captured ones among them. */
  #seq = 0;
  #toSkip = 0;
  #messagesToSkip = 0;
  #beginGiven = false;
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

  #text: string | null = null;
  #textStart = 0;
  #textEnd = 0;
  #at = 0;
  #sawUnchanged = false;
  #before: Image | null = null;
  #after: Image | null = null;

  constructor({ from, transactionMarkers }: DecoderOptions) {
    this.#markers = transactionMarkers;
    this.#lsn = from.lsn;
    this.#lastCommitLsn = from.lsn;
    this.received = from.lsn;
    this.#skip = from.mid;
  }

  /** Where a restart would go on after the last change in `changes`. */
  get position(): PostgresPosition {
    if (this.#skip !== null) return { lsn: this.#lsn, mid: this.#skip };
    const done = this.#done;
    const messages = this.#messagesBehind === done ? this.#messages : 0;
    if (this.#tx === null || done + messages === 0) return { lsn: this.#lsn, mid: null };
    return { lsn: this.#lsn, mid: { commitLsn: this.#tx.commitLsn, done, messages } };
  }

  get insideTransaction(): boolean {
    return this.#tx !== null;
  }

  /**
   * Whether the batch should rather end with the open transaction: not where an earlier one has ended in it, since
   * it is large then, unless there are values to be read back once it is over.
   */
  get awaitsCommit(): boolean {
    return this.#tx !== null && (!this.#split || this.hasUnchanged);
  }

  reset(): void {
    this.#split = this.#tx !== null;
    this.changes = [];
    this.bytes = 0;
    this.hasUnchanged = false;
  }

  /** For elements that are made here rather than read: as part of the open transaction, at what came last. */
  here(): PostgresSource {
    const tx = this.#tx ?? this.#standIn(this.received, Date.now() * 1000);
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
    this.#textStart = frames[from * 2]!;
    this.#textEnd = frames[frames.length - 1]!;
    this.#text = null;
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
    // Everything that committed before walEnd has been sent. Never inside of what is to be skipped.
    if (this.#tx === null && this.#skip === null && walEnd > this.#lsn) this.#lsn = walEnd;
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
      case 0x49: // I
      case 0x55: // U
      case 0x44: // D
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
    if (this.#tx !== null) throw misplaced('BEGIN inside a transaction');
    const { commitLsn, commitTimeUs, xid } = parseBegin(buffer, at, end);
    this.#tx = {
      id: String(xid),
      xid,
      commitTimeUs,
      commitLsn,
      beginLsn: lsn,
      lastCommitLsn: this.#lastCommitLsn,
    };
    this.#done = 0;
    this.#messages = 0;
    this.#messagesBehind = 0;
    this.#messagesToSkip = 0;
    this.#seq = 0;
    this.#split = false;
    this.#beginGiven = false;
    this.#toSkip = 0;
    if (this.#skip !== null) {
      if (commitLsn !== this.#skip.commitLsn) {
        throw new HeadwaterError(
          'source.position-lost',
          `The checkpoint lies inside the transaction that committed at ${formatLsn(this.#skip.commitLsn)}, but the log goes on with the one at ${formatLsn(commitLsn)}.`,
        );
      }
      this.#toSkip = this.#skip.done;
      if (this.#toSkip === 0) this.#skipMessages(this.#skip.messages);
    }
  }

  #commit(lsn: number, buffer: Buffer, at: number, end: number): void {
    const tx = this.#tx;
    const { endLsn } = parseCommit(buffer, at, end);
    if (tx === null) throw misplaced('COMMIT outside of a transaction');
    if (this.#toSkip > 0) {
      throw new HeadwaterError(
        'source.position-lost',
        `The transaction that committed at ${formatLsn(tx.commitLsn)} has fewer changes than the checkpoint has counted.`,
      );
    }
    if (this.#markers && this.#beginGiven) {
      this.changes.push({ kind: 'end', tx, at: { connector: 'postgresql', lsn, tx } });
    }
    this.#tx = null;
    this.#skip = null;
    this.#lsn = endLsn;
    this.#lastCommitLsn = endLsn;
    if (endLsn > this.received) this.received = endLsn;
  }

  /** Counts a change; false where it was delivered before a restart. */
  #counts(captured: boolean): boolean {
    this.#done++;
    const skipped = this.#toSkip > 0;
    if (skipped) {
      if (--this.#toSkip === 0) this.#skipMessages(this.#skip!.messages);
      // Its BEGIN went out with it.
      if (captured) this.#beginGiven = true;
    }
    if (skipped && captured) this.#seq++;
    return captured && !skipped;
  }

  /** All changes that are to be skipped have been; so are as many messages, if they come before the next change. */
  #skipMessages(count: number): void {
    this.#skip = null;
    this.#messagesBehind = this.#done;
    this.#messages = count;
    this.#messagesToSkip = count;
  }

  /** Counts a message of the open transaction; false where it was passed before a restart. */
  #countsMessage(): boolean {
    if (this.#toSkip > 0) {
      this.#seq++;
      return false;
    }
    if (this.#messagesBehind !== this.#done) {
      this.#messagesBehind = this.#done;
      this.#messages = 0;
      this.#messagesToSkip = 0;
    }
    if (this.#messagesToSkip > 0) {
      this.#messagesToSkip--;
      this.#beginGiven = true;
      this.#seq++;
      return false;
    }
    this.#messages++;
    return true;
  }

  #giveBegin(tx: PostgresTx): void {
    this.#beginGiven = true;
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
    const tx = this.#tx;
    if (tx === null) throw misplaced('A row outside of a transaction');
    if (!this.#counts(relation.captured)) return null;
    if (this.#markers && !this.#beginGiven) this.#giveBegin(tx);
    let unreadable: HeadwaterError | null = null;
    if (!this.#texts(type, relation, { buffer, start: start + 4, end })) {
      try {
        this.#images(type, relation, { buffer, start: start + 4, end });
      } catch (error) {
        if (error instanceof HeadwaterError && error.code === 'source.protocol') throw error;
        const readable = lenient(relation);
        this.#images(type, readable.relation, { buffer, start: start + 4, end });
        unreadable = readable.error();
      }
    }
    const before = this.#before;
    const after = this.#after;
    if (relation.labels.unknown) {
      // An enum has a label that its type had not when it was read: the row again, with the new type.
      this.#done--;
      return relation.message;
    }
    if (
      after !== null &&
      this.#sawUnchanged &&
      (before === null || !fillUnchanged(after as Value[], before as Row))
    ) {
      this.hasUnchanged = true;
    }
    const change: RowChange<PostgresSource> = {
      kind: 'row',
      op: type === 0x49 ? 'c' : type === 0x55 ? 'u' : 'd',
      table: relation.schema,
      before,
      after,
      tx,
      seq: this.#seq++,
      at: { connector: 'postgresql', lsn, tx },
      snapshot: null,
    };
    this.changes.push(unreadable === null ? change : { ...change, unreadable });
    return null;
  }

  /** Reads both images of a row into `#before` and `#after`. */
  #images(type: number, relation: RelationState, { buffer, start, end }: Span): void {
    this.#at = start;
    this.#before = null;
    this.#after = null;
    this.#sawUnchanged = false;
    let part = buffer[this.#at++];
    if (part === 0x4f) {
      this.#before = relation.patchy
        ? this.#patchyTuple(relation, buffer, end)
        : this.#tuple(relation, buffer, end);
      part = type === 0x44 ? 0 : buffer[this.#at++];
    } else if (part === 0x4b) {
      this.#before = this.#keyTuple(relation, buffer, end);
      part = type === 0x44 ? 0 : buffer[this.#at++];
    }
    if (type !== 0x44) {
      if (part !== 0x4e) throw misplaced('a row without its new values');
      this.#after = this.#tuple(relation, buffer, end);
    } else if (this.#before === null) {
      throw misplaced('a DELETE without old values');
    }
  }

  /** As `#images`, without decoding; false where that won't do. */
  #texts(type: number, { text, decoders, checked }: RelationState, { buffer, start, end }: Span): boolean {
    if (text === null) return false;
    const columns = decoders.length;
    this.#before = null;
    this.#after = null;
    this.#sawUnchanged = false;
    let at = start + 1;
    let part = buffer[start];
    if (part === 0x4f || part === 0x4b) {
      const last = tupleEnd(buffer, at, end, columns);
      if (last < 0) return false;
      this.#before = new TextRow(buffer, at, last, part === 0x4b ? text.key : text.whole);
      part = type === 0x44 ? 0 : buffer[last];
      at = last + 1;
    }
    if (type === 0x44) return this.#before !== null;
    if (part !== 0x4e) return false;
    const last = tupleEnd(buffer, at, end, columns);
    if (last < 0) return false;
    this.#after = new TextRow(buffer, at, last, text.whole);
    for (const column of checked) {
      if (this.#before !== null) valueOf(this.#before, column);
      this.#after.value(column);
    }
    return true;
  }

  #tuple(relation: RelationState, buffer: Buffer, end: number): Value[] {
    const { decoders, wide } = relation;
    const columns = decoders.length;
    let at = this.#at;
    if (at + 2 > end) throw truncated();
    if (buffer.readUInt16BE(at) !== columns) throw misplaced('a row with another number of columns');
    at += 2;
    const text = (this.#text ??= buffer.latin1Slice(this.#textStart, this.#textEnd));
    const offset = this.#textStart;
    const row: Value[] = new Array<Value>(columns);
    for (let i = 0; i < columns; i++) {
      if (at >= end) throw truncated();
      const kind = buffer[at++];
      if (kind === 0x74) {
        if (at + 4 > end) throw truncated();
        const length = buffer.readUInt32BE(at);
        const from = at + 4;
        at = from + length;
        if (at > end) throw truncated();
        row[i] = decoders[i]!(
          wide[i]! && isBeyondAscii(buffer, from, at)
            ? buffer.utf8Slice(from, at)
            : text.slice(from - offset, at - offset),
        );
      } else if (kind === 0x6e) {
        row[i] = null;
      } else if (kind === 0x75) {
        row[i] = UNCHANGED;
        this.#sawUnchanged = true;
      } else {
        throw misplaced('a value in an unknown format');
      }
    }
    this.#at = at;
    return row;
  }

  /** The server fills the columns outside of the identity with nulls that mean nothing. */
  #keyTuple(relation: RelationState, buffer: Buffer, end: number): Value[] {
    const row = this.#tuple(relation, buffer, end);
    const { identity } = relation;
    for (let i = 0; i < row.length; i++) if (!identity[i]!) row[i] = ABSENT;
    return row;
  }

  #patchyTuple(relation: RelationState, buffer: Buffer, end: number): Value[] {
    const row = this.#tuple(relation, buffer, end);
    const { key } = relation.schema;
    for (let i = 0; i < row.length; i++) if (row[i] === null && !key.includes(i)) row[i] = ABSENT;
    return row;
  }

  #truncate(lsn: number, buffer: Buffer, start: number, end: number): RelationMessage | null {
    const { oids } = parseTruncate(buffer, start, end);
    const tx = this.#tx;
    if (tx === null) throw misplaced('TRUNCATE outside of a transaction');
    for (const oid of oids) if (!this.#relations.has(oid)) return this.#missing(oid);
    for (const oid of oids) {
      const { captured, schema } = this.#relations.get(oid)!;
      if (!this.#counts(captured)) continue;
      if (this.#markers && !this.#beginGiven) this.#giveBegin(tx);
      const at: PostgresSource = { connector: 'postgresql', lsn, tx };
      this.changes.push({ kind: 'truncate', table: schema, tx, seq: this.#seq++, at });
    }
    return null;
  }

  #standIn(lsn: number, commitTimeUs: number): PostgresTx {
    const lastCommitLsn = this.#lastCommitLsn;
    return { id: '', xid: null, commitTimeUs, commitLsn: 0, beginLsn: lsn, lastCommitLsn };
  }

  #logicalMessage(lsn: number, buffer: Buffer, start: number, end: number, sentUs: number): void {
    const { transactional, lsn: messageLsn, prefix, content } = parseLogicalMessage(buffer, start, end);
    if (transactional) {
      const tx = this.#tx;
      if (tx === null) throw misplaced('A transactional message outside of a transaction');
      if (!this.#countsMessage()) return;
      if (this.#markers && !this.#beginGiven) this.#giveBegin(tx);
      const at: PostgresSource = { connector: 'postgresql', lsn, tx };
      this.changes.push({ kind: 'message', prefix, content, tx, seq: this.#seq++, at });
      return;
    }
    const at: PostgresSource = { connector: 'postgresql', lsn, tx: this.#standIn(lsn, sentUs) };
    this.changes.push({ kind: 'message', prefix, content, tx: null, seq: 0, at });
    // Its record has been passed: a restart behind its first byte does not send it again.
    if (this.#skip === null && messageLsn + 1 > this.#lsn) this.#lsn = messageLsn + 1;
  }
}
