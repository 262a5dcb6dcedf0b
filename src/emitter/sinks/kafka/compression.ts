import { constants, gzip, gzipSync, zstdCompress, zstdCompressSync } from 'node:zlib';
import { promisify } from 'node:util';
import { compressFrameSync, compressSync as compressBlock } from 'lz4-napi';
import { compressSync } from 'snappy';
import type { Compression } from './options.ts';

/** Bits 0–2 of a record batch's attributes. */
export const COMPRESSION_BITS: Readonly<Record<Compression, number>> = {
  none: 0,
  gzip: 1,
  snappy: 2,
  lz4: 3,
  zstd: 4,
};

/** Below this, handing the work to another thread costs more than the work. */
const OFFLOAD_BYTES = 48 * 1024;

const gzipAsync = promisify<Buffer, { level: number }, Buffer>(gzip);
const zstdAsync = promisify<Buffer, object, Buffer>(zstdCompress);
/** gzip at 6 (its default) takes twice the time of 4 for 3 % on change events. */
const GZIP = { level: 4 };
const ZSTD = { params: { [constants.ZSTD_c_compressionLevel]: 3 } };

/**
 * Compresses the records of a batch. gzip and zstd of large ones go to the thread pool while the main thread
 * encodes the next. lz4 and snappy stay here: their packages copy what they hand to a thread, and for lz4
 * that copy alone takes longer (1.25 s per GB) than compressing (0.9 s per GB).
 */
export function compress(codec: Exclude<Compression, 'none'>, data: Buffer): Buffer | Promise<Buffer> {
  const offload = data.length >= OFFLOAD_BYTES;
  switch (codec) {
    case 'lz4':
      return lz4Frame(data);
    case 'zstd':
      return offload ? zstdAsync(data, ZSTD) : zstdCompressSync(data, ZSTD);
    case 'gzip':
      return offload ? gzipAsync(data, GZIP) : gzipSync(data, GZIP);
    case 'snappy':
      return xerial(blocks(data).map((block) => compressSync(block)));
  }
}

/** Largest block, and the frame's descriptor that says so: independent blocks, no checksums; the last byte is its own. */
const LZ4_SIZES = [
  { largest: 64 * 1024, descriptor: [0x60, 0x40, 0x82] },
  { largest: 256 * 1024, descriptor: [0x60, 0x50, 0xfb] },
  { largest: 1024 * 1024, descriptor: [0x60, 0x60, 0x51] },
  { largest: 4 * 1024 * 1024, descriptor: [0x60, 0x70, 0x73] },
] as const;
const LZ4_MAGIC = [0x04, 0x22, 0x4d, 0x18] as const;

/**
 * The frame format with independent blocks, which is all Java's KafkaLZ4BlockInputStream reads
 * (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md), of one block. The package can make frames too, but
 * takes a third longer over them.
 */
function lz4Frame(data: Buffer): Buffer {
  const size = LZ4_SIZES.find(({ largest }) => data.length <= largest);
  if (size === undefined) return compressFrameSync(data);
  const block = compressBlock(data); // behind four bytes of its length before compression
  const frame = Buffer.allocUnsafe(LZ4_MAGIC.length + size.descriptor.length + block.length + 4);
  frame.set(LZ4_MAGIC);
  frame.set(size.descriptor, 4);
  frame.writeUInt32LE(block.length - 4, 7);
  block.copy(frame, 11, 4);
  frame.writeUInt32LE(0, frame.length - 4);
  free(block);
  return frame;
}

/**
 * Gives memory back at once rather than when the collector comes by: such memory hastens it, and there is much of
 * it. Nobody may look at the bytes any more.
 */
export function free({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

/** Blocks of the size snappy-java's SnappyOutputStream writes. */
const SNAPPY_BLOCK = 32 * 1024;
/** Magic, version 1, lowest compatible version 1 (org.xerial.snappy.SnappyCodec). */
const XERIAL_HEADER = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);

function blocks(data: Buffer): readonly Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < data.length; at += SNAPPY_BLOCK) parts.push(data.subarray(at, at + SNAPPY_BLOCK));
  return parts;
}

/** The framing of snappy-java, which Kafka's clients expect: header, then length-prefixed raw blocks. */
function xerial(compressed: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [XERIAL_HEADER];
  for (const block of compressed) {
    const length = Buffer.allocUnsafe(4);
    length.writeInt32BE(block.length);
    parts.push(length, block);
  }
  return Buffer.concat(parts);
}
