import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const WORKER = resolve(import.meta.dirname, '../../bench/groups-worker.ts');
const GROUPS = 60_000;
/** A group takes more than a kilobyte as an object. */
const HEAP_MB = 40;

function make(store: 'memory' | 'disk'): Promise<{ readonly stdout: string }> {
  const args = [`--max-old-space-size=${HEAP_MB}`, '--max-semi-space-size=2', WORKER];
  return promisify(execFile)(process.execPath, [...args, JSON.stringify({ store, groups: GROUPS })]);
}

it('makes, counts into and restores more groups on disk than memory has room for', async () => {
  expect(JSON.parse((await make('disk')).stdout)).toMatchObject({ store: 'disk', groups: GROUPS });
  // They are too many indeed.
  await expect(make('memory')).rejects.toThrow('heap out of memory');
}, 120_000);
