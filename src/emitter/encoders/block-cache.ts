import type { BlockValue } from '../../schema/source-block.ts';
import type { BinaryWriter } from './binary-writer.ts';

type WriteField = (value: BlockValue, out: BinaryWriter) => void;

/**
 * Writes source blocks. Between neighbouring changes most of a block stays the same (server, database, table,
 * transaction), so bytes of the last one are copied wherever values are the same as then.
 */
export class BlockCache {
  readonly #writers: readonly WriteField[];
  readonly #last: BlockValue[];
  /** Where each field's bytes end in `#bytes`. */
  readonly #ends: Uint32Array;
  #bytes: Buffer = Buffer.alloc(0);
  /** Whether `#last`, `#ends` and `#bytes` are of the same block: not where writing one was broken off. */
  #valid = false;

  constructor(writers: readonly WriteField[]) {
    this.#writers = writers;
    this.#last = [];
    this.#ends = new Uint32Array(writers.length);
  }

  write(values: readonly BlockValue[], out: BinaryWriter): void {
    const writers = this.#writers;
    const count = writers.length;
    const last = this.#last;
    if (!this.#valid) {
      this.#writeAll(values, out);
      return;
    }
    const ends = this.#ends;
    const start = out.at;
    // Of the last block's bytes: up to where they have been copied, and where the field under way begins.
    let copied = 0;
    let from = 0;
    let resized = false;
    for (let i = 0; i < count; i++) {
      const end = ends[i]!;
      const value = values[i]!;
      if (value !== last[i]) {
        this.#valid = false;
        if (from > copied) out.part(this.#bytes, copied, from);
        const at = out.at;
        writers[i]!(value, out);
        last[i] = value;
        // Mostly a value takes as many bytes as the one before it, and can take its place.
        if (out.at - at !== end - from) resized = true;
        else if (!resized) out.copyInto(this.#bytes, from, at);
        copied = end;
      }
      from = end;
      // What stands in front of a field in the new block may be longer or shorter than in the last.
      if (resized) ends[i] = out.at - start + (end - copied);
    }
    if (from > copied) out.part(this.#bytes, copied, from);
    if (resized) this.#keep(out, start);
    this.#valid = true;
  }

  #writeAll(values: readonly BlockValue[], out: BinaryWriter): void {
    const start = out.at;
    this.#writers.forEach((write, i) => {
      write(values[i]!, out);
      this.#last[i] = values[i]!;
      this.#ends[i] = out.at - start;
    });
    this.#keep(out, start);
  }

  #keep(out: BinaryWriter, start: number): void {
    const length = out.at - start;
    if (this.#bytes.length < length) this.#bytes = Buffer.allocUnsafeSlow(length * 2);
    out.copyInto(this.#bytes, 0, start);
    this.#valid = true;
  }
}
