import type { Settings } from '../settings/settings.ts';
import { HISTORY_PREFIX, PAUSED_PREFIX, SCHEMA_PREFIX, TOPIC_PREFIX } from '../state/checkpoint.ts';
import { ownState, readSinkState } from './sinks.ts';

/** One version of a table's schema, as the durable state has it. */
export interface TableVersion {
  readonly version: number;
  /** The position at which it begins, as the source writes it; null where the table was found so. */
  readonly from: string | null;
  readonly columns: readonly ColumnVersion[];
  /** Column names. */
  readonly key: readonly string[];
}

export interface ColumnVersion {
  readonly name: string;
  readonly nativeType: string;
  readonly nullable: boolean;
}

export interface TableHistory {
  /** schema.table */
  readonly table: string;
  /** Oldest first; the last one is the present. */
  readonly versions: readonly TableVersion[];
  /** Why the table waits, where it does. */
  readonly paused: string | null;
  /** Where its records go after an incompatible change, where they do. */
  readonly topic: string | null;
}

/** Reads without taking ownership: also while a daemon runs. `table` is `schema.table`; null: all of them. */
export async function readSchemas(
  settings: Settings,
  table: string | null,
  signal: AbortSignal,
): Promise<readonly TableHistory[]> {
  return historiesOf(await readSinkState(settings, signal), table);
}

export function historiesOf(
  state: ReadonlyMap<string, string>,
  table: string | null,
): readonly TableHistory[] {
  const tables = new Map<string, Map<number, TableVersion>>();
  for (const [key, text] of state) {
    const name = tableOf(key);
    const version = name === null ? null : versionOf(text);
    if (name === null || version === null || (table !== null && name !== table)) continue;
    const versions = tables.get(name) ?? new Map<number, TableVersion>();
    tables.set(name, versions.set(version.version, version));
  }
  return [...tables]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, versions]) => ({
      table: name,
      versions: [...versions.values()].sort((a, b) => a.version - b.version),
      paused: textIn(state.get(PAUSED_PREFIX + name), 'message'),
      topic: textIn(state.get(TOPIC_PREFIX + name), 'topic'),
    }));
}

/** What `repair` has done. */
export interface SchemaRepair {
  /** Keys of the durable state whose text could not be read, and are forgotten. */
  readonly dropped: readonly string[];
  /** Tables whose next version is taken from the database at the next start. */
  readonly renewed: readonly string[];
}

/**
 * Forgets what cannot be read, and the present shapes of the tables (of `table` alone, if given), so that the next
 * start takes them from the database. Takes ownership: refused while a daemon runs.
 */
export async function repairSchemas(
  settings: Settings,
  table: string | null,
  signal: AbortSignal,
): Promise<SchemaRepair> {
  await using owned = await ownState(settings, 'its schemas cannot be repaired', signal);
  const { changes, ...repair } = repairOf(owned.state, table);
  if (changes.size > 0) await owned.sink.commit(changes);
  return repair;
}

export function repairOf(
  state: ReadonlyMap<string, string>,
  table: string | null,
): SchemaRepair & { readonly changes: ReadonlyMap<string, string | null> } {
  const changes = new Map<string, string | null>();
  const dropped: string[] = [];
  for (const [key, text] of state) {
    if (tableOf(key) === null || versionOf(text) !== null) continue;
    changes.set(key, null);
    dropped.push(key);
  }
  const renewed: string[] = [];
  for (const { table: name, versions } of historiesOf(state, table)) {
    // The number goes on: events of two shapes never have the same.
    changes.set(SCHEMA_PREFIX + name, JSON.stringify({ version: versions.at(-1)!.version }));
    renewed.push(name);
  }
  return { changes, dropped, renewed };
}

function tableOf(key: string): string | null {
  if (key.startsWith(SCHEMA_PREFIX)) return key.slice(SCHEMA_PREFIX.length);
  if (!key.startsWith(HISTORY_PREFIX)) return null;
  return key.slice(HISTORY_PREFIX.length, key.lastIndexOf('/'));
}

/** Null for what is not a version. One whose shape was forgotten has no columns. */
function versionOf(text: string): TableVersion | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null) return null;
  const { version, from, columns, key } = parsed as Readonly<Record<string, unknown>>;
  if (typeof version !== 'number') return null;
  const known = (Array.isArray(columns) ? columns : []).flatMap(columnOf);
  return {
    version,
    from: typeof from === 'string' ? from : null,
    columns: known,
    key: (Array.isArray(key) ? key : []).flatMap((i) =>
      typeof i === 'number' ? [known[i]?.name ?? '?'] : [],
    ),
  };
}

function columnOf(value: unknown): readonly ColumnVersion[] {
  if (typeof value !== 'object' || value === null) return [];
  const { name, nativeType, nullable } = value as Readonly<Record<string, unknown>>;
  if (typeof name !== 'string' || typeof nativeType !== 'string') return [];
  return [{ name, nativeType, nullable: nullable !== false }];
}

function textIn(text: string | undefined, field: string): string | null {
  if (text === undefined) return null;
  try {
    const value = (JSON.parse(text) as Readonly<Record<string, unknown>> | null)?.[field];
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}
