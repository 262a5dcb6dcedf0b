/**
 * Writes the ratings and customers of `npm run bench -- join` in a process of its own: `node input-worker.ts JSON`. At the
 * end of each partition there is one row of a later time: who joins by time waits until both topics are past a rating.
 */
import { partitionOf } from '../../src/emitter/sinks/kafka/murmur2.ts';
import { openKafkaSink } from '../../src/emitter/sinks/kafka/kafka-sink.ts';
import { SILENT } from '../../src/observability/log.ts';

export interface JoinInput {
  readonly broker: string;
  readonly partitions: number;
  readonly customers: { readonly topic: string; readonly count: number };
  readonly ratings: readonly { readonly topic: string; readonly by: 'customer' | 'rating' }[];
  readonly ratingCount: number;
}

/** An hour ago: brokers delete by the time of records. */
const START = Date.now() - 3_600_000;
const CLUBS = ['bronze', 'silver', 'gold', 'platinum'];
const A_COMMIT = 50_000;

const input = JSON.parse(process.argv[2] ?? '{}') as JoinInput;
const { customers, ratings, ratingCount, broker, partitions } = input;
/** Later than all other rows. */
const END = Date.now();
const { signal } = new AbortController();
await using sink = await openKafkaSink(
  {
    name: `bench-join-input-${process.pid}`,
    brokers: [broker],
    delivery: 'at-least-once',
    producer: { compression: 'lz4' },
    topics: { partitions },
  },
  SILENT,
);
await sink.restore({ signal, onWaiting: () => {} });
/** Somewhere among the customers, and sometimes beyond them; the same in each run. */
const customerOf = (rating: number): number => (rating * 2_654_435_761) % Math.floor(customers.count * 1.01);

/** For each partition, the first number from `from` on whose key lies there. */
function onePerPartition(from: number, keyOf: (number: number) => string): readonly number[] {
  return Array.from({ length: partitions }, (_, partition) => {
    let number = from;
    while (partitionOf(keyOf(number), partitions) !== partition) number++;
    return number;
  });
}

interface Row {
  readonly key: string;
  readonly value: object;
  readonly timestamp: number;
}

async function write(topic: string, rows: Iterable<Row>): Promise<void> {
  const handle = await sink.topic(topic, 'table');
  let count = 0;
  for (const { key, value, timestamp } of rows) {
    sink.append(handle, { key, value: JSON.stringify(value), headers: null, timestamp, plain: true });
    if (++count % 1_000 === 0) await sink.ready();
    if (count % A_COMMIT === 0) await sink.commit(new Map());
  }
  await sink.commit(new Map([['done', topic]]));
}

function customer(i: number, timestamp: number): Row {
  const value = {
    name: `Firstname${i % 5_000} Lastname`,
    email: `customer.${i}@example.com`,
    club: CLUBS[i % 4],
  };
  return { key: `c${i}`, value, timestamp };
}

function* customerRows(): Generator<Row> {
  for (let i = 0; i < customers.count; i++) yield customer(i, START);
  for (const i of onePerPartition(Math.ceil(customers.count * 1.01), (i) => `c${i}`)) yield customer(i, END);
}

function* ratingRows(by: 'customer' | 'rating'): Generator<Row> {
  const rating = (i: number, user: string, timestamp: number): Row => ({
    key: by === 'customer' ? user : `r${i}`,
    value: { rating_id: i, user_id: user, stars: 1 + (i % 5), message: 'Exceeded all my expectations.' },
    timestamp,
  });
  for (let i = 0; i < ratingCount; i++)
    yield rating(i, `c${customerOf(i)}`, START + 1_000 + Math.floor(i / 100));
  const users = onePerPartition(0, (i) => `c${i}`);
  for (const [partition, i] of onePerPartition(ratingCount, (i) => `r${i}`).entries())
    yield rating(i, `c${users[partition]}`, END);
}

await write(customers.topic, customerRows());
for (const { topic, by } of ratings) await write(topic, ratingRows(by));
