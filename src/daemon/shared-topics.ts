/**
 * Statements over topics alone, shared by all instances that were started with the pipeline (enrich.shared): each
 * partition is a unit of its own, with a lease, a transactional id and a state topic as a pipeline has them, and the
 * fleet's advice says which instance had better have it (docs/decisions/0024).
 */
import { resolve } from 'node:path';
import type { TurnTaking } from '../emitter/sink.ts';
import { TopicRefusals } from '../emitter/topic-refusals.ts';
import type { Fleet } from '../emitter/sinks/kafka/fleet.ts';
import type { DeclaredEnrichment } from '../enrichment/plan/declared.ts';
import type { SharedStatements } from '../enrichment/shared/shard.ts';
import type { TopicSource } from '../enrichment/sources/topic-source.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import type { Log } from '../observability/log.ts';
import { PipelineControl } from '../pipeline/control.ts';
import { PipelineMonitor } from '../pipeline/monitor.ts';
import type { JoinSettings, KafkaSettings, Settings } from '../settings/settings.ts';
import { registryAccess, splitOf, topicAccess } from './enrichment.ts';
import { kafkaOptions } from './sinks.ts';
import { type Outcome, supervise } from './supervisor.ts';

export interface SharedTopicsOptions {
  readonly log: Log;
  readonly untilCaughtUp: boolean;
}

interface Shared {
  readonly settings: Settings;
  readonly kafka: KafkaSettings;
  readonly declared: DeclaredEnrichment;
  readonly join: JoinSettings;
  readonly options: SharedTopicsOptions;
}

/** Null where the pipeline shares nothing. Resolves when all that this instance works off has ended. */
export function shareTopics(
  settings: Settings,
  options: SharedTopicsOptions,
  stop: AbortSignal,
): Promise<Outcome> | null {
  const declared = splitOf(settings)?.shared ?? null;
  const { enrich, emit } = settings;
  const { sink } = emit;
  if (declared === null || enrich === null || sink.kind !== 'kafka') return null;
  return share({ settings, kafka: sink, declared, join: enrich.join, options }, stop);
}

/** As often as the topics get partitions, each of which is a unit of its own. */
async function share(shared: Shared, stop: AbortSignal): Promise<Outcome> {
  for (;;) {
    const outcome = await shareCounted(shared, stop);
    if (outcome !== 'partitions-added') return outcome;
    if (stop.aborted) return { kind: 'stopped' };
  }
}

async function shareCounted(shared: Shared, stop: AbortSignal): Promise<Outcome | 'partitions-added'> {
  const { settings, kafka, options } = shared;
  let count = 0;
  const counted = await attempts(shared, settings.name, stop, async (statements, { signal }) => {
    count = await countPartitions(shared, statements, signal);
    return 'complete';
  });
  if (counted.kind !== 'complete') return counted;
  const names = Array.from({ length: count }, (_, partition) => `${settings.name}.enrich.${partition}`);
  const held = new Set<string>();
  const { Fleet: KafkaFleet } = await import('../emitter/sinks/kafka/fleet.ts');
  await using fleet = new KafkaFleet(
    { kafka: kafkaOptions(settings, kafka), pipelines: names, holds: () => [...held] },
    options.log,
  );
  let grown = false;
  const ending = new AbortController();
  const onPartitions = (): void => {
    grown = true;
    ending.abort();
  };
  const either = AbortSignal.any([stop, ending.signal]);
  const outcomes = await Promise.all(
    names.map(async (name, partition) => {
      const outcome = await shard(
        { shared, fleet, held, name, partition, counted: count, onPartitions },
        either,
      );
      if (outcome.kind === 'failed') ending.abort();
      return outcome;
    }),
  );
  const failed = outcomes.find(({ kind }) => kind === 'failed');
  if (failed === undefined && grown) return 'partitions-added';
  return failed ?? { kind: stop.aborted ? 'stopped' : 'complete' };
}

interface Shard {
  readonly shared: Shared;
  readonly fleet: Fleet;
  /** Names of those that run here. */
  readonly held: Set<string>;
  readonly name: string;
  readonly partition: number;
  /** Of all instances together. */
  readonly counted: number;
  /** A topic has got more. */
  readonly onPartitions: () => void;
}

function shard(
  { shared, fleet, held, name, partition, counted, onPartitions }: Shard,
  stop: AbortSignal,
): Promise<Outcome> {
  const { settings, options } = shared;
  const refusals = new TopicRefusals();
  return attempts(shared, name, stop, async (statements, { signal, control, onCommit }) => {
    const { workOff } = await import('../enrichment/shared/shard.ts');
    const { openGroups, openTables } = await import('../enrichment/state/open-tables.ts');
    const turns: TurnTaking = {
      http: null,
      preferred: () => fleet.prefers(name),
      onYield: () => {
        statements.log.info({}, 'gives way to the instance whose share of the partitions this one is');
        control.restart();
      },
    };
    const access = topicAccess(settings, { name, turns, refusals, log: statements.log });
    if (access === null) throw new TypeError('Without Kafka nothing is shared.');
    const { untilCaughtUp } = options;
    const { stateDir, joinedTables } = settings;
    // What the tables may take is for all that may come to be worked off here.
    const memoryLimit = Math.ceil(joinedTables.memoryLimit / counted);
    const dir = resolve(stateDir, 'enrich');
    await using stores = await openTables({
      dir,
      pipeline: name,
      ...joinedTables,
      memoryLimit,
    });
    const onHeld = (): void => void held.add(name);
    try {
      return await workOff(
        statements,
        {
          partition,
          counted,
          access,
          stores,
          openGroups: () => openGroups({ dir, name }, stores.durable),
          untilCaughtUp,
          onHeld,
          onCommit,
        },
        signal,
      );
    } catch (error) {
      if (!(error instanceof HeadwaterError) || error.code !== 'enrich.partitions-added') throw error;
      statements.log.info({}, error.message);
      onPartitions();
      return 'stopped';
    } finally {
      held.delete(name);
    }
  });
}

interface Attempt {
  readonly signal: AbortSignal;
  readonly control: PipelineControl;
  readonly onCommit: () => void;
}

/** Again and again, as a pipeline's attempts are made. */
function attempts(
  { settings, declared, join, options }: Shared,
  name: string,
  stop: AbortSignal,
  attempt: (statements: SharedStatements, attempt: Attempt) => Promise<'stopped' | 'complete'>,
): Promise<Outcome> {
  const control = new PipelineControl();
  const { connector } = settings.source;
  const monitor = new PipelineMonitor({ name, connector, progressTimeoutMs: Infinity, now: Date.now });
  const log = options.log.child({ pipeline: settings.name, unit: name });
  return supervise(
    {
      attempt: async (signal) => {
        const registry = await registryAccess(settings, log);
        const statements = { pipeline: settings.name, declared, registry, join, log };
        return attempt(statements, { signal, control, onCommit: () => monitor.progress++ });
      },
      control,
      monitor,
      log,
      retryBeforeFirstProgress: true,
      mendsGaps: () => false,
      random: Math.random,
    },
    stop,
  );
}

/** As many units as the topic with the most partitions has. Throws what is wrong with the statements. */
async function countPartitions(
  { settings }: Shared,
  statements: SharedStatements,
  signal: AbortSignal,
): Promise<number> {
  const { compileShared } = await import('../enrichment/shared/shard.ts');
  const { openInput } = await import('../enrichment/topics/open-input.ts');
  const { queries, topicTables } = await compileShared(statements, signal);
  const access = topicAccess(settings, { name: settings.name, log: statements.log });
  if (access === null) throw new TypeError('Without Kafka nothing is shared.');
  const count = async (source: TopicSource): Promise<number> => {
    await using reader = await access.openReader(true);
    return await openInput(reader, source);
  };
  const inputs = new Map(
    queries.flatMap(({ input: { topic } }) => (topic === null ? [] : [[topic.topic, topic] as const])),
  );
  const counts = await Promise.all([...inputs.values()].map(count));
  const most = Math.max(0, ...counts);
  for (const { name, source } of topicTables.filter((table) => table.source.partitioned)) {
    const partitions = await count(source);
    const other = counts.find((each) => each !== partitions);
    if (other === undefined) continue;
    throw new HeadwaterError(
      'enrich.statement-invalid',
      `The table ${name} is PARTITIONED, and its topic ${source.topic} has ${partitions} partitions, where a stream that is shared has ${other}: leave REPLICATION out, or give the topics the same number.`,
    );
  }
  return most;
}
