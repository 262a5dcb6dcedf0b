import type { EmitterOptions } from '../emitter/emitter.ts';
import type { TableSettings } from '../emitter/table-rules.ts';
import { type TableSchema, tableName } from '../model/table.ts';
import type { RowFilter } from '../model/row-verdict.ts';
import type { Log } from '../observability/log.ts';
import type { Settings } from '../settings/settings.ts';
import { deadLetterTopicOf, topicNaming } from './topics.ts';

type Filters = ReadonlyMap<string, (table: TableSchema) => RowFilter>;

/** `tables.…` as the emitter takes it. */
export function ruleSettings({ tables }: Settings, filters: Filters): ReadonlyMap<string, TableSettings> {
  return new Map(
    [...tables].map(([table, { key, topic, columns, headers }]) => [
      table,
      {
        key: key ?? undefined,
        topic: topic ?? undefined,
        columns: columns ?? undefined,
        headers,
        filter: filters.get(table),
      },
    ]),
  );
}

export function emitterOptions(
  settings: Settings,
  filters: Filters,
  log: Log,
): Omit<EmitterOptions, 'onDeadLetter'> {
  const { emit, source } = settings;
  return {
    ...topicNaming(settings),
    connector: source.connector,
    envelope: emit.envelope,
    unwrapped: emit.unwrapped,
    skipOperations: emit.skipOperations,
    skipUnchanged: emit.skipUnchanged,
    headers: emit.headers,
    hashKey: emit.hashKey?.reveal() ?? null,
    outbox: settings.outbox,
    tombstones: emit.tombstones,
    transactionMetadata: emit.transactionMetadata,
    truncates: emit.truncates,
    schemaChanges: emit.schemaChanges,
    messages: emit.messages,
    deadLetterTopic: deadLetterTopicOf(settings),
    heartbeats: emit.heartbeatMs !== null,
    tables: ruleSettings(settings, filters),
    onUnusedRules: (table, rules) =>
      log.warn(
        { table: tableName(table), rules: rules.join(', ') },
        'the settings have rules for columns that this table does not have',
      ),
  };
}
