/**
 * The enrichment of one pipeline, between reader and emitter's sink. Per transaction: its changes move the replicas
 * on as they arrive, its events wait for its end; then they are joined, each with the state its join asks for
 * (docs/decisions/0007), and the records go out with the transaction's own.
 */
import type { Sink } from '../../emitter/sink.ts';
import type { Batch } from '../../model/batch.ts';
import type { SourceInfo, Tx } from '../../model/change.ts';
import type { PositionCodec } from '../../model/position.ts';
import { type TableId, tableName } from '../../model/table.ts';
import type { Log } from '../../observability/log.ts';
import type { QueryStatus } from '../../observability/status.ts';
import type { SourceBlock } from '../../schema/source-block.ts';
import type { SnapshotSource } from '../../snapshot/snapshot-source.ts';
import { ENRICH_COLUMNS_KEY, ENRICH_KEY, ENRICH_STATEMENTS_KEY } from '../../state/checkpoint.ts';
import { CapturedSource } from '../sources/captured-source.ts';
import { checkpointName } from '../state/group-store.ts';
import type { SchemaWriter } from '../formats/registry-access.ts';
import type { ReplicaImage } from '../state/image.ts';
import { type InferredColumns, inferredText } from '../plan/inferred-columns.ts';
import type { TableState } from '../state/table-store.ts';
import type { ProcessingLog } from './processing-log.ts';
import type { Program, QueryPlan } from '../plan/program.ts';
import { LiveQueries, type Taps } from '../queries/live-queries.ts';
import type { ProgramBasis } from '../queries/program-basis.ts';
import type { ResultTable } from '../state/result-table.ts';
import type { OutputStream } from './query.ts';
import type { Replica } from '../state/replica.ts';
import { LogIntake } from './log-intake.ts';
import { readJoined } from './read-joined.ts';
import type { ResultOffers } from './refused-results.ts';
import type { Absorbed, RunningEnrichment } from './running-enrichment.ts';
import { EventSpool, type SpooledEvent } from './spool.ts';
import {
  forgottenTables,
  openOutputs,
  outputOf,
  type Outputs,
  type RunCheckpoint,
  statusOf,
  StreamQueries,
} from './stream-queries.ts';
import type { Timeline } from '../state/timeline.ts';
import type { TopicQueries } from './topic-queries.ts';
import type { Dialect } from '../sql/token-cursor.ts';
import type { StreamSource } from '../sources/catalog.ts';
import { TableQueries } from './table-queries.ts';

/** Events between two looks at the sink's back-pressure. */
const EVENTS_A_BREATH = 1_000;

export interface StageOptions<P, S extends SourceInfo> {
  readonly program: Program;
  /** Columns of topics that the registry has given. */
  readonly inferred: InferredColumns;
  /** For the schemas of results; null without a registry. */
  readonly schemas: SchemaWriter | null;
  /** Of results that are refused, whose statements are paused; null: none. */
  readonly offers: ResultOffers | null;
  readonly image: ReplicaImage;
  /** Tables of which the snapshot reads some rows only: joined ones are read by ourselves. */
  readonly partly: ReadonlyMap<string, string>;
  /** Of the replicas that the image restored. */
  readonly restored: ReadonlyMap<Replica, TableState>;
  readonly sink: Sink;
  readonly codec: PositionCodec<P>;
  readonly block: SourceBlock<S>;
  readonly processing: ProcessingLog;
  /** What the checkpoint holds, whether the log goes on from it, and which run this is. */
  readonly checkpoint: RunCheckpoint;
  /** Whether a captured table is still as it was when the statements were compiled. */
  readonly unchanged: (table: string) => Promise<boolean>;
  readonly log: Log;
  /** Rows of the tables that queries make, for clients that ask; empty where nobody can. */
  readonly results: ReadonlyMap<StreamSource, ResultTable>;
  /** Queries over topics, and how they see the tables; null where there are none. */
  readonly topics: TopicQueries | null;
  readonly timeline: Timeline<P> | null;
  /** Where clients ask; null: nobody can. */
  readonly desk: DeskEntrance | null;
  /** For a transaction that is too large for memory. */
  readonly spoolDir: string;
  readonly spoolBytes: number;
}

/** Lets clients ask a program that runs. */
export interface DeskEntrance {
  readonly dialect: Dialect;
  /** Of a captured table's own records. */
  readonly topicOf: (table: TableId) => string;
  readonly basis: ProgramBasis;
  /** Answers how to leave again. */
  enter(queries: LiveQueries): () => void;
}

const NEVER = new Promise<never>(() => {});

/** Queries whose events come from the log. */
function ofLog({ queries }: Program): readonly QueryPlan[] {
  return queries.filter(({ ofTopic }) => !ofTopic);
}

export class EnrichmentStage<P, S extends SourceInfo> implements RunningEnrichment<P, S> {
  readonly #options: StageOptions<P, S>;
  readonly #replicas: readonly Replica[];
  readonly #intake: LogIntake<S>;
  readonly #outputs: readonly OutputStream[];
  readonly #targets: Outputs;
  readonly #queries: StreamQueries;
  readonly #spool: EventSpool;
  readonly #tables: TableQueries;
  readonly state: ReadonlyMap<string, string | null>;
  /** Replicas that show a later position than the log's, by index. */
  readonly #ahead = new Map<number, P>();
  readonly #aheadIndexes = new Set<number>();
  #tx: Tx | null = null;
  /** When the last change was committed; known where a query over tables asks. */
  #timeMs = 0;
  /** Of the last change of the transaction under way. */
  #last: S | null = null;
  #counted = 0;
  /** What waits for the end of the transaction under way. */
  #between: (() => void)[] = [];
  /** Whether tables made of tables hold all their rows. */
  #filled = false;
  readonly #live: LiveQueries | null;
  #leave: (() => void) | null = null;

  private constructor(options: StageOptions<P, S>, outputs: Outputs) {
    this.#options = options;
    const { program, processing, restored, codec } = options;
    this.#replicas = program.replicas;
    this.#outputs = [...outputs.values()];
    for (const [replica, { asOf }] of restored) {
      replica.ready = true;
      if (asOf !== null) this.#setAhead(replica, codec.decode(asOf));
    }
    const { checkpoint, log, results } = options;
    const ahead = this.#aheadIndexes;
    this.#targets = outputs;
    this.#queries = new StreamQueries(ofLog(program), { outputs, processing, ahead, checkpoint, log });
    const { queries } = this.#queries;
    const { block, partly, unchanged } = options;
    this.#intake = new LogIntake({
      replicas: this.#replicas,
      ahead,
      partly,
      block,
      unchanged,
      note: (problem) => processing.note('captured tables', problem),
      add: (input, event, bytes) => this.#spool.add(input, event, bytes),
      log,
    });
    for (const captured of program.streams) {
      const readers = queries.filter(({ plan }) => plan.input.captured === captured && !plan.held);
      const usesChange = readers.some(({ plan }) => plan.usesChange);
      this.#intake.addInput(
        captured,
        readers.map(({ query }) => query),
        usesChange,
      );
    }
    this.#spool = new EventSpool(
      options.spoolDir,
      options.spoolBytes,
      (stream) => this.#intake.input(stream)?.codec,
    );
    this.#tables = new TableQueries(program.tables, {
      outputOf: (plan) => outputOf(outputs, plan),
      processing,
      ahead: this.#aheadIndexes,
      run: options.checkpoint,
      restored: new Set(restored.keys()),
    });
    this.state = this.#firstState();
    const { desk } = options;
    this.#live =
      desk === null
        ? null
        : new LiveQueries({
            program,
            topicOf: desk.topicOf,
            basis: desk.basis,
            dialect: desk.dialect,
            results,
            filled: () => this.#filled,
            processing,
            taps: this.#taps(),
          });
    const { topics } = options;
    if (topics !== null) topics.live = this.#live;
  }

  /** Opens the topics of the results. */
  static async open<P, S extends SourceInfo>(
    options: StageOptions<P, S>,
    signal: AbortSignal,
  ): Promise<EnrichmentStage<P, S>> {
    const { program, sink, results, schemas } = options;
    const outputs = await openOutputs([...ofLog(program), ...program.tables], { sink, results, schemas });
    const stage = new EnrichmentStage(options, outputs);
    await stage.#restoreResults(signal);
    stage.#enterDesk();
    return stage;
  }

  async #restoreResults(signal: AbortSignal): Promise<void> {
    const { program, results } = this.#options;
    for (const [target, table] of results) {
      const plan = program.queries.find((each) => each.target === target);
      // Those of topics are restored with the queries that make them.
      if (plan?.ofTopic === true) continue;
      // A table that counts events is complete from its beginning.
      if (plan !== undefined) await table.restore(plan.store?.shown() ?? [], signal);
      else if (this.#tables.restored.includes(target.name))
        await table.restore(this.#tables.shown(target), signal);
    }
  }

  #enterDesk(): void {
    if (this.#live !== null) this.#leave = this.#options.desk?.enter(this.#live) ?? null;
  }

  /** Whether every joined table is complete. */
  get ready(): boolean {
    return this.#replicas.every(({ ready }) => ready);
  }

  queries(): readonly QueryStatus[] {
    const { program, processing, topics } = this.#options;
    const paused = program.paused.map(({ statement, target, error }) => ({
      id: target ?? 'INSERTQUERY',
      statement,
      topic: '',
      records: 0,
      problems: 0,
      problemsByKind: {},
      paused: error.message,
    }));
    const tables = statusOf(program.tables, this.#targets, processing);
    return [...this.#queries.status(), ...tables, ...(topics?.status() ?? []), ...paused];
  }

  get waiting(): readonly string[] {
    const { program, topics } = this.#options;
    const ofTopics = [...(topics?.waiting.keys() ?? [])].filter(({ held }) => !held);
    return [...program.paused, ...ofTopics].flatMap(({ id }) => id ?? []);
  }

  get failed(): Promise<never> {
    const { topics, offers } = this.#options;
    return Promise.race([topics?.failed ?? NEVER, offers?.accepted ?? NEVER]);
  }

  async finish(): Promise<void> {
    await this.#options.topics?.finish();
  }

  async absorb(batch: Batch<P, S>): Promise<Absorbed<P, S>> {
    for (const change of batch.changes) {
      if (change.kind !== 'row' && change.kind !== 'truncate') continue;
      if (change.tx !== this.#tx) {
        if (this.#tx !== null) await this.#endTransaction();
        this.#tx = change.tx;
      }
      if (!this.#tables.isEmpty) this.#timeMs = this.#options.block.commitTimeMs(change.at);
      this.#last = change.at;
      if (!this.#intake.isPrepared(change.table)) await this.#intake.prepare(change.table);
      if (change.kind === 'truncate') this.#intake.truncate(change);
      else this.#intake.take(change, batch.bytes / batch.changes.length);
    }
    const { codec } = this.#options;
    const { resume } = batch;
    const between = resume !== null && !codec.insideTransaction(resume);
    if (between && this.ready) {
      await this.#endTransaction();
      this.#tx = null;
      this.#passed(resume);
      this.#options.timeline?.passed(resume);
      for (const work of this.#between.splice(0)) work();
    }
    return this.#absorbed(batch, between);
  }

  committing(): void {
    this.#options.image.committing();
    for (const store of this.#queries.stores) store.committing();
    this.#tables.committing();
    this.#live?.committing('log');
  }

  committed(): void {
    this.#options.image.committed();
    for (const store of this.#queries.stores) store.committed();
    this.#tables.committed();
    this.#live?.committed('log');
  }

  async snapshotRead(tables: ReadonlySet<string>): Promise<void> {
    for (const replica of this.#replicas) {
      const table = tableName(replica.captured.id);
      if (replica.ready || !tables.has(table) || this.#options.partly.has(table)) continue;
      this.#setReady(replica, null);
    }
    if (!this.ready) return;
    await this.#fill(this.#timeMs);
    // Events of tables that are streams too have waited for the others.
    await this.#endTransaction();
  }

  async load(source: SnapshotSource<P, S>, signal: AbortSignal): Promise<ReadonlyMap<string, string | null>> {
    const missing = this.#replicas.filter(({ ready }) => !ready);
    if (missing.length > 0) {
      const { image, codec, log } = this.#options;
      const onRead = (replica: Replica, position: P): void => this.#setReady(replica, position);
      await readJoined(missing, { source, intake: this.#intake, image, codec, onRead, log }, signal);
    }
    await this.#fill(Date.now());
    if (missing.length > 0) await this.#endTransaction();
    this.#options.topics?.start();
    const state = new Map(this.#flushed());
    const reference = this.#options.image.flush(false);
    return reference === null ? state : state.set(ENRICH_KEY, JSON.stringify(reference));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.offers?.[Symbol.dispose]();
    this.#leave?.();
    this.#live?.end();
    for (const work of this.#between.splice(0)) work();
    await this.#options.topics?.[Symbol.asyncDispose]();
    this.#spool.close();
    await this.#options.image[Symbol.asyncDispose]();
  }

  async #fill(timeMs: number): Promise<void> {
    await this.#tables.fill(timeMs, () => this.#options.sink.ready());
    this.#filled = true;
  }

  #taps(): Taps {
    return {
      ahead: this.#aheadIndexes,
      between: (work) => {
        if (this.#tx === null && this.#spool.isEmpty) work();
        else this.#between.push(work);
      },
      addReader: (of, reader, usesChange) => {
        if (of instanceof CapturedSource) {
          this.#intake.addInput(of, [reader], usesChange);
        } else {
          this.#targets.get(of)?.addReader(reader);
          this.#options.topics?.addReader(of, reader);
        }
      },
      removeReader: (of, reader) => {
        if (!(of instanceof CapturedSource)) {
          this.#targets.get(of)?.removeReader(reader);
          this.#options.topics?.removeReader(of, reader);
          return;
        }
        this.#intake.removeInput(of);
      },
    };
  }

  #firstState(): ReadonlyMap<string, string | null> {
    const { image, checkpoint } = this.#options;
    const state = new Map<string, string | null>();
    const { compiled, paused } = this.#options.program;
    const restored = new Set([...this.#queries.restored, ...this.#tables.restored.map(checkpointName)]);
    for (const { target } of paused) if (target !== null) restored.add(checkpointName(target));
    for (const [key, value] of this.#options.schemas?.takeChanged() ?? []) state.set(key, value);
    state.set(ENRICH_COLUMNS_KEY, inferredText(this.#options.inferred));
    state.set(ENRICH_STATEMENTS_KEY, JSON.stringify({ compiled, paused: paused.map(({ hash }) => hash) }));
    for (const key of forgottenTables(checkpoint, restored)) state.set(key, null);
    for (const [key, value] of this.#flushed()) state.set(key, value);
    return state.set(ENRICH_KEY, JSON.stringify(image.tell()));
  }

  #absorbed(batch: Batch<P, S>, between: boolean): Absorbed<P, S> {
    let total = 0;
    for (const output of this.#outputs) total += output.records;
    const records = total - this.#counted;
    this.#counted = total;
    const reference = this.#options.image.flush(between);
    // Events that wait are in memory alone: the position must not pass them.
    const resume = this.#spool.isEmpty && (between || batch.resume === null) ? batch.resume : null;
    const changed = this.#flushed();
    if (reference !== null) changed.push([ENRICH_KEY, JSON.stringify(reference)]);
    if (changed.length === 0 && resume === batch.resume) return { batch, records };
    const state = new Map([...(batch.state ?? []), ...changed]);
    return { batch: { ...batch, resume, state }, records };
  }

  #flushed(): (readonly [string, string | null])[] {
    return [...this.#queries.stores.flatMap((store) => store.flush()), ...this.#tables.flush()];
  }

  async #endTransaction(): Promise<void> {
    this.#tables.process(false, this.#timeMs);
    const events = this.#spool.take();
    if (events !== null) this.#process(events);
    else {
      for await (const some of this.#spool.drain()) {
        for (let from = 0; from < some.length; from += EVENTS_A_BREATH) {
          this.#process(some.slice(from, from + EVENTS_A_BREATH));
          await this.#options.sink.ready();
        }
      }
    }
    this.#tables.process(true, this.#timeMs);
    this.#tables.endTransaction();
    for (const store of this.#queries.stores) store.endTransaction();
    for (const replica of this.#replicas) replica.endTransaction();
    const { timeline, block } = this.#options;
    if (timeline !== null && this.#last !== null)
      timeline.committed(block.commitTimeMs(this.#last), block.transactionId(this.#last));
    this.#last = null;
  }

  #process(events: readonly SpooledEvent[]): void {
    for (const { stream, event } of events) {
      for (const query of this.#intake.input(stream)?.queries ?? []) query.process(event, false);
    }
  }

  #setReady(replica: Replica, asOf: P | null): void {
    replica.ready = true;
    this.#options.image.ready(replica.index, asOf === null ? null : this.#options.codec.encode(asOf));
    if (asOf !== null) this.#setAhead(replica, asOf);
  }

  #setAhead({ index }: Replica, position: P): void {
    this.#ahead.set(index, position);
    this.#aheadIndexes.add(index);
  }

  #passed(resume: P): void {
    for (const [index, position] of this.#ahead) {
      if ((this.#options.codec.compare(resume, position) ?? -1) < 0) continue;
      this.#ahead.delete(index);
      this.#aheadIndexes.delete(index);
      this.#options.image.caughtUp(index);
    }
  }
}
