/** The least that reading and writing cost: what a daemon that did nothing in between would need. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Client } from 'pg';
import type { FloorCost, FloorTask } from './floor-worker.ts';
import { createOrders, writeChangeLog } from './orders.ts';
import { startServers, type BenchServers } from './servers.ts';
import { printTable } from './table.ts';
import { waitForRecords } from './topic-watch.ts';
import { openDatabase } from './orders.ts';

export const COPY_FLOOR = 'COPY received';
export const WAL_FLOOR = 'WAL received';

export interface Floor extends FloorCost {
  readonly name: string;
  readonly events: number;
}

/** Measures all floors on `rows` rows and as many changes, and prints them. */
export async function benchFloors({ rows }: { readonly rows: number }): Promise<void> {
  await using servers = await startServers();
  const client = await openDatabase(servers.databaseUrl);
  try {
    await createOrders(client, rows, 'default');
    const snapshot = await measureCopyFloor(servers, rows);
    const prepared = await prepareWalFloor(client);
    await writeChangeLog(client, { rows, changes: rows });
    const floors = [snapshot, ...(await measureWalFloors(client, servers, { ...prepared, changes: rows }))];
    floors.push(...(await measureProducerFloors(servers, rows)));
    printFloors(floors);
  } finally {
    await client.end();
  }
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

export async function measureCopyFloor(servers: BenchServers, rows: number): Promise<Floor> {
  const { databaseUrl } = servers;
  return { name: COPY_FLOOR, events: rows, ...(await inProcess({ kind: 'copy', databaseUrl, rows })) };
}

interface WalSlots {
  readonly publication: string;
  readonly slots: readonly [own: string, tool: string];
}

/** Call before the change log is written. */
export async function prepareWalFloor(client: Client): Promise<WalSlots> {
  const name = `bench_floor_${process.pid}`;
  const slots = [`${name}_own`, `${name}_tool`] as const;
  await client.query(`CREATE PUBLICATION ${name} FOR TABLE orders`);
  for (const slot of slots) {
    await client.query(`SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, [slot]);
  }
  return { publication: name, slots };
}

/** Receives the change log with our wire layer and, where it is installed, with pg_recvlogical. */
export async function measureWalFloors(
  client: Client,
  { databaseUrl }: BenchServers,
  { publication, slots, changes }: WalSlots & { readonly changes: number },
): Promise<Floor[]> {
  const floors: Floor[] = [];
  const [own, tool] = slots;
  try {
    const wal: FloorTask = { kind: 'wal', databaseUrl, slot: own, publication, changes };
    floors.push({ name: WAL_FLOOR, events: changes, ...(await inProcess(wal)) });
    if (await onPath('pg_recvlogical')) {
      const { rows } = await client.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn() AS lsn');
      const endLsn = rows[0]!.lsn;
      const task: FloorTask = { kind: 'pg_recvlogical', databaseUrl, slot: tool, publication, endLsn };
      floors.push({ name: 'WAL by pg_recvlogical', events: changes, ...(await inProcess(task)) });
    }
  } finally {
    for (const slot of slots) await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
    await client.query(`DROP PUBLICATION ${publication}`);
  }
  return floors;
}

/** Appends ready-made events to our Kafka sink. */
export async function measureProducerFloors({ broker }: BenchServers, records: number): Promise<Floor[]> {
  const floors: Floor[] = [];
  for (const delivery of ['exactly-once', 'at-least-once'] as const) {
    const name = `bench-floor-${process.pid}-${delivery}`;
    const cost = await inProcess({ kind: 'producer', broker, name, delivery, records });
    floors.push({ name: `Producer alone, ${delivery}`, events: records, ...cost });
  }
  return floors;
}

/** What warms a broker up: so many records, written and read, bring its figures to where they stay. */
const WARM_UP_RECORDS = 500_000;

/**
 * Writes and reads ready-made events, in transactions and without, so that the first contender does not pay for the
 * broker's own start: its compiler, its log segments, its coordinator.
 */
export async function warmBroker({ broker }: BenchServers, signal: AbortSignal): Promise<void> {
  for (const delivery of ['at-least-once', 'exactly-once'] as const) {
    const name = `bench-warm-up-${process.pid}-${delivery}`;
    await inProcess({ kind: 'producer', broker, name, delivery, records: WARM_UP_RECORDS });
    const topic = { broker, topic: `${name}.public.orders`, partitions: 3 };
    await waitForRecords(topic, { skip: 0, records: WARM_UP_RECORDS }, signal);
  }
}

async function inProcess(task: FloorTask): Promise<FloorCost> {
  const worker = join(import.meta.dirname, 'floor-worker.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [worker, JSON.stringify(task)]);
  return JSON.parse(stdout) as FloorCost;
}

async function onPath(program: string): Promise<boolean> {
  return await promisify(execFile)(program, ['--version']).then(
    () => true,
    () => false,
  );
}
