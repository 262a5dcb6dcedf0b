/** Queries over streams, with what they write and what they keep. */
import type { Sink, TopicHandle } from '../../emitter/sink.ts';
import type { Log } from '../../observability/log.ts';
import type { QueryStatus } from '../../observability/status.ts';
import { Aggregation } from './aggregation.ts';
import { type BulkGroups, groupPrefix } from '../state/bulk-groups.ts';
import { isCompacted, type StreamSource } from '../sources/catalog.ts';
import { DeadLetters, deadLetterTopic } from './dead-letters.ts';
import { AGGREGATE_TABLE_PREFIX, checkpointName, type GroupStore } from '../state/group-store.ts';
import type { ProcessingLog } from './processing-log.ts';
import type { SchemaWriter } from '../formats/registry-access.ts';
import type { QueryPlan } from '../plan/program.ts';
import type { ResultTable } from '../state/result-table.ts';
import { OutputStream, Query } from './query.ts';
import { QueryProblems } from './query-problems.ts';
import { recordWriter } from './record-writer.ts';
import type { Problem } from '../sql/frame.ts';

export type Outputs = ReadonlyMap<StreamSource, OutputStream>;

/** Opens the topics of the results, and registers the schemas of their records. */
export async function openOutputs(
  plans: readonly { readonly target: StreamSource }[],
  {
    sink,
    results,
    schemas,
  }: {
    readonly sink: Sink;
    readonly results: ReadonlyMap<StreamSource, ResultTable>;
    /** Null without a registry. */
    readonly schemas: SchemaWriter | null;
  },
): Promise<Outputs> {
  const outputs = new Map<StreamSource, OutputStream>();
  for (const { target } of plans) {
    if (target.sink === null || outputs.has(target)) continue;
    const writer = await recordWriter(target, target.sink, schemas, sink.json);
    const opened = await openResultTopics(target, sink);
    if (opened === null) continue;
    const deadLetters = opened.deadLetters === null ? null : new DeadLetters(sink, opened.deadLetters);
    const { topic } = opened;
    const compacted = target.kept || isCompacted(target.sink);
    outputs.set(
      target,
      new OutputStream({ sink, topic, deadLetters, compacted }, writer, results.get(target) ?? null),
    );
  }
  return outputs;
}

/** Makes them where they are missing. Null of a stream that no query writes. */
export async function openResultTopics(
  { sink: form, kept }: StreamSource,
  sink: Sink,
): Promise<{ readonly topic: TopicHandle; readonly deadLetters: TopicHandle | null } | null> {
  if (form === null) return null;
  const { topic: name, wish, onError } = form;
  return {
    topic: await sink.topic(name, kept ? 'compacted' : 'table', wish),
    deadLetters: onError === 'DLQ' ? await sink.topic(deadLetterTopic(name), 'dead-letter') : null,
  };
}

export function outputOf(outputs: Outputs, { target }: { readonly target: StreamSource }): OutputStream {
  const output = outputs.get(target);
  if (output === undefined) throw new TypeError('Each query has its output.');
  return output;
}

/** Of queries that run. */
export function statusOf(
  plans: readonly (Pick<QueryPlan, 'id' | 'statement' | 'target'> & { readonly held?: boolean })[],
  outputs: Outputs,
  processing: ProcessingLog,
): readonly QueryStatus[] {
  return plans.map(({ id, statement, target, held }) => ({
    id,
    statement,
    topic: target.sink?.topic ?? '',
    records: outputs.get(target)?.records ?? 0,
    ...processing.of(id),
    paused: held === true ? 'PAUSE holds it until RESUME' : null,
  }));
}

/** What the checkpoint holds, whether the inputs go on from it, and which run this is. */
export interface RunCheckpoint {
  readonly known: ReadonlyMap<string, string>;
  readonly groups: BulkGroups;
  readonly continuous: boolean;
  readonly epoch: number;
}

export interface StreamQueriesOptions {
  readonly outputs: Outputs;
  readonly processing: ProcessingLog;
  /** Replicas that show a later state than the log's position. */
  readonly ahead: ReadonlySet<number>;
  readonly checkpoint: RunCheckpoint;
  readonly log: Log;
}

export class StreamQueries {
  readonly queries: readonly { readonly plan: QueryPlan; readonly query: Query }[];
  /** Groups. */
  readonly stores: readonly GroupStore[];
  /** Names in the checkpoint of tables that go on where they were. */
  readonly restored: ReadonlySet<string>;
  readonly #options: StreamQueriesOptions;

  constructor(plans: readonly QueryPlan[], options: StreamQueriesOptions) {
    this.#options = options;
    const stores: GroupStore[] = [];
    const restored = new Set<string>();
    this.queries = plans.map((plan) => {
      const { outputs, processing, ahead } = options;
      const target = outputOf(outputs, plan);
      const problems = new QueryProblems(plan, processing, target.deadLetters);
      const aggregation = this.#aggregation(plan, { target, stores, restored, note: problems.note });
      const query = new Query(plan, { target, problems, ahead, aggregation });
      if (!plan.held) outputs.get(plan.input)?.addReader(query);
      return { plan, query };
    });
    this.stores = stores;
    this.restored = restored;
  }

  status(): readonly QueryStatus[] {
    const { outputs, processing } = this.#options;
    return statusOf(
      this.queries.map(({ plan }) => plan),
      outputs,
      processing,
    );
  }

  #aggregation(
    plan: QueryPlan,
    made: {
      readonly target: OutputStream;
      readonly stores: GroupStore[];
      readonly restored: Set<string>;
      readonly note: (problem: Problem) => void;
    },
  ): Aggregation | null {
    const { group, store } = plan;
    if (group === null || store === null) return null;
    const { checkpoint, log } = this.#options;
    const { note } = made;
    const found = store.restore({ ...checkpoint, note });
    if (found === 'restored') made.restored.add(checkpointName(plan.target.name));
    if (found === 'lost')
      log.warn(
        { query: plan.id },
        'the table of this query begins anew: its statement, or the position of the log, is another one than before',
      );
    made.stores.push(store);
    return new Aggregation({ group, store, target: made.target, note });
  }
}

/** Keys of the checkpoint that belong to tables which do not go on. */
export function* forgottenTables(
  { known, groups }: Pick<RunCheckpoint, 'known' | 'groups'>,
  restored: ReadonlySet<string>,
): Generator<string> {
  for (const key of known.keys())
    if (key.startsWith(AGGREGATE_TABLE_PREFIX) && !restored.has(key.slice(AGGREGATE_TABLE_PREFIX.length)))
      yield key;
  const kept = new Set([...restored].map(groupPrefix));
  for (const prefix of groups.tables.keys())
    if (!kept.has(prefix)) for (const [key] of groups.entries(prefix)) yield key;
}
