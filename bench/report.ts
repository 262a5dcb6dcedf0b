import type { Floor } from './floor.ts';
import { printFloors } from './floors.ts';
import type { Percentiles } from './latency.ts';
import type { ContenderResult, ContestResult } from './contest-result.ts';
import { printTable } from './table.ts';
import type { ThroughputRun } from './throughput.ts';

/** Prints the tables of a whole benchmark to standard output. */
export function printReport(result: ContestResult): void {
  const { machine, options } = result;
  console.log(`
${result.at}, ${machine.processor}, ${machine.cores} cores, ${machine.memoryGb} GiB, ${machine.system}
Node ${machine.node}, ${machine.java ?? 'no Java'}, ${machine.source}, Kafka ${machine.kafka}
Debezium ${machine.debezium} in Kafka Connect ${machine.connect} standalone; ${options.partitions} partitions
Median of ${options.repeat} run(s), in turns. Everything runs on this one machine.`);
  for (const { name, settings: says } of result.contenders) console.log(`  ${name}: ${says}`);

  const comparable = result.disagreements.length === 0;
  printThroughput(`Snapshot of ${options.rows} rows`, result.contenders, 'snapshot', comparable);
  const log = result.counts.catchup;
  printThroughput(`Catch-up of ${log.events} changes`, result.contenders, 'catchup', comparable);
  printLatency(result.contenders, options.changesPerSecond);
  printStartUp(result.contenders);
  if (result.floors.length > 0) printFloors(result.floors);
  if (comparable) printDistance(result);
  for (const { name, failures } of result.contenders) {
    for (const failure of failures) console.log(`\nFAILED: ${name}: ${failure}`);
  }
  for (const sentence of result.disagreements) console.log(`\nNOT THE SAME EVENTS: ${sentence}`);
  if (!comparable) console.log('No ratios, because the contenders did not deliver the same.');
}

type ThroughputScenario = 'snapshot' | 'catchup';

function printThroughput(
  title: string,
  results: readonly ContenderResult[],
  scenario: ThroughputScenario,
  comparable: boolean,
): void {
  const present = results.filter((result) => result[scenario].length > 0);
  if (present.length === 0) return;
  console.log(`\n${title}, from process start to the last event visible`);
  const rows = present.map((result) => {
    const run = medians(result[scenario]);
    return [
      result.name,
      run.seconds.toFixed(2),
      Math.round(run.eventsPerSecond),
      run.cpuSeconds.toFixed(2),
      Math.round(run.eventsPerCpuSecond),
      Math.round(run.peakRssMb),
      run.steadyEventsPerSecond === null ? '–' : Math.round(run.steadyEventsPerSecond),
    ];
  });
  printTable(['', 'seconds', 'events/s', 'CPU s', 'events/CPU s', 'peak MB', 'events/s once going'], rows);
  if (!comparable) return;
  const ratios = present
    .filter((result) => result.ours)
    .flatMap((ours) =>
      present
        .filter((result) => !result.ours)
        .map((peer) => {
          const [a, b] = [medians(ours[scenario]), medians(peer[scenario])];
          return [
            `${ours.name} ÷ ${peer.name}`,
            times(a.eventsPerSecond / b.eventsPerSecond),
            times(a.eventsPerCpuSecond / b.eventsPerCpuSecond),
            times(a.peakRssMb / b.peakRssMb),
          ];
        }),
    );
  if (ratios.length > 0) printTable(['', 'events/s', 'events/CPU s', 'peak memory'], ratios);
}

function printLatency(results: readonly ContenderResult[], changesPerSecond: number): void {
  const present = results.filter((result) => result.latency.length > 0);
  if (present.length === 0) return;
  console.log(
    `\nLatency at ${changesPerSecond} changes/s, ms from the commit's return (and from the statement)`,
  );
  printTable(
    ['', 'p50', 'p95', 'p99', 'max', 'CPU %', 'peak MB'],
    present.map(({ name, latency }) => {
      const of = (key: keyof Percentiles): string => {
        const commit = median(latency.map((run) => run.fromCommit[key]));
        const statement = median(latency.map((run) => run.fromStatement[key]));
        return `${commit.toFixed(1)} (${statement.toFixed(1)})`;
      };
      const cpu = median(latency.map((run) => run.cpuPercent));
      const rss = median(latency.map((run) => run.peakRssMb));
      return [name, of('p50'), of('p95'), of('p99'), of('max'), cpu.toFixed(1), Math.round(rss)];
    }),
  );
}

function printStartUp(results: readonly ContenderResult[]): void {
  const present = results.filter((result) => result.startup.length > 0);
  if (present.length === 0) return;
  console.log('\nStart with a stored position: process start to the first change visible; then idle');
  printTable(
    ['', 'seconds', 'CPU s', 'idle CPU %', 'idle MB'],
    present.map(({ name, startup }) => [
      name,
      median(startup.map((run) => run.seconds)).toFixed(2),
      median(startup.map((run) => run.cpuSeconds)).toFixed(2),
      median(startup.map((run) => run.idleCpuPercent)).toFixed(1),
      Math.round(median(startup.map((run) => run.idleRssMb))),
    ]),
  );
}

/** CPU time of our runs against what reading and writing alone cost. */
function printDistance({ contenders, floors, options, counts }: ContestResult): void {
  const cpuOf = (is: (floor: Floor) => boolean): number => {
    const floor = floors.find(is);
    return floor === undefined ? NaN : floor.cpuSeconds / floor.events;
  };
  const rows = contenders
    .filter(({ ours }) => ours)
    .flatMap((ours) =>
      (['snapshot', 'catchup'] as const)
        .filter((scenario) => ours[scenario].length > 0)
        .map((scenario) => {
          const events = scenario === 'snapshot' ? options.rows : counts.catchup.events;
          const name = ours.name.replace('Headwater', 'Producer alone,');
          const producer = cpuOf((floor) => floor.name === name);
          const floor = (cpuOf(({ floorOf }) => floorOf === scenario) + producer) * 1e6;
          const cpu = (medians(ours[scenario]).cpuSeconds / events) * 1e6;
          return [`${ours.name}, ${scenario}`, cpu.toFixed(2), floor.toFixed(2), times(cpu / floor)];
        }),
    );
  if (rows.length === 0 || floors.length === 0) return;
  console.log('\nDistance to the floor, µs of CPU per event, start-up included');
  printTable(['', 'Headwater', 'reading + producing', 'ratio'], rows);
}

type ThroughputFigures = Omit<ThroughputRun, 'contender' | 'contents'>;

function medians(runs: readonly ThroughputRun[]): ThroughputFigures {
  const of = (key: Exclude<keyof ThroughputFigures, 'steadyEventsPerSecond'>): number =>
    median(runs.map((run) => run[key]));
  const steady = runs.flatMap((run) => run.steadyEventsPerSecond ?? []);
  return {
    seconds: of('seconds'),
    eventsPerSecond: of('eventsPerSecond'),
    cpuSeconds: of('cpuSeconds'),
    eventsPerCpuSecond: of('eventsPerCpuSecond'),
    peakRssMb: of('peakRssMb'),
    steadyEventsPerSecond: steady.length > 0 ? median(steady) : null,
  };
}

/** Of an even number of values the mean of the middle two; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

function times(ratio: number): string {
  return `${ratio.toFixed(ratio < 1 ? 2 : 1)} ×`;
}
