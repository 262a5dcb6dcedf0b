/** PRINT: the records of a topic as lines of text, whatever is in them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { TopicReader, TopicRecord } from '../../emitter/topic-reader.ts';
import type { Statement } from '../sql/ast.ts';

const POLL_MS = 200;
/** Characters of a key or value that are shown. */
const MOST_SHOWN = 64 * 1024;

/** What the bytes look like. */
interface Guess {
  readonly format: string;
  readonly text: (bytes: Uint8Array) => string;
}

/** Goes on until the signal aborts, or LIMIT records were shown. Null: nothing has come for a while. */
export async function* printTopic(
  reader: TopicReader,
  { topic, fromBeginning, interval, limit }: Extract<Statement, { readonly kind: 'print' }>,
  signal: AbortSignal,
): AsyncGenerator<string | null> {
  const count = await reader.open(topic, null);
  const ranges = await Promise.all(Array.from({ length: count }, (_, partition) => reader.range(partition)));
  reader.start(ranges.map(({ start, end }) => (fromBeginning ? start : end)));
  let guesses: { readonly key: Guess; readonly value: Guess } | null = null;
  let seen = 0;
  let shown = 0;
  while (!signal.aborted && (limit === null || shown < limit)) {
    const fetched = await reader.poll(POLL_MS);
    if (fetched.every(({ records }) => records.length === 0)) {
      // At the end of the topic the broker may answer at once.
      await sleep(POLL_MS, undefined, { signal }).catch(() => {});
      yield null;
    }
    for (const { partition, records } of fetched) {
      for (const record of records) {
        if (guesses === null) {
          guesses = { key: guess(record.key), value: guess(record.value) };
          yield `Key format: ${guesses.key.format}\nValue format: ${guesses.value.format}\n`;
        }
        if (seen++ % (interval ?? 1) !== 0) continue;
        if (limit !== null && shown >= limit) return;
        shown++;
        yield line(record, partition);
      }
    }
  }
}

function line({ timestamp, key, value }: TopicRecord, partition: number): string {
  const time = new Date(timestamp).toISOString().replaceAll('-', '/').replace('T', ' ').replace('Z', ' Z');
  return `rowtime: ${time}, key: ${shownText(key)}, value: ${shownText(value)}, partition: ${partition}\n`;
}

function shownText(bytes: Uint8Array | null): string {
  if (bytes === null) return '<null>';
  const text = guess(bytes)
    .text(bytes)
    .replaceAll(/\p{Cc}+/gu, ' ');
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)} …` : text;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

function guess(bytes: Uint8Array | null): Guess {
  if (bytes === null || bytes.length === 0) return { format: 'unknown, there is none', text: () => '' };
  const text = textOf(bytes);
  if (text !== null) {
    const format = isJson(text) ? 'JSON or KAFKA_STRING' : 'KAFKA_STRING';
    return { format, text: () => text };
  }
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  // As Confluent's serializers begin: a zero, and the schema's id.
  if (view.length > 5 && view[0] === 0) return { format: 'AVRO, PROTOBUF or JSON_SR', text: hex };
  if (view.length === 4) return { format: 'KAFKA_INT', text: () => String(view.readInt32BE()) };
  if (view.length === 8)
    return { format: 'KAFKA_BIGINT or KAFKA_DOUBLE', text: () => String(view.readBigInt64BE()) };
  return { format: 'KAFKA_BYTES', text: hex };
}

function textOf(bytes: Uint8Array): string | null {
  try {
    const text = UTF8.decode(bytes);
    // Numbers in binary are seldom free of control characters.
    return /[^\P{Cc}\s]/u.test(text) ? null : text;
  } catch {
    return null;
  }
}

function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function hex(bytes: Uint8Array): string {
  return `0x${Buffer.from(bytes).toString('hex')}`;
}
