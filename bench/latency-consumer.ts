/**
 * A process of its own that notes when each row became visible to a read_committed consumer. Arguments: the
 * topic as JSON. Answers the message `stop` with all it saw: [id, receive time, row's clock_timestamp()]…
 */
import { EAGER, type WatchedTopic } from './topic-watch.ts';
import { readTopic, recordsOf } from './topic-reader.ts';

/** Rows that the latency is measured with have ids from here on; others are left out. */
export const FIRST_LATENCY_ID = 2_000_000_000_000;

/** Times are milliseconds since the epoch. */
export type Sighting = readonly [id: number, received: number, statement: number];

interface OrderEvent {
  readonly after: { readonly id: number; readonly updated_at: string } | null;
}

if (process.send !== undefined) {
  const topic = JSON.parse(process.argv[2] ?? '') as WatchedTopic;
  const stop = new AbortController();
  const sightings: Sighting[] = [];
  process.on('message', () => stop.abort());
  process.on('disconnect', () => process.exit(1));
  for await (const { batches, at } of readTopic({ ...topic, ...EAGER }, stop.signal)) {
    for (const batch of batches) {
      for (const { value } of recordsOf(batch)) {
        if (value === null) continue;
        const { after } = JSON.parse(value.toString()) as OrderEvent;
        if (after !== null && after.id >= FIRST_LATENCY_ID)
          sightings.push([after.id, at, microTime(after.updated_at)]);
      }
    }
    if (batches.length > 0) process.send(sightings.length);
  }
  process.send(sightings, () => process.disconnect());
}

/** '2026-11-21T08:00:00.123456Z' → milliseconds with their fraction. */
function microTime(text: string): number {
  const match = /^(.*?:\d\d)(\.\d+)?(Z|[+-].*)$/.exec(text);
  if (match === null) throw new Error('A timestamp of the topic cannot be read');
  return Date.parse(`${match[1]}${match[3]}`) + Number(`0${match[2] ?? ''}`) * 1000;
}
