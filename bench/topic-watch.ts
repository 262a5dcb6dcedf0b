import { createHash } from 'node:crypto';
import { readTopic, recordsOf, type TopicReaderOptions } from './topic-reader.ts';

export interface WatchedTopic {
  readonly broker: string;
  readonly topic: string;
  readonly partitions: number;
}

/** Large answers: counting must not wake the machine for every batch. Costs up to 20 ms of precision. */
const BULK = { minBytes: 1_000_000, maxWaitMs: 20 };
/** An answer without news within the wait means that the end is reached. */
const TO_THE_END = { minBytes: 1, maxWaitMs: 300 };
/** An answer as soon as there is anything. */
export const EAGER = { minBytes: 1, maxWaitMs: 500 };

/** Without a new record for so long a contender counts as stuck. */
const STUCK_MS = 120_000;

/**
 * Waits until `records` records after the first `skip` are visible to a read_committed consumer.
 * @returns when the first and the last of them were, milliseconds since the epoch
 */
export async function waitForRecords(
  topic: WatchedTopic,
  { skip, records }: { readonly skip: number; readonly records: number },
  signal: AbortSignal,
): Promise<{ readonly first: number; readonly last: number }> {
  let seen = 0;
  let first: number | null = null;
  let moved = performance.now();
  for await (const { batches, at, advanced } of readTopic({ ...topic, ...BULK }, signal)) {
    for (const batch of batches) seen += batch.records;
    if (seen > skip) first ??= at;
    if (seen >= skip + records) return { first: first ?? at, last: at };
    if (advanced) moved = performance.now();
    else if (performance.now() - moved > STUCK_MS) {
      throw new Error(`Only ${seen - skip} of ${records} records came, and none for ${STUCK_MS / 1000} s`);
    }
  }
  signal.throwIfAborted();
  throw new Error('The topic ended');
}

/** Waits until a record with this key (JSON text of `{"id":…}`) is visible; returns when that was. */
export async function waitForRow(topic: WatchedTopic, id: number, signal: AbortSignal): Promise<number> {
  const key = JSON.stringify({ id });
  for await (const { batches, at } of readTopic({ ...topic, ...EAGER }, signal)) {
    for (const batch of batches) {
      if (recordsOf(batch).some((record) => record.key?.toString() === key)) return at;
    }
  }
  signal.throwIfAborted();
  throw new Error('The topic ended');
}

/** What a topic holds. Equal digests mean equal events (op, before, after, partition), in any order. */
export interface TopicContents {
  readonly records: number;
  readonly events: number;
  readonly tombstones: number;
  readonly byOp: Readonly<Record<string, number>>;
  readonly digest: string;
}

/**
 * Reads all that is visible now, leaving out rows with ids from `below` on. With `keyOnlyBefore` the log holds
 * nothing of a deleted row but its key, and only that is compared: Debezium makes up zeros and empty texts for
 * the other columns that are NOT NULL, Headwater writes null.
 */
export async function readContents(
  topic: WatchedTopic,
  { below, keyOnlyBefore }: { readonly below: number; readonly keyOnlyBefore: boolean },
  signal: AbortSignal,
): Promise<TopicContents> {
  const byOp: Record<string, number> = {};
  let records = 0;
  let tombstones = 0;
  let digest = 0n;
  const options: TopicReaderOptions = { ...topic, ...TO_THE_END };
  for await (const { batches, advanced } of readTopic(options, signal)) {
    if (!advanced) break;
    for (const batch of batches) {
      for (const { partition, key, value } of recordsOf(batch)) {
        const keyText = key?.toString() ?? 'null';
        const { id } = JSON.parse(keyText) as { readonly id: number };
        if (id >= below) continue;
        records++;
        if (value === null) {
          tombstones++;
          digest += hash(`${partition} ${keyText} tombstone`);
          continue;
        }
        const { op, before, after } = JSON.parse(value.toString()) as Envelope;
        byOp[op] = (byOp[op] ?? 0) + 1;
        const compared = keyOnlyBefore && before !== null ? { id: before.id } : before;
        digest += hash(`${partition} ${keyText} ${op} ${JSON.stringify(compared)} ${JSON.stringify(after)}`);
      }
    }
  }
  return {
    records,
    events: records - tombstones,
    tombstones,
    byOp: Object.fromEntries(Object.entries(byOp).toSorted(([a], [b]) => (a < b ? -1 : 1))),
    digest: (digest & 0xffff_ffff_ffff_ffffn).toString(16),
  };
}

/** Records visible now. */
export async function countRecords(topic: WatchedTopic, signal: AbortSignal): Promise<number> {
  let count = 0;
  for await (const { batches, advanced } of readTopic({ ...topic, ...TO_THE_END }, signal)) {
    if (!advanced) break;
    for (const batch of batches) count += batch.records;
  }
  return count;
}

interface Envelope {
  readonly op: string;
  readonly before: { readonly id: number } | null;
  readonly after: unknown;
}

function hash(text: string): bigint {
  return createHash('md5').update(text).digest().readBigUInt64LE(0);
}
