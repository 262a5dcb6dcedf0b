import { glob } from 'node:fs/promises';
import { basename } from 'node:path';
import picomatch from 'picomatch';
import { expect, test } from 'vitest';
import { filesThatNeed } from '../support/left-out.ts';

const SERVERS = [
  'postgres',
  'mysql',
  'mariadb',
  'kafka',
  'registry',
  'oracle',
  'browser',
  'systemd',
  'python',
];
/** Says how a file is tested, not what it needs. */
const KINDS = ['property'];

test('a test file is left out with any of the servers that its name tells, and all its parts are understood', async () => {
  const found = new Map(SERVERS.map((server) => [server, 0]));
  for await (const file of glob('test/**/*.test.ts')) {
    const parts = basename(file, '.test.ts').split('.').slice(1);
    expect([...SERVERS, ...KINDS]).toEqual(expect.arrayContaining(parts));
    for (const server of SERVERS) {
      const needs = parts.includes(server);
      expect(picomatch.isMatch(file, filesThatNeed(server)), `${file} and ${server}`).toBe(needs);
      if (needs) found.set(server, found.get(server)! + 1);
    }
  }
  expect([...found].filter(([, files]) => files === 0)).toEqual([]);
  const name = 'test/e2e/outputs.mysql.mariadb.registry.test.ts';
  expect(picomatch.isMatch(name, filesThatNeed('mysql'))).toBe(true);
});
