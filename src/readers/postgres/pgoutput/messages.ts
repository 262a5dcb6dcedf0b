/**
 * Messages of pgoutput that come seldom, parsed with bounds checks. Rows have a path of their own in decode.ts.
 * Source of the format: "Logical Replication Message Formats" in PostgreSQL's documentation.
 */
import { HeadwaterError } from '../../../errors/headwater-error.ts';

export interface RelationMessage {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  /** pg_class.relreplident: d, n, f or i. */
  readonly replicaIdentity: string;
  readonly columns: readonly RelationColumn[];
}

export interface RelationColumn {
  readonly name: string;
  readonly typeOid: number;
  readonly typmod: number;
  /** Part of the replica identity. */
  readonly identity: boolean;
}

export interface TruncateMessage {
  readonly oids: readonly number[];
}

export interface LogicalMessage {
  readonly transactional: boolean;
  readonly lsn: number;
  readonly prefix: string;
  readonly content: Uint8Array;
}

/** Bounds-checked reading of one message; throws `source.protocol` where it is shorter than it says. */
class Cursor {
  readonly #buffer: Buffer;
  readonly #end: number;
  #at: number;

  constructor(buffer: Buffer, start: number, end: number) {
    this.#buffer = buffer;
    this.#at = start;
    this.#end = end;
  }

  #take(bytes: number): number {
    const at = this.#at;
    if (bytes < 0 || at + bytes > this.#end) throw truncated();
    this.#at = at + bytes;
    return at;
  }
  byte(): number {
    return this.#buffer[this.#take(1)]!;
  }
  uint16(): number {
    return this.#buffer.readUInt16BE(this.#take(2));
  }
  uint32(): number {
    return this.#buffer.readUInt32BE(this.#take(4));
  }
  int32(): number {
    return this.#buffer.readInt32BE(this.#take(4));
  }
  lsn(): number {
    return readUint64(this.#buffer, this.#take(8));
  }
  text(): string {
    const end = this.#buffer.indexOf(0, this.#at);
    if (end < 0 || end >= this.#end) throw truncated();
    const text = this.#buffer.utf8Slice(this.#at, end);
    this.#at = end + 1;
    return text;
  }
  bytes(count: number): Uint8Array {
    const at = this.#take(count);
    return Uint8Array.prototype.slice.call(this.#buffer, at, at + count);
  }
}

/** Exact below 2^53, which no LSN and no time stamp reaches. */
export function readUint64(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at) * 0x1_0000_0000 + buffer.readUInt32BE(at + 4);
}

/** `start` is behind the message's type byte, here and below. */
export function parseRelation(buffer: Buffer, start: number, end: number): RelationMessage {
  const cursor = new Cursor(buffer, start, end);
  const oid = cursor.uint32();
  const schema = cursor.text();
  const table = cursor.text();
  const replicaIdentity = String.fromCharCode(cursor.byte());
  const count = cursor.uint16();
  const columns: RelationColumn[] = [];
  for (let i = 0; i < count; i++) {
    const flags = cursor.byte();
    const name = cursor.text();
    columns.push({ name, typeOid: cursor.uint32(), typmod: cursor.int32(), identity: (flags & 1) === 1 });
  }
  return { oid, schema: schema === '' ? 'pg_catalog' : schema, table, replicaIdentity, columns };
}

export function parseTruncate(buffer: Buffer, start: number, end: number): TruncateMessage {
  const cursor = new Cursor(buffer, start, end);
  const count = cursor.uint32();
  cursor.byte(); // CASCADE, RESTART IDENTITY
  const oids: number[] = [];
  for (let i = 0; i < count; i++) oids.push(cursor.uint32());
  return { oids };
}

export function parseLogicalMessage(buffer: Buffer, start: number, end: number): LogicalMessage {
  const cursor = new Cursor(buffer, start, end);
  const flags = cursor.byte();
  const lsn = cursor.lsn();
  const prefix = cursor.text();
  return { transactional: (flags & 1) === 1, lsn, prefix, content: cursor.bytes(cursor.uint32()) };
}

export interface BeginMessage {
  readonly commitLsn: number;
  /** Microseconds since 1970. */
  readonly commitTimeUs: number;
  readonly xid: number;
}

/** PostgreSQL counts time from 2000-01-01. */
export const EPOCH_2000_US = 946_684_800_000_000;

/** Comes before the rows, and has the commit's position already. */
export function parseBegin(buffer: Buffer, start: number, end: number): BeginMessage {
  const cursor = new Cursor(buffer, start, end);
  return { commitLsn: cursor.lsn(), commitTimeUs: cursor.lsn() + EPOCH_2000_US, xid: cursor.uint32() };
}

export interface CommitMessage {
  readonly commitLsn: number;
  readonly endLsn: number;
}

/** `endLsn` is where the next transaction may begin. */
export function parseCommit(buffer: Buffer, start: number, end: number): CommitMessage {
  const cursor = new Cursor(buffer, start, end);
  cursor.byte(); // flags, unused
  return { commitLsn: cursor.lsn(), endLsn: cursor.lsn() };
}

export function truncated(): HeadwaterError {
  return new HeadwaterError('source.protocol', 'A replication message is shorter than it says.');
}

export function unknownMessage(type: number): HeadwaterError {
  return new HeadwaterError(
    'source.protocol',
    `The server sent a replication message of type 0x${type.toString(16)}, which was not asked for.`,
  );
}

export function misplaced(what: string): HeadwaterError {
  return new HeadwaterError('source.protocol', `The server sent ${what} where none can be.`);
}
