import { BATCH_HEADER_BYTES } from './batch-layout.ts';
import { compress, free } from './compression.ts';
import type { Compression } from './options.ts';
import type { CommitGroup, PartitionQueue, SealedBatch } from './partition-queue.ts';
import type { BatchBuilder, BufferPool } from './record-batch.ts';

/** Smaller batches grow when compressed, or nearly. */
const MIN_COMPRESSED = 256;

export interface SealerEvents {
  /** A batch of one record that its topic does not take. Its bytes stay null, and `records` are good for this call. */
  readonly onOversize: (batch: SealedBatch, records: Buffer) => void;
  /** A batch that the thread pool compressed has its bytes. */
  readonly onCompressed: () => void;
  readonly onFailure: (error: unknown) => void;
}

/** A batch that takes no more records, and has no bytes yet: see BatchSealer. */
export function closedBatch(
  partition: PartitionQueue,
  builder: BatchBuilder,
  group: CommitGroup,
): SealedBatch {
  return {
    partition,
    group,
    bytes: null,
    rawBytes: builder.bytes,
    count: builder.count,
    origin: builder.origin,
    baseTimestamp: builder.baseTimestamp,
    maxTimestamp: builder.maxTimestamp,
    compression: 'none',
    sequence: -1,
    acked: false,
    release: null,
  };
}

/** Gives batches their bytes: compressed where that makes them smaller, at once or later by the thread pool. */
export class BatchSealer {
  readonly #compression: Compression;
  readonly #pool: BufferPool;
  readonly #events: SealerEvents;

  constructor(compression: Compression, pool: BufferPool, events: SealerEvents) {
    this.#compression = compression;
    this.#pool = pool;
    this.#events = events;
  }

  /** `batch` is in its partition's queue already, so that its place does not depend on when it is compressed. */
  seal(batch: SealedBatch, builder: BatchBuilder): void {
    if (this.#compression === 'none' || builder.bytes < MIN_COMPRESSED) {
      this.#fill(batch, builder, null);
      return;
    }
    const compressed = compress(this.#compression, builder.records);
    if (compressed instanceof Promise) {
      compressed.then(
        (bytes) => {
          this.#fill(batch, builder, bytes);
          this.#events.onCompressed();
        },
        (error: unknown) => this.#events.onFailure(error),
      );
    } else this.#fill(batch, builder, compressed);
  }

  #fill(batch: SealedBatch, builder: BatchBuilder, compressed: Buffer | null): void {
    const smaller = compressed !== null && compressed.length < builder.bytes - BATCH_HEADER_BYTES;
    const size = smaller ? compressed.length + BATCH_HEADER_BYTES : builder.bytes;
    if (size > batch.partition.maxMessageBytes && batch.count === 1) {
      this.#events.onOversize(batch, builder.records);
      builder.release();
      return;
    }
    if (smaller) {
      const buffer = this.#pool.take(size);
      compressed.copy(buffer, BATCH_HEADER_BYTES);
      free(compressed);
      batch.bytes = buffer.subarray(0, size);
      batch.compression = this.#compression;
      batch.release = () => this.#pool.give(buffer);
      builder.release();
    } else {
      batch.bytes = builder.whole;
      batch.release = () => builder.release();
    }
  }
}
