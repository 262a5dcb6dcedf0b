import type { BulkState, SinkRecord } from '../../sink.ts';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import type { Cluster } from './cluster.ts';
import { asFault, faultToError } from './errors.ts';
import type { KafkaRecord } from './fetched-batches.ts';
import { offsetRange, PartitionReader, withFreshLeaders } from './partition-reader.ts';
import { StateEntries } from '../state-entries.ts';
import { contextFor } from './topics.ts';

/** Header of every record: where the last rewrite began. */
export const BASE_HEADER = 'headwater.base';
const REWRITE_EVERY = 4096;
/** Entries of the bulk that one commit writes anew. */
const REWRITE_PART = 1_000;
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
 *
 * Where there is a bulk, a rewrite of it is spread over many commits, each of which writes some of its entries besides what
 * changed. Until the last has been written, the base is the one before.
 */
export class StateLog {
  readonly #entries: StateEntries;
  readonly #now: () => number;
  #base: number | null;
  #sinceRewrite = REWRITE_EVERY;
  /** The rewrite under way. */
  #rewrite: Rewrite | null = null;

  constructor({ values, base, bulk }: FoundState, now: () => number = Date.now) {
    this.#entries = new StateEntries(bulk);
    for (const [key, value] of values) this.#entries.set(key, value);
    this.#base = base;
    this.#now = now;
  }

  /** The records that make `changes` durable; call `written`, if it is there, with the offset of the first when they are. */
  records(changes: ReadonlyMap<string, string | null>): {
    readonly records: SinkRecord[];
    /** Null: where the broker did not tell. */
    readonly written: ((offset: number | null) => void) | null;
  } {
    for (const [key, value] of changes) this.#entries.set(key, value);
    if (changes.size === 0) return { records: [], written: null };
    const timestamp = this.#now();
    if (this.#rewrite === null && this.#sinceRewrite >= REWRITE_EVERY) {
      this.#sinceRewrite = 0;
      const rewrite = new Rewrite(this.#entries.bulk);
      this.#rewrite = rewrite;
      const all: (readonly [string, string | null])[] = [...this.#entries.values];
      for (const [key, value] of changes)
        if (value === null || this.#entries.isBulk(key)) all.push([key, value]);
      all.push(...rewrite.some(changes.size));
      // One that is whole with this commit begins with its first record.
      const baseOfThe = rewrite.done ? (i: number) => `@${i}` : () => this.#baseText;
      const records = all.map(([key, value], i) => recordOf(key, value, { base: baseOfThe(i), timestamp }));
      return { records, written: (offset) => this.#begun(rewrite, offset) };
    }
    this.#sinceRewrite++;
    const base = this.#baseText;
    const records = [...changes].map(([key, value]) => recordOf(key, value, { base, timestamp }));
    const rewrite = this.#rewrite;
    if (rewrite === null || rewrite.done) return { records, written: null };
    for (const [key, value] of rewrite.some(changes.size))
      records.push(recordOf(key, value, { base, timestamp }));
    return { records, written: rewrite.done ? () => this.#ended(rewrite) : null };
  }

  get #baseText(): string | null {
    return this.#base === null ? null : String(this.#base);
  }

  /** The first records of a rewrite are durable, the first at this offset. */
  #begun(rewrite: Rewrite, offset: number | null): void {
    rewrite.start = offset;
    if (offset === null) {
      this.#rewrite = null;
      this.#sinceRewrite = REWRITE_EVERY;
    } else if (rewrite.done) this.#ended(rewrite);
  }

  /** All records of a rewrite are durable. */
  #ended(rewrite: Rewrite): void {
    if (this.#rewrite !== rewrite) return;
    this.#base = rewrite.start;
    this.#rewrite = null;
  }
}

/** What there is of the bulk when it begins is written in turn; what comes later is written when it comes. */
class Rewrite {
  readonly #bulk: BulkState | null;
  readonly #entries: Iterator<readonly [string, string]> | null;
  #done: boolean;
  /** Offset of its first record. */
  start: number | null = null;

  constructor(bulk: BulkState | null) {
    this.#bulk = bulk;
    this.#entries = bulk?.entries(bulk.prefix) ?? null;
    this.#done = bulk === null || bulk.size === 0;
  }

  /** Whether all have been written. */
  get done(): boolean {
    return this.#done;
  }

  /** Those that go with a commit of so many changes: more than it can have added. */
  some(changes: number): (readonly [string, string])[] {
    const some: (readonly [string, string])[] = [];
    while (!this.#done && some.length < REWRITE_PART + changes) {
      const next = this.#entries?.next();
      if (next === undefined || next.done === true) this.#done = true;
      else {
        const [key] = next.value;
        // It may have changed since it was come across.
        const value = this.#bulk?.get(key);
        if (value !== undefined) some.push([key, value]);
      }
    }
    return some;
  }
}

function recordOf(
  key: string,
  value: string | null,
  { base, timestamp }: { readonly base: string | null; readonly timestamp: number },
): SinkRecord {
  return { key, value, headers: base === null ? null : [[BASE_HEADER, base]], timestamp };
}

/** What a state topic holds. */
export interface FoundState {
  /** Without those of the bulk. */
  readonly values: ReadonlyMap<string, string>;
  /** Offset from which the whole state is found; null where nobody has said. */
  readonly base: number | null;
  readonly bulk: BulkState | null;
}

export function nothingFound(bulk: BulkState | null): FoundState {
  bulk?.clear();
  return { values: new Map(), base: null, bulk };
}

/** The state as of the last commit. The topic must exist and its leaders be known. Throws HeadwaterError. */
export async function readStateLog(
  cluster: Cluster,
  signal: AbortSignal,
  bulk: BulkState | null = null,
): Promise<FoundState> {
  const topic = cluster.options.stateTopic;
  try {
    return await withFreshLeaders(cluster, topic, signal, () => readOnce(cluster, bulk, signal));
  } catch (error) {
    if (error instanceof HeadwaterError || signal.aborted) throw error;
    throw faultToError(
      asFault(error, 'the broker'),
      contextFor(cluster, `Reading the state in topic ${topic}`, topic),
    );
  }
}

async function readOnce(cluster: Cluster, bulk: BulkState | null, signal: AbortSignal): Promise<FoundState> {
  const topic = cluster.options.stateTopic;
  const { start, end } = await offsetRange(cluster, topic, 0, true);
  const read = async (from: number, take: (record: KafkaRecord) => void): Promise<void> =>
    readRange({ cluster, topic, from, end, signal }, take);
  // The end of the log may be markers of transactions only: look back further until there is a record.
  let back = PROBE_RECORDS;
  let from = end;
  const probed: KafkaRecord[] = [];
  do {
    from = Math.max(start, end - back);
    back *= 8;
    await read(from, (record) => probed.push(record));
  } while (probed.length === 0 && from > start);
  const found = nothingFound(bulk);
  const last = probed.at(-1);
  if (last === undefined) return found;
  const told = baseOf(last);
  const base = Math.max(start, told ?? start);
  const entries = new StateEntries(bulk);
  const take = ({ key, value, offset }: KafkaRecord): void => {
    if (offset < base) return;
    if (key === null) {
      throw new HeadwaterError(
        'delivery.state-invalid',
        `Topic ${topic} holds a record without a key at offset ${offset}: something else writes to it.`,
      );
    }
    entries.set(Buffer.from(key).toString(), value === null ? null : Buffer.from(value).toString());
  };
  if (base < from) await read(base, take);
  else for (const record of probed) take(record);
  return { ...found, values: entries.values, base: told };
}

function baseOf(record: KafkaRecord): number | null {
  const header = record.headers.find(([name]) => name === BASE_HEADER)?.[1];
  if (header == null) return null;
  const text = Buffer.from(header).toString();
  const value = text.startsWith('@') ? record.offset - Number(text.slice(1)) : Number(text);
  return Number.isSafeInteger(value) && value >= 0 ? value : null;
}

async function readRange(
  options: {
    readonly cluster: Cluster;
    readonly topic: string;
    readonly from: number;
    readonly end: number;
    readonly signal: AbortSignal;
  },
  take: (record: KafkaRecord) => void,
): Promise<void> {
  const { cluster, topic, from, end, signal } = options;
  const reader = new PartitionReader({ cluster, topic, partition: 0, position: from, committed: true });
  // Compaction can leave nothing up to the end, and then there is nothing to come.
  for (let empty = 0; reader.position < end && empty < EMPTY_ANSWERS;) {
    signal.throwIfAborted();
    const before = reader.position;
    for (const record of await reader.poll(POLL_MS)) if (record.offset < end) take(record);
    empty = reader.position === before ? empty + 1 : 0;
  }
}
