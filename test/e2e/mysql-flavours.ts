/** A MySQL and a MariaDB, for tests that start servers of their own. */
import type { MysqlServerOptions } from '../../src/local-servers/mysql-server.ts';
import { startMariadb, startMysql, testMariadb, testMysql } from '../support/servers.ts';

export const MYSQL_FLAVOURS = [
  {
    connector: 'mysql',
    open: () => testMysql(),
    start: (options: MysqlServerOptions) => startMysql({ version: '9', ...options }),
    /** What a user needs to read the log. */
    privileges: 'REPLICATION SLAVE, REPLICATION CLIENT',
  },
  {
    connector: 'mariadb',
    open: () => testMariadb(),
    start: (options: MysqlServerOptions) => startMariadb({ version: '11.8', ...options }),
    privileges: 'REPLICATION SLAVE, BINLOG MONITOR',
  },
] as const;
