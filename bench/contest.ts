/** `npm run bench -- postgres|mysql|mariadb`: Headwater and its peer on the same work, in one go, on one machine. */
import { writeFile } from 'node:fs/promises';
import type { Contender, RunSpec } from './contender.ts';
import { debezium, preparePeer } from './debezium.ts';
import type { Floor } from './floor.ts';
import { measureProducerFloors, warmBroker } from './floors.ts';
import { buildHeadwater, headwater } from './headwater.ts';
import { openLab, type Lab } from './lab.ts';
import { measureLatency } from './latency.ts';
import { machine } from './machine.ts';
import type { ContenderResult, ContestOptions, ContestResult, Scenario } from './contest-result.ts';
import { printReport } from './report.ts';
import { measureStartUp } from './start-up.ts';
import type { TopicContents } from './topic-watch.ts';
import { measureCatchUp, measureSnapshot, type PreparedRun, type ThroughputRun } from './throughput.ts';

export async function benchContest(options: ContestOptions, signal: AbortSignal): Promise<boolean> {
  if (options.ours) await buildHeadwater();
  const peerFiles = options.peers.length > 0 ? await preparePeer(options.product) : null;
  const bulk: Contender[] = options.ours ? [headwater('exactly-once'), headwater('at-least-once')] : [];
  const prompt: Contender[] = [...bulk];
  const restarted: Contender[] = [...bulk];
  if (peerFiles !== null) {
    bulk.push(...options.peers.map((peer) => debezium(peer, peerFiles)));
    prompt.push(debezium('default', peerFiles), debezium('poll5', peerFiles));
    restarted.push(debezium('default', peerFiles));
  }

  await using lab = await openLab(options);
  const results = new Map<string, ContenderResult>();
  for (const { name, ours, settings } of [...bulk, ...prompt]) {
    const none = { snapshot: [], catchup: [], latency: [], startup: [], failures: [] };
    results.set(name, { name, ours, settings, ...none });
  }
  const bench: Bench = {
    lab,
    options,
    signal,
    floors: [],
    resultOf: (contender) => results.get(contender.name)!,
  };
  const wants = (scenario: Scenario): boolean => options.only.includes(scenario);

  say('Warming the broker up');
  await warmBroker(lab, signal);
  say(`Making ${options.rows} rows`);
  await lab.source.createOrders(options.rows);
  if (wants('snapshot')) await snapshots(bench, bulk);
  if (wants('floors')) bench.floors.push(await lab.source.measureTableFloor(options.rows));
  if (wants('startup')) await startUps(bench, restarted);
  if (wants('latency')) await latencies(bench, prompt);
  // Last, because it changes the table.
  const changes = Math.max(100, Math.floor(options.rows / 100) * 100);
  if (wants('catchup') || wants('floors')) {
    await catchUps(bench, wants('catchup') ? bulk : [], changes, wants('floors'));
  }
  if (wants('floors')) bench.floors.push(...(await measureProducerFloors(lab.broker, options.rows)));

  const all = [...results.values()];
  const result: ContestResult = {
    at: new Date().toISOString(),
    machine: await machine(lab),
    options,
    counts: {
      snapshot: { events: options.rows, records: options.rows },
      catchup: { events: changes, records: changes + changes / 10 },
    },
    contenders: all.filter(
      (each) =>
        each.failures.length + each.snapshot.length + each.catchup.length > 0 ||
        each.latency.length + each.startup.length > 0,
    ),
    floors: bench.floors,
    disagreements: disagreements(all),
  };
  printReport(result);
  if (options.json !== null) await writeFile(options.json, `${JSON.stringify(result, null, 2)}\n`);
  return result.disagreements.length === 0 && all.every(({ failures }) => failures.length === 0);
}

interface Bench {
  readonly lab: Lab;
  readonly options: ContestOptions;
  readonly signal: AbortSignal;
  readonly floors: Floor[];
  resultOf(contender: Contender): ContenderResult;
}

async function snapshots(bench: Bench, contenders: readonly Contender[]): Promise<void> {
  const { lab, options, signal } = bench;
  for (const contender of rounds(contenders, options.repeat)) {
    await attempt(bench, { contender, what: 'Snapshot' }, async (result) => {
      const run = await measureSnapshot(lab, contender, { rows: options.rows, signal });
      result.snapshot.push(run);
      return throughputText(run);
    });
  }
}

async function startUps(bench: Bench, contenders: readonly Contender[]): Promise<void> {
  const { lab, options, signal } = bench;
  for (const contender of contenders) {
    await attempt(bench, { contender, what: 'Start-up' }, async (result) => {
      const runs = await measureStartUp(lab, contender, { repeat: Math.max(3, options.repeat), signal });
      result.startup.push(...runs);
      return `${runs.map((run) => run.seconds.toFixed(2)).join(', ')} s`;
    });
  }
}

async function latencies(bench: Bench, contenders: readonly Contender[]): Promise<void> {
  const { lab, options, signal } = bench;
  const { changesPerSecond, latencySeconds: seconds } = options;
  for (const contender of rounds(contenders, options.repeat)) {
    await attempt(bench, { contender, what: 'Latency' }, async (result) => {
      const run = await measureLatency(lab, contender, { changesPerSecond, seconds, signal });
      result.latency.push(run);
      const { p50, p95, p99 } = run.fromCommit;
      return `p50 ${p50.toFixed(1)}, p95 ${p95.toFixed(1)}, p99 ${p99.toFixed(1)} ms`;
    });
  }
}

/** All contenders get their positions first, so that one log serves them all. */
async function catchUps(
  bench: Bench,
  contenders: readonly Contender[],
  changes: number,
  floors: boolean,
): Promise<void> {
  const { lab, options, signal } = bench;
  const prepared: PreparedRun[] = [];
  const specs: RunSpec[] = [];
  try {
    for (const contender of rounds(contenders, options.repeat)) {
      await attempt(bench, { contender, what: 'Preparing the catch-up' }, async () => {
        const spec = await lab.newRun(contender, { snapshot: false });
        specs.push(spec);
        const before = await lab.prepare(contender, spec, signal);
        prepared.push({ contender, spec, before, singles: lab.singles() });
        return 'done';
      });
    }
    const measureLogFloors = floors ? await lab.source.prepareLogFloors() : null;
    say(`Writing ${changes} changes`);
    const counts = await lab.source.writeChangeLog({ rows: options.rows, changes });
    await lab.source.settle();
    for (const run of prepared) {
      await attempt(bench, { contender: run.contender, what: 'Catch-up' }, async (result) => {
        const throughput = await measureCatchUp(lab, run, { counts, signal });
        result.catchup.push(throughput);
        return throughputText(throughput);
      });
    }
    if (measureLogFloors !== null) bench.floors.push(...(await measureLogFloors(changes)));
  } finally {
    for (const spec of specs) await lab.removeRun(spec);
  }
}

/** One contender that fails does not cost the others their figures. */
async function attempt(
  bench: Bench,
  { contender, what }: { readonly contender: Contender; readonly what: string },
  work: (result: ContenderResult) => Promise<string>,
): Promise<void> {
  const result = bench.resultOf(contender);
  try {
    say(`${what}, ${contender.name}: ${await work(result)}`);
  } catch (error) {
    bench.signal.throwIfAborted();
    const message = error instanceof Error ? error.message : String(error);
    result.failures.push(`${what}: ${message}`);
    say(`${what}, ${contender.name} FAILED: ${message}`);
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

function throughputText({ eventsPerSecond, eventsPerCpuSecond, peakRssMb }: ThroughputRun): string {
  return (
    `${Math.round(eventsPerSecond)} events/s, ${Math.round(eventsPerCpuSecond)} per CPU second, ` +
    `${Math.round(peakRssMb)} MB`
  );
}
