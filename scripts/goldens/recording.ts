/** A folder of recordings, in the form of ours (test/fixtures/goldens/*) or with expected_*.jsonl.gz. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type Json, parseExact } from './exact-json.ts';
import type { GoldenProduct, Script } from './source.ts';

export interface GoldenRecord {
  readonly topic: string;
  readonly key: Json;
  readonly value: Json;
  readonly headers: Readonly<Record<string, Json>>;
}

export interface Recording {
  readonly product: GoldenProduct;
  /** Debezium's defaults: a NULL shows as the column's default. */
  readonly withDefaults: readonly GoldenRecord[];
  /** replace.null.with.default=false: the same, with NULLs and without the default of source.snapshot. */
  readonly withNulls: readonly GoldenRecord[];
  /** The topic prefix. */
  readonly prefix: string;
  /** `source.tables`: what Debezium had been told to capture. */
  readonly tables: readonly string[];
  /** What runs before the start, and while streaming: each when what was before it has been delivered. */
  readonly before: readonly Script[];
  readonly during: readonly Script[];
}

export const EVERY_TABLE: readonly string[] = ['/.*/'];

export async function readRecording(folder: string): Promise<Recording> {
  const ours = existsSync(join(folder, 'recorded-a.jsonl.gz'));
  const name = ours ? 'recorded-' : 'expected_';
  const withDefaults = await readLines(join(folder, `${name}a.jsonl.gz`));
  const withNulls = await readLines(join(folder, `${name}n.jsonl.gz`));
  const sqlFolder = ours ? folder : join(folder, 'sql');
  const files = (await readdir(sqlFolder)).filter((file) => file.endsWith('.sql')).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(sqlFolder, file), 'utf8')));
  const { prefix, product } = sourceOf(withNulls);
  const scripts = texts.map((sql): Script => ({ sql }));
  const recorded = { product, withDefaults, withNulls, prefix, tables: EVERY_TABLE };
  if (ours) return { ...recorded, before: scripts.slice(0, 1), during: scripts.slice(1) };
  // Debezium's own test SQL was run before the start too, where the recording has rows of a snapshot.
  if (product === 'postgres') {
    const during = scripts.slice(-1);
    const repeated = withNulls.some((record) => opOf(record) === 'r') ? during : [];
    return { ...recorded, before: [...scripts.slice(0, -1), ...repeated], during };
  }
  // Of MySQL each file was run in a database of its own, once before the start and once while streaming.
  const inDatabases = (kind: 'snap' | 'str'): readonly Script[] =>
    texts.map((sql, i) => {
      const database = `\`${kind}_${files[i]!.slice(0, -'.sql'.length)}\``;
      return { sql: `CREATE DATABASE ${database};\nUSE ${database};\n${sql}`, force: true };
    });
  const tables = ['/(snap|str)_.*/'];
  return { ...recorded, tables, before: inDatabases('snap'), during: inDatabases('str') };
}

/** The op of a record, or null of a tombstone or a side record. */
export function opOf(record: GoldenRecord): string | null {
  const payload = fieldOf(record.value, 'payload');
  const op = fieldOf(payload, 'op');
  return typeof op === 'string' ? op : null;
}

export function fieldOf(json: Json, name: string): Json {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
    ? ((json as Readonly<Record<string, Json>>)[name] ?? null)
    : null;
}

/** A record as the file sink writes it, or as the recordings hold it. */
export function parseRecord(line: string): GoldenRecord {
  const parsed = parseExact(line) as {
    topic: string;
    key: Json;
    value: Json;
    headers?: Record<string, Json> | null;
  };
  return {
    topic: parsed.topic,
    key: textAsJson(parsed.key),
    value: textAsJson(parsed.value),
    headers: parsed.headers ?? {},
  };
}

function textAsJson(json: Json): Json {
  return typeof json === 'string' ? parseExact(json) : json;
}

async function readLines(path: string): Promise<readonly GoldenRecord[]> {
  const text = gunzipSync(await readFile(path)).toString('utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(parseRecord);
}

/** Every event's source block says who it is from. */
function sourceOf(records: readonly GoldenRecord[]): { prefix: string; product: GoldenProduct } {
  for (const record of records) {
    const source = fieldOf(fieldOf(record.value, 'payload'), 'source');
    const name = fieldOf(source, 'name');
    const connector = fieldOf(source, 'connector');
    if (typeof name !== 'string') continue;
    if (connector === 'mysql' || connector === 'mariadb') return { prefix: name, product: connector };
    return { prefix: name, product: 'postgres' };
  }
  throw new Error('The recording holds no event with a source.');
}
