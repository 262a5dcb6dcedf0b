/**
 * Queries over Kafka topics: a producer of their own beside the pipeline's. Their results, what their groups keep and
 * the offsets of what has been worked off are durable together, in the state of that producer:
 *
 * | key | value |
 * | --- | --- |
 * | `enrich-topics` | `{v, epoch}`: which run wrote it |
 * | `enrich-input/<query>/<partition>` | `{topic, offset}`: where the query goes on |
 * | `enrich-input-table/<table>/<partition>` | `{topic, offset}`: which state of a topic's table the queries have come to |
 */
import type { Sink, SinkRecord, TopicHandle, TurnTaking } from '../../emitter/sink.ts';
import type { TopicAdmin } from '../../emitter/topic-admin.ts';
import type { TopicReader } from '../../emitter/topic-reader.ts';
import { HeadwaterError } from '../../errors/headwater-error.ts';
import { failpoint } from '../../observability/failpoint.ts';
import type { Log } from '../../observability/log.ts';
import type { QueryStatus } from '../../observability/status.ts';
import type { BulkGroups } from '../state/bulk-groups.ts';
import { checkpointName } from '../state/group-store.ts';
import type { ReadSchemas } from '../formats/format.ts';
import type { RegistryAccess, SchemaWriter } from '../formats/registry-access.ts';
import { aborted } from './aborted.ts';
import { type RecordForm, recordWriter, type RecordWriter } from './record-writer.ts';
import type { ProcessingLog } from './processing-log.ts';
import type { PausedStatement, QueryPlan } from '../plan/program.ts';
import type { LiveQueries } from '../queries/live-queries.ts';
import type { ResultTable } from '../state/result-table.ts';
import type { EventReader } from './query.ts';
import type { StreamSource } from '../sources/catalog.ts';
import type { StreamEvent } from './event.ts';
import { forgottenTables, openOutputs, type Outputs, statusOf, StreamQueries } from './stream-queries.ts';
import { offerResults, ResultOffers, waitingFor } from './refused-results.ts';
import type { TableTimes, TimeCursor } from '../state/timeline.ts';
import {
  forgottenPlaces,
  inputPlace,
  PausedPlaces,
  startOf,
  storedOffset,
  tablePlace,
} from './topic-places.ts';
import { type JoinWaits, TopicTask } from '../topics/topic-task.ts';
import { JoinedTimes } from '../topics/joined-times.ts';
import { TableTask } from '../topics/table-task.ts';
import type { TopicTable } from '../topics/topic-table.ts';

const TOPICS_KEY = 'enrich-topics';
/** Under load, what arrives meanwhile is committed together. */
const COMMIT_MS = 50;
/** Groups on disk that may be in memory since no commit has brought them there yet. */
const MOST_PENDING = 20_000;

/** Kafka, as queries over topics need it. */
export interface TopicAccess {
  openSink(signal: AbortSignal): Promise<Sink>;
  /** `whole`: all partitions are to be read, also where others work off some of them. */
  openReader(whole: boolean): Promise<TopicReader>;
  /** Left out where there is nobody to share with. */
  readonly turns?: TurnTaking;
  openAdmin(): Promise<TopicAdmin>;
}

export interface TopicQueriesOptions {
  readonly plans: readonly QueryPlan[];
  /** Tables that topics hold. */
  readonly tables: readonly TopicTable[];
  /** Statements that do not fit at present: streams of theirs go on where they were. */
  readonly paused: readonly PausedStatement[];
  readonly access: TopicAccess;
  readonly join: JoinWaits;
  /** Null without a schema registry. */
  readonly registry: RegistryAccess | null;
  /** Rows of the tables that they make, for clients that ask. */
  readonly results: ReadonlyMap<StreamSource, ResultTable>;
  readonly processing: ProcessingLog;
  /** How often refused results are offered again; for tests. */
  readonly offerRetryMs?: number | undefined;
  readonly timeline: TableTimes;
  /** Where the groups of the state are to be. */
  readonly openGroups: () => Promise<BulkGroups>;
  /** The topics are ours to work off. */
  readonly onOpen?: () => void;
  readonly onCommit?: () => void;
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
  /** Null without a registry. */
  #schemas: SchemaWriter | null = null;
  #outputs: Outputs = new Map();
  #waiting: ReadonlyMap<QueryPlan, HeadwaterError> = new Map();
  /** Of clients. */
  #readers: (readonly [StreamSource, EventReader])[] = [];
  #inputs: readonly RunningInput[] = [];
  #tables: readonly TableTask[] = [];
  #committing: Promise<void> | null = null;
  /** Topics that clients insert into. */
  readonly #inserted = new Map<string, Promise<TopicHandle>>();
  /** Queries of clients, which see what commits have made durable. */
  live: Pick<LiveQueries, 'committing' | 'committed'> | null = null;
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

  /** Queries that wait until their results are accepted, and why they are not. */
  get waiting(): ReadonlyMap<QueryPlan, HeadwaterError> {
    return this.#waiting;
  }

  status(): readonly QueryStatus[] {
    const waiting = [...this.#waiting].flatMap(([plan, { message }]) =>
      statusOf([plan], this.#outputs, this.#options.processing).map((each) => ({ ...each, paused: message })),
    );
    return [...(this.#queries?.status() ?? []), ...waiting];
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

  /** For records of clients; schemas of theirs are registered. */
  async writer(of: Pick<StreamSource, 'columns' | 'keyOrder'>, form: RecordForm): Promise<RecordWriter> {
    await Promise.race([this.#open, this.failed]);
    return await recordWriter(of, form, this.#schemas);
  }

  /** Records of clients; resolves when they are durable. */
  async insert(topic: string, records: readonly SinkRecord[]): Promise<void> {
    await Promise.race([this.#open, this.failed]);
    const sink = this.#sink;
    if (sink === null || this.#closing.signal.aborted) throw stopping();
    let opening = this.#inserted.get(topic);
    if (opening === undefined) {
      this.#inserted.set(topic, (opening = sink.topic(topic, 'table')));
      opening.catch(() => this.#inserted.delete(topic));
    }
    const handle = await opening;
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
    const { access, join, plans: declared, results, processing, registry, log } = this.#options;
    await using resources = new AsyncDisposableStack();
    const groups = resources.use(await this.#options.openGroups());
    const sink = resources.use(await access.openSink(signal));
    sink.failed.catch((error: unknown) => {
      if (!signal.aborted) this.#fail(error);
    });
    const known = await sink.restore({
      signal,
      bulk: groups,
      ...(access.turns === undefined ? {} : { turns: access.turns }),
      onWaiting: () => log.info({}, 'another instance works off the topics of the statements; waiting'),
    });
    this.#options.onOpen?.();
    const epoch = epochOf(known.get(TOPICS_KEY)) + 1;
    const schemas = registry?.writer(known, signal) ?? null;
    this.#schemas = schemas;
    const takers = { sink, schemas, signal };
    const refused = await offerResults(
      declared.map(({ target }) => target),
      takers,
    );
    this.#waiting = waitingFor(refused, declared);
    const plans = declared.filter((plan) => !this.#waiting.has(plan));
    for (const [{ id }, { code, message, advice }] of this.#waiting)
      log.error(
        { query: id, code, error: message, advice },
        'a statement waits, for the reason given; the others go on',
      );
    if (refused.size > 0) {
      const offers = resources.use(new ResultOffers(refused.keys(), takers, this.#options.offerRetryMs));
      offers.accepted.catch((error: unknown) => this.#fail(error));
    }
    const outputs = await openOutputs(plans, { sink, results, schemas });
    const checkpoint = { known, groups, continuous: true, epoch };
    const queries = new StreamQueries(plans, { outputs, processing, ahead: new Set(), checkpoint, log });
    for (const { target, store } of plans) await results.get(target)?.restore(store?.shown() ?? [], signal);
    for (const [of, reader] of this.#readers) outputs.get(of)?.addReader(reader);
    this.#outputs = outputs;
    const schemaReader = { reader: registry?.reader ?? null, signal };
    const tables = await this.#readTables(known, { resources, schemas: schemaReader });
    const places = new Set<string>();
    const inputs: RunningInput[] = [];
    const running = new Map(queries.queries.map(({ plan, query }) => [plan, query]));
    const paused = new PausedPlaces(this.#options.paused, places);
    for (const [index, plan] of declared.entries()) {
      const source = plan.input.topic;
      if (source === null) continue;
      paused.takeBefore(index);
      const place = inputPlace(plan, places);
      const query = running.get(plan);
      // Its place is kept.
      if (plan.held || query === undefined) continue;
      const reader = resources.use(await access.openReader(false));
      const { offsets, ends } = await startOf(reader, source, { known, place, latest: plan.fromLatest });
      const first = !inputs.some(({ stream }) => stream === plan.input);
      const reached = reachedFrom(plan, plans);
      const written = reached.flatMap(({ target }) => outputs.get(target) ?? []);
      const task = new TopicTask(
        {
          plan,
          source,
          schemas: schemaReader,
          query,
          reader,
          sink: { ready: () => this.#ready(sink) },
          processing,
          deadLetters: outputs.get(plan.target)?.deadLetters ?? null,
          times: this.#timesOf(reached, tables),
          ...join,
          outputs: written,
          onProgress: (idle) => this.#progress(idle),
          onEvent: first ? (event) => this.#tell(plan.input, event) : null,
        },
        offsets,
        ends,
      );
      inputs.push({ place, topic: source.topic, stream: plan.input, task });
    }
    paused.takeBefore(Infinity);
    this.#options.timeline.release(this.#start);
    signal.throwIfAborted();
    this.#inputs = inputs;
    this.#tables = tables;
    this.#queries = queries;
    this.#sink = sink;
    const first = new Map<string, string | null>([[TOPICS_KEY, JSON.stringify({ v: 1, epoch })]]);
    const kept = new Set([...queries.restored, ...[...this.#waiting.keys()].map(tableOf)]);
    for (const key of forgottenTables(checkpoint, kept)) first.set(key, null);
    // What they read is theirs to go on with: nothing has been counted without them.
    for (const { store } of this.#waiting.keys())
      for (const [key, text] of store?.waiting(checkpoint) ?? []) first.set(key, text);
    for (const { table } of tables) places.add(tablePlace(table.name));
    for (const key of forgottenPlaces(known, places)) first.set(key, null);
    const state = this.#state(first);
    for (const store of queries.stores) store.committing();
    await sink.commit(state);
    for (const store of queries.stores) store.committed();
    log.info({ queries: inputs.length }, 'topics of the statements are read');
    this.#opened();
    // One that fails ends the others, which hold what is to be closed.
    const ended = [...tables, ...inputs.map(({ task }) => task)].map((task) =>
      task.run(signal).catch((error: unknown) => {
        if (!signal.aborted) this.#fail(error);
        this.#closing.abort();
      }),
    );
    // Where all of them wait there is still what to offer, and to insert.
    await Promise.all([...ended, aborted(signal)]);
    await this.#committing;
  }

  /** Each up to where the checkpoint has it, before any event is joined. */
  async #readTables(
    known: ReadonlyMap<string, string>,
    { resources, schemas }: { readonly resources: AsyncDisposableStack; readonly schemas: ReadSchemas },
  ): Promise<readonly TableTask[]> {
    const { access, processing, log, tables } = this.#options;
    return Promise.all(
      tables.map(async (table) => {
        const reader = resources.use(await access.openReader(!table.source.partitioned));
        const task = new TableTask({ table, reader, schemas, processing, log });
        const place = tablePlace(table.name);
        const { topic } = table.source;
        const stored = (partition: number): number | null => storedOffset(known, { place, partition, topic });
        await task.bootstrap(stored, schemas.signal);
        return task;
      }),
    );
  }

  /** Null where nothing is joined. */
  #timesOf(reached: readonly QueryPlan[], tables: readonly TableTask[]): JoinedTimes | null {
    const rows = new Set(reached.flatMap(({ joins }) => joins.map((join) => join.rows)));
    const ofTopics = tables.filter(({ table }) => rows.has(table));
    const joined = ofTopics.flatMap((task) => {
      const { name, timeline: times } = task.table;
      return times === null ? [] : [{ times, cursor: task.cursor(), name, placed: task }];
    });
    const { timeline } = this.#options;
    if (rows.size > ofTopics.length)
      return new JoinedTimes([
        { times: timeline, cursor: timeline.cursor(), name: null, placed: null },
        ...joined,
      ]);
    return joined.length === 0 ? null : new JoinedTimes(joined);
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
    this.live?.committing('topics');
    failpoint('before-commit');
    const inserting = this.#inserting;
    this.#inserting = [];
    const state = this.#state(new Map());
    const stores = this.#queries?.stores ?? [];
    for (const store of stores) store.committing();
    this.#committing = this.#sink.commit(state).then(
      () => {
        this.#committing = null;
        for (const store of stores) store.committed();
        this.live?.committed('topics');
        this.#options.onCommit?.();
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

  /** Back-pressure: of the sink, and of groups. */
  #ready(sink: Sink): Promise<void> | undefined {
    const ready = sink.ready();
    if (ready !== undefined) return ready;
    let pending = 0;
    for (const store of this.#queries?.stores ?? []) pending += store.pending;
    if (pending < MOST_PENDING) return undefined;
    this.#commit();
    return this.#committing ?? undefined;
  }

  /** Everything up to the results that have been appended. */
  #state(state: Map<string, string | null>): ReadonlyMap<string, string | null> {
    for (const [key, value] of this.#schemas?.takeChanged() ?? []) state.set(key, value);
    for (const store of this.#queries?.stores ?? [])
      for (const [key, value] of store.flush()) state.set(key, value);
    const places = [
      ...this.#inputs,
      ...this.#tables.map((task) => {
        const { name, source } = task.table;
        return { place: tablePlace(name), topic: source.topic, task };
      }),
    ];
    for (const { place, topic, task } of places) {
      for (const [partition, offset] of task.offsets.entries()) {
        const key = `${place}/${partition}`;
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

function tableOf({ target }: QueryPlan): string {
  return checkpointName(target.name);
}

function stopping(): HeadwaterError {
  return new HeadwaterError('query.ended', 'The pipeline behind the stream stops or begins anew.');
}

function epochOf(text: string | undefined): number {
  if (text === undefined) return 0;
  const { epoch } = JSON.parse(text) as { readonly epoch: number };
  return epoch;
}

/** A query and all that read what it writes. */
function reachedFrom(plan: QueryPlan, plans: readonly QueryPlan[]): readonly QueryPlan[] {
  const reached = [plan];
  for (const each of reached)
    reached.push(...plans.filter((other) => other.input === each.target && !reached.includes(other)));
  return reached;
}
