/** `npm run bench -- postgres`: Headwater and its peer on the same work, in one go, on one machine. */
import { writeFile } from 'node:fs/promises';
import type { Contender } from './contender.ts';
import { debezium, preparePeer, type PeerName } from './debezium.ts';
import { buildHeadwater, headwater } from './headwater.ts';
import { openLab, type Lab } from './lab.ts';
import { measureLatency, type LatencyRun } from './latency.ts';
import { machine, type Machine } from './machine.ts';
import { createOrders, writeChangeLog, type ChangeLogCounts, type Identity } from './orders.ts';
import { printReport } from './report.ts';
import { startServers } from './servers.ts';
import { measureStartUp, type StartUpRun } from './start-up.ts';
import type { TopicContents } from './topic-watch.ts';
import { measureCatchUp, measureSnapshot, type PreparedRun, type ThroughputRun } from './throughput.ts';

export const SCENARIOS = ['snapshot', 'catchup', 'latency', 'startup'] as const;
export type Scenario = (typeof SCENARIOS)[number];

export interface PostgresBenchOptions {
  readonly rows: number;
  readonly only: readonly Scenario[];
  readonly peers: readonly PeerName[];
  /** Leaves Headwater out: to try the peer alone. */
  readonly ours: boolean;
  readonly repeat: number;
  readonly identity: Identity;
  readonly partitions: number;
  readonly changesPerSecond: number;
  readonly latencySeconds: number;
  readonly json: string | null;
}

/** What a contender is and all its runs; absent scenarios were not asked for. */
export interface ContenderResult {
  readonly name: string;
  readonly ours: boolean;
  readonly settings: string;
  readonly snapshot: ThroughputRun[];
  readonly catchup: ThroughputRun[];
  readonly latency: LatencyRun[];
  readonly startup: StartUpRun[];
}

export interface PostgresBenchResult {
  readonly at: string;
  readonly machine: Machine;
  readonly options: PostgresBenchOptions;
  readonly counts: { readonly snapshot: ChangeLogCounts; readonly catchup: ChangeLogCounts };
  readonly contenders: readonly ContenderResult[];
  /** One sentence each where two contenders did not deliver the same; then no ratio is worth anything. */
  readonly disagreements: readonly string[];
}

export async function benchPostgres(options: PostgresBenchOptions, signal: AbortSignal): Promise<boolean> {
  if (options.ours) await buildHeadwater();
  const peerFiles = options.peers.length > 0 ? await preparePeer() : null;
  const bulk: Contender[] = options.ours ? [headwater('exactly-once'), headwater('at-least-once')] : [];
  const prompt: Contender[] = [...bulk];
  const restarted: Contender[] = [...bulk];
  if (peerFiles !== null) {
    bulk.push(...options.peers.map((peer) => debezium(peer, peerFiles)));
    prompt.push(debezium('default', peerFiles), debezium('poll5', peerFiles));
    restarted.push(debezium('default', peerFiles));
  }

  await using servers = await startServers();
  await using lab = await openLab(servers, { partitions: options.partitions });
  const results = new Map<string, ContenderResult>();
  for (const { name, ours, settings } of [...bulk, ...prompt]) {
    results.set(name, { name, ours, settings, snapshot: [], catchup: [], latency: [], startup: [] });
  }
  const resultOf = (contender: Contender): ContenderResult => results.get(contender.name)!;
  const wants = (scenario: Scenario): boolean => options.only.includes(scenario);

  say(`Making ${options.rows} rows`);
  await createOrders(lab.client, options.rows, options.identity);

  if (wants('snapshot')) {
    for (const contender of rounds(bulk, options.repeat)) {
      const run = await measureSnapshot(lab, contender, { rows: options.rows, signal });
      resultOf(contender).snapshot.push(run);
      sayThroughput('Snapshot', run);
    }
  }
  if (wants('startup')) {
    for (const contender of restarted) {
      const runs = await measureStartUp(lab, contender, { repeat: Math.max(3, options.repeat), signal });
      resultOf(contender).startup.push(...runs);
      for (const run of runs) say(`Start-up, ${run.contender}: ${run.seconds.toFixed(2)} s`);
    }
  }
  if (wants('latency')) {
    const { changesPerSecond, latencySeconds: seconds } = options;
    for (const contender of rounds(prompt, options.repeat)) {
      const run = await measureLatency(lab, contender, { changesPerSecond, seconds, signal });
      resultOf(contender).latency.push(run);
      const { p50, p95, p99 } = run.fromCommit;
      say(
        `Latency, ${run.contender}: p50 ${p50.toFixed(1)}, p95 ${p95.toFixed(1)}, p99 ${p99.toFixed(1)} ms`,
      );
    }
  }
  // Last, because it changes the table.
  const changes = Math.max(100, Math.floor(options.rows / 100) * 100);
  if (wants('catchup')) {
    await catchUp(lab, { bulk, changes, options, resultOf, signal });
  }

  const result: PostgresBenchResult = {
    at: new Date().toISOString(),
    machine: await machine(lab.client, servers),
    options,
    counts: {
      snapshot: { events: options.rows, records: options.rows },
      catchup: { events: changes, records: changes + changes / 10 },
    },
    contenders: [...results.values()].filter((each) =>
      SCENARIOS.some((scenario) => each[scenario].length > 0),
    ),
    disagreements: disagreements([...results.values()]),
  };
  printReport(result);
  if (options.json !== null) await writeFile(options.json, `${JSON.stringify(result, null, 2)}\n`);
  return result.disagreements.length === 0;
}

interface CatchUpOptions {
  readonly bulk: readonly Contender[];
  readonly changes: number;
  readonly options: PostgresBenchOptions;
  readonly resultOf: (contender: Contender) => ContenderResult;
  readonly signal: AbortSignal;
}

/** All contenders get their slots first, so that one log serves them all. */
async function catchUp(
  lab: Lab,
  { bulk, changes, options, resultOf, signal }: CatchUpOptions,
): Promise<void> {
  const prepared: PreparedRun[] = [];
  try {
    say('Preparing slots');
    for (const contender of rounds(bulk, options.repeat)) {
      const spec = await lab.newRun(contender, { snapshot: false });
      try {
        const before = await lab.prepare(contender, spec, signal);
        prepared.push({ contender, spec, before, singles: lab.singles() });
      } catch (error) {
        await lab.removeRun(spec);
        throw error;
      }
    }
    say(`Writing ${changes} changes`);
    const counts = await writeChangeLog(lab.client, { rows: options.rows, changes });
    await lab.client.query('CHECKPOINT');
    for (const run of prepared) {
      const throughput = await measureCatchUp(lab, run, { counts, signal });
      resultOf(run.contender).catchup.push(throughput);
      sayThroughput('Catch-up', throughput);
    }
  } finally {
    for (const { spec } of prepared) await lab.removeRun(spec);
  }
}

/** Every contender once, in turn, and again from the other end: whoever goes first may find cold caches. */
function rounds(contenders: readonly Contender[], repeat: number): Contender[] {
  return Array.from({ length: repeat }, (_, round) =>
    round % 2 === 0 ? contenders : contenders.toReversed(),
  ).flat();
}

/** Events and digests must be equal over all contenders and repeats. */
function disagreements(results: readonly ContenderResult[]): string[] {
  const found: string[] = [];
  for (const scenario of ['snapshot', 'catchup'] as const) {
    const runs = results.flatMap((result) => result[scenario]);
    const [first] = runs;
    for (const run of runs) {
      if (JSON.stringify(run.contents) === JSON.stringify(first!.contents)) continue;
      found.push(
        `${scenario}: ${first!.contender} delivered ${describe(first!.contents)}, ` +
          `${run.contender} delivered ${describe(run.contents)}`,
      );
    }
  }
  return found;
}

function describe({ events, tombstones, byOp, digest }: TopicContents): string {
  const ops = Object.entries(byOp).map(([op, count]) => `${count} ${op}`);
  return `${events} events (${ops.join(', ')}) and ${tombstones} tombstones with digest ${digest}`;
}

function say(text: string): void {
  console.error(text);
}

function sayThroughput(what: string, run: ThroughputRun): void {
  say(
    `${what}, ${run.contender}: ${Math.round(run.eventsPerSecond)} events/s, ` +
      `${Math.round(run.eventsPerCpuSecond)} per CPU second, ${Math.round(run.peakRssMb)} MB`,
  );
}
