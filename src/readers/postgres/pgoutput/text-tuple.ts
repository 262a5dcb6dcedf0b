import { ABSENT_CELL, NULL_CELL, type RawFormat } from '../../../model/raw-row.ts';
import type { Value } from '../../../model/value.ts';
import '../../buffer-slices.ts';
import { misplaced, truncated } from './messages.ts';
import type { Decode } from './relation-state.ts';

const TEXT = 0x74;
const NULL = 0x6e;
const UNCHANGED = 0x75;

/**
 * The end of the tuple (TupleData in the manual, "Logical Replication Message Formats") at `start`, or -1 where a
 * value was left out because it has not changed. Throws where it is not well-formed within `end`.
 */
export function tupleEnd(buffer: Buffer, start: number, end: number, columns: number): number {
  let at = start;
  if (at + 2 > end) throw truncated();
  if (((buffer[at]! << 8) | buffer[at + 1]!) !== columns)
    throw misplaced('a row with another number of columns');
  at += 2;
  for (let i = 0; i < columns; i++) {
    if (at >= end) throw truncated();
    const kind = buffer[at++];
    if (kind === TEXT) {
      if (at + 4 > end) throw truncated();
      at += 4 + buffer.readUInt32BE(at);
      if (at > end) throw truncated();
    } else if (kind === UNCHANGED) {
      return -1;
    } else if (kind !== NULL) {
      throw misplaced('a value in an unknown format');
    }
  }
  return at;
}

/** A tuple that `tupleEnd` has been through. */
export class TextTuple implements RawFormat {
  readonly columns: number;
  readonly #decoders: readonly Decode[];
  /** Of a key-only image: whether a column is part of the identity. */
  readonly #identity: readonly boolean[] | null;

  constructor(decoders: readonly Decode[], identity: readonly boolean[] | null) {
    this.columns = decoders.length;
    this.#decoders = decoders;
    this.#identity = identity;
  }

  decode(bytes: Buffer, from: number, to: number, column: number): Value {
    return this.#decoders[column]!(bytes.utf8Slice(from, to));
  }

  locate(bytes: Buffer, start: number, _end: number, into: Int32Array): void {
    const { columns } = this;
    const identity = this.#identity;
    let at = start + 2;
    for (let i = 0; i < columns; i++) {
      let length = NULL_CELL;
      if (bytes[at++] === TEXT) {
        length = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
        at += 4;
      }
      into[2 * i] = at;
      // The server fills the columns outside of the identity with nulls that mean nothing.
      into[2 * i + 1] = identity === null || identity[i]! ? length : ABSENT_CELL;
      if (length > 0) at += length;
    }
  }
}
