import { createHash } from 'node:crypto';
import type { JsonValue } from '../../model/position.ts';
import { type TableId, tableName, type TableSchema } from '../../model/table.ts';
import { SCHEMA_PREFIX } from '../../state/checkpoint.ts';
import type { MysqlTable } from './catalogue.ts';

/** One version of a table: where in the log it begins, and what stands for its shape. */
export interface SchemaVersion {
  readonly version: number;
  /** Encoded position; null for one that a snapshot met first. */
  readonly since: JsonValue;
  readonly shape: string;
}

interface TableHistory {
  /** As it is at the checkpoint; null where only its number is known. */
  table: MysqlTable | null;
  versions: readonly SchemaVersion[];
}

/** The last ones are kept. */
const MAX_VERSIONS = 100;

/**
 * The shape of each table at the checkpoint, and the numbers of its versions: the durable state's `schema/…`, as
 * `{"version","table","versions":[{"version","since","shape"}]}`. A daemon that restarts from before a statement that
 * changes a table reads the rows before it with the shape that was true for them.
 */
export class SchemaHistory {
  readonly #tables = new Map<string, TableHistory>();
  #changed = new Set<string>();

  /** `restored` is the checkpoint's durable state. */
  constructor(restored: ReadonlyMap<string, string>) {
    for (const [key, text] of restored) {
      if (!key.startsWith(SCHEMA_PREFIX)) continue;
      const stored = parseHistory(text);
      if (stored !== null) this.#tables.set(key.slice(SCHEMA_PREFIX.length), stored);
    }
  }

  /** The table as the rows behind the checkpoint have it. */
  stored(id: TableId): MysqlTable | null {
    return this.#tables.get(tableName(id))?.table ?? null;
  }

  /** From the position on, the table is so. Null: it is gone. */
  record(id: TableId, table: MysqlTable | null): void {
    const history = this.#of(id);
    history.table = table;
    this.#changed.add(tableName(id));
  }

  /** The same schema under the number its shape had, or the next one where the shape is new. */
  number(schema: TableSchema, since: JsonValue = null): TableSchema {
    const name = tableName(schema.id);
    const history = this.#of(schema.id);
    const shape = shapeOf(schema);
    let known = history.versions.findLast((version) => version.shape === shape);
    if (known === undefined) {
      known = { version: (history.versions.at(-1)?.version ?? 0) + 1, since, shape };
      history.versions = [...history.versions, known].slice(-MAX_VERSIONS);
      this.#changed.add(name);
    }
    return schema.version === known.version ? schema : { ...schema, version: known.version };
  }

  /** What became new since the last call, to be made durable with the next batch. */
  takeChanged(): ReadonlyMap<string, string | null> | undefined {
    if (this.#changed.size === 0) return undefined;
    const changed = new Map<string, string | null>();
    for (const name of this.#changed) {
      const { table, versions } = this.#tables.get(name)!;
      changed.set(
        SCHEMA_PREFIX + name,
        JSON.stringify({ version: versions.at(-1)?.version ?? 0, table, versions }),
      );
    }
    this.#changed = new Set();
    return changed;
  }

  #of(id: TableId): TableHistory {
    const name = tableName(id);
    let history = this.#tables.get(name);
    if (history === undefined) this.#tables.set(name, (history = { table: null, versions: [] }));
    return history;
  }
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

/** Null for what another version has written: the catalogue is asked instead. */
function parseHistory(text: string): TableHistory | null {
  const json: unknown = JSON.parse(text);
  if (typeof json !== 'object' || json === null || !('table' in json) || !('versions' in json)) return null;
  const { table, versions } = json;
  if (!Array.isArray(versions) || (table !== null && !isTable(table))) return null;
  return { table, versions: versions.filter(isVersion) };
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
