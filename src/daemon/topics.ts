import { topicFor } from '../emitter/topic-names.ts';
import { type TableId, tableName } from '../model/table.ts';
import type { Settings } from '../settings/settings.ts';

/** The topic a table's records go to. */
export function topicOf(settings: Settings, id: TableId): string {
  return settings.tables.get(tableName(id))?.topic ?? topicFor(settings.emit.topic, settings.name, id);
}
