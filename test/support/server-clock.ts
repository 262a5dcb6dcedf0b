/**
 * A clock for a server of a test's own, which the test sets while the server runs: libfaketime, out of Debian's package,
 * stands between the server and the C library. Timers are left alone; what is set is what `now()` says.
 */
import { mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../src/local-servers/processes.ts';
import { isAlive } from '../../src/local-servers/cache.ts';
import { debianTree } from '../../src/local-servers/debian-packages.ts';

export interface ServerClock extends AsyncDisposable {
  /** For the server's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** It goes on from there. */
  set(time: string): Promise<void>;
  /** By so many seconds, back where they are negative. */
  step(seconds: number): Promise<void>;
}

/** `time`: where it starts, as an ISO 8601 instant. Throws ServerUnavailable. */
export async function serverClock(time: string): Promise<ServerClock> {
  // Of the oldest release, whose library goes with the C library of every later one.
  const tree = await debianTree({ suite: 'bookworm', packages: ['faketime'], commands: ['faketime'] });
  const dir = await mkdtemp(join(tmpdir(), 'headwater-clock-'));
  // Servers run as somebody else.
  await run('cp', ['-r', '--dereference', join(tree, 'usr/lib'), dir]);
  await run('chmod', ['-R', 'a+rX', dir]);
  const { stdout } = await run('find', [dir, '-name', 'libfaketimeMT.so.1']);
  const library = stdout.trim();
  const file = join(dir, 'offset');
  let offsetSeconds = 0;
  const write = async (): Promise<void> => {
    // Read at each call: never half of it.
    await writeFile(`${file}.new`, `${offsetSeconds < 0 ? '' : '+'}${offsetSeconds}\n`, { mode: 0o644 });
    await rename(`${file}.new`, file);
  };
  const set = async (to: string): Promise<void> => {
    offsetSeconds = Math.round((Date.parse(to) - Date.now()) / 1000);
    await write();
  };
  await set(time);
  return {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    set,
    async step(seconds) {
      offsetSeconds += seconds;
      await write();
    },
    async [Symbol.asyncDispose]() {
      await rm(dir, { recursive: true, force: true });
      await sweepShared();
    },
  };
}

/** What servers that were killed have left behind of it. */
async function sweepShared(): Promise<void> {
  for (const name of await readdir('/dev/shm')) {
    const pid = /^(?:sem\.)?faketime_(?:sem|shm)_(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join('/dev/shm', name), { force: true });
  }
}
