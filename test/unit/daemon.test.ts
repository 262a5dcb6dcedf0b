import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startDaemon } from '../../src/daemon/daemon.ts';
import { type Log, SILENT } from '../../src/observability/log.ts';
import { loadSettings } from '../../src/settings/load.ts';

async function settingsOf(dir: string, names: readonly string[], scheme = 'postgres') {
  const files: string[] = [];
  for (const name of names) {
    const file = join(dir, `${name}.yaml`);
    await writeFile(
      file,
      `name: ${name}
source: { url: '${scheme}://u@127.0.0.1:1/db', tables: ['public.*'] }
emit: { file: { path: ${join(dir, name)} } }
`,
    );
    files.push(file);
  }
  return loadSettings(files, {});
}

test('a lone pipeline that cannot start ends; of several none is given up while its server may come up', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'headwater-daemon-'));
  try {
    const lone = startDaemon(
      { settings: await settingsOf(dir, ['a']), log: SILENT, untilCaughtUp: false },
      new AbortController().signal,
    );
    expect(await lone.finished).toMatchObject({ exitCode: 3, errors: [{ code: 'source.unreachable' }] });

    const stop = new AbortController();
    let retries = 0;
    const log: Log = { ...SILENT, child: () => log, warn: () => ++retries === 4 && stop.abort() };
    const several = startDaemon(
      { settings: await settingsOf(dir, ['a', 'b']), log, untilCaughtUp: false },
      stop.signal,
    );
    expect(await several.finished).toEqual({ exitCode: 0, errors: [] });
    expect(several.status().map(({ attempts }) => attempts)).toEqual([2, 2]);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

test('a pipeline under a new name, or with another connector, starts when the old one has ended', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'headwater-daemon-'));
  try {
    const stop = new AbortController();
    const log: Log = { ...SILENT, child: () => log };
    const [a, b] = await settingsOf(dir, ['a', 'b']);
    const daemon = startDaemon({ settings: [a!, b!], log, untilCaughtUp: false }, stop.signal);
    const renamed = await settingsOf(dir, ['c', 'b']);
    expect(daemon.reload(renamed)).toEqual({ started: ['c'], changed: [], stopped: ['a'] });
    // It waits: the old one may still hold its slot.
    expect(daemon.status().map(({ name, attempts }) => [name, attempts])).toEqual([
      ['c', 0],
      ['b', 1],
    ]);
    const other = await settingsOf(dir, ['c', 'b'], 'mysql');
    const summary = daemon.reload([other[0]!, renamed[1]!]);
    expect(summary).toEqual({ started: ['c'], changed: [], stopped: ['c'] });
    expect(daemon.status().map(({ connector }) => connector)).toEqual(['mysql', 'postgresql']);
    stop.abort();
    expect(await daemon.finished).toEqual({ exitCode: 0, errors: [] });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
