/** What a MySQL and a MariaDB server of a test's own have in common. */
import { chown, cp, mkdir, mkdtemp, mkdtempDisposable, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { cached } from './cache.ts';
import { type Certificates, makeCertificates } from './certificates.ts';
import { type DatabaseServer, untilReady } from './database-server.ts';
import {
  type MariadbVersion,
  type MysqlVersion,
  type ServerPrograms,
  serverPrograms,
} from './mysql-programs.ts';
import { freePort, run, type ServerProcess, startServerProcess } from './processes.ts';
import { type ServerUser, serverUser, withEnv } from './server-user.ts';

export interface MysqlServerOptions {
  /** Server options without the dashes, such as `gtid-mode`, over the defaults. */
  readonly settings?: ServerSettings;
  /** Password of `root` over TCP; none unless given. */
  readonly password?: string;
  /** Offers TLS, with certificates of our own: see `certificates`. Without it the server has none. */
  readonly tls?: boolean;
  /** Every commit is flushed to the disk. Not needed for `crash()`, which leaves the machine's page cache alone. */
  readonly durable?: boolean;
  /** Of the server's environment, over what is there: another time zone or clock. */
  readonly env?: Readonly<Record<string, string>>;
}

export type ServerSettings = Readonly<Record<string, string>>;

export interface MysqlServer extends DatabaseServer {
  /** Of `root`, who may do everything, without a database. `mysql://` or `mariadb://`. */
  readonly url: string;
  /** Runs SQL, also several statements, with all rights on a connection of its own. Gives the last one's rows. */
  query<R = Record<string, unknown>>(sql: string, parameters?: readonly unknown[]): Promise<R[]>;
  /** Orderly, with settings over those it had. */
  restart(settings?: ServerSettings): Promise<void>;
}

/** How one product is run. */
export interface Flavour {
  readonly product: 'MySQL' | 'MariaDB';
  readonly version: MysqlVersion | MariadbVersion;
  readonly defaults: ServerSettings;
  /** What makes a server without certificates do without TLS. */
  readonly noTls: ServerSettings;
  /**
   * MySQL from 5.7 on has --initialize; the others are fed with these files of SQL by --bootstrap (without the one
   * that makes users, some of whom need no password).
   */
  readonly setUp: 'initialize' | { readonly bootstrap: readonly string[] };
  /** The statement that gives root, over TCP, this password. */
  passwordStatement(quoted: string): string;
}

/** Our own door, through the socket: neither a password nor required TLS can lock us out. */
const ADMIN = 'headwater_admin';

const USERS = `
FLUSH PRIVILEGES;
CREATE USER ${ADMIN}@localhost;
GRANT ALL ON *.* TO ${ADMIN}@localhost WITH GRANT OPTION;
CREATE USER root@'%';
GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;
`;

const DEFAULTS: ServerSettings = {
  'bind-address': '127.0.0.1',
  'server-id': '1',
  'log-bin': 'binlog',
  'binlog-format': 'ROW',
  'binlog-row-image': 'FULL',
  'sync-binlog': '0',
  'innodb-flush-log-at-trx-commit': '2',
  'innodb-buffer-pool-size': '64M',
  'character-set-server': 'utf8mb4',
  'default-time-zone': '+00:00',
  'max-connections': '200',
  'skip-name-resolve': '1',
};

const DURABLE: ServerSettings = { 'sync-binlog': '1', 'innodb-flush-log-at-trx-commit': '1' };

/** Throws ServerUnavailable if this machine cannot run it. `signal` ends starting, not what has started. */
export async function startServer(
  flavour: Flavour,
  options: MysqlServerOptions,
  signal?: AbortSignal,
): Promise<MysqlServer> {
  const user = await serverUser(flavour.product);
  const programs = await serverPrograms(flavour.version, user, signal);
  const scratch = await mkdtemp(join(tmpdir(), `headwater-${flavour.product.toLowerCase()}-`));
  const dataDir = join(scratch, 'data');
  try {
    await copyTemplate({ flavour, programs, user, dataDir, options, signal });
    const certificates = options.tls === true ? await setUpTls(scratch) : null;
    // What is in there belongs to the server; nothing else is in there.
    if (user.id !== null) await run('chown', ['-R', `${user.id.uid}:${user.id.gid}`, scratch]);
    const server = serverAt({
      flavour,
      options,
      programs,
      user,
      scratch,
      dataDir,
      certificates,
      port: await freePort(),
    });
    await server.start();
    if (options.password !== undefined)
      await server.query(
        `SET SESSION sql_log_bin = 0; ${flavour.passwordStatement(mysql.escape(options.password))}`,
      );
    return server;
  } catch (error) {
    await rm(scratch, { recursive: true, force: true });
    throw error;
  }
}

/** A new server's data take seconds to make: they are made once and kept in the cache. */
async function copyTemplate({
  flavour,
  programs,
  user,
  dataDir,
  options,
  signal,
}: {
  readonly flavour: Flavour;
  readonly programs: ServerPrograms;
  readonly user: ServerUser;
  readonly dataDir: string;
  readonly options: MysqlServerOptions;
  readonly signal: AbortSignal | undefined;
}): Promise<void> {
  // The one setting that MySQL takes only from the first run on.
  const lowerCase = options.settings?.['lower-case-table-names'] ?? '0';
  const name = `${flavour.product.toLowerCase()}-${flavour.version}-data-${lowerCase}`;
  const template = await cached(
    name,
    async (dir) => {
      // Not in the cache, which may be closed to the server's user.
      await using place = await mkdtempDisposable(join(tmpdir(), 'headwater-set-up-'));
      const data = join(place.path, 'data');
      await mkdir(data);
      if (user.id !== null)
        for (const path of [place.path, data]) await chown(path, user.id.uid, user.id.gid);
      const { args, input } = await setUpRun(flavour, programs, place.path);
      const [program, ...first] = programs.server;
      const settings = [`--datadir=${data}`, `--lower-case-table-names=${lowerCase}`];
      const [command, all] = user.wrap(program, [...first, ...args, ...settings]);
      const running = run(command, all, {
        cwd: place.path,
        env: { ...process.env, ...programs.env },
        signal,
      });
      running.child.stdin?.end(input);
      await running;
      await rm(join(data, 'auto.cnf'), { force: true }); // each server is one of its own
      await cp(data, join(dir, 'data'), { recursive: true });
    },
    signal,
  );
  await cp(join(template, 'data'), dataDir, { recursive: true });
}

async function setUpRun(
  { setUp }: Flavour,
  { share }: ServerPrograms,
  dir: string,
): Promise<{ args: readonly string[]; input: string }> {
  if (setUp === 'initialize') {
    const file = join(dir, 'users.sql');
    await writeFile(file, USERS.trimStart());
    return {
      // Not every build of 5.7 can make certificates.
      args: ['--initialize-insecure', '--loose-auto-generate-certs=OFF', `--init-file=${file}`],
      input: '',
    };
  }
  const scripts = await Promise.all(setUp.bootstrap.map((file) => readFile(join(share, file), 'utf8')));
  const sql = ['CREATE DATABASE IF NOT EXISTS mysql;', 'USE mysql;', ...scripts, USERS];
  return { args: ['--bootstrap'], input: sql.join('\n') };
}

async function setUpTls(scratch: string): Promise<Certificates> {
  const dir = join(scratch, 'tls');
  await mkdir(dir);
  return makeCertificates(dir, 'headwater');
}

interface Place {
  readonly flavour: Flavour;
  readonly options: MysqlServerOptions;
  readonly programs: ServerPrograms;
  readonly user: ServerUser;
  readonly scratch: string;
  readonly dataDir: string;
  readonly certificates: Certificates | null;
  readonly port: number;
}

function serverAt(place: Place): MysqlServer {
  const { flavour, options, programs, user, scratch, dataDir, certificates, port } = place;
  const logFile = join(scratch, 'server.log');
  const socket = join(scratch, 'socket');
  const settings: Record<string, string> = {
    ...DEFAULTS,
    ...flavour.defaults,
    ...(options.durable === true ? DURABLE : {}),
    ...(certificates === null ? flavour.noTls : tlsSettings(certificates)),
    ...options.settings,
  };
  let server: ServerProcess | null = null;

  const urlFor: MysqlServer['urlFor'] = (parts) => {
    const url = new URL(`${flavour.product.toLowerCase()}://127.0.0.1:${port}/`);
    url.username = parts.user ?? 'root';
    url.password = parts.password ?? (parts.user === undefined ? (options.password ?? '') : '');
    url.pathname = `/${encodeURIComponent(parts.database ?? '')}`;
    return url.href;
  };
  const connect = (): Promise<mysql.Connection> =>
    mysql.createConnection({ socketPath: socket, user: ADMIN, multipleStatements: true });

  const start = async (): Promise<void> => {
    if (server?.alive === true) return;
    const [program, ...first] = programs.server;
    const own = [
      `--datadir=${dataDir}`,
      `--port=${port}`,
      `--socket=${socket}`,
      `--pid-file=${scratch}/pid`,
      `--secure-file-priv=${scratch}`,
    ];
    const given = Object.entries(settings).map(([name, value]) => `--${name}=${value}`);
    const [command, args] = user.wrap(...withEnv(options.env, program, [...first, ...own, ...given]));
    const starting = startServerProcess({
      command,
      args,
      cwd: scratch,
      env: { ...process.env, ...programs.env, TZ: 'UTC' },
      logFile,
      orphanSignal: 'KILL',
      scratchDir: scratch,
    });
    server = starting;
    await untilReady(starting, {
      connect: async () => (await connect()).end(),
      logFile,
      product: flavour.product,
      kill: 'SIGKILL',
    });
  };
  const stop = async (signal: NodeJS.Signals): Promise<void> => server?.stop(signal, 60_000);

  return {
    host: '127.0.0.1',
    port,
    url: urlFor({}),
    dataDir,
    logFile,
    certificates,
    urlFor,
    async query<R>(sql: string, parameters: readonly unknown[] = []) {
      const connection = await connect();
      try {
        const [rows] = await connection.query<mysql.RowDataPacket[]>(sql, [...parameters]);
        return lastRows(rows) as R[]; // what is in them, the caller knows who wrote the SQL
      } finally {
        connection.destroy();
      }
    },
    start,
    stop: () => stop('SIGTERM'),
    async restart(changed = {}) {
      await stop('SIGTERM');
      Object.assign(settings, changed);
      await start();
    },
    crash: () => stop('SIGKILL'),
    async [Symbol.asyncDispose]() {
      await stop('SIGKILL');
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

/** With several statements an answer is a list of the answers of each; a statement without rows answers an object. */
export function lastRows(answer: unknown): unknown[] {
  if (!Array.isArray(answer)) return [];
  const last: unknown = answer.at(-1);
  if (Array.isArray(last)) return last;
  const isHeader = typeof last === 'object' && last !== null && 'affectedRows' in last;
  return isHeader ? [] : answer;
}

function tlsSettings({ ca, serverCert, serverKey }: Certificates): ServerSettings {
  return { 'ssl-ca': ca, 'ssl-cert': serverCert, 'ssl-key': serverKey };
}
