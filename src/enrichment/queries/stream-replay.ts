/** A client's SELECT over what a stream's topic holds already: from its beginning, up to its end now or further on. */
import { ofNoRun } from '../state/group-store.ts';
import { asHeadwaterError } from '../../errors/headwater-error.ts';
import { Aggregation } from '../run/aggregation.ts';
import type { StreamSource } from '../sources/catalog.ts';
import type { GroupPlan } from '../plan/group-plan.ts';
import type { ProcessingLog } from '../run/processing-log.ts';
import { Query, type RowTarget } from '../run/query.ts';
import { QueryProblems } from '../run/query-problems.ts';
import type { RegistryAccess } from '../formats/registry-access.ts';
import type { TopicAccess } from '../run/topic-queries.ts';
import type { TopicSource } from '../sources/topic-source.ts';
import { openInput } from '../topics/open-input.ts';
import { TopicTask } from '../topics/topic-task.ts';
import { StreamRows } from './push-query.ts';
import { type RowQueue, tooManyGroups } from './row-queue.ts';
import type { StreamPlan } from './select-plan.ts';

export interface ReplayOptions {
  readonly plan: StreamPlan;
  readonly queue: RowQueue;
  readonly access: TopicAccess;
  /** Null without a schema registry. */
  readonly registry: RegistryAccess | null;
  readonly processing: ProcessingLog;
  readonly ahead: ReadonlySet<number>;
  /** Groups that it may have. */
  readonly maxGroups: number;
}

/** The topic behind a stream, as its records are read; null for a captured one, whose records are change events. */
function topicBehind({ name, topic, sink, columns }: StreamSource): TopicSource | null {
  if (topic !== null) return topic;
  if (sink === null) return null;
  const { keyFormat, valueFormat, delimiter, wrapSingleValue } = sink;
  return {
    declaredAs: `the stream ${name}`,
    topic: sink.topic,
    columns,
    keyFormat,
    valueFormat,
    delimiter,
    wrapSingleValue,
    // What TIMESTAMP named is the time of the record.
    timestamp: null,
    create: null,
    partitioned: false,
    readOnly: true,
  };
}

/**
 * Reads until the query's end. Rows are those of committed records; joined tables are seen as they are when the record
 * is read.
 */
export async function replay(options: ReplayOptions, signal: AbortSignal): Promise<void> {
  const { plan, queue, access, registry, processing, ahead, maxGroups } = options;
  const source = topicBehind(plan.query.input);
  if (source === null) throw new TypeError('Only a stream with a topic of its own is replayed.');
  const ended = new AbortController();
  const both = AbortSignal.any([signal, ended.signal]);
  const rows = new StreamRows(plan, queue, true);
  const bounded = plan.kind === 'pull';
  const { group, store } = plan.query;
  // Of groups a query that ends tells what they have come to, and one that goes on each change.
  const target: RowTarget = bounded && group !== null ? { emit: () => null } : rows;
  const note = (): void => {};
  store?.restore(ofNoRun(note));
  const aggregation =
    group === null || store === null
      ? null
      : new Aggregation({ group: keptWhole(group), store, target, note });
  const problems = new QueryProblems(plan.query, processing, null);
  await using reader = await access.openReader(true);
  const count = await openInput(reader, { ...source, create: null });
  const ranges = await Promise.all(Array.from({ length: count }, (_, partition) => reader.range(partition)));
  const task = new TopicTask(
    {
      plan: plan.query,
      source,
      query: new Query(plan.query, { target, problems, ahead, aggregation }),
      schemas: { reader: registry?.reader ?? null, signal: both },
      deadLetters: null,
      reader,
      sink: {
        ready: () => {
          // What a persistent query would put into the checkpoint.
          store?.flush();
          if (store !== null && store.size > maxGroups) queue.finish(tooManyGroups(maxGroups));
          if (!queue.open) ended.abort();
          return queue.room();
        },
      },
      processing,
      times: null,
      skewMs: 0,
      maxWaitMs: 0,
      outputs: [],
      onProgress: () => {},
      onEvent: null,
    },
    ranges.map(({ start, end }) => Math.min(start, end)),
    ranges.map(({ end }) => end),
  );
  if (bounded) void task.caughtUp.then(() => ended.abort());
  try {
    await task.run(both);
    if (bounded && store !== null)
      for (const { row } of store.shown())
        rows.emit({ row, hasValue: true, seq: 0, time: 0, change: null, headers: null });
    if (bounded && queue.open) queue.finish('closed');
  } catch (error) {
    queue.finish(asHeadwaterError(error));
  }
}

/** Every window is kept until it is told. */
function keptWhole(group: GroupPlan): GroupPlan {
  return group.window === null ? group : { ...group, window: { ...group.window, keptMs: Infinity } };
}
