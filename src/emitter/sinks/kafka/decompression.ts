import { constants, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { decompressFrameSync } from 'lz4-napi';
import { uncompressSync } from 'snappy';
import { ByteCursor, Malformed } from './byte-cursor.ts';
import { COMPRESSION_BITS } from './compression.ts';

/**
 * What the records of one batch may unpack to, in bytes. Brokers take batches of 1 MiB unless told otherwise, and events
 * become a tenth or a twentieth by compression: this is an order of magnitude more, and still memory that a process has.
 */
const MOST_UNPACKED = 256 * 1024 * 1024;

/** Undoes a batch's compression (bits 0–2 of its attributes). Throws Malformed, before it makes more than `most` bytes. */
export function decompress(codec: number, data: Buffer, most = MOST_UNPACKED): Buffer {
  switch (codec) {
    case COMPRESSION_BITS.none:
      return data;
    case COMPRESSION_BITS.gzip:
      return unpacked(most, () => gunzipSync(data, { maxOutputLength: most }));
    case COMPRESSION_BITS.snappy:
      return data.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)
        ? unxerial(data, most)
        : unsnappy(data, snappySize(data, most));
    case COMPRESSION_BITS.lz4: {
      const frame = lz4Frame(data, most);
      return unpacked(most, () => decompressFrameSync(frame));
    }
    case COMPRESSION_BITS.zstd:
      return unpacked(most, () => zstdDecompressSync(data, { ...ZSTD, maxOutputLength: most }));
    default:
      throw new Malformed(`it is compressed in a way (${codec}) that is not known`);
  }
}

/** Frames that need more memory to look back at than Java's widest level (22) asks for are refused. */
const ZSTD = { params: { [constants.ZSTD_d_windowLogMax]: 27 } };

function unpacked(most: number, unpack: () => Buffer): Buffer {
  try {
    return unpack();
  } catch (error) {
    if (error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE')
      throw tooMuch(most);
    throw new Malformed('what is compressed in it cannot be unpacked', { cause: error });
  }
}

function tooMuch(most: number): Malformed {
  return new Malformed(`it unpacks to more than ${most / (1024 * 1024)} MiB`);
}

/** Of snappy-java, before its two versions. */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const XERIAL_HEADER_BYTES = 16;
/** Three bytes that copy 64, the densest there is (https://github.com/google/snappy/blob/main/format_description.txt). */
const SNAPPY_RATIO = 64 / 3;

/** What a raw block says that it unpacks to, where so few bytes can. */
function snappySize(block: Buffer, most: number): number {
  const size = new ByteCursor(block).unsignedVarint();
  if (size > block.length * SNAPPY_RATIO)
    throw new Malformed(`${block.length} bytes of snappy are said to unpack to ${size}`);
  if (size > most) throw tooMuch(most);
  return size;
}

function unsnappy(block: Buffer, size: number): Buffer {
  const bytes = unpacked(size, () => uncompressSync(block, { asBuffer: true }) as Buffer);
  if (bytes.length !== size) throw new Malformed('a block of snappy unpacks to another length than it says');
  return bytes;
}

/** Blocks behind their lengths, of 32 KiB before compression as Java's clients write them. */
function unxerial(data: Buffer, most: number): Buffer {
  const cursor = new ByteCursor(data);
  cursor.skip(XERIAL_HEADER_BYTES);
  const blocks: { readonly block: Buffer; readonly size: number }[] = [];
  let total = 0;
  while (cursor.left > 0) {
    const block = cursor.take(cursor.int32());
    const size = snappySize(block, most);
    total += size;
    if (total > most) throw tooMuch(most);
    blocks.push({ block, size });
  }
  const whole = Buffer.allocUnsafeSlow(total);
  let at = 0;
  for (const { block, size } of blocks) at += unsnappy(block, size).copy(whole, at);
  return whole;
}

const LZ4_MAGIC = 0x184d2204;
const LZ4_STORED = 0x8000_0000;
/** A byte of a length stands for at most 255 (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md). */
const LZ4_RATIO = 255;

/**
 * The frame that `data` begins with, whole. The package unpacks whatever there is: so what each block can come to, by its
 * own length and by the largest that the frame's descriptor allows, is added up first
 * (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md).
 */
function lz4Frame(data: Buffer, most: number): Buffer {
  const cursor = new ByteCursor(data);
  if (cursor.take(4).readUInt32LE() !== LZ4_MAGIC) throw new Malformed('what it holds is no frame of lz4');
  const [flags = 0, descriptor = 0] = cursor.take(2);
  const largest = 2 ** (8 + 2 * ((descriptor >> 4) & 7));
  // Content size, dictionary, checksum of the descriptor.
  cursor.skip(((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4) + 1);
  let total = 0;
  for (;;) {
    const word = cursor.take(4).readUInt32LE();
    if (word === 0) break;
    const length = word % LZ4_STORED;
    cursor.skip(length + ((flags & 0x10) === 0 ? 0 : 4));
    total += Math.min(largest, word >= LZ4_STORED ? length : length * LZ4_RATIO);
    if (total > most) throw tooMuch(most);
  }
  cursor.skip((flags & 0x04) === 0 ? 0 : 4);
  return data.subarray(0, cursor.at);
}
