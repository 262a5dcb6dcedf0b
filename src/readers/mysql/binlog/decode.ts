import { crc32 } from 'node:zlib';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Change } from '../../../model/change.ts';
import type { MysqlPosition } from '../position.ts';
import type { MysqlSource, MysqlTx } from '../source-info.ts';
import type { EventChunk } from '../wire/event-queue.ts';
import { ByteCursor, misplaced, truncated } from './byte-cursor.ts';
import { RowsDecoder } from './decode-rows.ts';
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
import { inflateEvent, inflateRows } from './mariadb-compression.ts';
import { type Opening, OpenTransaction } from './open-transaction.ts';
import { isRowsEvent } from './rows.ts';
import { isTable, readTableMap, readTableName } from './table-map.ts';
import type { TableState } from './table-state.ts';
import { readPayload } from './transaction-payload.ts';

/** Larger text is not sliced out of one string. */
const MAX_TEXT = 8 * 1024 * 1024;
/** Table ids that are kept in mind. */
const MAX_TABLES = 20_000;
/** A rows event for no table: the end of a statement that changed none (table id 2^24 - 1). */
const DUMMY_TABLE = 0xff_ffff;

/**
 * Turns the events of a binlog dump into changes: synchronous, without a promise or closure per row. A group of
 * events, from its GTID event on, is one transaction (OpenTransaction).
 */
export class BinlogDecoder {
  readonly #options: DecoderOptions;
  readonly #tables = new Map<number, TableState>();
  readonly #cursor = new ByteCursor(Buffer.alloc(0), 0, 0);
  readonly #tx: OpenTransaction;
  readonly #rows: RowsDecoder;
  #checksum = false;
  /** See MariadbGtidEvent: of the group at hand. */
  #unfinishedAlter = false;
  #last: TableState | null = null;
  #textEnd = 0;
  #lastByte = 0;
  /** Where the event at hand begins, if it has a checksum that was not looked at. */
  #unverified = -1;
  /** Of the events since `reset`. */
  bytes = 0;

  constructor(options: DecoderOptions) {
    this.#options = options;
    this.#tx = new OpenTransaction(options);
    this.#rows = new RowsDecoder(this.#tx, options.connector);
    this.#checksum = options.checksum;
  }

  /** What was decoded since `reset`; elements that were made from statements are pushed into it. */
  get changes(): Change<MysqlSource>[] {
    return this.#tx.changes;
  }

  get position(): MysqlPosition {
    return this.#tx.position;
  }

  get insideTransaction(): boolean {
    return this.#tx.inside;
  }

  get awaitsCommit(): boolean {
    return this.#tx.awaitsCommit;
  }

  /** Whether the statement that was stopped at is a transaction of its own, rather than inside of one. */
  get statementAlone(): boolean {
    return this.#tx.inside && !this.#tx.began;
  }

  /** Whether rows were read, since it was asked last, that are kept for another batch. */
  takeKept(): boolean {
    return this.#tx.takeKept();
  }

  reset(): void {
    this.#tx.reset();
    this.bytes = 0;
  }

  here(): MysqlSource {
    return this.#tx.here();
  }

  transaction(): MysqlTx {
    return this.#tx.tx();
  }

  nextSeq(): number {
    return this.#tx.nextSeq();
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
    this.#tx.end(this.#tx.place.pos);
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
    cursor.textStart = -1;
    this.#textEnd = 0;
    this.#lastByte = frames[frames.length - 1]!;
    for (let frame = from; frame < count; frame++) {
      const { length } = this.#tx.changes;
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
      `an event whose checksum is wrong, behind offset ${this.#tx.place.pos} of ${this.#tx.place.file}`,
    );
  }

  #event(
    type: number,
    start: number,
    run: { readonly frame: number; readonly hard: number; readonly inner: boolean },
  ): Stop | null {
    const cursor = this.#cursor;
    const { buffer } = cursor;
    const tx = this.#tx;
    const { place } = tx;
    const low = buffer.readUInt32LE(start + 13);
    const flags = buffer.readUInt16LE(start + 17);
    const size = buffer.readUInt32LE(start + 9);
    // MariaDB leaves the end of events within a transaction open (11.4 and later).
    const open = low === 0 && tx.inside && !run.inner;
    const artificial = run.inner || (low === 0 && !open) || (flags & FLAG_ARTIFICIAL) !== 0;
    const eventEnd = artificial ? place.pos : open ? place.pos + size : place.endOf(low);
    const eventStart = artificial ? place.pos : eventEnd - size;
    if (!artificial) tx.timestamp = buffer.readUInt32LE(start);
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
        tx.identity.serverId = buffer.readUInt32LE(start + 5);
        this.#open({ ...event, start: eventStart });
        break;
      }
      case EVENT.taggedGtid: {
        const event = readTaggedGtid(cursor);
        tx.identity.serverId = buffer.readUInt32LE(start + 5);
        this.#open({ ...event, start: eventStart });
        break;
      }
      case EVENT.mariadbGtid: {
        tx.identity.serverId = buffer.readUInt32LE(start + 5);
        const event = readMariadbGtid(cursor, tx.identity.serverId);
        this.#open({ gtid: event.gtid, text: event.text, commitTimeUs: null, start: eventStart });
        tx.began = !event.standalone;
        if (event.preparedXid !== null) tx.hold(event.preparedXid);
        this.#unfinishedAlter = event.unfinishedAlter;
        break;
      }
      case EVENT.query:
      case EVENT.compressedQuery:
      case EVENT.executeLoadQuery:
        stop = this.#queryEvent({ type, flags, start: eventStart, end: eventEnd }, run.frame);
        break;
      case EVENT.xid:
        tx.end(eventEnd);
        break;
      case EVENT.xaPrepare:
        this.#xaPrepare(eventEnd);
        break;
      case EVENT.rowsQuery:
        if (this.#options.includeQuery) {
          cursor.take(1); // a length of one byte that is too short for what follows
          tx.query = cursor.utf8(cursor.left);
        }
        break;
      case EVENT.annotateRows:
        if (this.#options.includeQuery) tx.query = cursor.utf8(cursor.left);
        break;
      case EVENT.transactionPayload:
        stop = { frame: run.frame + 1, ...FULL_BATCH, payload: readPayload(cursor) };
        break;
      case EVENT.rotate: {
        const { file, pos } = readRotate(cursor);
        place.rotate(file, pos);
        if (!tx.inside) place.pass(pos);
        return null;
      }
      case EVENT.formatDescription:
        this.#checksum = readFormatDescription(cursor).checksum;
        if (tx.inside) tx.abandon();
        // Table ids begin anew with a server's start.
        this.forgetTables();
        break;
      case EVENT.heartbeat:
        // Where the server stands: it may have passed over transactions that we have already.
        if (!tx.inside && cursor.utf8(cursor.left) === place.file) place.catchUp(low);
        return null;
      case EVENT.previousGtids:
      case EVENT.gtidList:
      case EVENT.binlogCheckpoint:
      case EVENT.stop:
      case EVENT.intvar:
      case EVENT.rand:
      case EVENT.userVar:
      case EVENT.beginLoadQuery:
      case EVENT.appendBlock:
      case EVENT.deleteFile:
      case EVENT.transactionContext:
      case EVENT.viewChange:
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
      if (!this.#rows.isInside) place.pos = eventEnd;
      if (!tx.inside && stop === null) place.pass(eventEnd);
    }
    return stop;
  }

  #open(opening: Opening): void {
    this.#tx.open(opening);
    // Each opening of a table gives it another id: months of them.
    if (this.#tables.size > MAX_TABLES) this.forgetTables();
  }

  #tableMap(frame: number): Stop | null {
    if (this.#tx.isPassedOver) return null;
    const cursor = this.#cursor;
    const { buffer, at, end } = cursor;
    if (end - at < 8) throw truncated();
    const tableId = buffer.readUIntLE(at, 6);
    const known = this.#tables.get(tableId);
    if (known !== undefined) {
      const { map } = known;
      if (map === null ? isTable(known.id, cursor) : map.compare(buffer, at, end) === 0) return null;
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
    if (this.#tx.isPassedOver) return null;
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
    if (!this.#tx.inside) throw misplaced('rows outside of a transaction');
    const { captured } = state;
    const { progress } = this.#tx;
    const delivered = progress.skipsEvent();
    if (captured === null) {
      progress.passEvent();
    } else if (delivered) {
      this.#rows.passDelivered(type, cursor, captured);
    } else if (captured.undecodable) {
      this.#rows.note(type, captured, eventStart);
    } else {
      this.#verify();
      if (captured.raw === null && cursor === this.#cursor && cursor.end > this.#textEnd)
        this.#cutText(cursor);
      if (!this.#rows.read(type, cursor, captured, { eventStart, hard })) return { frame, ...FULL_BATCH };
    }
    return null;
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

  #queryEvent(
    {
      type,
      flags,
      start,
      end,
    }: { readonly type: number; readonly flags: number; readonly start: number; readonly end: number },
    frame: number,
  ): Stop | null {
    const cursor = this.#cursor;
    const { buffer, at } = cursor;
    if (type === EVENT.query && isWord(cursor, '\0BEGIN')) {
      this.#tx.identity.thread = buffer.readUInt32LE(at);
      // Before 5.6, and without GTIDs on MariaDB, this is where a transaction begins.
      if (!this.#tx.inside) this.#open({ gtid: null, text: null, commitTimeUs: null, start });
      this.#tx.began = true;
      return null;
    }
    if (type === EVENT.query && isWord(cursor, '\0COMMIT')) {
      this.#tx.end(end);
      return null;
    }
    const query = readQuery(cursor, {
      inflate: type === EVENT.compressedQuery ? inflateEvent : null,
      load: type === EVENT.executeLoadQuery,
      flags,
    });
    if (!this.#tx.inside) this.#open({ gtid: null, text: null, commitTimeUs: null, start });
    const sql = query.sql.trim();
    const xa = /^XA\s+(START|BEGIN|END|PREPARE|COMMIT|ROLLBACK)\s+(\S[^]*)$/i.exec(sql);
    if (xa !== null) {
      this.#xa(xa[1]!.toUpperCase(), xa[2]!.replace(/;$/, '').trimEnd(), end);
      return null;
    }
    const savepoint = /^(SAVEPOINT|ROLLBACK\s+TO(?:\s+SAVEPOINT)?)\s+(.*)$/i.exec(sql);
    if (savepoint !== null) {
      const name = savepoint[2]!.replaceAll('`', '').toLowerCase();
      if (/^S/i.test(savepoint[1]!)) this.#tx.savepoint(name);
      else this.#tx.rollBackTo(name);
      return null;
    }
    const ending = /^(COMMIT|ROLLBACK)$/i.exec(sql)?.[1];
    if (ending !== undefined) {
      if (/^R/i.test(ending)) this.#tx.rollBack(end);
      else this.#tx.end(end);
      return null;
    }
    if (this.#unfinishedAlter || this.#tx.isPassedOver) {
      if (this.statementAlone) this.#tx.end(end);
      return null;
    }
    return { frame: frame + 1, ...FULL_BATCH, statement: query };
  }

  #xa(verb: string, xid: string, end: number): void {
    if (verb === 'START' || verb === 'BEGIN') this.#tx.hold(xid);
    else if (verb === 'COMMIT' || verb === 'ROLLBACK') this.#tx.decide(xid, verb, end);
  }

  #xaPrepare(end: number): void {
    const { onePhase, xid } = readXaPrepare(this.#cursor);
    if (onePhase) this.#tx.commitHeld(end);
    else this.#tx.prepare(xid);
  }
}
