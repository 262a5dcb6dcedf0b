/**
 * Real servers for tests.
 *
 * - `testDatabase(version)`, `testMysql(version)`, `testMariadb(version)`, `testKafka()`: a database or a topic
 *   prefix of the test's own on a server shared by the whole run, started when the first test asks for it. What
 *   most tests want.
 * - `startPostgres(options)`, `startMysql`, `startMariadb`, `startKafka`: a server of the test's own, to be crashed, restarted, or set
 *   up with TLS, passwords, ACLs.
 *
 * Where servers come from: docs/development.md, "Real servers".
 */
import { randomBytes } from 'node:crypto';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { type PostgresVersion, startPostgres } from '../../src/local-servers/postgres.ts';
import { startKafka } from '../../src/local-servers/kafka.ts';
import { type MariadbVersion, startMariadb } from '../../src/local-servers/mariadb.ts';
import { startMysql } from '../../src/local-servers/mysql.ts';
import { lastRows } from '../../src/local-servers/mysql-server.ts';
import { startRegistry } from '../../src/local-servers/registry.ts';
import { ServerUnavailable } from '../../src/local-servers/missing-server.ts';
import { sharedAddress } from './shared-servers.ts';

export { startKafka, startMariadb, startMysql, startPostgres, startRegistry };
export type { RegistryServer } from '../../src/local-servers/registry.ts';
export type { KafkaListener, KafkaOptions, KafkaServer } from '../../src/local-servers/kafka.ts';
export type { MariadbOptions, MariadbVersion } from '../../src/local-servers/mariadb.ts';
export type { MysqlOptions, MysqlServer } from '../../src/local-servers/mysql.ts';
export type { PostgresOptions, PostgresServer, PostgresVersion } from '../../src/local-servers/postgres.ts';
export type { Certificates } from '../../src/local-servers/certificates.ts';
export { freePort } from '../../src/local-servers/processes.ts';

/** The PostgreSQL versions this run is about: 15 and 18, or all four with HEADWATER_TEST_FULL=1. */
export const postgresVersions: readonly PostgresVersion[] =
  process.env['HEADWATER_TEST_FULL'] === '1' ? [15, 16, 17, 18] : [15, 18];

/** 8.4 comes as a container only. */
export type MysqlVersion = '5.6' | '5.7' | '8.0' | '8.4' | '9';

/**
 * The MySQL versions this run is about: 9, or 5.6, 5.7 and 8.0 too with HEADWATER_TEST_FULL=1, or what
 * HEADWATER_TEST_MYSQL lists; 8.4 where a container engine runs.
 */
export const mysqlVersions: readonly MysqlVersion[] = (
  process.env['HEADWATER_TEST_MYSQL'] ?? (process.env['HEADWATER_TEST_FULL'] === '1' ? '5.6,5.7,8.0,9' : '9')
)
  .split(',')
  .map(mysqlVersion);

/** Those before 9 that suites of their own are about: 5.6, whose log tells least, and the others with HEADWATER_TEST_FULL=1. */
export const oldMysqlVersions: readonly ('5.6' | '5.7' | '8.0')[] =
  process.env['HEADWATER_TEST_FULL'] === '1' ? ['5.6', '5.7', '8.0'] : ['5.6'];

export const mariadbVersions: readonly MariadbVersion[] =
  process.env['HEADWATER_TEST_FULL'] === '1' ? ['10.11', '11.8'] : ['11.8'];

function mysqlVersion(text: string): MysqlVersion {
  const known: readonly MysqlVersion[] = ['5.6', '5.7', '8.0', '8.4', '9'];
  const found = known.find((version) => version === text);
  if (found === undefined)
    throw new Error(`HEADWATER_TEST_MYSQL names ${text}, but may name ${known.join(', ')}.`);
  return found;
}

export interface TestDatabase extends AsyncDisposable {
  /** Superuser. */
  readonly url: string;
  readonly name: string;
  readonly version: PostgresVersion;
  /** SQL on a connection of its own, in this database; several statements may be given without parameters. */
  query<R extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    parameters?: readonly unknown[],
  ): Promise<R[]>;
  /** Cuts off who is connected, drops the database's slots, and drops it. */
  drop(): Promise<void>;
}

/** Slots and roles belong to the whole server: give them names with `name` in them. */
export async function testDatabase(version: PostgresVersion = 18): Promise<TestDatabase> {
  const server = await requestServer(`postgres/${version}`);
  const name = `t${randomBytes(6).toString('hex')}`;
  await queryOnce(server, `CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  const drop = async (): Promise<void> => {
    await queryOnce(
      server,
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = $1 AND active`,
      [name],
    );
    await dropSlots(server, name);
    await queryOnce(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  };
  return {
    url: url.href,
    name,
    version,
    query: (sql, parameters) => queryOnce(url.href, sql, parameters),
    drop,
    [Symbol.asyncDispose]: drop,
  };
}

/** A slot whose walsender was just ended stays active for a moment. */
async function dropSlots(server: string, database: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await queryOnce(
        server,
        'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1',
        [database],
      );
      return;
    } catch (error) {
      const inUse = (error as { code?: string }).code === '55006';
      if (!inUse || attempt === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function queryOnce<R extends pg.QueryResultRow>(
  url: string,
  sql: string,
  parameters?: readonly unknown[],
): Promise<R[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {}); // cut off by drop(); a running query rejects by itself
  await client.connect();
  try {
    const result = await client.query<R>(sql, parameters === undefined ? undefined : [...parameters]);
    return Array.isArray(result) ? (result.at(-1) as pg.QueryResult<R>).rows : result.rows;
  } finally {
    await client.end();
  }
}

export interface TestMysql extends AsyncDisposable {
  /** Of `root`, who may do everything, with the database. `mysql://` or `mariadb://`. */
  readonly url: string;
  readonly name: string;
  readonly version: MysqlVersion | MariadbVersion;
  /** SQL, also several statements, on a connection of its own in this database. Gives the last one's rows. */
  query<R = Record<string, unknown>>(sql: string, parameters?: readonly unknown[]): Promise<R[]>;
  drop(): Promise<void>;
}

/** The binlog and users belong to the whole server: other tests' changes are in the same log. */
export async function testMysql(version: MysqlVersion = '9'): Promise<TestMysql> {
  return mysqlDatabase(`mysql/${version}`, version);
}

export async function testMariadb(version: MariadbVersion = '11.8'): Promise<TestMysql> {
  return mysqlDatabase(`mariadb/${version}`, version);
}

async function mysqlDatabase(request: string, version: TestMysql['version']): Promise<TestMysql> {
  const server = await requestServer(request);
  const name = `t${randomBytes(6).toString('hex')}`;
  await queryMysql(server, `CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  const drop = async (): Promise<void> => {
    await queryMysql(server, `DROP DATABASE IF EXISTS ${name}`);
  };
  return {
    url: url.href,
    name,
    version,
    query: (sql, parameters) => queryMysql(url.href, sql, parameters),
    drop,
    [Symbol.asyncDispose]: drop,
  };
}

async function queryMysql<R>(url: string, sql: string, parameters: readonly unknown[] = []): Promise<R[]> {
  const connection = await mysql.createConnection({ uri: url, multipleStatements: true });
  try {
    const [answer] = await connection.query<mysql.RowDataPacket[]>(sql, [...parameters]);
    return lastRows(answer) as R[]; // what is in them, who wrote the SQL knows
  } finally {
    await connection.end();
  }
}

export interface TestRegistry {
  /** Of Confluent's API, base path included. */
  readonly url: string;
  /** Begin topics with it: subjects are made of them. Ends with a letter or a digit. */
  readonly prefix: string;
  /** JSON from the API, whatever the status. */
  ask(path: string, request?: { readonly method: string; readonly body: unknown }): Promise<unknown>;
}

export async function testRegistry(): Promise<TestRegistry> {
  return askRegistry(await requestServer('registry'));
}

export function askRegistry(url: string): TestRegistry {
  return {
    url,
    prefix: `t${randomBytes(6).toString('hex')}`,
    async ask(path, request) {
      const response = await fetch(
        url + path,
        request === undefined
          ? {}
          : {
              method: request.method,
              body: JSON.stringify(request.body),
              headers: { 'content-type': 'application/json' },
            },
      );
      return await response.json();
    },
  };
}

export interface TestKafka {
  /** `host:port` */
  readonly brokers: string;
  /** Begin the names of topics, groups and transactional ids with it. Ends with a letter or a digit. */
  readonly prefix: string;
}

export async function testKafka(): Promise<TestKafka> {
  return { brokers: await requestServer('kafka'), prefix: `t${randomBytes(6).toString('hex')}` };
}

/** From the run's own service (global-setup.ts), or, outside vitest, from this process. */
async function requestServer(name: string): Promise<string> {
  const service = process.env['HEADWATER_TEST_SERVERS'];
  if (service === undefined) return sharedAddress(name);
  const response = await fetch(`${service}/${name}`);
  const body = (await response.json()) as
    { address: string } | { kind: 'missing' | 'download'; message: string };
  if ('address' in body) return body.address;
  throw new ServerUnavailable(body.kind, body.message);
}
