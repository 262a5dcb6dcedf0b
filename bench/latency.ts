/** How long a committed change takes to reach a read_committed consumer. */
import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { Contender } from './contender.ts';
import { deliverOne, sleep, type Lab } from './lab.ts';
import { FIRST_LATENCY_ID, type Sighting } from './latency-consumer.ts';
import type { BenchSource, Writer } from './source.ts';
import type { WatchedTopic } from './topic-watch.ts';

export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export interface LatencyRun {
  readonly contender: string;
  readonly changes: number;
  readonly changesPerSecond: number;
  /** Milliseconds from the moment the writer knew of the commit. */
  readonly fromCommit: Percentiles;
  /** Milliseconds from clock_timestamp() in the statement: the commit's own flush to disk is in it. */
  readonly fromStatement: Percentiles;
  /** Share of one core. */
  readonly cpuPercent: number;
  readonly peakRssMb: number;
}

export interface LatencyOptions {
  readonly changesPerSecond: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** Changes at the same rate before the counted ones: compilers and caches warm up. */
const WARM_UP_SECONDS = 5;
const WRITERS = 8;

export async function measureLatency(
  lab: Lab,
  contender: Contender,
  { changesPerSecond, seconds, signal }: LatencyOptions,
): Promise<LatencyRun> {
  const spec = await lab.newRun(contender, { snapshot: false });
  try {
    await using daemon = contender.start(spec);
    const either = AbortSignal.any([signal, daemon.ended]);
    await deliverOne(lab, spec, either);
    await using consumer = startConsumer(lab.watch(spec));
    const warmUp = Math.round(changesPerSecond * WARM_UP_SECONDS);
    const changes = Math.round(changesPerSecond * seconds);
    await write(lab.source, {
      firstId: FIRST_LATENCY_ID,
      changes: warmUp,
      changesPerSecond,
      signal: either,
    });
    const usageBefore = daemon.usage();
    const firstId = FIRST_LATENCY_ID + warmUp;
    const started = performance.now();
    const commits = await write(lab.source, { firstId, changes, changesPerSecond, signal: either });
    const elapsed = (performance.now() - started) / 1000;
    const usage = daemon.usage();
    await consumer.waitFor(warmUp + changes, either);
    const seen = await consumer.stop();
    await daemon.stop();
    await lab.source.deleteFrom(FIRST_LATENCY_ID);
    return {
      contender: contender.name,
      changes,
      changesPerSecond: changes / elapsed,
      ...latencies(seen, commits, firstId),
      cpuPercent: ((usage.cpuSeconds - usageBefore.cpuSeconds) / elapsed) * 100,
      peakRssMb: usage.peakRssMb,
    };
  } finally {
    await lab.removeRun(spec);
  }
}

function latencies(
  seen: readonly Sighting[],
  commits: Float64Array,
  firstId: number,
): { readonly fromCommit: Percentiles; readonly fromStatement: Percentiles } {
  const fromCommit: number[] = [];
  const fromStatement: number[] = [];
  const ids = new Set<number>();
  for (const [id, received, statement] of seen) {
    const committed = commits[id - firstId];
    if (committed === undefined) continue;
    if (ids.has(id)) throw new Error(`Row ${id} was delivered twice`);
    ids.add(id);
    fromCommit.push(received - committed);
    fromStatement.push(received - statement);
  }
  if (ids.size !== commits.length) throw new Error(`${commits.length - ids.size} changes did not arrive`);
  return { fromCommit: percentiles(fromCommit), fromStatement: percentiles(fromStatement) };
}

function percentiles(values: readonly number[]): Percentiles {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

interface WriteOptions {
  readonly firstId: number;
  readonly changes: number;
  readonly changesPerSecond: number;
  readonly signal: AbortSignal;
}

/** Single-row transactions at an even rate; each commit is flushed. Returns when each was known to be done. */
async function write(source: BenchSource, options: WriteOptions): Promise<Float64Array> {
  const { firstId, changes, changesPerSecond, signal } = options;
  const idle: Writer[] = await Promise.all(Array.from({ length: WRITERS }, () => source.openWriter()));
  const all = [...idle];
  const commits = new Float64Array(changes);
  const running = new Set<Promise<void>>();
  const started = performance.now();
  try {
    for (let next = 0; next < changes;) {
      signal.throwIfAborted();
      const due = Math.min(
        changes,
        Math.floor(((performance.now() - started) / 1000) * changesPerSecond) + 1,
      );
      while (next < due) {
        const writer = idle.pop();
        if (writer === undefined) {
          await Promise.race(running);
          continue;
        }
        const ordinal = next++;
        const insert = writer.insertRow(firstId + ordinal).then(() => {
          commits[ordinal] = performance.timeOrigin + performance.now();
          idle.push(writer);
          running.delete(insert);
        });
        running.add(insert);
      }
      await sleep(1);
    }
    await Promise.all(running);
  } finally {
    await Promise.all(all.map((writer) => writer.close()));
  }
  return commits;
}

interface Consumer extends AsyncDisposable {
  /** Resolves when it has seen so many rows. */
  waitFor(count: number, signal: AbortSignal): Promise<void>;
  stop(): Promise<readonly Sighting[]>;
}

function startConsumer(topic: WatchedTopic): Consumer {
  const child = fork(join(import.meta.dirname, 'latency-consumer.ts'), [JSON.stringify(topic)]);
  let count = 0;
  const result = new Promise<readonly Sighting[]>((resolve, reject) => {
    child.on('message', (message: number | readonly Sighting[]) => {
      if (typeof message === 'number') count = message;
      else resolve(message);
    });
    child.on('exit', (code) => reject(new Error(`The consumer ended with ${code}`)));
  });
  result.catch(() => undefined); // thrown where it is awaited
  return {
    waitFor: async (expected, signal) => {
      while (count < expected) {
        signal.throwIfAborted();
        await Promise.race([sleep(50), result]);
      }
    },
    stop: () => {
      child.send('stop');
      return result;
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null) child.kill('SIGKILL');
      await Promise.resolve();
    },
  };
}
