import type { TableSchema } from '../model/table.ts';
import { tableName } from '../model/table.ts';
import { HISTORY_PREFIX, SCHEMA_PREFIX } from '../state/checkpoint.ts';

/** So many versions of a table are remembered. */
const KEPT = 100;

/**
 * Version numbers of table schemas that go on after a restart. The durable state holds, per table, the version
 * last used and the shape it stood for, as JSON text `{"version","from","columns","key"}`, and the same for each
 * version before it; `from` is the position at which the version begins, null where the table was found so.
 */
export class SchemaVersions {
  readonly #known = new Map<string, { readonly version: number; readonly shape: string }>();
  #changed: Map<string, string | null> | null = null;

  /** `restored` is the checkpoint's durable state. What cannot be read is as if it were not there. */
  constructor(restored: ReadonlyMap<string, string>) {
    for (const [key, text] of restored) {
      if (!key.startsWith(SCHEMA_PREFIX)) continue;
      const version = versionOf(text);
      if (version === null) continue;
      this.#known.set(key.slice(SCHEMA_PREFIX.length), { version, shape: shapeOfText(text) });
    }
  }

  /** The same schema under the number it had, or the next one where its shape is new; `from` is where it begins. */
  number(schema: TableSchema, from: string | null = null): TableSchema {
    const name = tableName(schema.id);
    const shape = shapeOf(schema);
    const known = this.#known.get(name);
    const version = known === undefined ? 1 : known.shape === shape ? known.version : known.version + 1;
    if (known?.version !== version) {
      this.#known.set(name, { version, shape });
      const text = `{"version":${version},"from":${JSON.stringify(from)},${shape.slice(1)}`;
      this.#changed ??= new Map();
      this.#changed.set(SCHEMA_PREFIX + name, text);
      this.#changed.set(`${HISTORY_PREFIX}${name}/${version}`, text);
      if (version > KEPT) this.#changed.set(`${HISTORY_PREFIX}${name}/${version - KEPT}`, null);
    }
    return schema.version === version ? schema : { ...schema, version };
  }

  /** What became new since the last call, to be made durable with the next batch. */
  takeChanged(): ReadonlyMap<string, string | null> | undefined {
    const changed = this.#changed;
    this.#changed = null;
    return changed ?? undefined;
  }
}

/** Equal text means equal shape. */
export function shapeOf({ columns, key }: TableSchema): string {
  return JSON.stringify({ columns, key }, (_, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`;
    if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
    if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
    return value;
  });
}

function versionOf(text: string): number | null {
  try {
    const version = (JSON.parse(text) as { readonly version?: unknown } | null)?.version;
    return typeof version === 'number' ? version : null;
  } catch {
    return null;
  }
}

function shapeOfText(text: string): string {
  const at = text.indexOf('"columns"');
  return at < 0 ? '' : `{${text.slice(at)}`;
}
