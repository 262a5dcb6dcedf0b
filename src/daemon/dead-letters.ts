/** What lies in the dead-letter topic of a pipeline, read back. */
import type { JsonValue } from '../model/position.ts';
import type { Settings } from '../settings/settings.ts';
import { readTopics, type TailRecord } from './tail.ts';
import { deadLetterTopicOf } from './topics.ts';

export type JsonRow = Readonly<Record<string, JsonValue>>;

/** A change that could not be delivered (emitter/dead-letter.ts), or the note of a record too large for its topic. */
export interface DeadLetterRecord {
  /** Where it lies: `partition:offset` in Kafka, `segment:line` in files. */
  readonly place: string;
  /** ISO 8601. */
  readonly at: string;
  /** `schema.table`; null of a record too large, which names its topic alone. */
  readonly table: string | null;
  /** Where the record should have gone. */
  readonly topic: string;
  readonly op: string | null;
  readonly code: string;
  readonly message: string;
  /** The source's own block: the position. */
  readonly source: JsonValue;
  /** Columns as the records show them. */
  readonly before: JsonRow | null;
  readonly after: JsonRow | null;
}

export interface DeadLetterFilter {
  readonly table: string | null;
  readonly code: string | null;
}

/** All that lie there now, in the order in which they were written, as far as the topic keeps them. */
export async function* readDeadLetters(
  settings: Settings,
  { table, code }: DeadLetterFilter,
  signal: AbortSignal,
): AsyncIterable<DeadLetterRecord> {
  const topic = deadLetterTopicOf(settings);
  for await (const record of readTopics(settings, [topic], { fromBeginning: true, untilEnd: true }, signal)) {
    const letter = letterOf(record);
    if (letter === null) continue;
    if (table !== null && letter.table !== table) continue;
    if (code === null || letter.code === code) yield letter;
  }
}

/** Null for what somebody else has written there. */
function letterOf({ value, headers, place, timestamp }: TailRecord): DeadLetterRecord | null {
  const at = new Date(timestamp).toISOString();
  if (value === null) return noteOf(new Map(headers), { place, at });
  const json = objectIn(Buffer.from(value).toString('utf8'));
  const cause = json === null ? null : asObject(json['cause']);
  if (json === null || cause === null || typeof json['table'] !== 'string') return null;
  return {
    place,
    at: typeof json['ts_ms'] === 'number' ? new Date(json['ts_ms']).toISOString() : at,
    table: json['table'],
    topic: textOf(json['topic']),
    op: typeof json['op'] === 'string' ? json['op'] : null,
    code: textOf(cause['code']),
    message: textOf(cause['message']),
    source: json['source'] ?? null,
    before: asObject(json['before']),
    after: asObject(json['after']),
  };
}

/** As emitter/sinks/kafka/oversize.ts writes it. */
function noteOf(
  headers: ReadonlyMap<string, string>,
  where: Pick<DeadLetterRecord, 'place' | 'at'>,
): DeadLetterRecord | null {
  if (headers.get('headwater.cause') !== 'record-too-large') return null;
  const topic = headers.get('headwater.topic') ?? '';
  const [size = '?', limit = '?'] = [headers.get('headwater.size'), headers.get('headwater.limit')];
  return {
    ...where,
    table: null,
    topic,
    op: null,
    code: 'delivery.record-too-large',
    message: `A record of ${size} bytes is too large for topic ${topic}, which takes ${limit} bytes after compression.`,
    source: null,
    before: null,
    after: null,
  };
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function objectIn(text: string): JsonRow | null {
  try {
    return asObject(JSON.parse(text) as JsonValue);
  } catch {
    return null;
  }
}

function asObject(value: JsonValue | undefined): JsonRow | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonRow) : null;
}
