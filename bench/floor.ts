import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { FloorCost, FloorTask } from './floor-worker.ts';

/** What something costs that cannot be left out. */
export interface Floor extends FloorCost {
  readonly name: string;
  readonly events: number;
  /** The scenario whose reading this is the least of; null of one that is there for comparison. */
  readonly floorOf: 'snapshot' | 'catchup' | null;
}

/** Measures in a process that does nothing else. */
export async function inProcess(task: FloorTask): Promise<FloorCost> {
  const worker = join(import.meta.dirname, 'floor-worker.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [worker, JSON.stringify(task)]);
  return JSON.parse(stdout) as FloorCost;
}
