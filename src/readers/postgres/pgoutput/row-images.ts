import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { type Image, RawRow, valueOf } from '../../../model/raw-row.ts';
import { ABSENT, UNCHANGED, type Value } from '../../../model/value.ts';
import { isBeyondAscii } from '../../buffer-slices.ts';
import { misplaced, truncated } from './messages.ts';
import type { RelationState } from './relation-state.ts';
import { tupleEnd } from './text-tuple.ts';
import { lenient } from './unreadable-row.ts';

export const INSERT = 0x49;
export const UPDATE = 0x55;
export const DELETE = 0x44;

/** A row's images within a message. */
interface Span {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/**
 * The images of one row at a time, read from the bytes of a message.
 *
 * Rows stay text where they may (model/raw-row.ts). Of the others one latin1 string is made per chunk and values
 * are slices of it: a byte is a character, so offsets agree, and only values that hold bytes past ASCII are
 * decoded again, as UTF-8.
 */
export class RowImages {
  before: Image | null = null;
  after: Image | null = null;
  /** Some value of `after` is UNCHANGED. */
  unchanged = false;

  #text: string | null = null;
  #textStart = 0;
  #textEnd = 0;
  #at = 0;

  /** What is read until the next call lies between these bytes of one buffer. */
  enter(start: number, end: number): void {
    this.#textStart = start;
    this.#textEnd = end;
    this.#text = null;
  }

  /**
   * Reads the images into `before` and `after`; what follows the relation's number in a message INSERT, UPDATE or
   * DELETE. Returns what could not be read, as ABSENT there; throws `source.protocol` where the message is not
   * well-formed.
   */
  read(type: number, relation: RelationState, span: Span): HeadwaterError | null {
    if (this.#texts(type, relation, span)) return null;
    try {
      this.#decode(type, relation, span);
      return null;
    } catch (error) {
      if (error instanceof HeadwaterError && error.code === 'source.protocol') throw error;
      const readable = lenient(relation);
      this.#decode(type, readable.relation, span);
      return readable.error();
    }
  }

  /** Both images of a row, decoded. */
  #decode(type: number, relation: RelationState, { buffer, start, end }: Span): void {
    this.#at = start;
    this.before = null;
    this.after = null;
    this.unchanged = false;
    let part = buffer[this.#at++];
    if (part === 0x4f) {
      this.before = relation.patchy
        ? this.#patchyTuple(relation, buffer, end)
        : this.#tuple(relation, buffer, end);
      part = type === DELETE ? 0 : buffer[this.#at++];
    } else if (part === 0x4b) {
      this.before = this.#keyTuple(relation, buffer, end);
      part = type === DELETE ? 0 : buffer[this.#at++];
    }
    if (type !== DELETE) {
      if (part !== 0x4e) throw misplaced('a row without its new values');
      this.after = this.#tuple(relation, buffer, end);
    } else if (this.before === null) {
      throw misplaced('a DELETE without old values');
    }
  }

  /** As `#decode`, without decoding; false where that won't do. */
  #texts(type: number, { text, decoders, checked }: RelationState, { buffer, start, end }: Span): boolean {
    if (text === null) return false;
    const columns = decoders.length;
    this.before = null;
    this.after = null;
    this.unchanged = false;
    let at = start + 1;
    let part = buffer[start];
    if (part === 0x4f || part === 0x4b) {
      const last = tupleEnd(buffer, at, end, columns);
      if (last < 0) return false;
      this.before = new RawRow(buffer, at, last, part === 0x4b ? text.key : text.whole);
      part = type === DELETE ? 0 : buffer[last];
      at = last + 1;
    }
    if (type === DELETE) return this.before !== null;
    if (part !== 0x4e) return false;
    const last = tupleEnd(buffer, at, end, columns);
    if (last < 0) return false;
    this.after = new RawRow(buffer, at, last, text.whole);
    for (const column of checked) {
      if (this.before !== null) valueOf(this.before, column);
      this.after.value(column);
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
        this.unchanged = true;
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
}
