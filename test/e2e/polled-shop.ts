/** A database whose tables are polled, whichever it is. */
import mysql from 'mysql2/promise';
import pg from 'pg';
import type { WriterSession } from '../support/overlapping-writers.ts';
import type { TestDatabase, TestMysql } from '../support/servers.ts';

export interface PolledShop {
  readonly url: string;
  readonly connector: 'postgresql' | 'mysql' | 'mariadb';
  /** What stands before the dot of its tables' names. */
  readonly schema: string;
  /** Type of a column that holds a moment, NULL or one that `now(3)` gives. */
  readonly moment: string;
  /** What `INSERT` ends with to set all other columns of the row instead, where there is one already. */
  readonly upsert: (columns: Readonly<Record<string, string>>) => string;
  readonly query: (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;
  readonly session: () => Promise<ShopSession>;
}

export interface ShopSession extends WriterSession {
  query(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  end(): Promise<unknown>;
}

export function postgresShop(database: TestDatabase): PolledShop {
  const translated = (sql: string): string => sql.replaceAll('now(3)', 'clock_timestamp()');
  return {
    url: database.url,
    connector: 'postgresql',
    schema: 'public',
    moment: 'timestamptz',
    upsert: (columns) => `ON CONFLICT (id) DO UPDATE SET ${assignments(columns)}`,
    query: (sql) => database.query(translated(sql)),
    async session() {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      return {
        query: async (sql) =>
          (await client.query(translated(sql))).rows as Readonly<Record<string, unknown>>[],
        end: () => client.end(),
      };
    },
  };
}

export function mysqlShop(database: TestMysql, connector: 'mysql' | 'mariadb'): PolledShop {
  return {
    url: database.url,
    connector,
    schema: database.name,
    moment: 'timestamp(3) NULL',
    upsert: (columns) => `ON DUPLICATE KEY UPDATE ${assignments(columns)}`,
    query: (sql) => database.query(sql),
    async session() {
      const connection = await mysql.createConnection({ uri: database.url });
      return {
        async query(sql) {
          const [answer] = await connection.query<mysql.RowDataPacket[]>(sql);
          return Array.isArray(answer) ? answer : [];
        },
        end: () => connection.end(),
      };
    },
  };
}

function assignments(columns: Readonly<Record<string, string>>): string {
  return Object.entries(columns)
    .map(([column, value]) => `${column} = ${value}`)
    .join(', ');
}
