import {
  deadLetterTopic,
  heartbeatTopic,
  messageTopic,
  notificationTopic,
  schemaChangeTopic,
  stateTopic,
  tableTopic,
  type TopicNaming,
  transactionTopic,
} from '../emitter/topic-names.ts';
import { type OwnerOptions, TopicOwners } from '../emitter/topic-owners.ts';
import { type TableId, tableName } from '../model/table.ts';
import type { Settings } from '../settings/settings.ts';
import { declaredOf } from './enrichment.ts';

/** The topic a table's records go to. */
export function topicOf(settings: Settings, id: TableId): string {
  return tableTopic(topicNaming(settings), id, settings.tables.get(tableName(id))?.topic).topic;
}

export function topicNaming({ name, emit }: Settings): TopicNaming {
  return { name, topic: emit.topic, routes: emit.routes };
}

export function deadLetterTopicOf({ name, emit }: Settings): string {
  return emit.sink.kind === 'kafka' ? emit.sink.deadLetterTopic : deadLetterTopic(name);
}

/** All topics that are written for these tables; those of logical messages and notifications only when there is one. */
export function topicsOf(settings: Settings, tables: readonly TableId[]): readonly string[] {
  return [
    ...new Set([
      ...withTopics(settings, tables).map((id) => topicOf(settings, id)),
      ...sideTopicsOf(settings),
      ...(declaredOf(settings)?.topics ?? []),
    ]),
  ];
}

/** Which of the captured tables each topic belongs to, and which have to wait: one topic is not two tables'. */
export function topicOwners(
  settings: Settings,
  tables: readonly TableId[],
  state: ReadonlyMap<string, string>,
): TopicOwners {
  const { name, emit, source } = settings;
  const kafka = emit.sink.kind === 'kafka';
  const reserved = [
    ...sideTopicsOf(settings),
    notificationTopic(name),
    ...(emit.messages && source.connector === 'postgresql' ? [messageTopic(name)] : []),
    ...(kafka ? [stateTopic(name)] : []),
  ];
  const options: OwnerOptions = {
    naming: topicNaming(settings),
    ownTopic: (table) => settings.tables.get(table)?.topic,
    reserved,
    results: declaredOf(settings)?.topics ?? [],
    kafka,
  };
  return new TopicOwners(options, withTopics(settings, tables), state);
}

/** The rows of the outbox name their topics. */
function withTopics({ outbox }: Settings, tables: readonly TableId[]): readonly TableId[] {
  return tables.filter((id) => tableName(id) !== outbox?.table);
}

function sideTopicsOf(settings: Settings): readonly string[] {
  const { name, emit, source } = settings;
  return [
    deadLetterTopicOf(settings),
    ...(emit.heartbeatMs === null ? [] : [heartbeatTopic(name)]),
    ...(emit.transactionMetadata ? [transactionTopic(name)] : []),
    ...(emit.schemaChanges && source.connector !== 'postgresql' ? [schemaChangeTopic(name)] : []),
  ];
}
