import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { type KafkaServer, type PostgresServer, startKafka, startPostgres } from '../support/servers.ts';
import { DaemonProcess, logFileIn } from './daemon-process.ts';
import { readTopics } from './read-topics.ts';
import { verify } from './verify.ts';
import { randomFrom, Workload } from './workload.ts';

const FULL = process.env.HEADWATER_TEST_FULL === '1';
const KILLS = FULL ? 60 : 20;
const SEED = Number(process.env.HEADWATER_TEST_SEED ?? Date.now() % 1_000_000);
const ROWS = 8_000;

/** Each named place is died at at least once; the other kills come at random moments. */
const FAILPOINTS = [
  'intent-recorded',
  'slot-created',
  'before-commit:1',
  'after-commit:2',
  'before-commit:3',
  'before-end-transaction:2',
  'after-confirm:4',
  'before-end-transaction:1',
  'after-commit:1',
];

/** The kill after which a position is durable, so that the slot is never made anew. */
const SLOT_IS_KEPT = 3;

describe('kill -9, broker and database restarts', () => {
  it(`leaves no gap and no duplicate after ${KILLS} kills (seed ${SEED})`, async () => {
    const random = randomFrom(SEED);
    await using postgres = await startPostgres({ version: 18, durable: true });
    await using kafka = await startKafka();
    const dir = await mkdtemp(join(tmpdir(), 'headwater-crash-'));
    const url = await postgres.createDatabase('crash');
    const settingsFile = join(dir, 'crash.yaml');
    await writeFile(settingsFile, settingsText(url, kafka.brokers));
    const logFile = logFileIn(dir);
    const workload = new Workload(random);
    const admin = await connected(url);
    await workload.preload(admin, ROWS);
    await admin.end();

    const writer = keepWriting(workload, url);
    // From here on every committed change must be in the topics as a change: the slot is known to be there.
    let streamedFrom = Infinity;
    let daemon = DaemonProcess.start(settingsFile, { logFile });
    try {
      for (let kill = 0; kill < KILLS; kill++) {
        const failpoint = FAILPOINTS[kill];
        if (daemon.alive) await daemon.signal('SIGKILL');
        daemon = DaemonProcess.start(settingsFile, {
          logFile,
          ...(failpoint === undefined ? {} : { failpoint }),
        });
        if (failpoint !== undefined) {
          // It must die there by itself; one that no longer passes the place is killed.
          await Promise.race([daemon.exited, sleep(15_000)]);
        } else {
          await sleep(200 + random() * 2_500);
        }
        if (kill === SLOT_IS_KEPT) streamedFrom = workload.committed.length;
        if (kill % 7 === 5) await disturb(kill, kafka, postgres);
      }
      if (daemon.alive) await daemon.signal('SIGKILL');
    } finally {
      await writer.stop();
      if (daemon.alive) await daemon.signal('SIGKILL');
    }

    const last = DaemonProcess.start(settingsFile, { logFile, args: ['--until-caught-up'] });
    const exit = await last.exited;
    const log = await readFile(logFile, 'utf8');
    expect(exit, log.slice(-4000)).toBe(0);

    const records = await readTopics({ brokers: kafka.brokers, name: 'crash', schema: 'public' }, 3_000);
    const verdict = verify(workload.committed, records, streamedFrom);
    if (verdict.problems.length > 0) {
      // What to look at: the records as they were read, beside the daemon's log.
      const lines = records.map((record) => JSON.stringify({ ...record, offset: Number(record.offset) }));
      await writeFile(join(dir, 'records.jsonl'), lines.join('\n'));
    }
    expect(verdict.problems.slice(0, 20), `${dir} seed ${SEED}`).toEqual([]);

    const source = await connected(url);
    for (const [table, columns] of [
      ['accounts', 'id'],
      ['lines', 'b, a'],
    ] as const) {
      const { rows } = await source.query<{ key: string; rev: string }>(
        `SELECT json_build_array(${columns})::text AS key, rev FROM ${table}`,
      );
      const expected = new Map(rows.map(({ key, rev }) => [JSON.stringify(JSON.parse(key)), Number(rev)]));
      expect(verdict.state.get(table), `${table}, seed ${SEED}`).toEqual(expected);
    }
    await source.end();
    // The run has to have been worth it: snapshot rows and changes in their thousands.
    expect(verdict.reads).toBeGreaterThan(ROWS);
    expect(verdict.events).toBeGreaterThan(1_000);
    process.stdout.write(
      `${KILLS} kills: ${verdict.reads} snapshot rows, ${verdict.events} changes, ${workload.committed.length} committed ops\n`,
    );
    await rm(dir, { recursive: true, force: true });
  });
});

function settingsText(url: string, brokers: string): string {
  return `
name: crash
source:
  url: ${url}
  tls: { mode: disable }
  tables: [public.accounts, public.lines, public.log]
snapshot: { chunk_rows: 1000, parallelism: 2 }
emit:
  kafka:
    brokers: [${brokers}]
    session_timeout: 6s
  heartbeat: 1s
  max_transaction: { rows: 1500 }
http: { listen: off }
`;
}

async function disturb(kill: number, kafka: KafkaServer, postgres: PostgresServer): Promise<void> {
  if (kill % 2 === 0) {
    await kafka.kill();
    await sleep(1_000);
    await kafka.start();
  } else {
    await postgres.restart();
  }
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** Transactions one after another until stopped, over database restarts. */
function keepWriting(workload: Workload, url: string): { stop(): Promise<void> } {
  let stopping = false;
  const run = async (): Promise<void> => {
    let client: pg.Client | null = null;
    while (!stopping) {
      try {
        if (client === null) {
          client = await connected(url);
          await workload.settle(client);
        }
        await workload.transaction(client);
        await sleep(2);
      } catch (error) {
        await client?.end().catch(() => {});
        client = null;
        if (stopping) break;
        if (!isDisconnect(error)) throw error;
        await sleep(100);
      }
    }
    await client?.end();
  };
  const running = run();
  running.catch(() => {});
  return {
    async stop() {
      stopping = true;
      await running;
      const client = await connected(url);
      await workload.settle(client);
      await client.end();
    },
  };
}

function isDisconnect(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? '';
  return code.startsWith('ECONN') || code.startsWith('57P') || code === '' || code.startsWith('08');
}
