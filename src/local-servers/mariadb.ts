/** A MariaDB server of a test's own, with whatever settings, logins and TLS it needs. */
import type { MariadbVersion } from './mysql-programs.ts';
import { type MysqlServer, type MysqlServerOptions, startServer } from './mysql-server.ts';

export type { MariadbVersion } from './mysql-programs.ts';

export interface MariadbOptions extends MysqlServerOptions {
  readonly version: MariadbVersion;
}

/** Throws ServerUnavailable if this machine cannot run that version. */
export async function startMariadb(
  { version, ...options }: MariadbOptions,
  signal?: AbortSignal,
): Promise<MysqlServer> {
  const prefix = version === '10.11' ? 'mysql' : 'mariadb';
  return startServer(
    {
      product: 'MariaDB',
      version,
      defaults: { 'binlog-row-metadata': 'FULL', 'log-slave-updates': '1', 'innodb-log-file-size': '64M' },
      noTls: { ssl: '0' },
      setUp: { bootstrap: [`${prefix}_system_tables.sql`, `${prefix}_performance_tables.sql`] },
      passwordStatement: (quoted) => `SET PASSWORD FOR root@'%' = PASSWORD(${quoted})`,
    },
    options,
    signal,
  );
}
