/** As whom a server runs that must not, or had better not, run as root. */
import { createHash } from 'node:crypto';
import { chown, cp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ServerUnavailable } from './missing-server.ts';
import { onPath, run } from './processes.ts';

export interface ServerUser {
  /** Who owns the server's files where that is somebody else than we are. */
  readonly id: { readonly uid: number; readonly gid: number } | null;
  wrap(command: string, args: readonly string[]): [string, string[]];
}

/** As root a server runs as `nobody`. `product` is for the sentence where that cannot be. */
export async function serverUser(product: string): Promise<ServerUser> {
  if (process.getuid?.() !== 0) return { id: null, wrap: (command, args) => [command, [...args]] };
  if (!(await onPath('setpriv')))
    throw new ServerUnavailable('missing', `${product} refuses to run as root and there is no setpriv.`);
  const numberOf = async (flag: string): Promise<number> =>
    Number((await run('id', [flag, 'nobody'])).stdout);
  const id = { uid: await numberOf('-u'), gid: await numberOf('-g') };
  const flags = [`--reuid=${id.uid}`, `--regid=${id.gid}`, '--clear-groups', '--'];
  return { id, wrap: (command, args) => ['setpriv', [...flags, command, ...args]] };
}

/** The command with more of an environment, which what runs it as somebody else does not have. */
export function withEnv(
  env: Readonly<Record<string, string>> = {},
  command: string,
  args: readonly string[],
): [string, readonly string[]] {
  const assignments = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return assignments.length === 0 ? [command, args] : ['env', [...assignments, command, ...args]];
}

/**
 * `home` itself if `user` can execute `program` in it, else a copy at a place that user can reach: a project under
 * /root is closed to everybody else. The copy is made in `copyTo`, or, where that is undefined, kept for the next
 * time.
 */
export async function reachable({
  home,
  program,
  user,
  copyTo,
}: {
  readonly home: string;
  readonly program: string;
  readonly user: ServerUser;
  readonly copyTo: string | undefined;
}): Promise<string> {
  const canExecute = (dir: string): Promise<boolean> =>
    run(...user.wrap('test', ['-x', join(dir, program)])).then(
      () => true,
      () => false,
    );
  if (await canExecute(home)) return home;
  const key = createHash('sha256').update(home).digest('hex').slice(0, 12);
  const copy = copyTo === undefined ? `/var/tmp/headwater-programs-${key}` : join(copyTo, 'programs');
  if (await canExecute(copy)) return copy;
  const partial = `${copy}.${process.pid}`;
  await cp(home, partial, { recursive: true, verbatimSymlinks: true });
  await run('chmod', ['-R', 'a+rX', partial]);
  await rename(partial, copy).catch(() => rm(partial, { recursive: true, force: true }));
  return copy;
}

export async function writeOwned(path: string, text: string, user: ServerUser): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
  if (user.id !== null) await chown(path, user.id.uid, user.id.gid);
}
