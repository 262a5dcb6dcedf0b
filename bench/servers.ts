import { KAFKA_VERSION } from '../src/local-servers/downloads.ts';
import { startKafka } from '../src/local-servers/kafka.ts';

export interface BenchBroker extends AsyncDisposable {
  /** host:port */
  readonly broker: string;
  readonly version: string;
}

/** A Kafka of the benchmark's own, or the one that BENCH_KAFKA names. */
export async function startKafkaBroker(): Promise<BenchBroker> {
  const given = process.env['BENCH_KAFKA'];
  if (given !== undefined)
    return { broker: given, version: 'given', [Symbol.asyncDispose]: () => Promise.resolve() };
  const kafka = await startKafka({ heapMb: 1024, fullSpeed: true });
  return {
    broker: kafka.brokers,
    version: KAFKA_VERSION,
    [Symbol.asyncDispose]: () => kafka[Symbol.asyncDispose](),
  };
}
