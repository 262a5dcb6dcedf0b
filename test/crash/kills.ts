/** Kills a daemon again and again while a workload runs, and holds what arrives against what was committed. */
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { startKafka } from '../support/servers.ts';
import { DaemonProcess, logFileIn } from './daemon-process.ts';
import { readTopics } from './read-topics.ts';
import type { CrashSource, Session } from './source.ts';
import { verify } from './verify.ts';
import { randomFrom, Workload } from './workload.ts';

export interface CrashRun {
  readonly source: CrashSource;
  readonly kills: number;
  /** Each named place is died at once, in this order; the other kills come at random moments. */
  readonly failpoints: readonly string[];
  /** The kill after which a position is durable: from then on every change must come as a change. */
  readonly positionKept: number;
}

export const SEED = Number(process.env['HEADWATER_TEST_SEED'] ?? Date.now() % 1_000_000);
const ROWS = 8_000;

export async function survivesKills({ source, kills, failpoints, positionKept }: CrashRun): Promise<void> {
  const random = randomFrom(SEED);
  await using kafka = await startKafka();
  const dir = await mkdtemp(join(tmpdir(), 'headwater-crash-'));
  const settingsFile = join(dir, 'crash.yaml');
  await writeFile(settingsFile, settingsText(source, kafka.brokers));
  const logFile = logFileIn(dir);
  const workload = new Workload(source, random);
  const admin = await source.connect();
  await workload.preload(admin, ROWS);
  await admin.close();

  const writer = keepWriting(workload, source);
  // From here on every committed change must be in the topics as a change: the position is known to be kept.
  let streamedFrom = Infinity;
  let daemon = DaemonProcess.start(settingsFile, { logFile });
  try {
    for (let kill = 0; kill < kills; kill++) {
      const failpoint = failpoints[kill];
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
      if (kill === positionKept) streamedFrom = workload.committed.length;
      if (kill % 4 === 3) {
        if (kill % 8 === 3) {
          await kafka.kill();
          await sleep(1_000);
          await kafka.start();
        } else {
          await source.restart();
        }
      }
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

  const records = await readTopics({ brokers: kafka.brokers, name: 'crash', schema: source.schema }, 3_000);
  const verdict = verify(workload.committed, records, streamedFrom);
  if (verdict.problems.length > 0) {
    // What to look at: the records as they were read, beside the daemon's log. Too many for one string, perhaps.
    const lines = records
      .values()
      .map((record) => `${JSON.stringify({ ...record, offset: Number(record.offset) })}\n`);
    await pipeline(Readable.from(lines), createWriteStream(join(dir, 'records.jsonl')));
    await writeFile(join(dir, 'problems.txt'), verdict.problems.slice(0, 10_000).join('\n'));
  }
  expect(verdict.problems.slice(0, 20), `${dir} seed ${SEED}`).toEqual([]);

  const session = await source.connect();
  for (const [table, columns] of [
    ['accounts', ['id']],
    ['items', ['b', 'a']],
  ] as const) {
    const rows = await session.query(`SELECT * FROM ${table}`);
    const expected = new Map(
      rows.map((row) => [JSON.stringify(columns.map((name) => row[name])), Number(row['rev'])]),
    );
    expect(verdict.state.get(table), `${table}, seed ${SEED}`).toEqual(expected);
  }
  await session.close();
  // The run has to have been worth it: snapshot rows and changes in their thousands.
  expect(verdict.reads).toBeGreaterThan(ROWS);
  expect(verdict.events).toBeGreaterThan(1_000);
  process.stdout.write(
    `${kills} kills: ${verdict.reads} snapshot rows, ${verdict.events} changes, ${workload.committed.length} committed ops\n`,
  );
  await rm(dir, { recursive: true, force: true });
}

function settingsText({ url, schema }: CrashSource, brokers: string): string {
  return `
name: crash
source:
  url: ${url}
  tls: { mode: disable }
  tables: [${schema}.accounts, ${schema}.items, ${schema}.log]
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

/** Transactions one after another until stopped, over database restarts. */
function keepWriting(workload: Workload, source: CrashSource): { stop(): Promise<void> } {
  let stopping = false;
  const run = async (): Promise<void> => {
    let session: Session | null = null;
    while (!stopping) {
      try {
        if (session === null) {
          session = await source.connect();
          await workload.settle(session);
        }
        await workload.transaction(session);
        await sleep(2);
      } catch (error) {
        await session?.close().catch(() => {});
        session = null;
        if (stopping) break;
        if (!source.mayBeTriedAgain(error)) throw error;
        await sleep(100);
      }
    }
    await session?.close();
  };
  const running = run();
  running.catch(() => {});
  return {
    async stop() {
      stopping = true;
      await running;
      const session = await source.connect();
      await workload.settle(session);
      await session.close();
    },
  };
}
