import { createHash } from 'node:crypto';
import type { JsonValue } from '../../model/position.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import { FOLLOWED_PREFIX, HISTORY_PREFIX, SCHEMA_PREFIX } from '../../state/checkpoint.ts';
import type { MysqlTable } from './catalogue.ts';

/** One version of a table: where in the log it begins, and what stands for its shape. */
export interface SchemaVersion {
  readonly version: number;
  /** Encoded position; null for one that a snapshot met first. */
  readonly since: JsonValue;
  readonly shape: string;
}

/** A table as a statement has left it, no row of which has come yet that tells the types of its new columns. */
export interface Awaited {
  /** The statement, while the element of the stream that says so waits for the row; null where it has been said. */
  readonly ddl: string | null;
  /** What the rows before had; null where there was no such table. */
  readonly before: MysqlTable | null;
}

interface StoredTable {
  readonly table: MysqlTable;
  readonly awaits: Awaited | null;
}

interface TableHistory {
  /** As it is at the checkpoint; null where only its number is known. */
  table: MysqlTable | null;
  awaits: Awaited | null;
  versions: readonly SchemaVersion[];
}

/** The last ones are kept. */
const MAX_VERSIONS = 100;
/** They are made for hours, and the durable state holds them. */
const MAX_FOLLOWED = 50;

/**
 * The shape of each table at the checkpoint, and the numbers of its versions: the durable state's `schema/…`, as
 * `{"version","table","awaits","versions":[{"version","since","shape"}]}`, and for people `history/…` with the columns of each
 * version. Of tables that are not captured, and were made since, `followed/…` has the shape: they may be renamed to one
 * that is (gh-ost, pt-online-schema-change). A daemon that restarts from before a statement that
 * changes a table reads the rows before it with the shape that was true for them.
 */
export class SchemaHistory {
  readonly #tables = new Map<string, TableHistory>();
  readonly #followed = new Map<string, MysqlTable>();
  #changed = new Set<string>();
  /** Of `history/…` and `followed/…`. */
  #written = new Map<string, string | null>();

  /** `restored` is the checkpoint's durable state. */
  constructor(restored: ReadonlyMap<string, string>) {
    for (const [key, text] of restored) {
      if (key.startsWith(FOLLOWED_PREFIX)) {
        const table = parseJson(text);
        if (isTable(table)) this.#followed.set(tableName(table.id), table);
        continue;
      }
      if (!key.startsWith(SCHEMA_PREFIX)) continue;
      const stored = parseHistory(text);
      if (stored !== null) this.#tables.set(key.slice(SCHEMA_PREFIX.length), stored);
    }
  }

  /** The table as the rows behind the checkpoint have it. */
  stored(id: TableId): StoredTable | null {
    const { table = null, awaits = null } = this.#tables.get(tableName(id)) ?? {};
    return table === null ? null : { table, awaits };
  }

  allStored(): readonly TableId[] {
    return [...this.#tables.values()].flatMap(({ table }) => (table === null ? [] : [table.id]));
  }

  /** From the position on, the table is so. Null: it is gone, or not known for certain. */
  record(id: TableId, table: MysqlTable | null, awaits: Awaited | null = null): void {
    const history = this.#of(id);
    if (history.table === table && history.awaits === awaits) return;
    history.table = table;
    history.awaits = awaits;
    this.#changed.add(tableName(id));
  }

  /** A table that is not captured, as the rows at the stream's position would have it. */
  followed(id: TableId): MysqlTable | null {
    return this.#followed.get(tableName(id)) ?? null;
  }

  allFollowed(): readonly TableId[] {
    return Array.from(this.#followed.values(), ({ id }) => id);
  }

  follow(id: TableId, table: MysqlTable): void {
    const [oldest] = this.#followed.values();
    if (this.#followed.size >= MAX_FOLLOWED && oldest !== undefined) this.unfollow(oldest.id);
    const own = { ...table, id };
    this.#followed.set(tableName(id), own);
    this.#written.set(FOLLOWED_PREFIX + tableName(id), JSON.stringify(own));
  }

  unfollow(id: TableId): void {
    if (this.#followed.delete(tableName(id))) this.#written.set(FOLLOWED_PREFIX + tableName(id), null);
  }

  /**
   * The same schema under the number its shape had, or the next one where the shape is new; `table` is what it was made
   * of, for those who look.
   */
  number(schema: TableSchema, table: MysqlTable, since: JsonValue = null): TableSchema {
    const name = tableName(schema.id);
    const history = this.#of(schema.id);
    const shape = shapeOf(schema);
    let known = history.versions.findLast((version) => version.shape === shape);
    if (known === undefined) {
      known = { version: (history.versions.at(-1)?.version ?? 0) + 1, since, shape };
      history.versions = [...history.versions, known].slice(-MAX_VERSIONS);
      this.#changed.add(name);
      const { version } = known;
      this.#written.set(
        `${HISTORY_PREFIX}${name}/${version}`,
        versionText(schema, table, { version, since }),
      );
      if (version > MAX_VERSIONS)
        this.#written.set(`${HISTORY_PREFIX}${name}/${version - MAX_VERSIONS}`, null);
    }
    return schema.version === known.version ? schema : { ...schema, version: known.version };
  }

  /** What became new since the last call, to be made durable with the next batch. */
  takeChanged(): ReadonlyMap<string, string | null> | undefined {
    if (this.#changed.size === 0 && this.#written.size === 0) return undefined;
    const changed = this.#written;
    this.#written = new Map();
    for (const name of this.#changed) {
      const { table, awaits, versions } = this.#tables.get(name)!;
      const version = versions.at(-1)?.version ?? 0;
      changed.set(
        SCHEMA_PREFIX + name,
        JSON.stringify({ version, table, ...(awaits === null ? {} : { awaits }), versions }),
      );
    }
    this.#changed = new Set();
    return changed;
  }

  #of(id: TableId): TableHistory {
    const name = tableName(id);
    let history = this.#tables.get(name);
    if (history === undefined)
      this.#tables.set(name, (history = { table: null, awaits: null, versions: [] }));
    return history;
  }
}

/** A version as `headwater schema history` shows it. */
function versionText(
  { columns, key }: TableSchema,
  table: MysqlTable,
  { version, since }: { readonly version: number; readonly since: JsonValue },
): string {
  const shown = columns.map(({ name, nativeType, length, scale, nullable }, i) => {
    const size = [length, scale].filter((each) => each !== null).join(',');
    // What only the log has told has no type as it was declared.
    const declared = table.columns[i]?.columnType ?? `${nativeType}${size === '' ? '' : `(${size})`}`;
    return { name, nativeType: declared, nullable };
  });
  return JSON.stringify({ version, since, columns: shown, key });
}

/** Equal text means equal shape. */
export function shapeOf({ columns, key }: TableSchema): string {
  const text = JSON.stringify({ columns, key }, (_, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`;
    if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
    if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
    return value;
  });
  return createHash('sha256').update(text).digest('base64url');
}

/** Null for what another version has written, or nobody: the catalogue is asked instead. */
function parseHistory(text: string): TableHistory | null {
  const json = parseJson(text);
  if (typeof json !== 'object' || json === null || !('table' in json) || !('versions' in json)) return null;
  const { table, versions } = json;
  if (!Array.isArray(versions) || (table !== null && !isTable(table))) return null;
  const awaits = 'awaits' in json && isAwaited(json.awaits) ? json.awaits : null;
  return { table, awaits, versions: versions.filter(isVersion) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isAwaited(json: unknown): json is Awaited {
  return (
    typeof json === 'object' &&
    json !== null &&
    'ddl' in json &&
    (json.ddl === null || typeof json.ddl === 'string') &&
    'before' in json &&
    (json.before === null || isTable(json.before))
  );
}

function isTable(json: unknown): json is MysqlTable {
  return (
    typeof json === 'object' &&
    json !== null &&
    'id' in json &&
    'columns' in json &&
    Array.isArray(json.columns) &&
    'key' in json &&
    Array.isArray(json.key)
  );
}

function isVersion(json: unknown): json is SchemaVersion {
  return (
    typeof json === 'object' &&
    json !== null &&
    'version' in json &&
    typeof json.version === 'number' &&
    'shape' in json &&
    typeof json.shape === 'string'
  );
}
