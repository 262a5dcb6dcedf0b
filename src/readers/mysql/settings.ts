import type { MysqlTypeOptions } from './types/mysql-column.ts';
import type { MysqlConnectOptions } from './wire/connect-options.ts';

/** What the MySQL and MariaDB reader is made from; settings/ fills it from YAML. */
export interface MysqlReaderOptions {
  /** The pipeline's name. */
  readonly name: string;
  /** By the scheme of source.url; the server has to be of that kind. */
  readonly connector: 'mysql' | 'mariadb';
  readonly connect: MysqlConnectOptions;
  /** `source.tables`: globs on `database.table`, `!pattern`, `/regex/`. */
  readonly tables: readonly string[];
  /** As a replica has it: no two readers or replicas of one server may have the same. */
  readonly serverId: number;
  /** With `fail`, `open` throws `source.position-lost`. */
  readonly onGap: 'resnapshot' | 'fail' | 'skip_with_marker';
  /** Emit `begin` and `end` of each transaction. */
  readonly transactionMetadata: boolean;
  /** Put the statement into the source block, where the server logs it. */
  readonly includeQuery: boolean;
  readonly types: MysqlTypeOptions;
  /** Connections of the snapshot, which `open` takes at the position where the log begins; 0: there is none. */
  readonly snapshotParallelism: number;
}
