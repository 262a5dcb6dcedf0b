import { describe, expect, it } from 'vitest';
import { murmur2, partitionOf } from '../../src/emitter/sinks/kafka/murmur2.ts';

describe('murmur2', () => {
  // org.apache.kafka.common.utils.UtilsTest#testMurmur2, Kafka 4.0
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('hashes %s as Java does', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash);
  });

  it('gives text and its bytes the same partition, however long', () => {
    for (const key of ['', 'a', 'ž', '{"id":17}', '😀', 'x'.repeat(5000), 'é'.repeat(3000)]) {
      expect(partitionOf(key, 7)).toBe(partitionOf(Buffer.from(key), 7));
      expect(partitionOf(key, 7)).toBe((murmur2(Buffer.from(key)) & 0x7fffffff) % 7);
    }
  });

  it('has one partition to choose from where there is one', () => {
    expect(partitionOf('anything', 1)).toBe(0);
  });
});
