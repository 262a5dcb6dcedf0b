import {
  deadLetterTopic,
  heartbeatTopic,
  schemaChangeTopic,
  tableTopic,
  type TopicNaming,
  transactionTopic,
} from '../emitter/topic-names.ts';
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

/** All topics that are written for these tables; that of logical messages only when there is one. */
export function topicsOf(settings: Settings, tables: readonly TableId[]): readonly string[] {
  const { name, emit, source, outbox } = settings;
  return [
    ...new Set([
      // The rows of the outbox name their topics.
      ...tables.filter((id) => tableName(id) !== outbox?.table).map((id) => topicOf(settings, id)),
      deadLetterTopicOf(settings),
      ...(declaredOf(settings)?.topics ?? []),
      ...(emit.heartbeatMs === null ? [] : [heartbeatTopic(name)]),
      ...(emit.transactionMetadata ? [transactionTopic(name)] : []),
      ...(emit.schemaChanges && source.connector !== 'postgresql' ? [schemaChangeTopic(name)] : []),
    ]),
  ];
}
