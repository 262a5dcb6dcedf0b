/** The place the contenders run in: one database, one broker, topics and slots made and removed for each run. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admin } from '@platformatic/kafka';
import type { Client } from 'pg';
import { topicOf, type Contender, type RunSpec } from './contender.ts';
import { insertRow, openDatabase, type Identity } from './orders.ts';
import type { BenchServers } from './servers.ts';
import { countRecords, waitForRow, type WatchedTopic } from './topic-watch.ts';

export interface Lab extends AsyncDisposable {
  readonly databaseUrl: string;
  readonly broker: string;
  /** REPLICA IDENTITY DEFAULT: the log holds the key of a deleted row and nothing else. */
  readonly keyOnlyBefore: boolean;
  /** A session for set-up work. */
  readonly client: Client;
  /** A topic, a name and a directory of its own. */
  newRun(contender: Contender, options: { readonly snapshot: boolean }): Promise<RunSpec>;
  watch(spec: RunSpec): WatchedTopic;
  /** Removes slot, publication, topic and directory. */
  removeRun(spec: RunSpec): Promise<void>;
  /**
   * Starts the contender, lets it deliver one row, and stops it: from then on the source keeps the log for it
   * and it has a stored position.
   * @returns the number of records it delivered
   */
  prepare(contender: Contender, spec: RunSpec, signal: AbortSignal): Promise<number>;
  /** Writes a row by itself and returns its id. */
  writeRow(): Promise<number>;
  /** How many rows `writeRow` has written. */
  singles(): number;
}

/** Ids of rows that were written by themselves are above this, and above every id of the change log. */
export const FIRST_SINGLE_ID = 1_000_000_000_000;

export async function openLab(
  servers: BenchServers,
  { partitions, identity }: { readonly partitions: number; readonly identity: Identity },
): Promise<Lab> {
  const directory = await mkdtemp(join(tmpdir(), 'headwater-bench-'));
  const client = await openDatabase(servers.databaseUrl);
  const admin = new Admin({ clientId: 'headwater-bench', bootstrapBrokers: [servers.broker] });
  let runs = 0;
  let singleId = FIRST_SINGLE_ID;
  const suffix = randomBytes(3).toString('hex');

  const lab: Lab = {
    databaseUrl: servers.databaseUrl,
    broker: servers.broker,
    keyOnlyBefore: identity === 'default',
    client,
    watch: (spec) => ({ broker: servers.broker, topic: topicOf(spec), partitions }),
    newRun: async (contender, { snapshot }) => {
      const id = `bench_${contender.slug}_${suffix}_${++runs}`;
      const spec: RunSpec = {
        id,
        databaseUrl: servers.databaseUrl,
        broker: servers.broker,
        snapshot,
        directory: join(directory, id),
      };
      await admin.createTopics({ topics: [topicOf(spec)], partitions, replicas: 1 });
      return spec;
    },
    removeRun: async (spec) => {
      await dropSlot(client, spec.id);
      await client.query(`DROP PUBLICATION IF EXISTS ${spec.id}`);
      await deleteTopics(admin, spec.id);
      if (process.env['BENCH_KEEP'] === undefined) await rm(spec.directory, { recursive: true, force: true });
    },
    prepare: async (contender, spec, signal) => {
      await using daemon = contender.start(spec);
      const either = AbortSignal.any([signal, daemon.ended]);
      await waitForSlot(client, spec.id, either);
      await deliverOne(lab, spec, either);
      await daemon.stop();
      return countRecords(lab.watch(spec), signal);
    },
    writeRow: async () => {
      await insertRow(client, ++singleId);
      return singleId;
    },
    singles: () => singleId - FIRST_SINGLE_ID,
    [Symbol.asyncDispose]: async () => {
      await admin.close();
      await client.end();
      if (process.env['BENCH_KEEP'] === undefined) await rm(directory, { recursive: true, force: true });
    },
  };
  return lab;
}

/**
 * Writes a row and waits until it can be read from the topic. A contender may take up the log a little after
 * its slot is there, so the row is written again until one arrives.
 */
export async function deliverOne(lab: Lab, spec: RunSpec, signal: AbortSignal): Promise<void> {
  for (;;) {
    const id = await lab.writeRow();
    const patience = AbortSignal.timeout(5000);
    try {
      await waitForRow(lab.watch(spec), id, AbortSignal.any([signal, patience]));
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!patience.aborted) throw error;
    }
  }
}

async function waitForSlot(client: Client, slot: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    const { rowCount } = await client.query(
      'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND active AND confirmed_flush_lsn IS NOT NULL',
      [slot],
    );
    if (rowCount === 1) return;
    await sleep(50);
  }
}

async function dropSlot(client: Client, slot: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const { rows } = await client.query<{ active: boolean }>(
      'SELECT active FROM pg_replication_slots WHERE slot_name = $1',
      [slot],
    );
    if (rows[0] === undefined) return;
    if (!rows[0].active) {
      await client.query('SELECT pg_drop_replication_slot($1)', [slot]);
      return;
    }
    // The server notices that a reader is gone when it next writes to it.
    if (attempt === 20) {
      await client.query(
        'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1 AND active',
        [slot],
      );
    }
    if (attempt > 200) throw new Error(`Replication slot ${slot} stays in use`);
    await sleep(100);
  }
}

async function deleteTopics(admin: Admin, prefix: string): Promise<void> {
  const topics = (await admin.listTopics()).filter(
    (topic) => topic.startsWith(`${prefix}.`) || topic.startsWith(`headwater.${prefix}.`),
  );
  if (topics.length > 0) await admin.deleteTopics({ topics });
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
