/** The enrichment of a pipeline as the pipeline opens it. */
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Sink } from '../emitter/sink.ts';
import type { SourceInfo } from '../model/change.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import type { PositionCodec } from '../model/position.ts';
import { type TableId, type TableSchema, tableName } from '../model/table.ts';
import type { Log } from '../observability/log.ts';
import type { SourceBlock } from '../schema/source-block.ts';
import type { SnapshotSource } from '../snapshot/snapshot-source.ts';
import { ENRICH_COLUMNS_KEY, ENRICH_KEY, ENRICH_STATEMENTS_KEY, POSITION_KEY } from '../state/checkpoint.ts';
import type { ShownColumns } from './sources/captured-columns.ts';
import { type DeclaredEnrichment, needsKafka, withMade } from './plan/declared.ts';
import { explainQuery } from './plan/explain.ts';
import type { RegistryAccess } from './formats/registry-access.ts';
import { inferColumns, parseInferred } from './plan/inferred-columns.ts';
import { nothingKept } from './plan/check-statements.ts';
import { parseReference, ReplicaImage } from './state/image.ts';
import { ProcessingLog } from './run/processing-log.ts';
import { madeStatements } from './plan/made-statements.ts';
import { compileProgram } from './plan/compile-program.ts';
import { unreadable } from './sources/captured-source.ts';
import type { ProgramBasis } from './queries/program-basis.ts';
import type { QueryDesk } from './queries/query-desk.ts';
import { ResultTable } from './state/result-table.ts';
import { EnrichmentStage } from './run/stage.ts';
import type { BulkGroups } from './state/bulk-groups.ts';
import { type JoinedTablesOptions, openGroups, openTables } from './state/open-tables.ts';
import { Timeline } from './state/timeline.ts';
import { type TopicAccess, TopicQueries } from './run/topic-queries.ts';
import type { JoinWaits } from './topics/topic-task.ts';
import type { Program } from './plan/program.ts';
import type { StreamSource } from './sources/catalog.ts';
import { offerResults, openWritable, type RefusedResults, ResultOffers } from './run/refused-results.ts';

const SPOOL_BYTES = 64 * 1024 * 1024;

export interface EnrichmentOptions<S extends SourceInfo> {
  readonly pipeline: string;
  readonly declared: DeclaredEnrichment;
  /** The columns of a captured table as its records show them. */
  readonly shown: ShownColumns;
  readonly block: SourceBlock<S>;
  /** Local state: the image of the joined tables, and transactions too large for memory. */
  readonly stateDir: string;
  readonly joinedTables: JoinedTablesOptions;
  /** How events of topics wait for the tables they are joined with. */
  readonly join: JoinWaits;
  /** For statements that read topics; null without Kafka. */
  readonly topics: TopicAccess | null;
  /** Null without a schema registry. */
  readonly registry: RegistryAccess | null;
  /** Where clients ask; null: nobody can. */
  readonly desk: QueryDesk | null;
  /** Bytes of a transaction's events in memory; for tests. */
  readonly spoolBytes?: number;
  /** How often results that are refused are offered again; for tests. */
  readonly offerRetryMs?: number;
}

export interface OpenContext<P, S extends SourceInfo> {
  readonly sink: Sink;
  readonly codec: PositionCodec<P>;
  readonly source: SnapshotSource<P, S>;
  readonly captured: readonly TableId[];
  readonly topicOf: (table: TableId) => string;
  /** Tables (`schema.table`) of which the snapshot reads some rows only. */
  readonly partly: ReadonlyMap<string, string>;
  /** The durable state, with what no longer holds of it taken out. */
  readonly known: ReadonlyMap<string, string>;
  /** The groups that state holds. */
  readonly groups: BulkGroups;
  /** Of this run: the checkpoint's, and one more. */
  readonly epoch: number;
  /** Whether the log goes on where the checkpoint stands. */
  readonly continuous: boolean;
  /** Tables whose changes were not in the log for a while. */
  readonly interrupted: readonly TableId[];
  /** Where the source's log ends now, and how to be told soon how far it has been read. */
  readonly head: () => Promise<P>;
  readonly nudge: () => void;
  readonly log: Log;
  /** Whether what was compiled is worth a line. */
  readonly first: boolean;
}

/** Analyses the statements against the tables, restores the joined tables and opens the topics of the results. */
export async function openEnrichment<P, S extends SourceInfo>(
  options: EnrichmentOptions<S>,
  context: OpenContext<P, S>,
  signal: AbortSignal,
): Promise<EnrichmentStage<P, S>> {
  const { pipeline, shown, block, stateDir, joinedTables, registry, desk } = options;
  const { sink, codec, source, captured, known, groups, epoch, continuous, interrupted, log, first } =
    context;
  const made = madeStatements(known);
  const declared = withMade(options.declared, { made: made.all, fresh: new Map() }, pipeline);
  const tables = await describe(declared, source, captured, signal);
  const dir = join(stateDir, 'enrich');
  await using opened = new AsyncDisposableStack();
  const stores = opened.use(await openTables({ dir, pipeline, ...joinedTables }));
  const image = new ReplicaImage({ dir, pipeline, epoch, stores });
  const before = parseStatements(known.get(ENRICH_STATEMENTS_KEY));
  const tableTopics = new Set(captured.map(context.topicOf));
  const followed = new Set([...before.compiled, ...before.paused]);
  const reader = registry?.reader ?? null;
  const keptColumns = parseInferred(known.get(ENRICH_COLUMNS_KEY));
  const inferred = await inferColumns(declared, { reader, kept: keptColumns, signal });
  const schemas = registry?.writer(known, signal) ?? null;
  const compile = (refused: RefusedResults): Program =>
    compileProgram(declared, {
      pipeline,
      registry: registry !== null,
      inferred,
      describe: (name) => tables.get(name) ?? null,
      shown,
      tableTopics,
      known: followed,
      held: made.held,
      trialFrom: null,
      journal: image,
      stores,
      refused: new Map([...refused].map(([{ name }, error]) => [name, error])),
    });
  const whole = compile(new Map());
  const takers = { sink, schemas, signal };
  const refused = await offerResults(ofLog(whole), takers);
  const program = refused.size === 0 ? whole : compile(refused);
  if (first) {
    for (const query of [...program.queries, ...program.tables]) {
      log.info({ query: query.id, plan: explainQuery(query) }, 'query compiled');
      for (const warning of query.warnings) log.warn({ query: query.id }, `friendly dialect: ${warning}`);
    }
  }
  for (const { target, error } of program.paused)
    log.error(
      { statement: target, code: error.code, error: error.message, advice: error.advice },
      'a statement is paused, for the reason given; the others go on',
    );
  if (program.compiled.some((hash) => before.paused.includes(hash)))
    log.warn(
      {},
      'a statement that was paused goes on; of a stream, what happened meanwhile is not in its topic',
    );
  const reference = continuous ? parseReference(known.get(ENRICH_KEY)) : null;
  const stale = new Set(interrupted.map(tableName));
  const restored = await image.restore(
    program.replicas,
    // One of an earlier run: somebody without statements has moved the position since.
    reference?.epoch === epoch - 1 ? reference : null,
    (replica) => stale.has(tableName(replica.captured.id)),
  );
  const processing = new ProcessingLog(log);
  const plans = program.queries.filter(({ ofTopic }) => ofTopic);
  const { topics: access } = options;
  const timeline = declared.readsTopics && access !== null ? timelineOf(context) : null;
  for (const replica of program.replicas) replica.timeline = timeline;
  const kept = [...program.queries, ...program.tables].filter(({ target }) => target.kept);
  // Behind those of topics.
  const refilled = program.topicTables.length;
  const results = new Map(
    desk === null
      ? []
      : kept.map(({ target }, i) => [target, new ResultTable(target.columns, stores.refilled(refilled + i))]),
  );
  const topics =
    timeline === null || access === null
      ? null
      : new TopicQueries({
          plans,
          tables: program.topicTables,
          paused: program.paused,
          access,
          join: options.join,
          registry,
          results,
          processing,
          offerRetryMs: options.offerRetryMs,
          timeline,
          openGroups: () => openGroups({ dir, name: `${pipeline}.enrich` }, stores.durable),
          log,
        });
  const basis: ProgramBasis = {
    declared,
    made,
    topics,
    access,
    registry,
    tableTopics,
    openTopics: async (of) => {
      if (of.topic !== null && access !== null) {
        await using input = await access.openReader(false);
        await input.open(of.topic.topic, of.topic.create);
      }
      const target = of.kind === 'STREAM' ? of : of.result;
      if (target !== null) await openWritable(target, takers);
    },
    trial: async (next, fresh, asked) => {
      const all = withMade(options.declared, { made: next.all, fresh }, pipeline);
      if (all.readsTopics && access === null) throw needsKafka(pipeline);
      const now = await describe(all, source, captured, asked);
      const tried = compileProgram(all, {
        pipeline,
        registry: registry !== null,
        inferred: await inferColumns(all, { reader, kept: inferred, signal: asked }),
        describe: (name) => now.get(name) ?? null,
        shown,
        ...nothingKept(),
        tableTopics,
        known: followed,
        held: next.held,
        trialFrom: made.next,
      });
      return { declared: all, program: tried };
    },
  };
  const offers =
    refused.size === 0 ? null : opened.use(new ResultOffers(refused.keys(), takers, options.offerRetryMs));
  const stage = await EnrichmentStage.open(
    {
      topics,
      timeline,
      program,
      inferred,
      schemas,
      offers,
      image,
      restored,
      sink,
      codec,
      block,
      partly: context.partly,
      checkpoint: { known, groups, continuous, epoch },
      desk:
        desk === null
          ? null
          : {
              dialect: declared.dialect,
              topicOf: context.topicOf,
              basis,
              enter: (live) => desk.enter(pipeline, live),
            },
      processing,
      results,
      unchanged: async (name) => {
        const now = await describe(declared, source, captured, signal).catch((error: unknown) => {
          if (error instanceof HeadwaterError && error.code === 'enrich.table-unreadable') return null;
          throw error;
        });
        return now !== null && isDeepStrictEqual(now.get(name)?.columns, tables.get(name)?.columns);
      },
      log,
      spoolDir: dir,
      spoolBytes: options.spoolBytes ?? SPOOL_BYTES,
    },
    signal,
  );
  // From here on they are the stage's to close.
  opened.move();
  return stage;
}

/** Results of queries over the log. */
function ofLog({ queries, tables }: Program): readonly StreamSource[] {
  return [...queries.filter(({ ofTopic }) => !ofTopic), ...tables].map(({ target }) => target);
}

function timelineOf<P, S extends SourceInfo>({ known, codec, head, nudge }: OpenContext<P, S>): Timeline<P> {
  const compare = (a: P, b: P): number | null => codec.compare(a, b);
  const stored = known.get(POSITION_KEY);
  const position = stored === undefined ? 'snapshot' : JSON.stringify(parsePosition(stored));
  return new Timeline({ head, nudge, compare }, position);
}

function parsePosition(text: string): unknown {
  return (JSON.parse(text) as { readonly position?: unknown }).position ?? null;
}

interface KnownStatements {
  readonly compiled: readonly string[];
  readonly paused: readonly string[];
}

/** Of what the stage has put there. */
function parseStatements(text: string | undefined): KnownStatements {
  return text === undefined ? { compiled: [], paused: [] } : (JSON.parse(text) as KnownStatements);
}

/** The tables that statements name, as they are now; those that are not captured are left out. */
async function describe<P, S extends SourceInfo>(
  declared: DeclaredEnrichment,
  source: SnapshotSource<P, S>,
  captured: readonly TableId[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, TableSchema>> {
  const named = captured.filter((id) => declared.tables.has(tableName(id)));
  await using reader = await source.openWindows({ parallelism: 1 }, signal);
  const described = new Map<string, TableSchema>();
  for (const id of named) {
    try {
      const whole = [{ from: null, to: null }];
      const plan = await reader.plan(
        id,
        { chunkRows: Number.MAX_SAFE_INTEGER, where: null, chunks: whole },
        signal,
      );
      described.set(tableName(id), plan.schema);
    } catch (error) {
      if (signal.aborted) throw error;
      throw unreadable(tableName(id), error);
    }
  }
  return described;
}
