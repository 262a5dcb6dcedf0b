/** Writes the ratings and customers of `npm run bench -- join` in a process of its own: `node input-worker.ts JSON`. */
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

async function write(
  topic: string,
  count: number,
  record: (i: number) => { readonly key: string; readonly value: object; readonly timestamp: number },
): Promise<void> {
  const handle = await sink.topic(topic, 'table');
  for (let i = 0; i < count; i++) {
    const { key, value, timestamp } = record(i);
    sink.append(handle, { key, value: JSON.stringify(value), headers: null, timestamp, plain: true });
    if (i % 1_000 === 0) await sink.ready();
    if (i % A_COMMIT === A_COMMIT - 1) await sink.commit(new Map());
  }
  await sink.commit(new Map([['done', topic]]));
}

await write(customers.topic, customers.count, (i) => ({
  key: `c${i}`,
  value: { name: `Firstname${i % 5_000} Lastname`, email: `customer.${i}@example.com`, club: CLUBS[i % 4] },
  timestamp: START,
}));
for (const { topic, by } of ratings)
  await write(topic, ratingCount, (i) => {
    const user = `c${customerOf(i)}`;
    return {
      key: by === 'customer' ? user : `r${i}`,
      value: { rating_id: i, user_id: user, stars: 1 + (i % 5), message: 'Exceeded all my expectations.' },
      timestamp: START + 1_000 + Math.floor(i / 100),
    };
  });
