/** A PostgreSQL server of a test's own, with whatever settings, logins and TLS it needs. */
import { chown, cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { type Certificates, makeCertificates } from './certificates.ts';
import { type DatabaseServer, untilReady } from './database-server.ts';
import { type PostgresVersion, postgresHome } from './downloads.ts';
import { freePort, run, type ServerProcess, startServerProcess } from './processes.ts';
import { reachable, type ServerUser, serverUser, withEnv, writeOwned } from './server-user.ts';

export type { PostgresVersion } from './downloads.ts';

export interface PostgresOptions {
  readonly version: PostgresVersion;
  /** postgresql.conf settings, over the defaults below. */
  readonly settings?: Readonly<Record<string, string>>;
  /** pg_hba.conf lines instead of "trust for everyone". The superuser `postgres` always keeps a way in. */
  readonly hba?: readonly string[];
  /** Password of the superuser `postgres`; its logins over TCP then need it (scram-sha-256). */
  readonly password?: string;
  /** Turns TLS on, with certificates of our own: see `certificates`. */
  readonly tls?: boolean;
  /** fsync on. Not needed for `crash()`, which leaves the machine's page cache alone. */
  readonly durable?: boolean;
  /** More arguments for initdb, such as `--locale-provider=icu`. */
  readonly initdb?: readonly string[];
  /** Of the server's environment, over what is there: another time zone or clock. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Its files go into a directory made in this one, and so does a copy of the programs where one is needed. Must
   * be open to other users when this process is root. The system's temporary directory unless given.
   */
  readonly parentDir?: string;
}

export interface PostgresServer extends DatabaseServer {
  readonly version: PostgresVersion;
  /** Superuser, database `postgres`. */
  readonly url: string;
  /** Runs SQL as the superuser on a connection of its own. */
  query<R extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    parameters?: readonly unknown[],
  ): Promise<R[]>;
  createDatabase(name: string): Promise<string>;
  restart(): Promise<void>;
  /** Writes settings and makes the server read them, pg_hba.conf too. */
  reload(settings?: Readonly<Record<string, string>>): Promise<void>;
}

const DEFAULTS: Readonly<Record<string, string>> = {
  wal_level: 'logical',
  max_wal_senders: '60',
  max_replication_slots: '60',
  max_connections: '200',
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  shared_buffers: '64MB',
  autovacuum_naptime: '10s',
  log_min_messages: 'warning',
};

/** Throws ServerUnavailable if this machine cannot run that version. `signal` ends starting, not what has started. */
export async function startPostgres(options: PostgresOptions, signal?: AbortSignal): Promise<PostgresServer> {
  const user = await serverUser('PostgreSQL');
  const home = await reachable({
    home: await postgresHome(options.version, signal),
    program: 'bin/postgres',
    user,
    copyTo: options.parentDir,
  });
  const scratch = await mkdtemp(join(options.parentDir ?? tmpdir(), `headwater-pg${options.version}-`));
  if (user.id !== null) await chown(scratch, user.id.uid, user.id.gid);
  const dataDir = join(scratch, 'data');
  const port = await freePort();
  try {
    await initialise({ home, dataDir, scratch, user, options });
    signal?.throwIfAborted();
    const certificates = options.tls === true ? await setUpTls(scratch, dataDir, user) : null;
    const server = createServer({ home, dataDir, scratch, port, user, options, certificates });
    await server.start();
    return server;
  } catch (error) {
    await rm(scratch, { recursive: true, force: true });
    throw error;
  }
}

interface Place {
  readonly home: string;
  readonly dataDir: string;
  readonly scratch: string;
  readonly user: ServerUser;
  readonly options: PostgresOptions;
}

async function initialise({ home, dataDir, scratch, user, options }: Place): Promise<void> {
  const args = ['-D', dataDir, '-U', 'postgres', '-E', 'UTF8', '--no-locale', '--no-sync'];
  args.push('--auth=trust', ...(options.initdb ?? []));
  // A home of its own, since initdb may look for files in the caller's, which `nobody` cannot read.
  await run(...user.wrap(join(home, 'bin/initdb'), args), { cwd: scratch, env: serverEnv(home, scratch) });
  await writeOwned(join(dataDir, 'pg_hba.conf'), hbaText(options), user);
}

/** The libraries that come with the npm packages are found beside them; nothing of the caller's PG* applies. */
function serverEnv(home: string, scratch: string): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { PATH: process.env['PATH'], HOME: scratch, LANG: 'C.UTF-8', TZ: 'UTC' };
  if (!home.startsWith('/usr/')) env['LD_LIBRARY_PATH'] = join(home, 'lib');
  return env;
}

const ADMIN = 'headwater_test_admin';

function hbaText(options: PostgresOptions): string {
  // Our own door: a role that no test uses, so that neither `hba` nor `password` can lock us out.
  const admin = `host all ${ADMIN} 127.0.0.1/32 trust`;
  const method = options.password === undefined ? 'trust' : 'scram-sha-256';
  const rest = options.hba ?? [
    `host all all 127.0.0.1/32 ${method}`,
    `host replication all 127.0.0.1/32 ${method}`,
  ];
  return [admin, ...rest, ''].join('\n');
}

async function setUpTls(scratch: string, dataDir: string, user: ServerUser): Promise<Certificates> {
  const dir = join(scratch, 'tls');
  await mkdir(dir);
  const certificates = await makeCertificates(dir);
  for (const [from, to] of [
    [certificates.serverCert, 'server.crt'],
    [certificates.serverKey, 'server.key'],
    [certificates.ca, 'ca.crt'],
  ] as const) {
    const target = join(dataDir, to);
    await cp(from, target);
    await run('chmod', ['600', target]);
    if (user.id !== null) await chown(target, user.id.uid, user.id.gid);
  }
  return certificates;
}

function settingsOf(options: PostgresOptions): Record<string, string> {
  const settings: Record<string, string> = { ...DEFAULTS };
  // io_uring or worker processes cost start-up and memory here, and nothing in Headwater depends on them.
  if (options.version >= 18) settings['io_method'] = 'sync';
  if (options.durable !== true) Object.assign(settings, { fsync: 'off', full_page_writes: 'off' });
  if (options.tls === true)
    Object.assign(settings, {
      ssl: 'on',
      ssl_cert_file: 'server.crt',
      ssl_key_file: 'server.key',
      ssl_ca_file: 'ca.crt',
    });
  return { ...settings, ...options.settings };
}

function createServer(
  place: Place & { readonly port: number; readonly certificates: Certificates | null },
): PostgresServer {
  const { home, dataDir, scratch, user, options, port, certificates } = place;
  const logFile = join(scratch, 'log');
  const settings = settingsOf(options);
  let server: ServerProcess | null = null;
  let adminReady = false;

  const urlFor = (parts: { database?: string; user?: string; password?: string }): string => {
    const url = new URL(`postgres://127.0.0.1:${port}/${encodeURIComponent(parts.database ?? 'postgres')}`);
    url.username = parts.user ?? 'postgres';
    url.password = parts.password ?? (parts.user === undefined ? (options.password ?? '') : '');
    return url.href;
  };
  const query = async <R extends pg.QueryResultRow>(
    sql: string,
    parameters: readonly unknown[] = [],
  ): Promise<R[]> => {
    const client = adminClient(port);
    await client.connect();
    try {
      return (await client.query<R>(sql, [...parameters])).rows;
    } finally {
      await client.end();
    }
  };

  const start = async (): Promise<void> => {
    if (server?.alive === true) return;
    await writeOwned(join(dataDir, 'headwater.conf'), confText({ ...settings, port: String(port) }), user);
    if (!adminReady) {
      await createAdmin(place);
      adminReady = true;
    }
    const args = ['-D', dataDir, '-c', `config_file=${join(dataDir, 'headwater.conf')}`];
    const [command, wrapped] = user.wrap(...withEnv(options.env, join(home, 'bin/postgres'), args));
    const starting = startServerProcess({
      command,
      args: wrapped,
      cwd: scratch,
      env: serverEnv(home, scratch),
      logFile,
      orphanSignal: 'QUIT',
      scratchDir: scratch,
    });
    server = starting;
    await untilReady(starting, {
      async connect() {
        const client = adminClient(port);
        await client.connect();
        await client.end();
      },
      logFile,
      product: 'PostgreSQL',
      kill: 'SIGQUIT',
    });
  };
  const stop = async (signal: NodeJS.Signals): Promise<void> => server?.stop(signal, 30_000);

  return {
    version: options.version,
    host: '127.0.0.1',
    port,
    url: urlFor({}),
    dataDir,
    logFile,
    certificates,
    urlFor,
    query,
    async createDatabase(name) {
      await query(`CREATE DATABASE ${pg.escapeIdentifier(name)} OWNER postgres`);
      return urlFor({ database: name });
    },
    start,
    stop: () => stop('SIGINT'),
    async restart() {
      await stop('SIGINT');
      await start();
    },
    crash: () => stop('SIGQUIT'),
    async reload(changed = {}) {
      Object.assign(settings, changed);
      await writeOwned(join(dataDir, 'headwater.conf'), confText({ ...settings, port: String(port) }), user);
      await query('SELECT pg_reload_conf()');
      await sleep(50); // the postmaster acts on the signal by itself; there is nothing to wait for
    },
    async [Symbol.asyncDispose]() {
      await stop('SIGQUIT');
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

function confText(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
    .join('');
}

/** In single-user mode, before the server can be reached by anybody. */
async function createAdmin({ home, dataDir, scratch, user, options }: Place): Promise<void> {
  const statements = [`CREATE ROLE ${ADMIN} SUPERUSER LOGIN`];
  if (options.password !== undefined)
    statements.push(`ALTER ROLE postgres PASSWORD ${pg.escapeLiteral(options.password)}`);
  const [command, args] = user.wrap(join(home, 'bin/postgres'), ['--single', '-D', dataDir, 'postgres']);
  const running = run(command, args, { cwd: scratch, env: serverEnv(home, scratch) });
  running.child.stdin?.end(`${statements.join('\n')}\n`);
  await running;
}

function adminClient(port: number): pg.Client {
  const client = new pg.Client({ host: '127.0.0.1', port, user: ADMIN, database: 'postgres' });
  client.on('error', () => {}); // a crash while connected; the query itself rejects
  return client;
}
