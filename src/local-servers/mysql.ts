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
  return startServer(FLAVOURS[version], options, signal);
}

const alterUser = (quoted: string): string => `ALTER USER root@'%' IDENTIFIED BY ${quoted}`;

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
  passwordStatement: alterUser,
};

const MYSQL_8_0: Flavour = {
  product: 'MySQL',
  version: '8.0',
  defaults: { ...GTIDS, 'binlog-row-metadata': 'FULL', 'innodb-log-file-size': '32M', mysqlx: 'OFF' },
  noTls: { ssl: 'OFF', 'auto-generate-certs': 'OFF' },
  setUp: 'initialize',
  passwordStatement: alterUser,
};

const MYSQL_5_7: Flavour = {
  product: 'MySQL',
  version: '5.7',
  defaults: { ...GTIDS, 'log-slave-updates': '1', 'innodb-log-file-size': '32M' },
  noTls: { ssl: 'OFF' },
  setUp: 'initialize',
  passwordStatement: alterUser,
};

const MYSQL_5_6: Flavour = {
  product: 'MySQL',
  version: '5.6',
  defaults: { ...GTIDS, 'log-slave-updates': '1', 'innodb-log-file-size': '32M' },
  noTls: {},
  setUp: { bootstrap: ['mysql_system_tables.sql'] },
  passwordStatement: (quoted) => `SET PASSWORD FOR root@'%' = PASSWORD(${quoted})`,
};

const FLAVOURS: Readonly<Record<MysqlVersion, Flavour>> = {
  '5.6': MYSQL_5_6,
  '5.7': MYSQL_5_7,
  '8.0': MYSQL_8_0,
  '9': MYSQL_9,
};

/** Those that are to be had without a container. */
export const localMysqlVersions = ['5.6', '5.7', '8.0', '9'] satisfies readonly MysqlVersion[];
