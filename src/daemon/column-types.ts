import type { JsonValue } from '../model/position.ts';
import type { ColumnType } from '../model/table.ts';
import type { Settings } from '../settings/settings.ts';
import { SCHEMA_PREFIX } from '../state/checkpoint.ts';
import { readSinkState } from './sinks.ts';

/** Column name → type. */
export type ColumnTypes = ReadonlyMap<string, ColumnType>;

/** `schema.table` → types of its columns as they were used last, from the durable state. Empty before the first run. */
export async function readColumnTypes(
  settings: Settings,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ColumnTypes>> {
  const tables = new Map<string, ColumnTypes>();
  for (const [key, text] of await readSinkState(settings, signal)) {
    if (key.startsWith(SCHEMA_PREFIX)) tables.set(key.slice(SCHEMA_PREFIX.length), typesIn(text));
  }
  return tables;
}

/** The state is ours (readers/schema-versions.ts); what is not of its form is left out. */
function typesIn(text: string): ColumnTypes {
  const columns = field(JSON.parse(text) as JsonValue, 'columns');
  const types = new Map<string, ColumnType>();
  if (!Array.isArray(columns)) return types;
  for (const column of columns as readonly JsonValue[]) {
    const name = field(column, 'name');
    const type = field(column, 'type');
    if (typeof name === 'string' && isColumnType(type)) types.set(name, type);
  }
  return types;
}

function field(json: JsonValue, name: string): JsonValue {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return null;
  return (json as { readonly [key: string]: JsonValue })[name] ?? null;
}

function isColumnType(json: unknown): json is ColumnType {
  return typeof json === 'object' && json !== null && 'kind' in json;
}
