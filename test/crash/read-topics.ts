import { tailKafka } from '../../src/emitter/sinks/kafka/tail-kafka.ts';
import type { TopicRecord } from './verify.ts';
import type { Op } from './workload.ts';

export interface ReadOptions {
  readonly brokers: string;
  readonly name: string;
  readonly schema: string;
}

const TICK_MS = 100;
const TABLES: readonly Op['table'][] = ['accounts', 'items', 'log'];

/**
 * Everything a read_committed consumer sees in the three tables' topics, until nothing new has come for
 * `quietMs`. In the order of each partition.
 */
export async function readTopics(options: ReadOptions, quietMs: number): Promise<TopicRecord[]> {
  const topics = TABLES.map((table) => `${options.name}.${options.schema}.${table}`);
  const stop = new AbortController();
  const records: TopicRecord[] = [];
  // Counted, not timed: what blocks this process for long, such as its own garbage, is no silence of the broker's.
  let quietFor = 0;
  const timer = setInterval(() => {
    quietFor += TICK_MS;
    if (quietFor > quietMs) stop.abort();
  }, TICK_MS);
  for await (const record of tailKafka(
    { brokers: [options.brokers], topics, fromBeginning: true },
    stop.signal,
  )) {
    quietFor = 0;
    const table = record.topic.split('.').at(-1) as Op['table'];
    const value =
      record.value === null
        ? null
        : (JSON.parse(Buffer.from(record.value).toString('utf8')) as TopicRecord['value']);
    records.push({
      table,
      partition: record.partition,
      offset: BigInt(record.offset),
      value,
      key: keyOf(table, record.key, value),
    });
  }
  clearInterval(timer);
  return records;
}

function keyOf(table: Op['table'], key: Uint8Array | null, value: TopicRecord['value']): string {
  if (table === 'log') return String(value?.after?.['rev']);
  return JSON.stringify(Object.values(JSON.parse(Buffer.from(key!).toString('utf8')) as object));
}
