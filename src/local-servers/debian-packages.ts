/**
 * Programs out of Debian packages of any release, without installing anything: an apt with directories of its own
 * resolves and fetches them, and they are unpacked into the cache together with every library they need, down to
 * the C library. The C library's own loader runs them, so the machine's libraries don't matter.
 */
import { access, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached } from './cache.ts';
import { ServerUnavailable } from './missing-server.ts';
import { onPath, run } from './processes.ts';

export type DebianSuite = 'bookworm' | 'trixie' | 'sid';

export interface DebianPrograms {
  readonly suite: DebianSuite;
  /** Fetched with all they depend on. */
  readonly packages: readonly string[];
  /** Fetched without what they depend on. */
  readonly alone?: readonly string[];
  /** The only ones that stay of usr/bin. */
  readonly commands: readonly string[];
}

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

const MACHINES: Readonly<Record<string, { libraries: string; loader: string }>> = {
  x64: { libraries: 'x86_64-linux-gnu', loader: 'ld-linux-x86-64.so.2' },
  arm64: { libraries: 'aarch64-linux-gnu', loader: 'ld-linux-aarch64.so.1' },
};

/** Of what the packages bring along and no server needs. */
const USELESS = ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/perl', 'etc', 'var'];

/**
 * A directory with `usr/sbin`, `usr/share` … of the packages, and `packages.txt`, which tells their versions: those
 * of a release change, and can't be pinned. Throws ServerUnavailable.
 */
export async function debianTree(programs: DebianPrograms, signal?: AbortSignal): Promise<string> {
  const name = `debian-${programs.suite}-${programs.packages[0]}`;
  return cached(name, (dir) => fetchTree(dir, programs, signal), signal);
}

/** The command, with its first arguments, that runs a program of a tree, such as `usr/bin/mysqlbinlog`. */
export async function commandInTree(tree: string, program: string): Promise<readonly [string, ...string[]]> {
  return [...(await loaderOf(tree)), join(tree, program)];
}

/** What runs any program with the libraries of a tree, and those that the program has beside it. */
export async function loaderOf(tree: string): Promise<readonly [string, string, string]> {
  const { libraries, loader } = machine();
  // Before /usr was merged, in bookworm too, packages had the C library in /lib.
  const directories = [join(tree, 'lib', libraries), join(tree, 'usr/lib', libraries)];
  for (const directory of directories) {
    const path = join(directory, loader);
    const found = await access(path).then(
      () => true,
      () => false,
    );
    if (found) return [path, '--library-path', directories.join(':')];
  }
  throw new Error(`There is no ${loader} in ${tree}: delete that directory, and it is fetched again.`);
}

function machine(): { libraries: string; loader: string } {
  const found = process.platform === 'linux' ? MACHINES[process.arch] : undefined;
  if (found !== undefined) return found;
  const here = `${process.platform} on ${process.arch}`;
  throw new ServerUnavailable('missing', `Debian's programs run on Linux on x64 and arm64, not on ${here}.`);
}

async function fetchTree(
  dir: string,
  { suite, packages, alone = [], commands }: DebianPrograms,
  signal: AbortSignal | undefined,
): Promise<void> {
  machine();
  for (const tool of ['apt-get', 'dpkg-deb'])
    if (!(await onPath(tool)))
      throw new ServerUnavailable(
        'missing',
        `${packages[0]} comes from Debian by ${tool}, which is not here.`,
      );
  const root = join(dir, 'apt');
  const env = { ...process.env, APT_CONFIG: await privateApt(root, suite), LC_ALL: 'C' };
  const archives = join(root, 'cache/archives');
  const apt = async (...args: string[]): Promise<void> => {
    try {
      await run('apt-get', ['--quiet', '--quiet', '--yes', ...args], { cwd: archives, env, signal });
    } catch (error) {
      signal?.throwIfAborted();
      const said = (error as { stderr?: string }).stderr?.trim() ?? '';
      const what = `apt could not fetch ${packages.join(' and ')} of Debian ${suite}`;
      throw new ServerUnavailable('download', `${what}: ${said.slice(0, 600)}`, { cause: error });
    }
  };
  await apt('update');
  await apt('install', '--download-only', ...packages);
  if (alone.length > 0) await apt('download', ...alone);
  const archived = (await readdir(archives)).filter((file) => file.endsWith('.deb'));
  for (const file of archived) await run('dpkg-deb', ['--extract', join(archives, file), dir], { signal });
  await rm(root, { recursive: true });
  await writeFile(join(dir, 'packages.txt'), `${archived.toSorted().join('\n')}\n`);
  await leaveOut(dir, commands);
}

/** An apt that knows only `suite`, believes that nothing is installed, and writes nowhere else than in `root`. */
async function privateApt(root: string, suite: DebianSuite): Promise<string> {
  for (const made of ['lists/partial', 'cache/archives/partial', 'etc/none'])
    await mkdir(join(root, made), { recursive: true });
  await writeFile(join(root, 'status'), '');
  await writeFile(
    join(root, 'etc/sources.list'),
    `deb [signed-by=${KEYRING}] ${await debianMirror()} ${suite} main\n`,
  );
  const conf = join(root, 'apt.conf');
  // The machine's own apt.conf.d stays: it may name a proxy.
  await writeFile(
    conf,
    `Dir::State "${root}";
Dir::State::status "${root}/status";
Dir::State::lists "${root}/lists";
Dir::Cache "${root}/cache";
Dir::Log "${root}";
Dir::Etc::sourcelist "${root}/etc/sources.list";
Dir::Etc::sourceparts "${root}/etc/none";
Dir::Etc::preferences "${root}/etc/none/preferences";
Dir::Etc::preferencesparts "${root}/etc/none";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
${/* A mirror's index may be older than the day it is good until; its signature is checked all the same. */ ''}Acquire::Check-Valid-Until "false";
`,
  );
  return conf;
}

/** Where this machine itself gets Debian from. */
async function debianMirror(): Promise<string> {
  const format = ['--format', '$(ORIGIN) $(SITE)', 'Created-By: Packages', 'Component: main'];
  const { stdout } = await run('apt-get', ['indextargets', ...format]);
  const sites = stdout.split('\n').flatMap((line) => /^Debian (\S+)$/.exec(line)?.[1] ?? []);
  const site = sites.find((address) => !address.endsWith('-security'));
  if (site !== undefined) return site;
  throw new ServerUnavailable('missing', "This machine's apt knows no mirror of Debian.");
}

async function leaveOut(dir: string, commands: readonly string[]): Promise<void> {
  for (const useless of USELESS) await rm(join(dir, useless), { recursive: true, force: true });
  const bin = join(dir, 'usr/bin');
  // Libraries have none.
  await mkdir(bin, { recursive: true });
  const all = join(dir, 'all-commands');
  await rename(bin, all);
  await mkdir(bin);
  for (const command of commands) await rename(join(all, command), join(bin, command));
  await rm(all, { recursive: true });
}
