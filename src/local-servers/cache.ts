import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Downloads live here: `.cache/` in the project, ignored by git, unless HEADWATER_TEST_CACHE says otherwise; where
 * Headwater is installed as a package, in the user's own cache.
 */
function cacheDir(): string {
  const inProject = import.meta.filename.endsWith('.ts');
  return resolve(
    process.env['HEADWATER_TEST_CACHE'] ??
      (inProject
        ? join(import.meta.dirname, '../../.cache')
        : join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'headwater')),
  );
}

/** Whether `cached` would have nothing to make. */
export async function isCached(name: string): Promise<boolean> {
  return exists(join(cacheDir(), name, '.complete'));
}

/**
 * Runs `make` once for `name`, also when several processes ask at the same time, and returns the directory it
 * filled. `make` gets an empty directory; only when it resolves does the directory count as done.
 */
export async function cached(
  name: string,
  make: (dir: string) => Promise<void>,
  signal?: AbortSignal,
): Promise<string> {
  const dir = join(cacheDir(), name);
  const marker = join(dir, '.complete');
  if (await exists(marker)) return dir;
  await mkdir(cacheDir(), { recursive: true });
  const release = await lock(`${dir}.lock`, signal);
  try {
    if (await exists(marker)) return dir;
    // Beside its place, then moved: whoever looks sees all of it or nothing, even if a dead holder's lock was
    // taken over twice.
    const partial = `${dir}.${process.pid}`;
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial);
    try {
      await make(partial);
      await writeFile(join(partial, '.complete'), '');
      await rm(dir, { recursive: true, force: true });
      await rename(partial, dir);
    } catch (error) {
      await rm(partial, { recursive: true, force: true });
      throw error;
    }
    return dir;
  } finally {
    await release();
  }
}

/** A lock by an exclusively created file with the holder's pid; a dead holder's lock is taken over. */
async function lock(path: string, signal?: AbortSignal): Promise<() => Promise<void>> {
  for (;;) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' });
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = Number(await readFile(path, 'utf8').catch(() => ''));
    if (holder > 0 && !isAlive(holder)) await rm(path, { force: true });
    else await sleep(200, undefined, signal === undefined ? {} : { signal });
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function exists(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    () => false,
  );
}
