/** A Kafka of topics in memory, as statements over topics need it: readers, and a sink whose commits are whole. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { BulkState, RestoreOptions, Sink, SinkRecord } from '../../src/emitter/sink.ts';
import type { Fetched, TopicReader, TopicRecord } from '../../src/emitter/topic-reader.ts';
import { declareEnrichment } from '../../src/enrichment/plan/declared.ts';
import { NOTHING_INFERRED } from '../../src/enrichment/plan/inferred-columns.ts';
import { ProcessingLog } from '../../src/enrichment/run/processing-log.ts';
import { compileProgram } from '../../src/enrichment/plan/compile-program.ts';
import type { Program, ProgramContext } from '../../src/enrichment/plan/program.ts';
import { nothingKept } from '../../src/enrichment/plan/check-statements.ts';
import { MemoryGroupTexts } from '../../src/enrichment/state/bulk-groups.ts';
import { Timeline } from '../../src/enrichment/state/timeline.ts';
import {
  type TopicAccess,
  TopicQueries,
  type TopicQueriesOptions,
} from '../../src/enrichment/run/topic-queries.ts';
import { SILENT } from '../../src/observability/log.ts';
import type { HeadwaterError } from '../../src/errors/headwater-error.ts';
import { openedTopic, restoredState } from './enrichment-rig.ts';

export interface SentRecord {
  readonly key: string | null;
  /** Null for one without value. */
  readonly value: unknown;
  readonly timestamp: number;
  readonly headers?: TopicRecord['headers'];
}

export interface ReadRecord {
  readonly key: string | null;
  readonly value: string | null;
  readonly timestamp: number;
  readonly position: string | null;
  readonly headers: SinkRecord['headers'];
}

/** Records of one partition; those behind `decided` are of a transaction under way. */
interface Partition {
  readonly records: TopicRecord[];
  decided: number;
}

export class MemoryTopics {
  /** Those that sinks cannot have, and why. */
  readonly refused = new Map<string, HeadwaterError>();
  readonly #topics = new Map<string, readonly Partition[]>();
  /** What sinks have committed, by the sink's name. */
  readonly #states = new Map<string, Map<string, string>>();
  readonly #written = new Map<string, ReadRecord[]>();
  /** How many sinks there have been of each name. */
  readonly #sinks = new Map<string, number>();

  create(topic: string, partitions: number): void {
    this.#topics.set(
      topic,
      Array.from({ length: partitions }, () => ({ records: [], decided: 0 })),
    );
  }

  send(topic: string, partition: number, record: SentRecord): void {
    this.write(topic, partition, record);
    this.decide(topic, partition);
  }

  /** In a transaction under way: nobody sees it before `decide`. */
  write(topic: string, partition: number, { key, value, timestamp, headers = [] }: SentRecord): void {
    const { records } = this.#partition(topic, partition);
    records.push({
      offset: records.length,
      key: key === null ? null : Buffer.from(key),
      value: value === null ? null : Buffer.from(JSON.stringify(value)),
      headers,
      timestamp,
    });
  }

  decide(topic: string, partition: number): void {
    const found = this.#partition(topic, partition);
    found.decided = found.records.length;
  }

  #partition(topic: string, partition: number): Partition {
    const found = this.#topics.get(topic)?.[partition];
    if (found === undefined) throw new Error(`There is no partition ${partition} of ${topic}.`);
    return found;
  }

  /** All that has been committed to a topic of results. */
  results(topic: string): readonly ReadRecord[] {
    return this.#written.get(topic) ?? [];
  }

  state(name: string): ReadonlyMap<string, string> {
    return this.#states.get(name) ?? new Map();
  }

  access(name: string): TopicAccess {
    return {
      openSink: () => Promise.resolve(this.#sink(name)),
      openReader: () => Promise.resolve(new MemoryReader((topic) => this.#topics.get(topic) ?? [])),
      openAdmin: () => Promise.reject(new Error('Nobody asks for topics here.')),
    };
  }

  /** A newer one fences those before it. */
  #sink(name: string): Sink {
    const number = (this.#sinks.get(name) ?? 0) + 1;
    this.#sinks.set(name, number);
    let pending: (readonly [string, ReadRecord])[] = [];
    const state = this.#states.get(name) ?? new Map<string, string>();
    this.#states.set(name, state);
    let bulk: BulkState | null = null;
    return {
      json: 'text',
      restore: ({ bulk: given }: RestoreOptions) => {
        bulk = given ?? null;
        return Promise.resolve(bulk === null ? new Map(state) : restoredState(state, bulk));
      },
      topic: (topic: string) => openedTopic(topic, this.refused),
      append: ({ name: topic }: { name: string }, record: SinkRecord) => pending.push([topic, told(record)]),
      ready: () => undefined,
      commit: async (changes: ReadonlyMap<string, string | null>) => {
        const records = pending;
        pending = [];
        for (const [key, value] of changes)
          if (bulk !== null && key.startsWith(bulk.prefix)) bulk.set(key, value);
        await sleep(0);
        if (number !== this.#sinks.get(name)) throw new Error('fenced');
        for (const [topic, record] of records)
          this.#written.set(topic, [...(this.#written.get(topic) ?? []), record]);
        for (const [key, value] of changes)
          if (value === null) state.delete(key);
          else state.set(key, value);
      },
      failed: new Promise<never>(() => {}),
      stats: () => ({ records: 0, bytes: 0, commits: 0, pendingBytes: 0 }),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
}

function told({ key, value, timestamp, headers }: SinkRecord): ReadRecord {
  const text = (part: string | Uint8Array | null): string | null =>
    part === null || typeof part === 'string' ? part : Buffer.from(part).toString('hex');
  const position = headers?.find(([name]) => name === '__table_pos')?.[1];
  return {
    key: text(key),
    value: text(value),
    timestamp,
    position: position === undefined ? null : String(position),
    headers,
  };
}

class MemoryReader implements TopicReader {
  readonly #find: (topic: string) => readonly Partition[];
  #partitions: readonly Partition[] = [];
  #positions: number[] = [];

  constructor(find: (topic: string) => readonly Partition[]) {
    this.#find = find;
  }

  open(topic: string): Promise<number> {
    this.#partitions = this.#find(topic);
    return Promise.resolve(this.#partitions.length);
  }

  range(partition: number): Promise<{ readonly start: number; readonly end: number }> {
    return Promise.resolve({ start: 0, end: this.#partitions[partition]?.decided ?? 0 });
  }

  written(): Promise<readonly number[]> {
    return Promise.resolve(this.#partitions.map(({ records }) => records.length));
  }

  start(offsets: readonly number[]): void {
    this.#positions = [...offsets];
  }

  async poll(): Promise<readonly Fetched[]> {
    await sleep(1);
    return this.#positions.map((position, partition) => {
      const { records: all = [], decided = 0 } = this.#partitions[partition] ?? {};
      const records = all.slice(position, Math.min(position + 3, decided));
      this.#positions[partition] = position + records.length;
      const atEnd = position + records.length === decided;
      return { partition, records, position: position + records.length, endAsOf: atEnd ? Date.now() : null };
    });
  }

  pause(): void {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

export interface RunningTopics {
  readonly queries: TopicQueries;
  readonly program: Program;
}

/** The statements, at work on these topics. */
export function startTopics(
  topics: MemoryTopics,
  name: string,
  sql: string,
  {
    registry = null,
    offerRetryMs,
    stores,
    openGroups = () => Promise.resolve(new MemoryGroupTexts()),
  }: Partial<
    Pick<TopicQueriesOptions, 'registry' | 'offerRetryMs' | 'openGroups'> & Pick<ProgramContext, 'stores'>
  > = {},
): RunningTopics {
  const kept = nothingKept();
  const program = compileProgram(
    declareEnrichment({ texts: [{ name: 'a.sql', text: sql }], dialect: 'friendly' }, name),
    {
      pipeline: name,
      describe: () => null,
      shown: () => [],
      ...kept,
      stores: stores ?? kept.stores,
      registry: registry !== null,
      inferred: NOTHING_INFERRED,
      tableTopics: new Set(),
      known: new Set(),
      held: new Set(),
      trialFrom: null,
    },
  );
  const log = { head: () => Promise.resolve(0), nudge: () => {}, compare: (a: number, b: number) => a - b };
  const queries = new TopicQueries({
    plans: program.queries,
    tables: program.topicTables,
    paused: program.paused,
    access: topics.access(name),
    join: { skewMs: 0, maxWaitMs: 1_000 },
    registry,
    offerRetryMs,
    results: new Map(),
    processing: new ProcessingLog(SILENT),
    timeline: new Timeline(log, 'start'),
    openGroups,
    log: SILENT,
  });
  queries.start();
  return { queries, program };
}
