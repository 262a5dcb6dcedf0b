import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { SinkRecord } from '../../sink.ts';
import type { SealedBatch } from './partition-queue.ts';

/** `delivery.record-too-large` for a batch of one record. */
export function tooLarge(batch: SealedBatch): HeadwaterError {
  const { topic, maxMessageBytes } = batch.partition;
  return new HeadwaterError(
    'delivery.record-too-large',
    `A record of ${batch.rawBytes} bytes is too large for topic ${topic}, which takes ${maxMessageBytes} bytes after compression.`,
    {
      details: { topic, size: batch.rawBytes, limit: maxMessageBytes },
      fix: `kafka-configs.sh --alter --topic ${topic} --add-config max.message.bytes=${2 ** Math.ceil(Math.log2(batch.rawBytes + 1))}, or exclude or truncate the large column, or set emit.kafka.oversize: dead-letter.`,
    },
  );
}

/**
 * What goes to the dead-letter topic in the stead of a record that its topic does not take: the key, where it
 * is small enough itself, and headers that say what happened; never the value.
 */
export function deadLetter(batch: SealedBatch, records: Buffer, limit: number): SinkRecord {
  const { topic, index, maxMessageBytes } = batch.partition;
  const key = firstKey(records);
  return {
    key: key !== null && key.length * 2 < limit ? key : null,
    value: null,
    headers: [
      ['headwater.cause', 'record-too-large'],
      ['headwater.topic', topic],
      ['headwater.partition', String(index)],
      ['headwater.size', String(batch.rawBytes)],
      ['headwater.limit', String(maxMessageBytes)],
    ],
    timestamp: batch.baseTimestamp,
  };
}

/** A copy of the first record's key. */
function firstKey(records: Buffer): Buffer | null {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = records[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) break;
      scale *= 128;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  };
  varint(); // length
  at++; // attributes
  varint(); // timestamp delta
  varint(); // offset delta
  const length = varint();
  return length < 0 ? null : Buffer.from(records.subarray(at, at + length));
}
