import type { Gtid } from '../gtid/gtid-set.ts';
import { formatUuid } from '../gtid/mysql-gtid-set.ts';
import { charsetOfCollation } from '../types/collations.ts';
import { decoderOf } from '../types/charsets.ts';
import { ByteCursor, misplaced } from './byte-cursor.ts';
import { FLAG_THREAD_SPECIFIC } from './event-types.ts';

/** Bodies of the events that are not rows; each is read from behind its header to `cursor.end`. */

export interface FormatDescription {
  readonly serverVersion: string;
  /** Each event ends in four bytes of CRC32. */
  readonly checksum: boolean;
}

/** The event's own end may be a checksum; `cursor.end` is the end of the event. */
export function readFormatDescription(cursor: ByteCursor): FormatDescription {
  const version = cursor.uint16();
  if (version !== 4) throw misplaced(`the binlog format ${version}, which only servers before 5.0 write,`);
  const serverVersion = cursor.utf8(50).replace(/\0.*/s, '');
  cursor.take(4);
  if (cursor.uint8() !== 19) throw misplaced('events with another header than that of format 4');
  // Since 5.6: one byte with the algorithm, and always four of checksum.
  const match = /^(\d+)\.(\d+)/.exec(serverVersion);
  const knowsChecksums =
    Number(match?.[1] ?? 0) * 100 + Number(match?.[2] ?? 0) >= 506 || /mariadb/i.test(serverVersion);
  if (!knowsChecksums || cursor.left < 5) return { serverVersion, checksum: false };
  return { serverVersion, checksum: cursor.buffer[cursor.end - 5] === 1 };
}

export function readRotate(cursor: ByteCursor): { readonly file: string; readonly pos: number } {
  const pos = cursor.uint64();
  return { pos, file: cursor.utf8(cursor.left) };
}

export interface GtidEvent {
  /** Null for an anonymous transaction. */
  readonly gtid: Gtid | null;
  readonly text: string | null;
  /** Microseconds since the epoch; null before MySQL 8. */
  readonly commitTimeUs: number | null;
}

/** Gtid_log_event and Anonymous_gtid_log_event. */
export function readGtid(cursor: ByteCursor, anonymous: boolean): GtidEvent {
  cursor.take(1);
  const uuidAt = cursor.take(16);
  const number = cursor.uint64();
  // The times follow the logical clock (type 2 and two numbers), where there is one.
  let commitTimeUs: number | null = null;
  if (cursor.left >= 17 + 7 && cursor.uint8() === 2) {
    cursor.take(16);
    commitTimeUs = readUint56(cursor);
    if (commitTimeUs >= 2 ** 55) commitTimeUs = readUint56(cursor); // on a replica: when it was at the source
  }
  if (anonymous) return { gtid: null, text: null, commitTimeUs };
  const source = formatUuid(cursor.buffer, uuidAt);
  return { gtid: { source, number }, text: `${source}:${number}`, commitTimeUs };
}

/** Seven bytes; the highest bit says whether the original time follows. */
function readUint56(cursor: ByteCursor): number {
  const at = cursor.take(7);
  return cursor.buffer.readUInt32LE(at) + cursor.buffer.readUIntLE(at + 4, 3) * 0x1_0000_0000;
}

/**
 * Gtid_tagged_log_event, in the format of MySQL's serialization library (mysql/serialization): the version, the size,
 * the last field that must be understood, and fields as (id, value), all variable-length integers.
 * Fields: 0 flags, 1 uuid, 2 number, 3 tag, 4 last_committed, 5 sequence_number, 6 immediate commit time, 7 original …
 */
export function readTaggedGtid(cursor: ByteCursor): GtidEvent {
  readVarint(cursor);
  readVarint(cursor);
  readVarint(cursor);
  let uuid = '';
  let tag = '';
  let number = 0;
  let commitTimeUs: number | null = null;
  while (cursor.left > 0) {
    const field = readVarint(cursor);
    if (field === 1) {
      // Sixteen numbers, each a byte of its own; those from 128 on take two.
      const bytes = Buffer.alloc(16);
      for (let i = 0; i < 16; i++) bytes[i] = readVarint(cursor);
      uuid = formatUuid(bytes, 0);
    } else if (field === 2) {
      number = readSignedVarint(cursor);
    } else if (field === 3) {
      tag = cursor.utf8(readVarint(cursor));
    } else if (field === 6 || field === 7) {
      commitTimeUs = readVarint(cursor);
    } else if (field === 4 || field === 5) {
      readSignedVarint(cursor);
    } else {
      readVarint(cursor);
    }
  }
  if (uuid === '' || number < 1) throw misplaced('a GTID that cannot be read');
  const source = tag === '' ? uuid : `${uuid}:${tag}`;
  return { gtid: { source, number }, text: `${source}:${number}`, commitTimeUs };
}

/** The number of trailing ones of the first byte is the number of bytes that follow; exact to 2^53. */
function readVarint(cursor: ByteCursor): number {
  const first = cursor.uint8();
  let extra = 0;
  while (extra < 8 && ((first >> extra) & 1) === 1) extra++;
  if (extra === 8) return cursor.uint64();
  let value = first >> (extra + 1);
  let scale = 2 ** (7 - extra);
  for (let i = 0; i < extra; i++, scale *= 256) value += cursor.uint8() * scale;
  return value;
}

/** Zigzag: the lowest bit is the sign. */
function readSignedVarint(cursor: ByteCursor): number {
  const value = readVarint(cursor);
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}

/** MariaDB's Gtid_log_event. */
export interface MariadbGtidEvent {
  readonly gtid: Gtid;
  readonly text: string;
  /** A statement alone, without COMMIT. */
  readonly standalone: boolean;
  /** Of the transaction that XA PREPARE ends; null for others. */
  readonly preparedXid: string | null;
  /** The ALTER TABLE that follows has only begun, or is given up: what was done stands behind another GTID. */
  readonly unfinishedAlter: boolean;
}

/** FL_GROUP_COMMIT_ID, FL_PREPARED_XA, FL_COMPLETED_XA; and in the byte behind, FL_START_ALTER_E1 | FL_ROLLBACK_ALTER_E1. */
const GROUP_COMMIT = 0x02;
const PREPARED_XA = 0x40;
const COMPLETED_XA = 0x80;
const UNFINISHED_ALTER = 0x02 | 0x08;

export function readMariadbGtid(cursor: ByteCursor, server: number): MariadbGtidEvent {
  const sequence = cursor.uint64();
  const domain = cursor.uint32();
  const flags = cursor.uint8();
  if ((flags & GROUP_COMMIT) !== 0) cursor.take(8);
  const xid = (flags & (PREPARED_XA | COMPLETED_XA)) === 0 ? null : readXid(cursor, 'uint8');
  // Since 10.8; before, zeros fill the event up.
  const extraFlags = cursor.left > 0 ? cursor.uint8() : 0;
  return {
    gtid: { domain, server, sequence },
    text: `${domain}-${server}-${sequence}`,
    standalone: (flags & 0x01) !== 0,
    preparedXid: (flags & PREPARED_XA) === 0 ? null : xid,
    unfinishedAlter: (extraFlags & UNFINISHED_ALTER) !== 0,
  };
}

export interface QueryEvent {
  /** The default database of the statement. */
  readonly database: string;
  readonly sql: string;
  /** The session's NO_BACKSLASH_ESCAPES. */
  readonly plainBackslashes: boolean;
  /** The session that made it. */
  readonly thread: number;
  /** As far as the log says it: FLAG_THREAD_SPECIFIC. */
  readonly usesTemporary: boolean;
}

const NO_BACKSLASH_ESCAPES = 0x10_0000;

/**
 * Status variables, as (code, value): 0 flags, 1 sql_mode, 2 and 6 the catalogue, 3 auto increments, 4 the numbers of
 * three collations, that of the client first, …; those behind are of no interest here.
 */
function readStatus(cursor: ByteCursor): {
  readonly charset: string | null;
  readonly plainBackslashes: boolean;
} {
  let charset: string | null = null;
  let plainBackslashes = false;
  while (cursor.left > 0 && charset === null) {
    const code = cursor.uint8();
    if (code === 0 || code === 3) {
      cursor.take(4);
    } else if (code === 1) {
      plainBackslashes = (cursor.uint32() & NO_BACKSLASH_ESCAPES) !== 0;
      cursor.take(4);
    } else if (code === 2) {
      cursor.take(cursor.uint8() + 1);
    } else if (code === 6) {
      cursor.take(cursor.uint8());
    } else if (code === 4) {
      charset = charsetOfCollation(cursor.uint16());
    } else {
      break;
    }
  }
  return { charset, plainBackslashes };
}

export interface QueryForm {
  /** Where the event holds the statement compressed. */
  readonly inflate: ((bytes: Buffer) => Buffer) | null;
  /** LOAD DATA: with four numbers about its file (Execute_load_query_event). */
  readonly load: boolean;
  readonly flags: number;
}

export function readQuery(cursor: ByteCursor, { inflate, load, flags }: QueryForm): QueryEvent {
  const thread = cursor.uint32();
  cursor.take(4);
  const databaseLength = cursor.uint8();
  cursor.take(2);
  const statusLength = cursor.uint16();
  if (load) cursor.take(13);
  const statusAt = cursor.take(statusLength);
  const { charset, plainBackslashes } = readStatus(
    new ByteCursor(cursor.buffer, statusAt, statusAt + statusLength),
  );
  const database = cursor.utf8(databaseLength);
  cursor.take(1);
  const bytes = inflate === null ? cursor.bytes(cursor.left) : inflate(cursor.bytes(cursor.left));
  // A statement is logged as the client sent it.
  const sql = decoderOf(charset ?? 'utf8mb4')(bytes, 0, bytes.length);
  return { database, sql, plainBackslashes, thread, usesTemporary: (flags & FLAG_THREAD_SPECIFIC) !== 0 };
}

/** The first word of a statement without copying it: BEGIN and COMMIT are half of all queries. */
export function isWord(cursor: ByteCursor, word: string): boolean {
  const at = cursor.end - word.length;
  return at >= cursor.at && cursor.buffer.latin1Slice(at, cursor.end) === word;
}

/** XA_prepare_log_event. */
export function readXaPrepare(cursor: ByteCursor): { readonly onePhase: boolean; readonly xid: string } {
  const onePhase = cursor.uint8() !== 0;
  return { onePhase, xid: readXid(cursor, 'uint32') };
}

/** As it stands in XA statements of the log. `length`: how the lengths of its two parts are written. */
function readXid(cursor: ByteCursor, length: 'uint8' | 'uint32'): string {
  const format = cursor.uint32();
  const gtrid = cursor[length]();
  const bqual = cursor[length]();
  const hex = (bytes: Buffer): string => bytes.hexSlice(0, bytes.length);
  return `X'${hex(cursor.bytes(gtrid))}',X'${hex(cursor.bytes(bqual))}',${format}`;
}
