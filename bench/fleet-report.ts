import type { Fleet } from './cost-model.ts';

/** `2000000/s`, `2000000` or `2e6/s` → 2000000. Throws on anything else. */
export function perSecond(text: string): number {
  const value = /^\d+(\.\d+)?(e\d{1,2})?(\/s)?$/.test(text) ? Number(text.replace('/s', '')) : NaN;
  if (!Number.isFinite(value))
    throw new Error(`--events is a number a second such as 2000000/s, not ${text}.`);
  return value;
}

/** One line a figure, the ceilings at the end. */
export function fleetReport(fleet: Fleet): string {
  const lines: readonly (readonly [string, string])[] = [
    ['instances', `${fleet.instances} that work and ${fleet.standbys} that stand by`],
    ['cores', `${fleet.busyCores.toFixed(1)} busy in the steady state; provide ${Math.ceil(fleet.cores)}`],
    ['memory', `${gigabytes(fleet.memoryMb * 1e6)}, at most ${Math.ceil(fleet.instanceMb)} MB an instance`],
    ['disk', `${gigabytes(fleet.diskMb * 1e6)} for joined tables`],
    ['network in', `${gigabytes(fleet.networkIn)}/s of log from the databases`],
    [
      'network out',
      `${gigabytes(fleet.networkOut)}/s to Kafka, and ${gigabytes(fleet.replicated)}/s between its brokers`,
    ],
    ['partitions', `${fleet.partitions}, ${fleet.replicas} with their replicas`],
  ];
  const ceilings = fleet.ceilings.map((ceiling) => `! ${ceiling}`);
  return `${[...lines.map(([name, value]) => `${name.padEnd(12)} ${value}`), ...ceilings].join('\n')}\n`;
}

function gigabytes(bytes: number): string {
  return bytes < 1e8 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
