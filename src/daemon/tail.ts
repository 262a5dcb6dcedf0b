import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileCheckpointPath, readCheckpoint } from '../emitter/sinks/lines/checkpoint-file.ts';
import { HeadwaterError } from '../errors/headwater-error.ts';
import { tableName } from '../model/table.ts';
import { SILENT } from '../observability/log.ts';
import type { Settings } from '../settings/settings.ts';
import { declaredOf } from './enrichment.ts';
import { kafkaOptions } from './sinks.ts';
import { openReader } from './sources/source.ts';
import { topicOf } from './topics.ts';

export interface TailOptions {
  /** `schema.table`; null: every captured table, and what enrichment makes of them. */
  readonly table: string | null;
  readonly fromBeginning: boolean;
  /** How often to look for new records, ms; 50 in Kafka and 200 in files unless given. */
  readonly pollMs?: number;
}

/** A delivered record, as a reader of committed records sees it. */
export interface TailRecord {
  readonly topic: string;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** `partition:offset` in Kafka, `segment:line` in files. */
  readonly place: string;
}

const POLL_MS = 200;

/** Records of these topics of the pipeline until `signal` aborts. Throws `settings.no-table-matches`. */
export async function* tailRecords(
  settings: Settings,
  options: TailOptions,
  signal: AbortSignal,
): AsyncIterable<TailRecord> {
  yield* readTopics(settings, await topicsOf(settings, options.table, signal), options, signal);
}

/** Committed records of these topics. With `untilEnd` what there is now, otherwise until `signal` aborts. */
export async function* readTopics(
  settings: Settings,
  topics: readonly string[],
  options: Omit<TailOptions, 'table'> & { readonly untilEnd?: boolean },
  signal: AbortSignal,
): AsyncIterable<TailRecord> {
  const { sink } = settings.emit;
  switch (sink.kind) {
    case 'kafka': {
      const { tailKafka } = await import('../emitter/sinks/kafka/tail-kafka.ts');
      for await (const record of tailKafka(
        {
          ...kafkaOptions(settings, sink),
          topics,
          fromBeginning: options.fromBeginning,
          ...(options.untilEnd === true ? { untilEnd: true } : {}),
          ...(options.pollMs === undefined ? {} : { idleMs: options.pollMs }),
        },
        signal,
      )) {
        const { topic, key, value, timestamp, partition, offset } = record;
        const headers = record.headers.map(([name, bytes]) => [name, decoded(bytes)] as const);
        yield { topic, key, value, timestamp, headers, place: `${partition}:${offset}` };
      }
      return;
    }
    case 'file':
      yield* tailFiles({ dir: sink.path, name: settings.name, topics: new Set(topics) }, options, signal);
      return;
    case 'stdout':
      throw new HeadwaterError(
        'settings.invalid',
        `${settings.file}: emit.stdout keeps no records that could be shown`,
        { fix: 'Read the standard output of `headwater run`, or use the file or Kafka sink.' },
      );
  }
}

async function topicsOf(
  settings: Settings,
  table: string | null,
  signal: AbortSignal,
): Promise<readonly string[]> {
  await using reader = await openReader(settings, SILENT);
  const captured = await reader.tables(signal);
  const wanted = captured.filter(({ id }) => table === null || table === tableName(id));
  const joined = table === null ? (declaredOf(settings)?.topics ?? []) : [];
  if (wanted.length > 0) return [...wanted.map(({ id }) => topicOf(settings, id)), ...joined];
  throw new HeadwaterError(
    'settings.no-table-matches',
    `${settings.file}: the pipeline ${settings.name} does not capture a table ${table}`,
    { fix: `It captures ${captured.map(({ id }) => tableName(id)).join(', ')}.` },
  );
}

interface FileTail {
  readonly dir: string;
  readonly name: string;
  readonly topics: ReadonlySet<string>;
}

/** Follows the segments as far as the checkpoint says they count. */
async function* tailFiles(
  { dir, name, topics }: FileTail,
  { fromBeginning, untilEnd = false, pollMs = POLL_MS }: Parameters<typeof readTopics>[2],
  signal: AbortSignal,
): AsyncIterable<TailRecord> {
  const offsets = new Map<number, number>();
  const lines = new Map<number, number>();
  let skip = !fromBeginning;
  while (!signal.aborted) {
    const checkpoint = await readCheckpoint(fileCheckpointPath(dir), name);
    const segments = checkpoint === null ? [] : await listSegments(dir);
    for (const { number, file } of segments) {
      if (checkpoint === null || number > checkpoint.segment) break;
      // Earlier segments count as a whole.
      const end = number === checkpoint.segment ? checkpoint.length : Infinity;
      const start = offsets.get(number) ?? 0;
      if (skip) {
        offsets.set(number, end);
        continue;
      }
      if (start >= end) continue;
      const stream = createReadStream(file, { start, ...(end === Infinity ? {} : { end: end - 1 }) });
      let read = start;
      stream.on('data', (chunk) => (read += chunk.length));
      for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
        const count = (lines.get(number) ?? 0) + 1;
        lines.set(number, count);
        const record = JSON.parse(line) as FileRecord;
        if (!topics.has(record.topic)) continue;
        const { topic, timestamp } = record;
        yield {
          topic,
          timestamp,
          key: bytesOf(record.key),
          value: bytesOf(record.value),
          headers: Object.entries(record.headers),
          place: `${number}:${count}`,
        };
      }
      offsets.set(number, read);
    }
    if (untilEnd) return;
    skip = false;
    await sleep(pollMs, undefined, { signal }).catch(() => {});
  }
}

interface FileRecord {
  readonly topic: string;
  readonly key: unknown;
  readonly value: unknown;
  readonly headers: Readonly<Record<string, string>>;
  readonly timestamp: number;
}

function decoded(bytes: Uint8Array | null): string {
  return bytes === null ? '' : new TextDecoder().decode(bytes);
}

async function listSegments(dir: string): Promise<readonly { number: number; file: string }[]> {
  const names = await readdir(dir);
  return names
    .flatMap((name) => {
      const match = /^records-(\d+)\.jsonl$/.exec(name);
      return match === null ? [] : [{ number: Number(match[1]), file: join(dir, name) }];
    })
    .sort((a, b) => a.number - b.number);
}

function bytesOf(value: unknown): Uint8Array | null {
  return value === null ? null : Buffer.from(JSON.stringify(value));
}
