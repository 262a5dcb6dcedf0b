/** Bytes that say of themselves what cannot be: a length below nothing or beyond their end, a wrong checksum. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/**
 * Reads Kafka's primitive types (https://kafka.apache.org/protocol.html#protocol_types) out of `bytes`, and never past
 * `end`. Throws Malformed.
 */
export class ByteCursor {
  readonly bytes: Buffer;
  at: number;
  end: number;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.at = 0;
    this.end = bytes.length;
  }

  get left(): number {
    return this.end - this.at;
  }

  /** Passes over so many bytes, and returns where they begin. */
  skip(length: number): number {
    const { at } = this;
    if (length < 0 || length > this.end - at)
      throw new Malformed(`${length} bytes are announced where ${this.end - at} are left`);
    this.at = at + length;
    return at;
  }

  /** The next so many bytes, in the memory of all of them. */
  take(length: number): Buffer {
    const start = this.skip(length);
    return this.bytes.subarray(start, start + length);
  }

  int16(): number {
    return this.bytes.readInt16BE(this.skip(2));
  }

  int32(): number {
    return this.bytes.readInt32BE(this.skip(4));
  }

  bigint64(): bigint {
    return this.bytes.readBigInt64BE(this.skip(8));
  }

  /** Exact up to 2^53. */
  int64(): number {
    return Number(this.bigint64());
  }

  /** Seven bits a byte, up to 32 of them. */
  unsignedVarint(): number {
    const { bytes, end } = this;
    let { at } = this;
    let value = 0;
    for (let shift = 0; shift < 35 && at < end; shift += 7) {
      const byte = bytes[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        this.at = at;
        return value >>> 0;
      }
    }
    throw new Malformed('a number has no end');
  }

  /** As above, in zigzag. */
  varint(): number {
    const value = this.unsignedVarint();
    return (value >>> 1) ^ -(value & 1);
  }

  /** Up to 64 bits, in zigzag; exact up to 2^52. */
  varlong(): number {
    const { bytes, end } = this;
    let { at } = this;
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 10 && at < end; i++) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        this.at = at;
        return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      }
      factor *= 128;
    }
    throw new Malformed('a number has no end');
  }

  /** Bytes behind their length in zigzag, which is -1 for none. */
  varintBytes(): Buffer | null {
    const length = this.varint();
    return length === -1 ? null : this.take(length);
  }
}
