import { HeadwaterError } from '../errors/headwater-error.ts';
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
  // What is kept of each version by itself says most of it.
  for (const prefix of [SCHEMA_PREFIX, HISTORY_PREFIX]) {
    for (const [key, text] of state) {
      const name = key.startsWith(prefix) ? tableOf(key) : null;
      if (name === null || (table !== null && name !== table)) continue;
      for (const version of versionsIn(text) ?? []) {
        const versions = tables.get(name) ?? new Map<number, TableVersion>();
        tables.set(name, versions.set(version.version, version));
      }
    }
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
 * start takes them from the database. Takes ownership: refused while a daemon runs. Throws `request.invalid` for
 * Oracle, where redo that is mined again after a restart has to be read with the shapes of its time.
 */
export async function repairSchemas(
  settings: Settings,
  table: string | null,
  signal: AbortSignal,
): Promise<SchemaRepair> {
  if (settings.source.connector === 'oracle') {
    throw new HeadwaterError(
      'request.invalid',
      'The schemas of an Oracle pipeline cannot be taken anew: redo that is mined again is read with them.',
      { fix: 'Read the table again with `headwater resync`, or give the pipeline another name.' },
    );
  }
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
    if (tableOf(key) === null || versionsIn(text) !== null) continue;
    changes.set(key, null);
    dropped.push(key);
  }
  const renewed: string[] = [];
  for (const { table: name, versions } of historiesOf(state, table)) {
    changes.set(SCHEMA_PREFIX + name, shapeless(state.get(SCHEMA_PREFIX + name), versions.at(-1)!.version));
    renewed.push(name);
  }
  return { changes, dropped, renewed };
}

/** Without the table's shape. The numbers go on: events of two shapes never have the same. */
function shapeless(text: string | undefined, version: number): string {
  const stored = text === undefined ? null : parsed(text);
  return JSON.stringify(
    stored !== null && Array.isArray(stored['versions']) ? { ...stored, table: null } : { version },
  );
}

function tableOf(key: string): string | null {
  if (key.startsWith(SCHEMA_PREFIX)) return key.slice(SCHEMA_PREFIX.length);
  if (!key.startsWith(HISTORY_PREFIX)) return null;
  return key.slice(HISTORY_PREFIX.length, key.lastIndexOf('/'));
}

type Stored = Readonly<Record<string, unknown>>;

function parsed(text: string): Stored | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Stored) : null;
  } catch {
    return null;
  }
}

/**
 * The versions that one key of the state holds; null for what is none. PostgreSQL has a key for each version, MySQL
 * that too, and all of them in one with the columns of the last, Oracle all of them whole.
 */
function versionsIn(text: string): readonly TableVersion[] | null {
  const stored = parsed(text);
  if (stored === null) return null;
  const { versions } = stored;
  if (!Array.isArray(versions)) {
    const version = versionOf(stored);
    return version === null ? null : [version];
  }
  const table = typeof stored['table'] === 'object' ? stored['table'] : null;
  return versions.flatMap((each: unknown, i) => {
    if (typeof each !== 'object' || each === null) return [];
    const version = versionOf({ ...each, ...(i === versions.length - 1 ? table : null) });
    return version === null ? [] : [version];
  });
}

/** One whose shape was forgotten, or is not kept, has no columns. */
function versionOf({ version, from, since, columns, key }: Stored): TableVersion | null {
  if (typeof version !== 'number') return null;
  const known = (Array.isArray(columns) ? columns : []).flatMap(columnOf);
  return {
    version,
    from: typeof from === 'string' ? from : since == null ? null : JSON.stringify(since),
    columns: known,
    key: (Array.isArray(key) ? key : []).flatMap((each: unknown) => {
      if (typeof each === 'string') return [each];
      return typeof each === 'number' ? [known[each]?.name ?? '?'] : [];
    }),
  };
}

function columnOf(value: unknown): readonly ColumnVersion[] {
  if (typeof value !== 'object' || value === null) return [];
  const { name, nullable, nativeType, columnType, dataType } = value as Stored;
  const type = nativeType ?? columnType ?? dataType;
  if (typeof name !== 'string' || typeof type !== 'string') return [];
  return [{ name, nativeType: type, nullable: nullable !== false }];
}

function textIn(text: string | undefined, field: string): string | null {
  const value = text === undefined ? null : parsed(text)?.[field];
  return typeof value === 'string' ? value : null;
}
