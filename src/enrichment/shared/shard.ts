/** One partition of the topics that shared statements read, as one attempt works it off. */
import type { Log } from '../../observability/log.ts';
import { nothingKept } from '../plan/check-statements.ts';
import type { DeclaredEnrichment } from '../plan/declared.ts';
import type { RegistryAccess } from '../formats/registry-access.ts';
import { inferColumns } from '../plan/inferred-columns.ts';
import { aborted } from '../run/aborted.ts';
import { ProcessingLog } from '../run/processing-log.ts';
import { compileProgram } from '../plan/compile-program.ts';
import type { Program, ProgramContext } from '../plan/program.ts';
import { Timeline } from '../state/timeline.ts';
import { type TopicAccess, TopicQueries, type TopicQueriesOptions } from '../run/topic-queries.ts';
import type { JoinWaits } from '../topics/topic-task.ts';
import { OnePartition } from './one-partition.ts';

export interface SharedStatements {
  readonly pipeline: string;
  readonly declared: DeclaredEnrichment;
  /** Null without a schema registry. */
  readonly registry: RegistryAccess | null;
  /** How events wait for the tables that they are joined with. */
  readonly join: JoinWaits;
  readonly log: Log;
}

/** Throws what is wrong with the statements. */
export async function compileShared(
  { pipeline, declared, registry }: SharedStatements,
  signal: AbortSignal,
  kept = nothingKept(),
): Promise<Program> {
  return compileProgram(declared, {
    pipeline,
    registry: registry !== null,
    inferred: await inferColumns(declared, { reader: registry?.reader ?? null, kept: new Map(), signal }),
    describe: () => null,
    shown: () => [],
    ...kept,
    tableTopics: new Set(),
    shared: true,
    known: new Set(),
    held: new Set(),
    trialFrom: null,
  });
}

export interface ShardOptions {
  readonly partition: number;
  /** Partitions that are shared, of the topic with the most. */
  readonly counted: number;
  readonly access: TopicAccess;
  /** For the tables of topics. */
  readonly stores: ProgramContext['stores'];
  readonly openGroups: TopicQueriesOptions['openGroups'];
  readonly untilCaughtUp: boolean;
  /** This instance has got the partition. */
  readonly onHeld: () => void;
  readonly onCommit: () => void;
}

/** Until the signal aborts; with `untilCaughtUp` until the partition is worked off up to where it ended at the start. */
export async function workOff(
  statements: SharedStatements,
  { partition, counted, access, stores, openGroups, untilCaughtUp, onHeld, onCommit }: ShardOptions,
  signal: AbortSignal,
): Promise<'stopped' | 'complete'> {
  const { queries, topicTables } = await compileShared(statements, signal, { ...nothingKept(), stores });
  const { registry, join, log } = statements;
  await using topics = new TopicQueries({
    plans: queries,
    tables: topicTables,
    paused: [],
    access: {
      ...access,
      openReader: async (whole) => {
        const reader = await access.openReader(whole);
        return whole ? reader : new OnePartition(reader, partition, counted);
      },
    },
    join,
    registry,
    results: new Map(),
    processing: new ProcessingLog(log),
    // No captured table is joined.
    timeline: new Timeline({ head: () => Promise.resolve(0), nudge: () => {}, compare: () => 0 }, ''),
    openGroups,
    onOpen: onHeld,
    onCommit,
    log,
  });
  topics.start();
  if (untilCaughtUp) {
    await Promise.race([topics.finish(), aborted(signal)]);
    return signal.aborted ? 'stopped' : 'complete';
  }
  await Promise.race([topics.failed, aborted(signal)]);
  return 'stopped';
}
