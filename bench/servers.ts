import { KAFKA_VERSION } from '../src/local-servers/downloads.ts';
import { startKafka } from '../src/local-servers/kafka.ts';
import { startPostgres } from '../src/local-servers/postgres.ts';

export interface BenchServers extends AsyncDisposable {
  /** A database of the benchmark's own, as superuser. */
  readonly databaseUrl: string;
  /** host:port */
  readonly broker: string;
  readonly kafkaVersion: string;
}

/** Set as on a server that matters: what is committed is on the disk, and one checkpoint isn't on the next's heels. */
const POSTGRES_SETTINGS = {
  shared_buffers: '512MB',
  max_wal_size: '4GB',
  max_replication_slots: '100',
  max_wal_senders: '100',
  autovacuum_naptime: '1min',
};

/**
 * A PostgreSQL 18 and a Kafka of the benchmark's own, or, where BENCH_POSTGRES_URL and BENCH_KAFKA name some,
 * those (the table `public.orders` of that database is replaced).
 */
export async function startServers(): Promise<BenchServers> {
  const databaseUrl = process.env['BENCH_POSTGRES_URL'];
  const broker = process.env['BENCH_KAFKA'];
  if (databaseUrl !== undefined && broker !== undefined) {
    return { databaseUrl, broker, kafkaVersion: 'given', [Symbol.asyncDispose]: async () => {} };
  }
  await using stack = new AsyncDisposableStack();
  const postgres = stack.use(
    await startPostgres({ version: 18, durable: true, settings: POSTGRES_SETTINGS }),
  );
  const kafka = stack.use(await startKafka({ heapMb: 1024, fullSpeed: true }));
  const own = await postgres.createDatabase('bench');
  const rest = stack.move();
  return {
    databaseUrl: own,
    broker: kafka.brokers,
    kafkaVersion: KAFKA_VERSION,
    [Symbol.asyncDispose]: () => rest.disposeAsync(),
  };
}
