import type { Utf8Buffer } from './utf8.ts';

/**
 * The hash by which Kafka's Java client spreads keys over partitions (org.apache.kafka.common.utils.Utils
 * #murmur2, #toPositive), so that topics written here are co-partitioned with those of other producers.
 */
const M = 0x5bd1e995;
const SEED = 0x9747b28c;

export function murmur2(data: Uint8Array, length = data.length): number {
  let h = SEED ^ length;
  const words = length >> 2;
  for (let i = 0; i < words; i++) {
    const at = i << 2;
    let k = data[at]! | (data[at + 1]! << 8) | (data[at + 2]! << 16) | (data[at + 3]! << 24);
    k = Math.imul(k, M);
    k ^= k >>> 24;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  const tail = words << 2;
  const rest = length & 3;
  if (rest === 3) h ^= data[tail + 2]! << 16;
  if (rest >= 2) h ^= data[tail + 1]! << 8;
  if (rest >= 1) h = Math.imul(h ^ data[tail]!, M);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  return h ^ (h >>> 15);
}

const scratch = Buffer.allocUnsafeSlow(4096) as Buffer as Utf8Buffer;

/** The partition Java's DefaultPartitioner chooses for these key bytes (a string is taken as UTF-8). */
export function partitionOf(key: Uint8Array | string, partitions: number): number {
  if (partitions === 1) return 0;
  if (typeof key !== 'string') return (murmur2(key) & 0x7fffffff) % partitions;
  if (key.length * 3 <= scratch.length) {
    return (murmur2(scratch, scratch.utf8Write(key, 0)) & 0x7fffffff) % partitions;
  }
  return (murmur2(Buffer.from(key, 'utf8')) & 0x7fffffff) % partitions;
}
