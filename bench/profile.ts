/** `npm run bench -- profile snapshot|catchup`: where Headwater's own time goes. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildHeadwater, headwater, type Delivery } from './headwater.ts';
import { openLab } from './lab.ts';
import type { Product } from './source.ts';
import { printTable } from './table.ts';
import { measureCatchUp, measureSnapshot, type ThroughputRun } from './throughput.ts';

export interface ProfileOptions {
  readonly product: Product;
  readonly scenario: 'snapshot' | 'catchup';
  readonly rows: number;
  readonly delivery: Delivery;
  readonly top: number;
  /** Keep the .cpuprofile file here, for a viewer. */
  readonly keep: string | null;
}

export async function benchProfile(options: ProfileOptions, signal: AbortSignal): Promise<void> {
  const { product, scenario, rows, delivery, top } = options;
  await buildHeadwater();
  const directory = options.keep ?? (await mkdtemp(join(tmpdir(), 'headwater-profile-')));
  const before = new Set(await profilesIn(directory));
  await using lab = await openLab({ product, partitions: 3, identity: 'default' });
  await lab.source.createOrders(rows);
  const flags = ['--cpu-prof', `--cpu-prof-dir=${directory}`, '--cpu-prof-interval=500'];
  const profiled = headwater(delivery, { nodeFlags: flags });
  let run: ThroughputRun;
  if (scenario === 'snapshot') {
    run = await measureSnapshot(lab, profiled, { rows, signal });
  } else {
    const spec = await lab.newRun(profiled, { snapshot: false });
    try {
      // Started without the profiler: only the catch-up is to be seen.
      const contender = headwater(delivery);
      const delivered = await lab.prepare(contender, spec, signal);
      const prepared = { contender: profiled, spec, before: delivered, singles: lab.singles() };
      const counts = await lab.source.writeChangeLog({ rows, changes: Math.floor(rows / 100) * 100 });
      run = await measureCatchUp(lab, prepared, { counts, signal });
    } finally {
      await lab.removeRun(spec);
    }
  }
  console.log(
    `${run.contender}, ${scenario} of ${rows}, profiled: ${run.seconds.toFixed(2)} s, ${run.cpuSeconds.toFixed(2)} CPU s, ` +
      `${Math.round(run.peakRssMb)} MB`,
  );
  const fresh = (await profilesIn(directory)).filter((name) => !before.has(name));
  for (const name of fresh) {
    printProfile(JSON.parse(await readFile(join(directory, name), 'utf8')) as CpuProfile, top);
    if (options.keep !== null) console.log(`\n${join(directory, name)}`);
  }
  if (fresh.length === 0) throw new Error('The process left no profile: it did not end by itself');
  if (options.keep === null) await rm(directory, { recursive: true });
}

async function profilesIn(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(() => [])).filter((name) => name.endsWith('.cpuprofile'));
}

/** V8's format: a tree of call sites and, for each sample, the node it fell into. Times in microseconds. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
    };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Functions by self time, of the main thread and without the time it was idle. */
function printProfile({ nodes, samples, timeDeltas }: CpuProfile, top: number): void {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url === '' ? '' : ` ${url.slice(url.lastIndexOf('/') + 1)}:${lineNumber + 1}`;
      return [id, `${functionName === '' ? '(anonymous)' : functionName}${place}`];
    }),
  );
  const selfTimes = new Map<string, number>();
  let total = 0;
  for (const [i, sample] of samples.entries()) {
    const name = names.get(sample) ?? '?';
    if (name === '(idle)') continue;
    const micros = timeDeltas[i] ?? 0;
    selfTimes.set(name, (selfTimes.get(name) ?? 0) + micros);
    total += micros;
  }
  const sorted = [...selfTimes].toSorted(([, a], [, b]) => b - a).slice(0, top);
  console.log(`\n${(total / 1e6).toFixed(2)} s of the main thread, by function`);
  printTable(
    ['', 'ms', '%'],
    sorted.map(([name, micros]) => [name, Math.round(micros / 1000), ((micros / total) * 100).toFixed(1)]),
  );
}
