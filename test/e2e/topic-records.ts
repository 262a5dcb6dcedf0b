import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { tailKafka } from '../../src/emitter/sinks/kafka/tail-kafka.ts';

export interface Envelope {
  readonly op: string;
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
  readonly source: Readonly<Record<string, unknown>>;
}

export interface Delivered {
  readonly topic: string;
  readonly key: Readonly<Record<string, unknown>> | null;
  /** Null for a tombstone. */
  readonly value: Envelope | null;
  /** With the file sink. */
  readonly headers?: Readonly<Record<string, string>> | null;
}

const AGAIN_MS = 300;

/**
 * What a read_committed consumer sees from the beginning of the topics, until `enough`, asked with each record. Topics may appear later.
 * There is no time limit: the test's own ends it.
 */
export async function readUntil(
  brokers: string,
  topics: readonly string[],
  enough: (records: readonly Delivered[]) => boolean,
): Promise<readonly Delivered[]> {
  for (;;) {
    const records: Delivered[] = [];
    const seen = new Set<string>();
    const stop = new AbortController();
    // Topics that did not exist at the first look are looked for anew: begin again until there is something.
    const again = setTimeout(() => stop.abort(), AGAIN_MS);
    const options = { brokers: [brokers], topics, fromBeginning: true };
    for await (const { topic, key, value } of tailKafka(options, stop.signal)) {
      if (seen.add(topic).size === topics.length) clearTimeout(again);
      records.push({ topic, key: parse(key) as Delivered['key'], value: parse(value) as Envelope | null });
      if (!enough(records)) continue;
      clearTimeout(again);
      stop.abort();
      return records;
    }
  }
}

function parse(bytes: Uint8Array | null): unknown {
  return bytes === null ? null : JSON.parse(Buffer.from(bytes).toString('utf8'));
}

/** `op:value of the column`, in order; tombstones as `-`. */
export function summary(records: readonly Delivered[], column = 'id'): readonly string[] {
  return records.map(({ value }) =>
    value === null ? '-' : `${value.op}:${String((value.after ?? value.before)?.[column])}`,
  );
}

/** The record of an insert with this id, which a test writes last to know that nothing comes behind. */
export function sentinel(id: number, column = 'id'): (records: readonly Delivered[]) => boolean {
  return (records) => records.at(-1)?.value?.after?.[column] === id;
}

/** All committed records of the file sink. */
export async function readFiles(dir: string): Promise<readonly Delivered[]> {
  const { segment, length } = JSON.parse(await readFile(join(dir, 'checkpoint.json'), 'utf8')) as {
    readonly segment: number;
    readonly length: number;
  };
  const records: Delivered[] = [];
  for (const name of (await readdir(dir)).sort()) {
    const number = Number(/^records-(\d+)\.jsonl$/.exec(name)?.[1] ?? NaN);
    if (!(number <= segment)) continue;
    const bytes = await readFile(join(dir, name));
    const text = (number === segment ? bytes.subarray(0, length) : bytes).toString('utf8');
    for (const line of text.split('\n').slice(0, -1)) records.push(JSON.parse(line) as Delivered);
  }
  return records;
}

/** Names of all topics that begin with one of the prefixes. */
export async function topicsLike(
  brokers: string,
  ...prefixes: readonly string[]
): Promise<readonly string[]> {
  const admin = new Kafka({ brokers: [brokers], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    const topics = await admin.listTopics();
    return topics.filter((topic) => prefixes.some((prefix) => topic.startsWith(prefix))).sort();
  } finally {
    await admin.disconnect();
  }
}
