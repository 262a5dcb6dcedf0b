/** The database a recording's SQL runs in, for Debezium and for Headwater. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import pg from 'pg';
import { mysqlTool } from '../../src/local-servers/mysql-programs.ts';
import { startMariadb } from '../../src/local-servers/mariadb.ts';
import { startMysql } from '../../src/local-servers/mysql.ts';
import { testDatabase } from '../../test/support/servers.ts';

export type GoldenProduct = 'postgres' | 'mysql' | 'mariadb';

/** Statements one after the other on one connection, each a transaction of its own where SQL does not say otherwise. */
export interface Script {
  readonly sql: string;
  /** Goes on after a statement that fails. */
  readonly force?: boolean;
}

export interface GoldenSource extends AsyncDisposable {
  readonly product: GoldenProduct;
  /** Of who may do everything. */
  readonly url: string;
  /** `source:` of a pipeline, line by line, without its tables. */
  readonly settings: readonly string[];
  /** A table that every pipeline on the source captures, to mark a place in the log. */
  readonly marker: string;
  run(script: Script): Promise<void>;
  query(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

/** PostgreSQL 15 is the one that comes with contrib. */
export async function emptySource(product: GoldenProduct): Promise<GoldenSource> {
  return product === 'postgres' ? postgresSource((await testDatabase(15)).url) : mysqlSource(product);
}

/** A database of PostgreSQL; `databaseUrl` is a superuser's. */
export async function postgresSource(databaseUrl: string): Promise<GoldenSource> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  // Slots belong to the whole server.
  const own = new URL(databaseUrl).pathname.slice(1);
  return {
    product: 'postgres',
    marker: 'public.headwater_marker',
    url: databaseUrl,
    settings: [`url: ${databaseUrl}`, `postgres: { slot: ${own}, publication: ${own} }`],
    run: async ({ sql }) => {
      for (const statement of statements(sql)) await client.query(statement);
    },
    query: async (sql) => (await client.query<Record<string, unknown>>(sql)).rows,
    [Symbol.asyncDispose]: () => client.end(),
  };
}

/** A server of its own: its databases and its whole log belong to the recording. */
async function mysqlSource(product: 'mysql' | 'mariadb'): Promise<GoldenSource> {
  // With its statements in the log, as the recordings were made.
  const server =
    product === 'mysql'
      ? await startMysql({ version: '9', settings: { 'binlog-rows-query-log-events': 'ON' } })
      : await startMariadb({ version: '11.8' });
  const { port } = new URL(server.url);
  const [client, ...first] = await mysqlTool(
    product === 'mysql' ? '9' : '11.8',
    product === 'mysql' ? 'mysql' : 'mariadb',
  );
  // The client itself: what it makes of a file is what the recordings hold, comments in statements too.
  const options = ['--no-defaults', '--protocol=TCP', '--host=127.0.0.1', `--port=${port}`, '--user=root'];
  return {
    product,
    marker: 'headwater.headwater_marker',
    url: server.url,
    settings: [`url: ${server.url}`, `mysql: { include_query: true, unsigned_overflow: wrap }`],
    run: async ({ sql, force = false }) => {
      // The recordings that were given to us were made by a client that leaves comments out.
      const how = force ? ['--force', '--skip-comments'] : ['--comments'];
      const args = [...first, ...options, '--default-character-set=utf8mb4', ...how];
      const running = promisify(execFile)(client, args, {
        maxBuffer: 64 * 1024 * 1024,
      });
      running.child.stdin?.end(sql);
      await running;
    },
    query: (sql) => server.query(sql),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** A `;` ends a statement at the end of a line. */
function statements(sql: string): readonly string[] {
  return sql
    .split(/;[ \t]*(?:\n|$)/)
    .filter((statement) => statement.replaceAll(/^--.*$/gm, '').trim() !== '');
}
