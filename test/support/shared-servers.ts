/** The servers that a whole run shares: each started when first asked for, all stopped together. */
import pg from 'pg';
import { startContainer } from '../../src/local-servers/containers.ts';
import { startKafka } from '../../src/local-servers/kafka.ts';
import { ServerUnavailable } from '../../src/local-servers/missing-server.ts';
import { type PostgresVersion, startPostgres } from '../../src/local-servers/postgres.ts';

interface Shared extends AsyncDisposable {
  readonly address: string;
}

const servers = new Map<string, Promise<Shared>>();

/** @param name `postgres/15` … `postgres/18`: a superuser's URL; `kafka`: host:port */
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
  if (name === 'kafka') return process.env['TEST_KAFKA'] ?? null;
  const url = process.env['TEST_POSTGRES_URL'];
  if (url === undefined) return null;
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ number: string }>(
      `SELECT current_setting('server_version_num') AS number`,
    );
    return name === `postgres/${Math.floor(Number(rows[0]?.number) / 10_000)}` ? url : null;
  } finally {
    await client.end();
  }
}

async function startLocally(name: string): Promise<Shared> {
  if (name === 'kafka') {
    const server = await startKafka();
    return { address: server.brokers, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
  }
  const version = Number(name.split('/')[1]) as PostgresVersion;
  const server = await startPostgres({ version });
  return { address: server.url, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
