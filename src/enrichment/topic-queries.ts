/**
 * Queries over Kafka topics: a producer of their own beside the pipeline's. Their results, what their groups keep and
 * the offsets of what has been worked off are durable together, in the state of that producer:
 *
 * | key | value |
 * | --- | --- |
 * | `enrich-topics` | `{v, epoch}`: which run wrote it |
 * | `enrich-input/<query>/<partition>` | `{topic, offset}`: where the query goes on |
 */
import type { Sink, SinkRecord } from '../emitter/sink.ts';
import type { TopicAdmin } from '../emitter/topic-admin.ts';
import type { TopicReader } from '../emitter/topic-reader.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import { failpoint } from '../observability/failpoint.ts';
import type { Log } from '../observability/log.ts';
import type { QueryStatus } from '../observability/status.ts';
import { AGGREGATE_GROUP_PREFIX, AGGREGATE_TABLE_PREFIX } from './group-store.ts';
import type { ProcessingLog } from './processing-log.ts';
import type { QueryPlan } from './program.ts';
import type { ResultTable } from './queries/result-table.ts';
import type { EventReader } from './query.ts';
import type { StreamSource } from './catalog.ts';
import type { StreamEvent } from './event.ts';
import { forgottenTables, openOutputs, type Outputs, StreamQueries } from './stream-queries.ts';
import type { TableTimes, TimeCursor } from './timeline.ts';
import type { TopicSource } from './topic-source.ts';
import { TopicTask } from './topic-task.ts';

const TOPICS_KEY = 'enrich-topics';
const INPUT_PREFIX = 'enrich-input/';
/** Under load, what arrives meanwhile is committed together. */
const COMMIT_MS = 50;
const MAX_WAIT_MS = 1_000;

/** Kafka, as queries over topics need it. */
export interface TopicAccess {
  openSink(signal: AbortSignal): Promise<Sink>;
  openReader(): Promise<TopicReader>;
  openAdmin(): Promise<TopicAdmin>;
}

export interface TopicQueriesOptions {
  readonly plans: readonly QueryPlan[];
  readonly access: TopicAccess;
  /** Rows of the tables that they make, for clients that ask. */
  readonly results: ReadonlyMap<StreamSource, ResultTable>;
  readonly processing: ProcessingLog;
  readonly timeline: TableTimes;
  readonly log: Log;
}

interface RunningInput {
  readonly place: string;
  readonly topic: string;
  readonly stream: StreamSource;
  readonly task: TopicTask;
}

export class TopicQueries implements AsyncDisposable {
  readonly failed: Promise<never>;
  readonly #options: TopicQueriesOptions;
  readonly #closing = new AbortController();
  readonly #start: TimeCursor;
  readonly #offsets = new Map<string, string>();
  #fail: (error: unknown) => void = () => {};
  #running: Promise<void> | null = null;
  #opened: () => void = () => {};
  readonly #open: Promise<void>;
  #queries: StreamQueries | null = null;
  #sink: Sink | null = null;
  #outputs: Outputs = new Map();
  /** Of clients. */
  #readers: (readonly [StreamSource, EventReader])[] = [];
  #inputs: readonly RunningInput[] = [];
  #committing: Promise<void> | null = null;
  /** Who waits for what they have inserted. */
  #inserting: { readonly done: () => void; readonly fail: (error: unknown) => void }[] = [];
  #committedAt = -Infinity;
  #dirty = false;

  constructor(options: TopicQueriesOptions) {
    this.#options = options;
    // Rows are kept from now on, also while Kafka is not reached.
    this.#start = options.timeline.cursor();
    this.failed = new Promise((_, reject) => (this.#fail = reject));
    this.failed.catch(() => {});
    this.#open = new Promise((resolve) => (this.#opened = resolve));
  }

  status(): readonly QueryStatus[] {
    return this.#queries?.status() ?? [];
  }

  /** A client reads along; of a topic itself, where a query reads that. */
  addReader(of: StreamSource, reader: EventReader): void {
    this.#readers.push([of, reader]);
    this.#outputs.get(of)?.addReader(reader);
  }

  removeReader(of: StreamSource, reader: EventReader): void {
    this.#readers = this.#readers.filter(([, each]) => each !== reader);
    this.#outputs.get(of)?.removeReader(reader);
  }

  /** Records of clients; resolves when they are durable. */
  async insert(topic: string, records: readonly SinkRecord[]): Promise<void> {
    await Promise.race([this.#open, this.failed]);
    const sink = this.#sink;
    if (sink === null || this.#closing.signal.aborted) throw stopping();
    const handle = await sink.topic(topic, 'table');
    for (const record of records) sink.append(handle, record);
    const durable = new Promise<void>((done, fail) => this.#inserting.push({ done, fail }));
    this.#dirty = true;
    this.#commit();
    await durable;
  }

  /** Call when the joined tables are complete. */
  start(): void {
    this.#running ??= this.#run().catch((error: unknown) => {
      if (!this.#closing.signal.aborted) this.#fail(error);
    });
  }

  /** The tables' log has ended: resolves when the topics are worked off up to where they ended at the start. */
  async finish(): Promise<void> {
    this.#options.timeline.end();
    this.start();
    const done = this.#open.then(() => Promise.all(this.#inputs.map(({ task }) => task.caughtUp)));
    await Promise.race([done, this.failed]);
    while (this.#dirty || this.#committing !== null) {
      this.#commit();
      await Promise.race([this.#committing, this.failed]);
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    const { access, plans, results, processing, timeline, log } = this.#options;
    await using resources = new AsyncDisposableStack();
    const sink = resources.use(await access.openSink(signal));
    sink.failed.catch((error: unknown) => {
      if (!signal.aborted) this.#fail(error);
    });
    const known = await sink.restore({
      signal,
      onWaiting: () => log.info({}, 'another instance works off the topics of the statements; waiting'),
    });
    const epoch = epochOf(known.get(TOPICS_KEY)) + 1;
    const outputs = await openOutputs(plans, sink, results);
    const checkpoint = { known, continuous: true, epoch };
    const queries = new StreamQueries(plans, { outputs, processing, ahead: new Set(), checkpoint, log });
    for (const { target, store } of plans) results.get(target)?.restore(store?.shown() ?? []);
    for (const [of, reader] of this.#readers) outputs.get(of)?.addReader(reader);
    this.#outputs = outputs;
    const places = new Set<string>();
    const inputs: RunningInput[] = [];
    for (const { plan, query } of queries.queries) {
      const source = plan.input.topic;
      if (source === null) continue;
      const place = placeOf(plan, places);
      // Its place is kept.
      if (plan.held) continue;
      const reader = resources.use(await access.openReader());
      const { offsets, ends } = await startOf(reader, source, { known, place, latest: plan.fromLatest });
      const first = !inputs.some(({ stream }) => stream === plan.input);
      const written = reachedFrom(plan, plans).flatMap(({ target }) => outputs.get(target) ?? []);
      const task = new TopicTask(
        {
          plan,
          source,
          query,
          reader,
          sink,
          processing,
          timeline: plan.joins.length > 0 || written.length > 1 ? timeline : null,
          maxWaitMs: MAX_WAIT_MS,
          outputs: written,
          onProgress: (idle) => this.#progress(idle),
          onEvent: first ? (event) => this.#tell(plan.input, event) : null,
        },
        offsets,
        ends,
      );
      inputs.push({ place, topic: source.topic, stream: plan.input, task });
    }
    timeline.release(this.#start);
    signal.throwIfAborted();
    this.#inputs = inputs;
    this.#queries = queries;
    this.#sink = sink;
    const first = new Map<string, string | null>([[TOPICS_KEY, JSON.stringify({ v: 1, epoch })]]);
    const prefixes = [AGGREGATE_TABLE_PREFIX, AGGREGATE_GROUP_PREFIX];
    for (const key of forgottenTables(known, prefixes, queries.restored)) first.set(key, null);
    for (const key of known.keys())
      if (key.startsWith(INPUT_PREFIX) && !places.has(key.split('/')[1] ?? '')) first.set(key, null);
    await sink.commit(this.#state(first));
    log.info({ queries: inputs.length }, 'topics of the statements are read');
    this.#opened();
    // One that fails ends the others, which hold what is to be closed.
    const ended = inputs.map(({ task }) =>
      task.run(signal).catch((error: unknown) => {
        if (!signal.aborted) this.#fail(error);
        this.#closing.abort();
      }),
    );
    await Promise.all(ended);
    await this.#committing;
  }

  #tell(stream: StreamSource, event: StreamEvent): void {
    for (const [of, reader] of this.#readers) if (of === stream) reader.process(event, false);
  }

  #progress(idle: boolean): void {
    this.#dirty = true;
    if (idle || performance.now() - this.#committedAt >= COMMIT_MS) this.#commit();
  }

  #commit(): void {
    if (!this.#dirty || this.#committing !== null || this.#sink === null || this.#closing.signal.aborted)
      return;
    this.#dirty = false;
    this.#committedAt = performance.now();
    failpoint('before-commit');
    const inserting = this.#inserting;
    this.#inserting = [];
    this.#committing = this.#sink.commit(this.#state(new Map())).then(
      () => {
        this.#committing = null;
        for (const { done } of inserting) done();
        failpoint('after-commit');
        this.#commit();
      },
      (error: unknown) => {
        this.#committing = null;
        for (const { fail } of inserting) fail(error);
        if (!this.#closing.signal.aborted) this.#fail(error);
      },
    );
  }

  /** Everything up to the results that have been appended. */
  #state(state: Map<string, string | null>): ReadonlyMap<string, string | null> {
    for (const store of this.#queries?.stores ?? [])
      for (const [key, value] of store.flush()) state.set(key, value);
    for (const { place, topic, task } of this.#inputs) {
      for (const [partition, offset] of task.offsets.entries()) {
        const key = `${INPUT_PREFIX}${place}/${partition}`;
        const value = JSON.stringify({ topic, offset });
        if (this.#offsets.get(key) === value) continue;
        this.#offsets.set(key, value);
        state.set(key, value);
      }
    }
    return state;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#fail = () => {};
    for (const { fail } of this.#inserting) fail(stopping());
    await this.#running;
  }
}

function stopping(): HeadwaterError {
  return new HeadwaterError('query.ended', 'The pipeline behind the stream stops or begins anew.');
}

function epochOf(text: string | undefined): number {
  if (text === undefined) return 0;
  const { epoch } = JSON.parse(text) as { readonly epoch: number };
  return epoch;
}

/** The name of a query in the state: that of what it writes and reads, whatever other statements there are. */
function placeOf({ target, input, made }: QueryPlan, taken: Set<string>): string {
  const name = encodeURIComponent(`${target.name} ${input.name}${made === null ? '' : ` ${made}`}`);
  let place = name;
  for (let i = 2; taken.has(place); i++) place = `${name}+${i}`;
  taken.add(place);
  return place;
}

/** A query and all that read what it writes. */
function reachedFrom(plan: QueryPlan, plans: readonly QueryPlan[]): readonly QueryPlan[] {
  const reached = [plan];
  for (const each of reached)
    reached.push(...plans.filter((other) => other.input === each.target && !reached.includes(other)));
  return reached;
}

/** A query that is new begins with the first record that is there, or with the next one. */
async function startOf(
  reader: TopicReader,
  { topic, create }: TopicSource,
  {
    known,
    place,
    latest,
  }: { readonly known: ReadonlyMap<string, string>; readonly place: string; readonly latest: boolean },
): Promise<{ readonly offsets: readonly number[]; readonly ends: readonly number[] }> {
  const count = await reader.open(topic, create);
  const ranges = await Promise.all(Array.from({ length: count }, (_, partition) => reader.range(partition)));
  const offsets = ranges.map(({ start, end }, partition) => {
    const text = known.get(`${INPUT_PREFIX}${place}/${partition}`);
    const stored = text === undefined ? null : (JSON.parse(text) as { topic: string; offset: number });
    // The reader tells of records that are gone, and of a topic that was made anew.
    if (stored?.topic === topic) return stored.offset;
    return latest ? end : Math.min(start, end);
  });
  return { offsets, ends: ranges.map(({ end }) => end) };
}
