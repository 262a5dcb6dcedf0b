/** The database that the crash test writes to: what differs between the products. */
import mysql from 'mysql2/promise';
import pg from 'pg';
import { type MysqlServer, startMariadb, startMysql, startPostgres } from '../support/servers.ts';

export type Row = Readonly<Record<string, unknown>>;

/** One connection. Parameters are `$1`, `$2` … */
export interface Session {
  query(sql: string, parameters?: readonly unknown[]): Promise<readonly Row[]>;
  close(): Promise<void>;
}

export interface CrashSource extends AsyncDisposable {
  readonly url: string;
  /** As in topic names: the schema, of MySQL the database. */
  readonly schema: string;
  readonly setUp: readonly string[];
  /** Fills a table with one row for each i from 1 on, in one statement. */
  fill(table: string, columns: string, rows: number): string;
  /** Gives the accounts from $2 to $2 + 5000 the revisions from $1 + 1 on. */
  readonly bulkUpdate: string;
  connect(): Promise<Session>;
  /** Of the connection, rather than of what was said over it. */
  mayBeTriedAgain(error: unknown): boolean;
  restart(): Promise<void>;
}

export async function postgresSource(): Promise<CrashSource> {
  const server = await startPostgres({ version: 18, durable: true });
  const url = await server.createDatabase('crash');
  return {
    url,
    schema: 'public',
    setUp: [
      'CREATE TABLE accounts (id int PRIMARY KEY, rev bigint NOT NULL, note text, big text)',
      'ALTER TABLE accounts ALTER COLUMN big SET STORAGE EXTERNAL',
      'CREATE TABLE items (a int, b text COLLATE "C", rev bigint NOT NULL, amount numeric(10,2), PRIMARY KEY (b, a))',
      'ALTER TABLE items REPLICA IDENTITY FULL',
      'CREATE TABLE log (rev bigint NOT NULL, what text)',
    ],
    fill: (table, columns, rows) =>
      `INSERT INTO ${table} SELECT ${columns} FROM generate_series(1, ${rows}) i`,
    bulkUpdate: `UPDATE accounts a SET rev = $1::bigint + x.n
      FROM (SELECT id, row_number() OVER (ORDER BY id) n FROM accounts WHERE id BETWEEN $2 AND $2 + 5000) x
      WHERE a.id = x.id`,
    connect: async () => {
      const client = new pg.Client({ connectionString: url });
      client.on('error', () => {});
      await client.connect();
      return {
        query: async (sql, parameters = []) => (await client.query<Row>(sql, [...parameters])).rows,
        close: () => client.end(),
      };
    },
    mayBeTriedAgain: (error) => {
      const code = codeOf(error);
      return code.startsWith('ECONN') || code.startsWith('57P') || code === '' || code.startsWith('08');
    },
    restart: () => server.restart(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export async function mysqlSource(): Promise<CrashSource> {
  return sourceOn(
    await startMysql({ version: '9', durable: true }),
    (table, columns, rows) =>
      `INSERT INTO ${table} WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < ${rows})
       SELECT /*+ SET_VAR(cte_max_recursion_depth = ${rows + 1}) */ ${columns} FROM s`,
  );
}

export async function mariadbSource(): Promise<CrashSource> {
  return sourceOn(
    await startMariadb({ version: '11.8', durable: true }),
    (table, columns, rows) =>
      `INSERT INTO ${table} SELECT ${columns} FROM (SELECT seq AS i FROM seq_1_to_${rows}) s`,
  );
}

async function sourceOn(server: MysqlServer, fill: CrashSource['fill']): Promise<CrashSource> {
  await server.query('CREATE DATABASE crash');
  const url = server.urlFor({ database: 'crash' });
  return {
    url,
    schema: 'crash',
    setUp: [
      'CREATE TABLE accounts (id INT PRIMARY KEY, rev BIGINT NOT NULL, note TEXT, big TEXT)',
      'CREATE TABLE items (a INT, b VARCHAR(20) COLLATE utf8mb4_bin, rev BIGINT NOT NULL, amount DECIMAL(10,2), PRIMARY KEY (b, a))',
      'CREATE TABLE log (rev BIGINT NOT NULL, what TEXT)',
    ],
    fill,
    bulkUpdate: `UPDATE accounts a JOIN
      (SELECT id, row_number() OVER (ORDER BY id) n FROM accounts WHERE id BETWEEN $2 AND $2 + 5000) x
      ON a.id = x.id SET a.rev = $1 + x.n`,
    connect: async () => {
      const connection = await mysql.createConnection(url);
      connection.on('error', () => {});
      return {
        query: async (sql, parameters = []) => {
          const order = Array.from(sql.matchAll(/\$(\d+)/g), ([, number]) => parameters[Number(number) - 1]);
          const text = sql.replaceAll(/\$\d+/g, '?');
          const [rows] = await connection.query<mysql.RowDataPacket[]>(text, order);
          return Array.isArray(rows) ? rows : [];
        },
        close: async () => connection.destroy(),
      };
    },
    mayBeTriedAgain: (error) => {
      const code = codeOf(error);
      // The unknown one is a statement that the server's shutdown broke off ("… in multi-table update"). A deadlock
      // with a snapshot's lock costs a transaction, as one with anybody does (docs/decisions/0014-mysql-snapshot-lock.md).
      return (
        /^(ECONN|EPIPE|PROTOCOL_CONNECTION_LOST|ER_SERVER_SHUTDOWN|ER_UNKNOWN_ERROR|ER_LOCK_DEADLOCK)/.test(
          code,
        ) || isFatal(error)
      );
    },
    restart: () => server.restart(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** mysql2's mark of an error after which the connection is of no use. */
function isFatal(error: unknown): boolean {
  return error instanceof Error && 'fatal' in error && error.fatal === true;
}
