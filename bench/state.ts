/** `npm run bench -- state`: what joined tables and groups cost in memory and on disk, each in a process of its own. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { GroupsCost, GroupsTask } from './groups-worker.ts';
import type { StateCost, StateTask } from './state-worker.ts';
import { printTable } from './table.ts';

const STORES = ['memory', 'disk'] as const;

export async function benchState({
  rows,
  groups,
}: {
  readonly rows: number;
  readonly groups: number;
}): Promise<void> {
  if (rows > 0) await benchTable(rows);
  if (groups > 0) await benchGroups(groups);
}

async function benchTable(rows: number): Promise<void> {
  const costs: StateCost[] = [];
  for (const store of STORES)
    costs.push((await measure('state-worker.ts', { store, rows } satisfies StateTask)) as StateCost);
  console.log(`\nA joined table of ${rows.toLocaleString('en')} customers`);
  printTable(
    ['', 'puts/s', 'gets/s', 'updates/s', 'anonymous MB', 'mapped MB', 'bytes/row', 'disk MB'],
    costs.map((cost) => [
      cost.store,
      Math.round(cost.putsPerSecond),
      Math.round(cost.getsPerSecond),
      Math.round(cost.updatesPerSecond),
      Math.round(cost.anonymousMb),
      Math.round(cost.mappedMb),
      Math.round(((cost.anonymousMb - cost.emptyMb) * 1e6) / rows),
      Math.round(cost.diskMb),
    ]),
  );
}

async function benchGroups(groups: number): Promise<void> {
  const costs: GroupsCost[] = [];
  for (const store of STORES)
    costs.push((await measure('groups-worker.ts', { store, groups } satisfies GroupsTask)) as GroupsCost);
  console.log(`\n${groups.toLocaleString('en')} groups of COUNT and AVG by customer and minute`);
  printTable(
    ['', 'made/s', 'updates/s', 'CPU s', 'restore s', 'anonymous MB', 'mapped MB', 'disk MB'],
    costs.map((cost) => [
      cost.store,
      Math.round(cost.madePerSecond),
      Math.round(cost.updatesPerSecond),
      cost.cpuSeconds.toFixed(1),
      cost.restoreSeconds.toFixed(1),
      Math.round(cost.anonymousMb),
      Math.round(cost.mappedMb),
      Math.round(cost.diskMb),
    ]),
  );
}

async function measure(worker: string, task: StateTask | GroupsTask): Promise<unknown> {
  // As little of the new generation as a daemon that has little to do: what is left is what is needed.
  const args = ['--max-semi-space-size=8', join(import.meta.dirname, worker), JSON.stringify(task)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}
