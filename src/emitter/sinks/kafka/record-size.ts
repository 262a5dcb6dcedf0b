/** How large a record becomes in a batch, before it is written into one. */
import type { SinkRecord } from '../../sink.ts';
import { BATCH_HEADER_BYTES } from './batch-layout.ts';

/** A record and the header of its batch. */
const SINGLE_RECORD_OVERHEAD = BATCH_HEADER_BYTES + 32;

/** Bytes at most, found without looking at the text. */
export function roughSize(record: SinkRecord): number {
  return (
    SINGLE_RECORD_OVERHEAD +
    3 * ((record.key?.length ?? 0) + (record.value?.length ?? 0)) +
    headersSize(record)
  );
}

/** Bytes at most, of which only the headers are guessed. */
export function exactSize(record: SinkRecord): number {
  return SINGLE_RECORD_OVERHEAD + bytesOf(record.key) + bytesOf(record.value) + headersSize(record);
}

function headersSize({ headers }: SinkRecord): number {
  if (headers === null) return 0;
  let size = 0;
  for (const [name, value] of headers) size += 10 + 3 * name.length + 3 * (value?.length ?? 0);
  return size;
}

function bytesOf(value: string | Uint8Array | null): number {
  return value === null ? 0 : typeof value === 'string' ? Buffer.byteLength(value) : value.length;
}
