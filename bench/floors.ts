/** The least that reading and writing cost: what a daemon that did nothing in between would need. */
import { type Floor, inProcess } from './floor.ts';
import { startKafkaBroker } from './servers.ts';
import type { Product } from './source.ts';
import { startSource } from './start-source.ts';
import { printTable } from './table.ts';
import { waitForRecords } from './topic-watch.ts';

/** Measures all floors on `rows` rows and as many changes, and prints them. */
export async function benchFloors(product: Product, { rows }: { readonly rows: number }): Promise<void> {
  await using source = await startSource(product, 'default');
  await using kafka = await startKafkaBroker();
  await source.createOrders(rows);
  const floors = [await source.measureTableFloor(rows)];
  const measureLogFloors = await source.prepareLogFloors();
  await source.writeChangeLog({ rows, changes: rows });
  floors.push(...(await measureLogFloors(rows)), ...(await measureProducerFloors(kafka.broker, rows)));
  printFloors(floors);
}

export function printFloors(floors: readonly Floor[]): void {
  console.log('\nFloors, after imports and logins');
  printTable(
    ['', 'seconds', 'events/s', 'CPU s', 'events/CPU s', 'peak MB'],
    floors.map(({ name, events, seconds, cpuSeconds, peakRssMb }) => [
      name,
      seconds.toFixed(2),
      Math.round(events / seconds),
      cpuSeconds.toFixed(2),
      Math.round(events / cpuSeconds),
      Math.round(peakRssMb),
    ]),
  );
}

/** Appends ready-made events to our Kafka sink. */
export async function measureProducerFloors(broker: string, records: number): Promise<Floor[]> {
  const floors: Floor[] = [];
  for (const delivery of ['exactly-once', 'at-least-once'] as const) {
    const name = `bench-floor-${process.pid}-${delivery}`;
    const cost = await inProcess({ kind: 'producer', broker, name, delivery, records });
    floors.push({ name: `Producer alone, ${delivery}`, floorOf: null, events: records, ...cost });
  }
  return floors;
}

/** What warms a broker up: so many records, written and read, bring its figures to where they stay. */
const WARM_UP_RECORDS = 500_000;

/**
 * Writes and reads ready-made events, in transactions and without, so that the first contender does not pay for the
 * broker's own start: its compiler, its log segments, its coordinator.
 */
export async function warmBroker(
  { broker }: { readonly broker: string },
  signal: AbortSignal,
): Promise<void> {
  for (const delivery of ['at-least-once', 'exactly-once'] as const) {
    const name = `bench-warm-up-${process.pid}-${delivery}`;
    await inProcess({ kind: 'producer', broker, name, delivery, records: WARM_UP_RECORDS });
    const topic = { broker, topic: `${name}.public.orders`, partitions: 3 };
    await waitForRecords(topic, { skip: 0, records: WARM_UP_RECORDS }, signal);
  }
}
