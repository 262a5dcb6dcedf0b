/** Queries over streams, with what they write and what they keep. */
import type { Sink } from '../emitter/sink.ts';
import type { Log } from '../observability/log.ts';
import type { QueryStatus } from '../observability/status.ts';
import { Aggregation } from './aggregation.ts';
import type { StreamSource } from './catalog.ts';
import { checkpointName, type GroupStore } from './group-store.ts';
import type { ProcessingLog } from './processing-log.ts';
import type { QueryPlan } from './program.ts';
import type { ResultTable } from './queries/result-table.ts';
import { OutputStream, Query } from './query.ts';
import { RecordWriter } from './record-writer.ts';
import type { Problem } from './sql/frame.ts';

export type Outputs = ReadonlyMap<StreamSource, OutputStream>;

/** Opens the topics of the results. */
export async function openOutputs(
  plans: readonly { readonly target: StreamSource }[],
  sink: Sink,
  results: ReadonlyMap<StreamSource, ResultTable>,
): Promise<Outputs> {
  const outputs = new Map<StreamSource, OutputStream>();
  for (const { target } of plans) {
    if (target.sink === null || outputs.has(target)) continue;
    const topic = await sink.topic(target.sink.topic, target.kept ? 'compacted' : 'table');
    const writer = new RecordWriter(target.columns, target.sink);
    outputs.set(target, new OutputStream({ sink, topic }, writer, results.get(target) ?? null));
  }
  return outputs;
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
    problems: processing.countOf(id),
    paused: held === true ? 'PAUSE holds it until RESUME' : null,
  }));
}

/** What the checkpoint holds, whether the inputs go on from it, and which run this is. */
export interface RunCheckpoint {
  readonly known: ReadonlyMap<string, string>;
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
      const aggregation = this.#aggregation(plan, { target, stores, restored });
      const query = new Query(plan, { target, processing, ahead, aggregation });
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
    made: { readonly target: OutputStream; readonly stores: GroupStore[]; readonly restored: Set<string> },
  ): Aggregation | null {
    const { group, store } = plan;
    if (group === null || store === null) return null;
    const { processing, checkpoint, log } = this.#options;
    const note = (problem: Problem): void => processing.note(plan.id, problem);
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
export function forgottenTables(
  known: ReadonlyMap<string, string>,
  prefixes: readonly string[],
  restored: ReadonlySet<string>,
): readonly string[] {
  return [...known.keys()].filter((key) => {
    const prefix = prefixes.find((each) => key.startsWith(each));
    const table = prefix === undefined ? undefined : key.slice(prefix.length).split('/')[0];
    return table !== undefined && !restored.has(table);
  });
}
