/** Snapshot and catch-up: how fast, and at what cost, from process start to the last event visible. */
import type { Contender, RunSpec } from './contender.ts';
import type { Lab } from './lab.ts';
import { FIRST_SINGLE_ID, sleep } from './lab.ts';
import type { ChangeLogCounts } from './source.ts';
import { readContents, waitForRecords, type TopicContents } from './topic-watch.ts';

export interface ThroughputRun {
  readonly contender: string;
  readonly seconds: number;
  readonly eventsPerSecond: number;
  /** Between the first event visible and the last, so without the start; null where they came at once. */
  readonly steadyEventsPerSecond: number | null;
  readonly cpuSeconds: number;
  readonly eventsPerCpuSecond: number;
  readonly peakRssMb: number;
  readonly contents: TopicContents;
}

/** Reads a whole table of `rows` rows from nothing. */
export async function measureSnapshot(
  lab: Lab,
  contender: Contender,
  { rows, signal }: { readonly rows: number; readonly signal: AbortSignal },
): Promise<ThroughputRun> {
  const spec = await lab.newRun(contender, { snapshot: true });
  try {
    return await measure(lab, {
      contender,
      spec,
      before: 0,
      counts: { events: rows, records: rows },
      signal,
    });
  } finally {
    await lab.removeRun(spec);
  }
}

export interface PreparedRun {
  readonly contender: Contender;
  readonly spec: RunSpec;
  /** Records in its topic before what is measured. */
  readonly before: number;
  /** Rows that had been written by themselves when it stopped: later ones are in its log too. */
  readonly singles: number;
}

/** Works off a log that was written while the contender was down. */
export async function measureCatchUp(
  lab: Lab,
  { contender, spec, before, singles }: PreparedRun,
  { counts, signal }: { readonly counts: ChangeLogCounts; readonly signal: AbortSignal },
): Promise<ThroughputRun> {
  const others = lab.singles() - singles;
  return await measure(lab, { contender, spec, before: before + others, counts, signal });
}

interface Measurement {
  readonly contender: Contender;
  readonly spec: RunSpec;
  /** Records that are not counted. */
  readonly before: number;
  readonly counts: ChangeLogCounts;
  readonly signal: AbortSignal;
}

async function measure(
  lab: Lab,
  { contender, spec, before, counts, signal }: Measurement,
): Promise<ThroughputRun> {
  const topic = lab.watch(spec);
  await using daemon = contender.start(spec);
  const { first, last } = await waitForRecords(
    topic,
    { skip: before, records: counts.records },
    AbortSignal.any([signal, daemon.ended]),
  );
  const usage = daemon.usage();
  await sleep(300); // whatever comes that should not
  await daemon.stop();
  const contents = await readContents(
    topic,
    { below: FIRST_SINGLE_ID, keyOnlyBefore: lab.source.keyOnlyBefore },
    signal,
  );
  const seconds = (last - daemon.startedAt) / 1000;
  return {
    contender: contender.name,
    seconds,
    eventsPerSecond: counts.events / seconds,
    steadyEventsPerSecond: last > first ? (counts.events * 1000) / (last - first) : null,
    cpuSeconds: usage.cpuSeconds,
    eventsPerCpuSecond: counts.events / usage.cpuSeconds,
    peakRssMb: usage.peakRssMb,
    contents,
  };
}
