import { crc32 } from 'node:zlib';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Change, RowChange } from '../../../model/change.ts';
import type { Gtid } from '../gtid/gtid-set.ts';
import type { MysqlPosition } from '../position.ts';
import type { MysqlSource, MysqlTx } from '../source-info.ts';
import type { EventChunk } from '../wire/event-queue.ts';
import { ByteCursor, misplaced, truncated } from './byte-cursor.ts';
import { type BatchLimits, type DecoderOptions, FULL_BATCH, type Stop } from './decoding.ts';
import { EVENT, FLAG_ARTIFICIAL, FLAG_IGNORABLE, HEADER } from './event-types.ts';
import {
  isWord,
  readFormatDescription,
  readGtid,
  readMariadbGtid,
  readQuery,
  readRotate,
  readTaggedGtid,
  readXaPrepare,
} from './events.ts';
import { LogPlace } from './log-place.ts';
import { inflateEvent, inflateRows } from './mariadb-compression.ts';
import { PreparedTransactions } from './prepared-transactions.ts';
import { isRowsEvent, operationOf, readRowsHead, RowReader, type RowsHead } from './rows.ts';
import { readTableMap, readTableName } from './table-map.ts';
import type { CapturedState, TableState } from './table-state.ts';
import { readPayload } from './transaction-payload.ts';
import { TransactionProgress } from './transaction-progress.ts';

/** Larger text is not sliced out of one string. */
const MAX_TEXT = 8 * 1024 * 1024;
/** Table ids that are kept in mind. */
const MAX_TABLES = 20_000;
/** A rows event for no table: the end of a statement that changed none (table id 2^24 - 1). */
const DUMMY_TABLE = 0xff_ffff;

/**
 * Turns the events of a binlog dump into changes: synchronous, without a promise or closure per row. A group of
 * events, from its GTID event on, is one transaction; the log holds only such as have committed, but for those of
 * XA PREPARE, which wait for their XA COMMIT (PreparedTransactions).
 */
export class BinlogDecoder {
  readonly #options: DecoderOptions;
  readonly #place: LogPlace;
  readonly #tables = new Map<number, TableState>();
  readonly #prepared = new PreparedTransactions();
  readonly #reader = new RowReader();
  readonly #cursor = new ByteCursor(Buffer.alloc(0), 0, 0);
  readonly #progress: TransactionProgress;
  #checksum = false;

  #inside = false;
  #gtid: Gtid | null = null;
  #gtidText: string | null = null;
  #commitTimeUs: number | null = null;
  #tx: MysqlTx | null = null;
  #thread: number | null = null;
  #seq = 0;
  #beginGiven = false;
  #split = false;
  /** The rows of XA START … XA PREPARE go here instead. */
  #held: Change<MysqlSource>[] | null = null;
  #query: string | null = null;
  #last: TableState | null = null;
  /** Where in the rows event at hand to go on. */
  #inEvent: { readonly head: RowsHead; readonly at: number } | null = null;
  #textEnd = 0;
  #lastByte = 0;
  /** Where the event at hand begins, if it has a checksum that was not looked at. */
  #unverified = -1;
  /** BEGIN was seen, so that a statement is not a transaction of its own. */
  #began = false;

  /** What was decoded since `reset`. */
  changes: Change<MysqlSource>[] = [];
  bytes = 0;

  constructor(options: DecoderOptions) {
    this.#options = options;
    this.#place = new LogPlace(options.from);
    this.#progress = new TransactionProgress(options.from.mid);
    this.#checksum = options.checksum;
  }

  /**
   * Where a restart would go on after the last change in `changes`; null while, without GTIDs, a transaction that is
   * only prepared lies before it.
   */
  get position(): MysqlPosition | null {
    const { gtids, doneFile: file, donePos: pos } = this.#place;
    if (gtids === null && !this.#prepared.isEmpty) return null;
    const { skip, mid } = this.#progress;
    if (skip !== null) return { gtids, file, pos, mid: skip };
    return { gtids, file, pos, mid: this.#inside && this.#held === null ? mid : null };
  }

  get insideTransaction(): boolean {
    return this.#inside;
  }

  /** Whether the batch should rather end with the open transaction: not where an earlier one has ended in it. */
  get awaitsCommit(): boolean {
    return this.#inside && !this.#split;
  }

  /** The server's clock of the last event, seconds since the epoch. */
  #timestamp = 0;
  #serverId = 0;

  reset(): void {
    this.#split = this.#inside;
    this.changes = [];
    this.bytes = 0;
  }

  /** For elements that are made from statements: as part of the open transaction. */
  here(pos: number = this.#place.pos): MysqlSource {
    return {
      connector: this.#options.connector,
      tx: this.transaction(),
      file: this.#place.file,
      pos,
      row: 0,
      query: null,
    };
  }

  transaction(): MysqlTx {
    this.#tx ??= {
      id: this.#gtidText ?? `file=${this.#place.doneFile},pos=${this.#place.donePos}`,
      gtid: this.#gtidText,
      commitTimeUs: this.#commitTimeUs ?? this.#timestamp * 1_000_000,
      serverId: this.#serverId,
      thread: this.#thread,
    };
    return this.#tx;
  }

  /** Ordinal for a change that is made from a statement. */
  nextSeq(): number {
    return this.#seq++;
  }

  define(state: TableState): void {
    this.#tables.set(state.tableId, state);
    this.#last = null;
  }

  /** After a statement that changed tables: their next table maps are looked at anew. */
  forgetTables(): void {
    this.#tables.clear();
    this.#last = null;
  }

  /** A statement that is a transaction of its own has been dealt with. */
  endStatement(): void {
    this.#end(this.#place.pos);
  }

  /**
   * Decodes from frame number `from` on, until the chunk's end (null) or what `Stop` says. `inner`: events of a
   * transaction payload, which have neither checksums nor places of their own.
   */
  decode(chunk: EventChunk, from: number, limits: BatchLimits, inner = false): Stop | null {
    const { buffer, frames } = chunk;
    const count = frames.length >> 1;
    if (from >= count) return null;
    const { soft, hard } = limits;
    const cursor = this.#cursor;
    cursor.buffer = buffer;
    this.#textEnd = 0;
    this.#lastByte = frames[frames.length - 1]!;
    for (let frame = from; frame < count; frame++) {
      const { length } = this.changes;
      if (length >= soft && (!this.awaitsCommit || length >= hard)) return { frame, ...FULL_BATCH };
      const start = frames[frame * 2]!;
      const end = frames[frame * 2 + 1]!;
      if (end - start < HEADER) throw truncated();
      const type = buffer[start + 4]!;
      cursor.at = start + HEADER;
      cursor.end = end;
      this.#unverified = this.#checksum && !inner && type !== EVENT.formatDescription ? start : -1;
      if (this.#unverified >= 0) {
        cursor.end = end - 4;
        if (cursor.end < cursor.at) throw truncated();
        // Of most table maps and of rows that nobody wants it does not matter: it is seen to where it does.
        if (type !== EVENT.tableMap && !isRowsEvent(type)) this.#verify();
      }
      const stop = this.#event(type, start, { frame, hard, inner });
      if (stop !== null) return stop;
      this.bytes += end - start;
    }
    return null;
  }

  /** One string for all events from this one on, or for it alone where that would be too large. */
  #cutText(cursor: ByteCursor): void {
    const { buffer, at, end } = cursor;
    const to = this.#lastByte - at <= MAX_TEXT ? this.#lastByte : end;
    const fits = to - at <= MAX_TEXT;
    cursor.text = fits ? buffer.latin1Slice(at, to) : '';
    cursor.textStart = fits ? at : -1;
    this.#textEnd = to;
  }

  /** Holds the event at hand against its checksum, once. */
  #verify(): void {
    const start = this.#unverified;
    if (start < 0) return;
    this.#unverified = -1;
    const { buffer, end } = this.#cursor;
    if (crc32(buffer.subarray(start, end)) === buffer.readUInt32LE(end)) return;
    throw misplaced(
      `an event whose checksum is wrong, behind offset ${this.#place.pos} of ${this.#place.file}`,
    );
  }

  #event(
    type: number,
    start: number,
    run: { readonly frame: number; readonly hard: number; readonly inner: boolean },
  ): Stop | null {
    const cursor = this.#cursor;
    const { buffer } = cursor;
    const place = this.#place;
    const low = buffer.readUInt32LE(start + 13);
    const flags = buffer.readUInt16LE(start + 17);
    const size = buffer.readUInt32LE(start + 9);
    // MariaDB leaves the end of events within a transaction open (11.4 and later).
    const open = low === 0 && this.#inside && !run.inner;
    const artificial = run.inner || (low === 0 && !open) || (flags & FLAG_ARTIFICIAL) !== 0;
    const eventEnd = artificial ? place.pos : open ? place.pos + size : place.endOf(low);
    const eventStart = artificial ? place.pos : eventEnd - size;
    if (!artificial) this.#timestamp = buffer.readUInt32LE(start);
    let stop: Stop | null = null;
    switch (type) {
      case EVENT.tableMap:
        stop = this.#tableMap(run.frame);
        break;
      case EVENT.writeRowsV1:
      case EVENT.updateRowsV1:
      case EVENT.deleteRowsV1:
      case EVENT.writeRows:
      case EVENT.updateRows:
      case EVENT.deleteRows:
      case EVENT.partialUpdateRows:
        stop = this.#rowsEvent(type, cursor, eventStart, run);
        break;
      case EVENT.compressedWriteRowsV1:
      case EVENT.compressedUpdateRowsV1:
      case EVENT.compressedDeleteRowsV1:
      case EVENT.compressedWriteRows:
      case EVENT.compressedUpdateRows:
      case EVENT.compressedDeleteRows:
        stop = this.#compressedRows(type, eventStart, run);
        break;
      case EVENT.gtid:
      case EVENT.anonymousGtid: {
        const event = readGtid(cursor, type === EVENT.anonymousGtid);
        this.#serverId = buffer.readUInt32LE(start + 5);
        this.#open(event.gtid, event.text, event.commitTimeUs, eventStart);
        break;
      }
      case EVENT.taggedGtid: {
        const event = readTaggedGtid(cursor);
        this.#serverId = buffer.readUInt32LE(start + 5);
        this.#open(event.gtid, event.text, event.commitTimeUs, eventStart);
        break;
      }
      case EVENT.mariadbGtid: {
        this.#serverId = buffer.readUInt32LE(start + 5);
        const event = readMariadbGtid(cursor, this.#serverId);
        this.#open(event.gtid, event.text, null, eventStart);
        this.#began = !event.standalone;
        if (event.preparedXa) this.#held = [];
        break;
      }
      case EVENT.query:
      case EVENT.compressedQuery:
        stop = this.#queryEvent(type, eventStart, eventEnd, run.frame);
        break;
      case EVENT.xid:
        this.#end(eventEnd);
        break;
      case EVENT.xaPrepare:
        this.#xaPrepare(eventEnd);
        break;
      case EVENT.rowsQuery:
        if (this.#options.includeQuery) {
          cursor.take(1); // a length of one byte that is too short for what follows
          this.#query = cursor.utf8(cursor.left);
        }
        break;
      case EVENT.annotateRows:
        if (this.#options.includeQuery) this.#query = cursor.utf8(cursor.left);
        break;
      case EVENT.transactionPayload:
        stop = { frame: run.frame + 1, ...FULL_BATCH, payload: readPayload(cursor) };
        break;
      case EVENT.rotate: {
        const { file, pos } = readRotate(cursor);
        place.rotate(file, pos);
        if (!this.#inside) place.pass(pos);
        return null;
      }
      case EVENT.formatDescription:
        this.#checksum = readFormatDescription(cursor).checksum;
        // Table ids begin anew with a server's start.
        this.forgetTables();
        break;
      case EVENT.heartbeat:
        // Where the server stands: it may have passed over transactions that we have already.
        if (!this.#inside && cursor.utf8(cursor.left) === place.file) place.catchUp(low);
        return null;
      case EVENT.previousGtids:
      case EVENT.gtidList:
      case EVENT.binlogCheckpoint:
      case EVENT.stop:
      case EVENT.intvar:
      case EVENT.rand:
      case EVENT.userVar:
        break;
      case EVENT.incident:
        throw new HeadwaterError(
          'source.position-lost',
          `The log says at offset ${eventStart} of ${place.file} that the server lost events there.`,
        );
      case EVENT.startEncryption:
        break; // sent decrypted
      default:
        if ((flags & FLAG_IGNORABLE) === 0) throw misplaced(`an event of type ${type}, which is not known`);
    }
    if (!artificial && (stop === null || stop.table === null)) {
      if (this.#inEvent === null) place.pos = eventEnd;
      if (!this.#inside && stop === null) place.pass(eventEnd);
    }
    return stop;
  }

  /** A transaction begins. */
  #open(gtid: Gtid | null, text: string | null, commitTimeUs: number | null, start: number): void {
    if (this.#inside) throw misplaced('a GTID inside of a transaction');
    this.#inside = true;
    this.#gtid = gtid;
    this.#gtidText = text;
    this.#commitTimeUs = commitTimeUs;
    this.#progress.begin(text ?? `${this.#place.file}:${start}`, gtid === null);
    this.#tx = null;
    this.#thread = null;
    this.#began = false;
    this.#seq = 0;
    this.#split = false;
    this.#beginGiven = false;
    this.#held = null;
    this.#query = null;
    // Each opening of a table gives it another id: months of them.
    if (this.#tables.size > MAX_TABLES) this.forgetTables();
  }

  #end(end: number): void {
    this.#progress.end();
    if (this.#beginGiven) this.changes.push({ kind: 'end', tx: this.transaction(), at: this.here() });
    if (this.#gtid !== null) this.#place.add(this.#gtid);
    this.#place.pass(end);
    this.#close();
  }

  #close(): void {
    this.#inside = false;
    this.#gtid = null;
    this.#gtidText = null;
    this.#held = null;
    this.#query = null;
    this.#tx = null;
  }

  #tableMap(frame: number): Stop | null {
    const cursor = this.#cursor;
    const { buffer, at, end } = cursor;
    if (end - at < 8) throw truncated();
    const tableId = buffer.readUIntLE(at, 6);
    const known = this.#tables.get(tableId);
    if (known !== undefined) {
      const { map } = known;
      if (map === null ? sameName(known, cursor) : map.compare(buffer, at, end) === 0) return null;
    }
    this.#verify();
    const named = readTableName(cursor);
    cursor.at = at;
    if (!this.#options.isCaptured(named.id)) {
      this.#tables.set(tableId, { tableId, id: named.id, map: null, captured: null });
      if (this.#last?.tableId === tableId) this.#last = null;
      return null;
    }
    return { frame, ...FULL_BATCH, table: { map: readTableMap(cursor), body: buffer.subarray(at, end) } };
  }

  #rowsEvent(
    type: number,
    cursor: ByteCursor,
    eventStart: number,
    { frame, hard }: { readonly frame: number; readonly hard: number },
  ): Stop | null {
    const tableId = cursor.uint48();
    cursor.take(2);
    let state = this.#last;
    if (state === null || state.tableId !== tableId) {
      const found = this.#tables.get(tableId);
      if (found === undefined) {
        if (tableId === DUMMY_TABLE) return null;
        throw misplaced(`rows of table ${tableId}, which was never described`);
      }
      this.#last = state = found;
    }
    if (!this.#inside) throw misplaced('rows outside of a transaction');
    const { captured } = state;
    const progress = this.#progress;
    const skipped = progress.skipsEvent();
    if (captured === null || skipped) {
      if (skipped && captured !== null) this.#skippedRows(type, cursor, captured);
      progress.passEvent();
      return null;
    }
    if (captured.undecodable) {
      this.#give(this.#undecodable(type, captured, eventStart), eventStart);
      progress.passEvent();
      return null;
    }
    this.#verify();
    if (cursor === this.#cursor && cursor.end > this.#textEnd) this.#cutText(cursor);
    const head = this.#inEvent?.head ?? readRowsHead(type, cursor, captured);
    if (this.#inEvent !== null) cursor.at = this.#inEvent.at;
    this.#inEvent = null;
    while (cursor.left > 0) {
      if (this.changes.length >= hard) {
        this.#inEvent = { head, at: cursor.at };
        return { frame, ...FULL_BATCH };
      }
      const rowAt = cursor.at;
      const change = this.#row(head, cursor, captured, eventStart);
      if (change === null) continue;
      this.#give(change, eventStart);
      if (this.#held !== null) this.#prepared.hold(cursor.at - rowAt);
    }
    progress.passEvent();
    return null;
  }

  #give(change: RowChange<MysqlSource>, eventStart: number): void {
    if (this.#held !== null) {
      this.#held.push(change);
      return;
    }
    if (this.#options.transactionMarkers && !this.#beginGiven) {
      this.#beginGiven = true;
      this.changes.push({ kind: 'begin', tx: this.transaction(), at: this.here(eventStart) });
    }
    this.changes.push(change);
  }

  /** Rows that were delivered before a restart are counted, so that ordinals go on. */
  #skippedRows(type: number, cursor: ByteCursor, captured: CapturedState): void {
    // Its BEGIN went out with it.
    this.#beginGiven = this.#options.transactionMarkers;
    if (captured.undecodable) {
      this.#seq++;
      return;
    }
    const head = readRowsHead(type, cursor, captured);
    while (cursor.left > 0) if (this.#reader.read(head, cursor, captured)) this.#seq++;
  }

  /** Null for a row that was delivered before a restart, or is about history only. */
  #row(
    head: RowsHead,
    cursor: ByteCursor,
    captured: CapturedState,
    eventStart: number,
  ): RowChange<MysqlSource> | null {
    const row = this.#progress.nextRow();
    const reader = this.#reader;
    const isChange = reader.read(head, cursor, captured);
    if (this.#progress.skipsRow()) {
      if (isChange) this.#seq++;
      this.#beginGiven = this.#options.transactionMarkers;
      return null;
    }
    if (!isChange) return null;
    const tx = this.transaction();
    const change: RowChange<MysqlSource> = {
      kind: 'row',
      op: reader.op,
      table: captured.schema,
      before: reader.before,
      after: reader.after,
      tx,
      seq: this.#seq++,
      at: {
        connector: this.#options.connector,
        tx,
        file: this.#place.file,
        pos: eventStart,
        row,
        query: this.#query,
      },
      snapshot: null,
    };
    return reader.unreadable === null ? change : { ...change, unreadable: reader.unreadable };
  }

  /** One note for all rows of an event that cannot be read at all. */
  #undecodable(type: number, captured: CapturedState, eventStart: number): RowChange<MysqlSource> {
    const at = this.here(eventStart);
    return {
      kind: 'row',
      op: operationOf(type),
      table: captured.schema,
      before: null,
      after: null,
      tx: at.tx,
      seq: this.#seq++,
      at,
      snapshot: null,
      ...(captured.unreadable === null ? {} : { unreadable: captured.unreadable }),
    };
  }

  /** MariaDB's, with log_bin_compress. */
  #compressedRows(
    type: number,
    eventStart: number,
    run: { readonly frame: number; readonly hard: number },
  ): Stop | null {
    this.#verify();
    const plain = inflateRows(type, this.#cursor);
    const inflated = new ByteCursor(plain, 0, plain.length);
    if (plain.length <= MAX_TEXT) {
      inflated.text = plain.latin1Slice(0, plain.length);
      inflated.textStart = 0;
    }
    return this.#rowsEvent(type, inflated, eventStart, run);
  }

  #queryEvent(type: number, start: number, end: number, frame: number): Stop | null {
    const cursor = this.#cursor;
    const { buffer, at } = cursor;
    if (type === EVENT.query && isWord(cursor, '\0BEGIN')) {
      this.#thread = buffer.readUInt32LE(at);
      // Before 5.6, and without GTIDs on MariaDB, this is where a transaction begins.
      if (!this.#inside) this.#openWithoutGtid(start);
      this.#began = true;
      return null;
    }
    if (type === EVENT.query && isWord(cursor, '\0COMMIT')) {
      this.#end(end);
      return null;
    }
    const query = readQuery(cursor, type === EVENT.compressedQuery ? inflateEvent : null);
    if (!this.#inside) this.#openWithoutGtid(start);
    const { sql } = query;
    const xa = /^\s*XA\s+(START|BEGIN|END|PREPARE|COMMIT|ROLLBACK)\s+([^]*?)\s*;?\s*$/i.exec(sql);
    if (xa !== null) {
      this.#xa(xa[1]!.toUpperCase(), xa[2]!, end);
      return null;
    }
    if (/^\s*(?:SAVEPOINT|ROLLBACK\s+TO)\b/i.test(sql)) return null;
    if (/^\s*(?:COMMIT|ROLLBACK)\s*$/i.test(sql)) {
      this.#end(end);
      return null;
    }
    return { frame: frame + 1, ...FULL_BATCH, statement: query };
  }

  #openWithoutGtid(start: number): void {
    this.#open(null, null, null, start);
  }

  /** Whether the statement that was stopped at is a transaction of its own, rather than inside of one. */
  get statementAlone(): boolean {
    return this.#inside && !this.#began;
  }

  #xa(verb: string, xid: string, end: number): void {
    switch (verb) {
      case 'START':
      case 'BEGIN':
        this.#held = [];
        return;
      case 'END':
      case 'PREPARE':
        return;
      default: {
        const decided = this.#prepared.take(xid);
        if (decided !== null) {
          if (verb === 'COMMIT') this.#release(decided.changes);
          if (decided.gtid !== null) this.#place.add(decided.gtid);
        } else if (verb === 'COMMIT') {
          throw new HeadwaterError(
            'source.position-lost',
            `The transaction of XA COMMIT at offset ${this.#place.pos} of ${this.#place.file} was prepared before the place where reading began; its changes are not known.`,
          );
        }
        this.#end(end);
      }
    }
  }

  /** Changes that were only prepared are committed now. */
  #release(changes: readonly Change<MysqlSource>[]): void {
    const [first] = changes;
    if (first === undefined || first.kind !== 'row' || first.tx === null) return;
    const { at, tx } = first;
    if (this.#options.transactionMarkers) this.changes.push({ kind: 'begin', tx, at });
    for (const change of changes) this.changes.push(change);
    if (this.#options.transactionMarkers) this.changes.push({ kind: 'end', tx, at });
  }

  #xaPrepare(end: number): void {
    const { onePhase, xid } = readXaPrepare(this.#cursor);
    const held = this.#held ?? [];
    if (onePhase) {
      this.#release(held);
      this.#end(end);
      return;
    }
    this.#prepared.add(xid, { gtid: this.#gtid, changes: held });
    this.#close();
  }
}

function sameName(known: TableState, cursor: ByteCursor): boolean {
  const { at } = cursor;
  const { id } = readTableName(cursor);
  cursor.at = at;
  return id.table === known.id.table && id.schema === known.id.schema;
}
