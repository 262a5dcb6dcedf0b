/** How soon a contender that was down delivers again, and what it costs while nothing happens. */
import type { Contender } from './contender.ts';
import { sleep, type Lab } from './lab.ts';
import { waitForRow } from './topic-watch.ts';

export interface StartUpRun {
  readonly contender: string;
  /** From process start to the first change visible. */
  readonly seconds: number;
  /** User and system time up to then. */
  readonly cpuSeconds: number;
  /** Afterwards, without any change: share of one core, and resident memory. */
  readonly idleCpuPercent: number;
  readonly idleRssMb: number;
}

const SETTLE_SECONDS = 3;
const IDLE_SECONDS = 10;

export async function measureStartUp(
  lab: Lab,
  contender: Contender,
  { repeat, signal }: { readonly repeat: number; readonly signal: AbortSignal },
): Promise<readonly StartUpRun[]> {
  const spec = await lab.newRun(contender, { snapshot: false });
  const runs: StartUpRun[] = [];
  try {
    await lab.prepare(contender, spec, signal);
    for (let i = 0; i < repeat; i++) {
      const id = await lab.writeRow();
      await using daemon = contender.start(spec);
      const at = await waitForRow(lab.watch(spec), id, AbortSignal.any([signal, daemon.ended]));
      const { cpuSeconds } = daemon.usage();
      await sleep(SETTLE_SECONDS * 1000);
      const settled = daemon.usage();
      await sleep(IDLE_SECONDS * 1000);
      const idle = daemon.usage();
      await daemon.stop();
      runs.push({
        contender: contender.name,
        seconds: (at - daemon.startedAt) / 1000,
        cpuSeconds,
        idleCpuPercent: ((idle.cpuSeconds - settled.cpuSeconds) / IDLE_SECONDS) * 100,
        idleRssMb: idle.rssMb,
      });
    }
  } finally {
    await lab.removeRun(spec);
  }
  return runs;
}
