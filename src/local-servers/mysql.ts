/** A MySQL server of a test's own, with whatever settings, logins and TLS it needs. */
import type { MysqlVersion } from './mysql-programs.ts';
import { type Flavour, type MysqlServer, type MysqlServerOptions, startServer } from './mysql-server.ts';

export type { MysqlVersion } from './mysql-programs.ts';
export type { MysqlServer } from './mysql-server.ts';

export interface MysqlOptions extends MysqlServerOptions {
  readonly version: MysqlVersion;
}

/** Throws ServerUnavailable if this machine cannot run that version. */
export async function startMysql(
  { version, ...options }: MysqlOptions,
  signal?: AbortSignal,
): Promise<MysqlServer> {
  return startServer(version === '5.6' ? MYSQL_5_6 : MYSQL_9, options, signal);
}

const GTIDS = { 'gtid-mode': 'ON', 'enforce-gtid-consistency': 'ON' };

const MYSQL_9: Flavour = {
  product: 'MySQL',
  version: '9',
  defaults: {
    ...GTIDS,
    'binlog-row-metadata': 'FULL',
    'innodb-redo-log-capacity': '64M',
    mysqlx: 'OFF',
  },
  noTls: { 'tls-version': '', 'auto-generate-certs': 'OFF' },
  setUp: 'initialize',
  passwordStatement: (quoted) => `ALTER USER root@'%' IDENTIFIED BY ${quoted}`,
};

const MYSQL_5_6: Flavour = {
  product: 'MySQL',
  version: '5.6',
  defaults: { ...GTIDS, 'log-slave-updates': '1', 'innodb-log-file-size': '32M' },
  noTls: {},
  setUp: { bootstrap: ['mysql_system_tables.sql'] },
  passwordStatement: (quoted) => `SET PASSWORD FOR root@'%' = PASSWORD(${quoted})`,
};
