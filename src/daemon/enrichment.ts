import { join } from 'node:path';
import type { TurnTaking } from '../emitter/sink.ts';
import type { TopicRefusals } from '../emitter/topic-refusals.ts';
import { isIncluded, ruledColumn } from '../emitter/transforms/column-rules.ts';
import type { ShownColumns } from '../enrichment/sources/captured-columns.ts';
import {
  type DeclaredEnrichment,
  declareEnrichment,
  needsKafka,
  withMade,
} from '../enrichment/plan/declared.ts';
import type { RegistryAccess } from '../enrichment/formats/registry-access.ts';
import { madeStatements } from '../enrichment/plan/made-statements.ts';
import type { QueryDesk } from '../enrichment/queries/query-desk.ts';
import { checkPartitioning } from '../enrichment/shared/partitioning.ts';
import { splitShared, type SplitEnrichment } from '../enrichment/shared/split.ts';
import type { TopicAccess } from '../enrichment/run/topic-queries.ts';
import type { SourceInfo } from '../model/change.ts';
import { tableName } from '../model/table.ts';
import type { Log } from '../observability/log.ts';
import type { EnrichmentParts } from '../pipeline/attempt-parts.ts';
import type { SourceBlock } from '../schema/source-block.ts';
import type { Settings } from '../settings/settings.ts';
import { registryClient } from './encodings.ts';
import { kafkaOptions } from './sinks.ts';

/** Parses the statements; null where there are none. Throws what is wrong with them. */
export function declaredOf({ enrich, name, emit }: Settings): DeclaredEnrichment | null {
  if (enrich === null) return null;
  const declared = declareEnrichment(enrich, name);
  if (declared.readsTopics && emit.sink.kind !== 'kafka') throw needsKafka(name);
  return declared;
}

/** Those that run with the pipeline, and those that instances share. Throws what is wrong with them. */
export function splitOf(settings: Settings): SplitEnrichment | null {
  const declared = declaredOf(settings);
  if (declared === null) return null;
  if (settings.enrich?.shared !== true) return { own: declared, shared: null };
  const split = splitShared(declared, settings.name);
  if (split.shared !== null) checkPartitioning(split.shared);
  return split;
}

/** Kafka for statements that read topics: a client, a producer and a state of their own beside the pipeline's. */
export function topicAccess(
  settings: Settings,
  {
    name,
    turns,
    refusals,
    log,
  }: {
    readonly name: string;
    readonly turns?: TurnTaking;
    /** Kept from attempt to attempt. */
    readonly refusals?: TopicRefusals | undefined;
    readonly log: Log;
  },
): TopicAccess | null {
  const { sink } = settings.emit;
  if (sink.kind !== 'kafka') return null;
  const options = { ...kafkaOptions(settings, sink), name, refusals };
  return {
    ...(turns === undefined ? {} : { turns }),
    openSink: async (signal) => {
      const { openKafkaSink } = await import('../emitter/sinks/kafka/kafka-sink.ts');
      return openKafkaSink(options, log, signal);
    },
    openReader: async () => {
      const { kafkaTopicReader } = await import('../emitter/sinks/kafka/topic-consumer.ts');
      return kafkaTopicReader(options, log);
    },
    openAdmin: async () => {
      const { kafkaTopicAdmin } = await import('../emitter/sinks/kafka/kafka-topic-admin.ts');
      return kafkaTopicAdmin(options);
    },
  };
}

/** The schema registry, where the settings name one. */
export async function registryAccess({ emit }: Settings, log: Log): Promise<RegistryAccess | null> {
  const { registry } = emit;
  if (registry === null) return null;
  const { SchemaRegistrar } = await import('../schema/registry/schema-registrar.ts');
  const client = await registryClient(registry, log);
  return {
    reader: client,
    writer: (state, signal) => new SchemaRegistrar(client, registry, { state, log, signal }),
    forget: async ({ topic, part }, signal) => {
      // Under other names there may be others' records too, and what we do not register we do not delete.
      if (registry.subject !== 'topic' || registry.register !== 'auto') return;
      await client.deleteSubject(`${topic}-${part}`, signal);
    },
  };
}

/** The stage's code is loaded only where there are statements. */
export function enrichmentParts<P, S extends SourceInfo>(
  settings: Settings,
  block: SourceBlock<S>,
  {
    desk,
    refusals,
    log,
  }: {
    readonly desk: QueryDesk | null;
    readonly refusals?: TopicRefusals | undefined;
    readonly log: Log;
  },
): EnrichmentParts<P, S> | null {
  const declared = splitOf(settings)?.own ?? null;
  if (declared === null || settings.enrich === null) return null;
  const { join: waits } = settings.enrich;
  return {
    replicas: (state) =>
      withMade(declared, { made: madeStatements(state).all, fresh: new Map() }, settings.name).replicas,
    openGroups: async () => {
      const { keepsOnDisk, openGroups } = await import('../enrichment/state/open-tables.ts');
      const { name, stateDir, joinedTables } = settings;
      const dir = join(stateDir, 'enrich');
      return openGroups({ dir, name }, keepsOnDisk({ dir, pipeline: name, durable: joinedTables.durable }));
    },
    open: async (context, signal) => {
      const { openEnrichment } = await import('../enrichment/enrichment.ts');
      const { name, stateDir, joinedTables } = settings;
      return openEnrichment(
        {
          pipeline: name,
          declared,
          shown: shownColumns(settings),
          block,
          stateDir,
          joinedTables,
          join: waits,
          desk,
          topics: topicAccess(settings, { name: `${name}.enrich`, refusals, log }),
          registry: await registryAccess(settings, log),
        },
        context,
        signal,
      );
    },
  };
}

/** As the tables' own records show them: what is left out there is not seen, and what is masked stays so. */
export function shownColumns({ tables, emit }: Settings): ShownColumns {
  const hashKey = emit.hashKey?.reveal() ?? null;
  return (table) => {
    const rules = tables.get(tableName(table.id))?.columns ?? null;
    return table.columns.flatMap((column, index) => {
      if (rules === null) return [{ index, column, write: null }];
      return isIncluded(rules, column.name) ? [{ index, ...ruledColumn(column, rules, hashKey) }] : [];
    });
  };
}
