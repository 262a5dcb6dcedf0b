/** A folder of recordings, in the form of ours (test/fixtures/goldens/postgres) or with expected_*.jsonl.gz. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type Json, parseExact } from './exact-json.ts';

export interface GoldenRecord {
  readonly topic: string;
  readonly key: Json;
  readonly value: Json;
  readonly headers: Readonly<Record<string, Json>>;
}

export interface Recording {
  /** Debezium's defaults: a NULL shows as the column's default. */
  readonly withDefaults: readonly GoldenRecord[];
  /** replace.null.with.default=false: the same, with NULLs and without the default of source.snapshot. */
  readonly withNulls: readonly GoldenRecord[];
  /** The topic prefix. */
  readonly prefix: string;
  /** Statements before the start, and while streaming. */
  readonly before: readonly string[];
  readonly during: readonly string[];
}

export async function readRecording(folder: string): Promise<Recording> {
  const ours = existsSync(join(folder, 'recorded-a.jsonl.gz'));
  const name = ours ? 'recorded-' : 'expected_';
  const withDefaults = await readLines(join(folder, `${name}a.jsonl.gz`));
  const withNulls = await readLines(join(folder, `${name}n.jsonl.gz`));
  const sqlFolder = ours ? folder : join(folder, 'sql');
  const files = (await readdir(sqlFolder)).filter((file) => file.endsWith('.sql')).sort();
  const texts = await Promise.all(files.map((file) => readFile(join(sqlFolder, file), 'utf8')));
  const scripts = texts.map(statements);
  const last = scripts.at(-1) ?? [];
  // Debezium's own test SQL was run before the start too, where the recording has rows of a snapshot.
  const repeated = !ours && withNulls.some((record) => opOf(record) === 'r') ? last : [];
  return {
    withDefaults,
    withNulls,
    prefix: prefixOf(withNulls),
    before: [...scripts.slice(0, -1).flat(), ...repeated],
    during: last,
  };
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

function prefixOf(records: readonly GoldenRecord[]): string {
  for (const record of records) {
    const name = fieldOf(fieldOf(fieldOf(record.value, 'payload'), 'source'), 'name');
    if (typeof name === 'string') return name;
  }
  throw new Error('The recording holds no event with a source.');
}

/** Statement by statement, so that each is a transaction of its own. A `;` ends one at the end of a line. */
export function statements(sql: string): readonly string[] {
  return sql
    .split(/;[ \t]*(?:\n|$)/)
    .filter((statement) => statement.replaceAll(/^--.*$/gm, '').trim() !== '');
}
