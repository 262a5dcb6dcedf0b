/** The servers that a whole run shares: each started when first asked for, all stopped together. */
import mysql from 'mysql2/promise';
import pg from 'pg';
import { startContainer } from '../../src/local-servers/containers.ts';
import { startKafka } from '../../src/local-servers/kafka.ts';
import { startMariadb } from '../../src/local-servers/mariadb.ts';
import { ServerUnavailable } from '../../src/local-servers/missing-server.ts';
import { localMysqlVersions, startMysql } from '../../src/local-servers/mysql.ts';
import { type PostgresVersion, startPostgres } from '../../src/local-servers/postgres.ts';
import { startRegistry } from '../../src/local-servers/registry.ts';

interface Shared extends AsyncDisposable {
  readonly address: string;
}

const servers = new Map<string, Promise<Shared>>();

/** @param name `postgres/18`, `mysql/9`, `mariadb/11.8` …: a superuser's URL; `kafka`: host:port; `registry`: its URL */
export async function sharedAddress(name: string): Promise<string> {
  let server = servers.get(name);
  if (server === undefined) {
    server = start(name);
    servers.set(name, server);
    // Servers that a test outside vitest leaves behind end with the process, by their watchdogs.
  }
  return (await server).address;
}

export async function stopSharedServers(): Promise<void> {
  const stopping = [...servers.values()].map(async (server) => {
    const started = await server.catch(() => null); // that it could not be started was told to who asked
    await started?.[Symbol.asyncDispose]();
  });
  servers.clear();
  await Promise.all(stopping);
}

async function start(name: string): Promise<Shared> {
  const given = await fromEnvironment(name);
  if (given !== null) return { address: given, [Symbol.asyncDispose]: () => Promise.resolve() };
  try {
    return await startLocally(name);
  } catch (error) {
    if (!(error instanceof ServerUnavailable) || error.kind !== 'missing') throw error;
    const container = await startContainer(name);
    if (container === null)
      throw new ServerUnavailable('missing', `${error.message} There is no container engine either.`);
    return container;
  }
}

async function fromEnvironment(name: string): Promise<string | null> {
  const [product = '', version] = name.split('/');
  const given = process.env[product === 'kafka' ? 'TEST_KAFKA' : `TEST_${product.toUpperCase()}_URL`];
  if (given === undefined || product === 'kafka' || product === 'registry') return given ?? null;
  return (await versionAt(product, given)) === version ? given : null;
}

/** As this run names it: `18`, `9`, `8.4`. */
async function versionAt(product: string, url: string): Promise<string> {
  if (product !== 'postgres') {
    const connection = await mysql.createConnection(url);
    const [rows] = await connection.query<mysql.RowDataPacket[]>('SELECT VERSION() AS version');
    await connection.end();
    const [major = '', minor = ''] = String(rows[0]?.['version']).split('.');
    return product === 'mysql' && Number(major) >= 9 ? major : `${major}.${minor}`;
  }
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ number: string }>(
      `SELECT current_setting('server_version_num') AS number`,
    );
    return String(Math.floor(Number(rows[0]?.number) / 10_000));
  } finally {
    await client.end();
  }
}

async function startLocally(name: string): Promise<Shared> {
  const [product, version] = name.split('/');
  if (product === 'kafka') return shared(await startKafka(), ({ brokers }) => brokers);
  if (product === 'registry') return shared(await startRegistry(), ({ url }) => url);
  if (product === 'postgres') {
    const server = await startPostgres({ version: Number(version) as PostgresVersion });
    return shared(server, ({ url }) => url);
  }
  const ofMysql = localMysqlVersions.find((each) => name === `mysql/${each}`);
  if (ofMysql !== undefined) return shared(await startMysql({ version: ofMysql }), ({ url }) => url);
  if (name === 'mariadb/11.8' || name === 'mariadb/10.11')
    return shared(
      await startMariadb({ version: name === 'mariadb/11.8' ? '11.8' : '10.11' }),
      ({ url }) => url,
    );
  throw new ServerUnavailable('missing', `Of ${name} there are no programs to be had: only a container.`);
}

function shared<S extends AsyncDisposable>(server: S, address: (server: S) => string): Shared {
  return { address: address(server), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
