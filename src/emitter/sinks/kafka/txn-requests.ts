/**
 * The two requests of the hot path, encoded by us: Produce, because its batches are already bytes, and EndTxn,
 * because the client library stops at version 4. https://kafka.apache.org/protocol.html#The_Messages_Produce
 */
import type { Reader, Writer } from '@platformatic/kafka';
import type { RawRequest } from './cluster.ts';

export const PRODUCE_KEY = 0;
export const END_TXN_KEY = 26;
/** Version 13 names topics by id. */
export const PRODUCE_VERSION = 12;
export const END_TXN_VERSION = 5;

export interface ProducePart {
  readonly topic: string;
  readonly partition: number;
  readonly batch: Buffer;
}

export interface ProduceResult {
  readonly topic: string;
  readonly partition: number;
  readonly code: number;
  /** Offset of the batch's first record; exact up to 2^53. */
  readonly baseOffset: number;
}

/** Without acknowledgement by all replicas in sync nothing counts (acks = -1). */
export function produceRequest(options: {
  readonly version: number;
  readonly transactionalId: string | null;
  readonly timeoutMs: number;
  /** At most one batch for each partition. */
  readonly parts: readonly ProducePart[];
}): RawRequest<readonly ProduceResult[]> {
  const { version, parts } = options;
  const flexible = version >= 9;
  return {
    apiKey: PRODUCE_KEY,
    apiVersion: version,
    flexible,
    write(writer: Writer) {
      writer.appendString(options.transactionalId, flexible).appendInt16(-1).appendInt32(options.timeoutMs);
      writer.appendArray(
        byTopic(parts),
        (w, [topic, group]) => {
          w.appendString(topic, flexible).appendArray(
            group,
            (inner, part) => {
              inner.appendInt32(part.partition).appendBytes(part.batch, flexible);
            },
            flexible,
            flexible,
          );
        },
        flexible,
        flexible,
      );
      if (flexible) writer.appendTaggedFields();
    },
    parse(_correlationId, _apiKey, _apiVersion, reader) {
      const results: ProduceResult[] = [];
      reader.readArray(
        (r) => {
          const topic = r.readString(flexible) ?? '';
          r.readArray(
            (inner) => {
              results.push(readPartition(inner, topic, version));
            },
            flexible,
            flexible,
          );
        },
        flexible,
        flexible,
      );
      return results;
    },
  };
}

function readPartition(reader: Reader, topic: string, version: number): ProduceResult {
  const flexible = version >= 9;
  const partition = reader.readInt32();
  const code = reader.readInt16();
  const baseOffset = Number(reader.readInt64());
  reader.readInt64(); // log_append_time_ms
  if (version >= 5) reader.readInt64(); // log_start_offset
  if (version >= 8) {
    reader.readArray(
      (r) => {
        r.readInt32();
        r.readNullableString(flexible);
      },
      flexible,
      flexible,
    );
    reader.readNullableString(flexible);
  }
  return { topic, partition, code, baseOffset };
}

function byTopic(parts: readonly ProducePart[]): [string, ProducePart[]][] {
  const groups = new Map<string, ProducePart[]>();
  for (const part of parts) {
    const group = groups.get(part.topic);
    if (group === undefined) groups.set(part.topic, [part]);
    else group.push(part);
  }
  return [...groups];
}

export interface EndTxnResult {
  readonly code: number;
  /** Version 5: the producer id and epoch of the next transaction. */
  readonly next: { readonly producerId: bigint; readonly producerEpoch: number } | null;
}

/** Commits or aborts; from version 5 on the answer has the next epoch. */
export function endTxnRequest(options: {
  readonly version: number;
  readonly transactionalId: string;
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly commit: boolean;
}): RawRequest<EndTxnResult> {
  const { version } = options;
  const flexible = version >= 3;
  return {
    apiKey: END_TXN_KEY,
    apiVersion: version,
    flexible,
    write(writer) {
      writer
        .appendString(options.transactionalId, flexible)
        .appendInt64(options.producerId)
        .appendInt16(options.producerEpoch)
        .appendBoolean(options.commit);
      if (flexible) writer.appendTaggedFields();
    },
    parse(_correlationId, _apiKey, _apiVersion, reader) {
      reader.readInt32(); // throttle_time_ms
      const code = reader.readInt16();
      if (version < 5 || code !== 0) return { code, next: null };
      return { code, next: { producerId: reader.readInt64(), producerEpoch: reader.readInt16() } };
    },
  };
}
