import { defineConfig } from 'vitest/config';
import { leftOut } from './test/support/left-out.ts';

const missing = await leftOut();
const exclude = missing.map(({ pattern }) => pattern);

export default defineConfig({
  test: {
    // Many tests wait for servers rather than for one of the two cores of the machines this runs on.
    maxWorkers: 3,
    pool: 'forks',
    globalSetup: ['test/support/global-setup.ts'],
    reporters: ['default', './test/support/reporter.ts'],
    // Time-outs end what hangs; a machine that is busy with something else is no reason to fail.
    hookTimeout: 240_000,
    teardownTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['test/{unit,property,contract}/**/*.test.ts'],
          exclude,
          testTimeout: 120_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['test/{integration,e2e}/**/*.test.ts'],
          exclude,
          testTimeout: 240_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'crash',
          include: ['test/crash/**/*.test.ts'],
          exclude,
          // One at a time: what is measured here is what happens when, and a neighbour would disturb it.
          fileParallelism: false,
          testTimeout: 30 * 60_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
