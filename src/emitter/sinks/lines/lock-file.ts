import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadwaterError } from '../../../errors/headwater-error.ts';
import { isGone, processIdentity, type ProcessIdentity } from '../process-identity.ts';

/** The holder touches its lock this often; one of another machine or container is stale without. */
const TOUCH_MS = 2000;

/**
 * A file that says which process uses a directory. A process of this machine that has ended is recognised by
 * its pid and start time; one of another machine (a container that was replaced) by no longer touching it.
 */
export interface LockFile extends AsyncDisposable {
  readonly path: string;
}

/** Throws `state.locked` where another instance lives. */
export async function takeLock(path: string, what: string, touchMs = TOUCH_MS): Promise<LockFile> {
  const mine = `${path}.${process.pid}`;
  const text = JSON.stringify(processIdentity());
  await writeFile(mine, text);
  try {
    for (;;) {
      try {
        // Unlike creating and writing, a link is there with its contents or not at all.
        await link(mine, path);
        break;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      await removeStale(path, what, touchMs);
    }
  } finally {
    await rm(mine, { force: true });
  }
  const touching = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, touchMs);
  touching.unref();
  return {
    path,
    async [Symbol.asyncDispose]() {
      clearInterval(touching);
      // Only if it is still ours: a process that was stopped for long may have been replaced.
      if ((await readFile(path, 'utf8').catch(() => '')) === text) await rm(path, { force: true });
    },
  };
}

async function removeStale(path: string, what: string, touchMs: number): Promise<void> {
  const before = await readFile(path, 'utf8').catch(() => null);
  if (before === null) return;
  const holder = parse(before);
  if (holder !== null && !isGone(holder)) {
    const alive = holder.machine === processIdentity().machine || (await isTouched(path, touchMs));
    if (alive) {
      throw new HeadwaterError(
        'state.locked',
        `${what} is in use by process ${holder.pid} on ${holder.host} (lock file ${path}).`,
        {
          details: { path, pid: holder.pid, host: holder.host },
        },
      );
    }
  }
  // Two may arrive here together: what is moved away must be what was looked at.
  const aside = `${path}.stale.${process.pid}`;
  await rename(path, aside).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  const moved = await readFile(aside, 'utf8').catch(() => null);
  if (moved !== null && moved !== before) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

async function isTouched(path: string, touchMs: number): Promise<boolean> {
  const time = async (): Promise<number | null> => (await stat(path).catch(() => null))?.mtimeMs ?? null;
  const first = await time();
  await sleep(touchMs * 3);
  const second = await time();
  return second !== null && second !== first;
}

function parse(text: string): ProcessIdentity | null {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('machine' in value))
      return null;
    return typeof value.pid === 'number' && typeof value.machine === 'string'
      ? (value as ProcessIdentity)
      : null;
  } catch {
    return null;
  }
}
