import type { SinkRecord } from '../../sink.ts';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Cluster } from './cluster.ts';
import { asFault, faultToError } from './errors.ts';
import { type KafkaRecord, offsetRange, PartitionReader, withFreshLeaders } from './partition-reader.ts';
import { contextFor } from './topics.ts';

/** Header of every record: where the last rewrite began. */
export const BASE_HEADER = 'headwater.base';
const REWRITE_EVERY = 4096;
const PROBE_RECORDS = 16;
/** A broker that throttles us answers without records, and later with them: nothing may be taken for the end. */
const EMPTY_ANSWERS = 30;
const POLL_MS = 100;

/**
 * The pipeline's durable state: the last value of each key in partition 0 of a compacted topic.
 *
 * Every commit writes what changed, so the log grows faster than it is compacted. Therefore all keys are
 * written anew every few thousand commits (a *rewrite*), and every record says in the header
 * `headwater.base` where the last rewrite began: an offset, or `@i` for the i-th record of a rewrite itself.
 * A restart looks at the last record and reads from its base, however long the log is.
 */
export class StateLog {
  readonly #values: Map<string, string>;
  readonly #now: () => number;
  #base: number | null = null;
  #sinceRewrite = REWRITE_EVERY;

  constructor(values: ReadonlyMap<string, string>, now: () => number = Date.now) {
    this.#values = new Map(values);
    this.#now = now;
  }

  /** The records that make `changes` durable; call `written` with the offset of the first when they are. */
  records(changes: ReadonlyMap<string, string | null>): {
    readonly records: SinkRecord[];
    readonly rewrite: boolean;
  } {
    for (const [key, value] of changes) {
      if (value === null) this.#values.delete(key);
      else this.#values.set(key, value);
    }
    if (changes.size === 0) return { records: [], rewrite: false };
    const timestamp = this.#now();
    const rewrite = this.#sinceRewrite >= REWRITE_EVERY;
    if (!rewrite) {
      this.#sinceRewrite++;
      const headers = this.#base === null ? null : ([[BASE_HEADER, String(this.#base)]] as const);
      const records = [...changes].map(([key, value]) => ({ key, value, headers, timestamp }));
      return { records, rewrite };
    }
    this.#sinceRewrite = 0;
    const all: [string, string | null][] = [...this.#values];
    for (const [key, value] of changes) if (value === null) all.push([key, null]);
    const records = all.map(([key, value], i) => ({
      key,
      value,
      headers: [[BASE_HEADER, `@${i}`]] as const,
      timestamp,
    }));
    return { records, rewrite };
  }

  /** A rewrite is durable, beginning at this offset; null where the broker did not tell. */
  rewritten(offset: number | null): void {
    if (offset === null) this.#sinceRewrite = REWRITE_EVERY;
    else this.#base = offset;
  }
}

/** The state as of the last commit. The topic must exist and its leaders be known. Throws HeadwaterError. */
export async function readStateLog(cluster: Cluster, signal: AbortSignal): Promise<Map<string, string>> {
  const topic = cluster.options.stateTopic;
  try {
    return await withFreshLeaders(cluster, topic, signal, () => readOnce(cluster, topic, signal));
  } catch (error) {
    if (error instanceof HeadwaterError || signal.aborted) throw error;
    throw faultToError(
      asFault(error, 'the broker'),
      contextFor(cluster, `Reading the state in topic ${topic}`, topic),
    );
  }
}

async function readOnce(cluster: Cluster, topic: string, signal: AbortSignal): Promise<Map<string, string>> {
  const { start, end } = await offsetRange(cluster, topic, 0, true);
  const read = (from: number): Promise<readonly KafkaRecord[]> =>
    readRange({ cluster, topic, from, end, signal });
  // The end of the log may be markers of transactions only: look back further until there is a record.
  let back = PROBE_RECORDS;
  let from = Math.max(start, end - back);
  let records = await read(from);
  while (records.length === 0 && from > start) {
    back *= 8;
    from = Math.max(start, end - back);
    records = await read(from);
  }
  const last = records.at(-1);
  if (last === undefined) return new Map();
  const base = Math.max(start, baseOf(last) ?? start);
  if (base < from) records = await read(base);
  const state = new Map<string, string>();
  for (const { key, value, offset } of records) {
    if (offset < base) continue;
    if (key === null) {
      throw new HeadwaterError(
        'delivery.state-invalid',
        `Topic ${topic} holds a record without a key at offset ${offset}: something else writes to it.`,
      );
    }
    const name = Buffer.from(key).toString();
    if (value === null) state.delete(name);
    else state.set(name, Buffer.from(value).toString());
  }
  return state;
}

function baseOf(record: KafkaRecord): number | null {
  const header = record.headers.find(([name]) => name === BASE_HEADER)?.[1];
  if (header == null) return null;
  const text = Buffer.from(header).toString();
  const value = text.startsWith('@') ? record.offset - Number(text.slice(1)) : Number(text);
  return Number.isSafeInteger(value) && value >= 0 ? value : null;
}

async function readRange(options: {
  readonly cluster: Cluster;
  readonly topic: string;
  readonly from: number;
  readonly end: number;
  readonly signal: AbortSignal;
}): Promise<readonly KafkaRecord[]> {
  const { cluster, topic, from, end, signal } = options;
  const reader = new PartitionReader({ cluster, topic, partition: 0, position: from, committed: true });
  const found: KafkaRecord[] = [];
  // Compaction can leave nothing up to the end, and then there is nothing to come.
  for (let empty = 0; reader.position < end && empty < EMPTY_ANSWERS;) {
    signal.throwIfAborted();
    const before = reader.position;
    for (const record of await reader.poll(POLL_MS)) if (record.offset < end) found.push(record);
    empty = reader.position === before ? empty + 1 : 0;
  }
  return found;
}
