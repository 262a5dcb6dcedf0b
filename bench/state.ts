/** `npm run bench -- state`: what a joined table costs in memory and on disk, each in a process of its own. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { StateCost, StateTask } from './state-worker.ts';
import { printTable } from './table.ts';

export async function benchState({ rows }: { readonly rows: number }): Promise<void> {
  const costs: StateCost[] = [];
  for (const store of ['memory', 'disk'] as const) costs.push(await measure({ store, rows }));
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

async function measure(task: StateTask): Promise<StateCost> {
  const worker = join(import.meta.dirname, 'state-worker.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [worker, JSON.stringify(task)]);
  return JSON.parse(stdout) as StateCost;
}
